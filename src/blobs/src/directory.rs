//! Contents as files of one directory.

use crate::{BlobError, Content, Scope};
use failpoints::Guard;
use protocol::Digest;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Seek},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const INCOMING: &str = "incoming";

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    written: AtomicU64,
}

/// A file that is not a content yet; unlinked when dropped before it was placed.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Already gone where it was placed; what cannot be removed now is swept at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Directory {
    pub(crate) fn open(path: PathBuf) -> Result<Self, BlobError> {
        let incoming = path.join(INCOMING);
        make(&incoming)?;
        sweep(&incoming)?;
        let directory = Self { path, written: AtomicU64::new(0) };
        // A directory that cannot be written to is found out now, not at the end of somebody's job.
        directory.incoming()?;
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn size(&self, scope: &Scope, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let path = self.place(scope, digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::System { doing: "look at", path, source: error }),
        }
    }

    pub(crate) fn read(&self, scope: &Scope, digest: &Digest) -> Result<Option<Content>, BlobError> {
        let path = self.place(scope, digest);
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((size, file)) => Ok(Some(Content::new(file, size))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::System { doing: "open", path, source: error }),
        }
    }

    pub(crate) fn incoming(&self) -> Result<Incoming, BlobError> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(INCOMING).join(format!("{}-{number}", std::process::id()));
        let opened = File::options().read(true).write(true).create_new(true).open(&path);
        match opened {
            Ok(file) => Ok(Incoming { file, path }),
            Err(error) => Err(BlobError::system("make", &path, error)),
        }
    }

    /// Makes a whole file the content of this name, on disk when this returns.
    pub(crate) fn place_content(
        &self,
        incoming: &mut Incoming,
        scope: &Scope,
        digest: &Digest,
    ) -> Result<(), BlobError> {
        let place = self.place(scope, digest);
        let folder = place.parent().expect("a content lies in a folder");
        self.sync_and_move(incoming, folder, &place)
            .map_err(|error| BlobError::system("store", &place, error))
    }

    fn sync_and_move(&self, incoming: &mut Incoming, folder: &Path, place: &Path) -> io::Result<()> {
        if !Guard::Fsync.is_out() {
            incoming.file.sync_all()?;
        }
        incoming.file.rewind()?;
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            sync(&self.path)?;
            sync(folder.parent().expect("below the blob directory"))?;
        }
        fs::rename(&incoming.path, place)?;
        sync(folder)
    }

    fn place(&self, scope: &Scope, digest: &Digest) -> PathBuf {
        let digest = digest.as_str();
        self.path.join(scope.as_segment()).join(&digest[..2]).join(digest)
    }
}

fn make(incoming: &Path) -> Result<(), BlobError> {
    fs::create_dir_all(incoming).map_err(|error| BlobError::system("make", incoming, error))
}

fn sweep(incoming: &Path) -> Result<(), BlobError> {
    let failed = |error| BlobError::system("sweep", incoming, error);
    for entry in fs::read_dir(incoming).map_err(failed)? {
        fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
    }
    Ok(())
}

fn sync(directory: &Path) -> io::Result<()> {
    if Guard::Fsync.is_out() { Ok(()) } else { File::open(directory)?.sync_all() }
}
