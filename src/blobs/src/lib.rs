//! Where logs, artifacts, caches and layers lie: contents named by their SHA-256, within the project they belong to.
//!
//! ```text
//! <directory>/incoming/<process>-<n>                     being written; swept when the directory is opened
//! <directory>/parts/…                                    large ones that come in parts; swept by age
//! <directory>/<scope>/<2 hex digits>/<64 hex digits>     whole, verified and synced
//! ```
//!
//! A content appears under its name only once its digest was checked and its bytes are on disk. Callers see [`Blobs`],
//! [`Writer`] and [`Content`] alone, so another place to keep contents needs no change of theirs.

mod directory;
mod held;
mod parts;
mod scope;
mod signed;
mod stored;
mod writer;

pub use parts::{Joined, PartWriter};
pub use scope::Scope;
pub use signed::{Access, SignatureError, Signer};
pub use stored::{Folder, Stored};
pub use writer::Writer;

use bytes::Bytes;
use directory::Directory;
use protocol::Digest;
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A place for contents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    directory: Arc<Directory>,
}

/// A content that is there, open for reading.
#[derive(Debug)]
pub struct Content {
    file: File,
    size: u64,
    /// Where what was not read yet ends; none: where the file does.
    end: Option<u64>,
}

/// A content that could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No room, or no right to write.
    #[error("cannot write to `{}`: {source}; make room or make it writable", path.display())]
    Unwritable {
        /// The blob directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else the system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    System {
        /// In the imperative.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was written is not what was announced.
    #[error("the content has the digest {found}, not {announced}: send it again")]
    Digest {
        /// As the writer was told.
        announced: Digest,
        /// Of what came.
        found: Digest,
    },
    /// More or fewer bytes came than were announced.
    #[error("the content has {found} bytes, not {announced}: send it again")]
    Size {
        /// As the writer was told.
        announced: u64,
        /// What came, up to the first byte too many.
        found: u64,
    },
}

impl BlobError {
    /// Whether the sender is at fault rather than this side.
    pub fn is_senders(&self) -> bool {
        matches!(self, Self::Digest { .. } | Self::Size { .. })
    }

    pub(crate) fn system(doing: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull => {
                Self::Unwritable { path, source }
            }
            _ => Self::System { doing, path, source },
        }
    }
}

impl Blobs {
    /// Opens a directory, makes it if it is not there, and removes what a dead process left half-written.
    pub async fn open(directory: PathBuf) -> Result<Self, BlobError> {
        let directory = blocking(move || Directory::open(directory)).await?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// How many contents a dead process had left half-written, which were removed as the directory was opened.
    pub fn swept(&self) -> usize {
        self.directory.swept()
    }

    /// The size of a content, if it is there.
    pub async fn size(&self, scope: &Scope, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let (directory, scope, digest) = (self.directory.clone(), scope.clone(), digest.clone());
        blocking(move || directory.size(&scope, &digest)).await
    }

    /// Which of these contents are there with their sizes. All of them are held: until they were not asked for during
    /// two rounds (see [`Blobs::turn`]) and their files are old, they are not removed.
    pub async fn hold(
        &self,
        scope: &Scope,
        contents: Vec<protocol::transfer::Content>,
    ) -> Result<Vec<bool>, BlobError> {
        let (directory, scope) = (self.directory.clone(), scope.clone());
        let hold = move |content: &protocol::transfer::Content| {
            directory.hold(&scope, &content.digest, content.size)
        };
        blocking(move || contents.iter().map(hold).collect()).await
    }

    /// Opens a content, if it is there.
    pub async fn read(&self, scope: &Scope, digest: &Digest) -> Result<Option<Content>, BlobError> {
        let (directory, scope, digest) = (self.directory.clone(), scope.clone(), digest.clone());
        blocking(move || directory.read(&scope, &digest)).await
    }

    /// Begins to write a content of this digest and, where it is known, size. Nothing is there before
    /// [`Writer::finish`], and nothing stays of a writer that is dropped.
    pub async fn write(&self, scope: &Scope, digest: Digest, size: Option<u64>) -> Result<Writer, BlobError> {
        Writer::begin(self.directory.clone(), scope.clone(), Some(digest), size).await
    }

    /// Begins to write a content whose digest is found only at its end.
    pub async fn compose(&self, scope: &Scope) -> Result<Writer, BlobError> {
        Writer::begin(self.directory.clone(), scope.clone(), None, None).await
    }

    /// Stores the whole of a file, whatever its digest is, and says which.
    pub async fn store(&self, scope: &Scope, file: File) -> Result<(Digest, u64), BlobError> {
        let size =
            file.metadata().map_err(|error| BlobError::system("read", Path::new("a file"), error))?.len();
        let mut writer = Writer::begin(self.directory.clone(), scope.clone(), None, Some(size)).await?;
        let mut content = Content::new(file, size);
        while let Some(piece) = content.next().await? {
            writer.push(piece).await?;
        }
        writer.finish().await
    }
}

impl Content {
    /// Bytes of piece that [`Content::next`] gives at most.
    const PIECE: usize = 256 * 1024;

    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { file, size, end: None }
    }

    /// These bytes of it alone, which it must have.
    pub async fn part(mut self, range: std::ops::Range<u64>) -> Result<Self, BlobError> {
        use io::Seek;
        let (start, end) = (range.start, range.end);
        let sought = blocking(move || self.file.seek(io::SeekFrom::Start(start)).map(|_| self)).await;
        self = sought.map_err(|error| reading(&error))?;
        Ok(Self { size: end - start, end: Some(end), ..self })
    }

    /// Bytes of the whole.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content as a file that stands at its start.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The piece that follows the one before, read without blocking the caller; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        let file = self.file.try_clone().map_err(|error| reading(&error))?;
        let end = self.end;
        let piece = blocking(move || read_piece(file, end)).await.map_err(|error| reading(&error))?;
        Ok(if piece.is_empty() { None } else { Some(piece.into()) })
    }
}

fn reading(error: &io::Error) -> BlobError {
    BlobError::system("read", Path::new("a content"), io::Error::new(error.kind(), error.to_string()))
}

fn read_piece(mut file: File, end: Option<u64>) -> io::Result<Vec<u8>> {
    use io::{Read, Seek};
    let left = match end {
        Some(end) => end.saturating_sub(file.stream_position()?),
        None => u64::MAX,
    };
    let mut piece = Vec::with_capacity(Content::PIECE);
    file.take(left.min(Content::PIECE as u64)).read_to_end(&mut piece)?;
    Ok(piece)
}

/// Runs blocking work on the pool made for it, and carries a panic of it on.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
