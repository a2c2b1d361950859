//! What is stored: the contents of a directory, a folder at a time.

use crate::{BlobError, Blobs, Scope};
use protocol::{Digest, transfer::Content};
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A folder of contents: one scope's, whose digests begin alike.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Whose contents.
    pub scope: Scope,
    /// Where.
    pub path: PathBuf,
}

/// A content that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// As its name and length say.
    pub content: Content,
    /// When it came, or was last held.
    pub modified: SystemTime,
    /// Its file.
    pub path: PathBuf,
}

impl Blobs {
    /// A directory as it is, to be looked at: nothing is made, nothing is swept.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory: std::sync::Arc::new(crate::directory::Directory::at(directory)) }
    }

    /// Where a content lies, if it is there.
    pub fn path(&self, scope: &Scope, digest: &Digest) -> PathBuf {
        self.directory.place(scope, digest)
    }

    /// All folders of contents.
    pub fn folders(&self) -> Result<Vec<Folder>, BlobError> {
        let mut folders = Vec::new();
        for (name, path) in entries(self.directory.path())? {
            // What is being written lies beside them, and is no scope.
            let Some(scope) = Scope::from_segment(&name) else { continue };
            let paths = entries(&path)?.into_iter().map(|(_, path)| path);
            folders.extend(paths.map(|path| Folder { scope: scope.clone(), path }));
        }
        Ok(folders)
    }

    /// The contents of a folder. Whatever else lies there is none.
    pub fn stored(&self, folder: &Folder) -> Result<Vec<Stored>, BlobError> {
        let mut stored = Vec::new();
        for (name, path) in entries(&folder.path)? {
            let Ok(digest) = Digest::try_from(name) else { continue };
            let found = match fs::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                found => found.map_err(|error| BlobError::system("look at", &path, error))?,
            };
            let modified = found.modified().map_err(|error| BlobError::system("look at", &path, error))?;
            stored.push(Stored { content: Content { digest, size: found.len() }, modified, path });
        }
        Ok(stored)
    }

    /// Begins a round: what was held in the one before the last is held no more.
    pub fn turn(&self) {
        self.directory.held().turn();
    }

    /// Removes contents that nobody holds and that were not new after `limit`; the bytes of each that is gone now.
    pub fn remove(
        &self,
        scope: &Scope,
        digests: &[Digest],
        limit: SystemTime,
    ) -> Result<Vec<u64>, BlobError> {
        let removed = digests.iter().map(|digest| self.directory.remove(scope, digest, limit));
        removed.filter_map(Result::transpose).collect()
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, BlobError> {
    let failed = |error| BlobError::system("list", folder, error);
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(failed)?,
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        // Every name of ours is plain text.
        entries.extend(entry.file_name().into_string().ok().map(|name| (name, entry.path())));
    }
    Ok(entries)
}
