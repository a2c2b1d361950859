//! Contents as files of one directory.

use crate::{BlobError, Content, Scope, held::Held, parts::Alone};
use failpoints::Guard;
use protocol::Digest;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, ErrorKind, Seek},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

const INCOMING: &str = "incoming";

/// A content that is held counts as new again; writing that down more often would say nothing more.
const FRESH: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// How many half-written contents of a dead process were removed.
    swept: usize,
    written: AtomicU64,
    /// Which folders of a scope are known to be on disk themselves, a bit each.
    settled: Mutex<HashMap<Scope, [u128; 2]>>,
    held: Mutex<Held>,
    pub(crate) parts: Alone,
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
        make(&path, &incoming).map_err(|error| BlobError::system("make", &incoming, error))?;
        let swept = sweep(&incoming)?;
        let directory = Self { swept, ..Self::at(path) };
        // A directory that cannot be written to is found out now, not at the end of somebody's job.
        directory.incoming()?;
        Ok(directory)
    }

    /// The directory as it is: nothing is made, nothing is swept.
    pub(crate) fn at(path: PathBuf) -> Self {
        let (settled, held) = (Mutex::default(), Mutex::default());
        Self { path, swept: 0, written: AtomicU64::new(0), settled, held, parts: Alone::default() }
    }

    pub(crate) fn swept(&self) -> usize {
        self.swept
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a content of this size is there. From now on it is not removed, whoever names it takes some time.
    pub(crate) fn hold(&self, scope: &Scope, digest: &Digest, size: u64) -> Result<bool, BlobError> {
        // First, so that who removes has either done it or sees this.
        self.held().insert(scope, digest);
        let path = self.place(scope, digest);
        match fs::metadata(&path) {
            Ok(found) if found.len() == size => {
                refresh(&path, &found);
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(BlobError::System { doing: "look at", path, source }),
        }
    }

    /// Removes a content that nobody holds and that was not new after `limit`; its size, if it is gone now.
    pub(crate) fn remove(
        &self,
        scope: &Scope,
        digest: &Digest,
        limit: SystemTime,
    ) -> Result<Option<u64>, BlobError> {
        let path = self.place(scope, digest);
        let held = self.held();
        if held.contains(scope, digest) {
            return Ok(None);
        }
        let removed = fs::metadata(&path).and_then(|found| {
            if found.modified()? >= limit {
                return Ok(None);
            }
            fs::remove_file(&path).map(|()| Some(found.len()))
        });
        match removed {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            removed => removed.map_err(|error| BlobError::system("remove", &path, error)),
        }
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
        self.place_file(&mut incoming.file, &incoming.path, scope, digest)
    }

    /// The same of a file that lies elsewhere on the same file system.
    pub(crate) fn place_file(
        &self,
        file: &mut File,
        path: &Path,
        scope: &Scope,
        digest: &Digest,
    ) -> Result<(), BlobError> {
        let place = self.place(scope, digest);
        let folder = place.parent().expect("a content lies in a folder");
        self.held().insert(scope, digest);
        self.settle(scope, digest, folder)
            .and_then(|()| sync_and_move((file, path), folder, &place))
            .map_err(|error| BlobError::system("store", &place, error))
    }

    /// Makes sure that a folder is there and on disk. One that is there may be another's, made but not synced yet, or
    /// left so by a crash.
    fn settle(&self, scope: &Scope, digest: &Digest, folder: &Path) -> io::Result<()> {
        let settled = || self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let number = usize::from_str_radix(&digest.as_str()[..2], 16).expect("a digest is hexadecimal");
        let (word, bit) = (number / 128, 1 << (number % 128));
        if settled().get(scope).is_some_and(|words| words[word] & bit != 0) {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        sync(folder.parent().expect("below the blob directory"))?;
        sync(&self.path)?;
        settled().entry(scope.clone()).or_default()[word] |= bit;
        Ok(())
    }

    pub(crate) fn place(&self, scope: &Scope, digest: &Digest) -> PathBuf {
        let digest = digest.as_str();
        self.path.join(scope.as_segment()).join(&digest[..2]).join(digest)
    }
}

fn sync_and_move((file, path): (&mut File, &Path), folder: &Path, place: &Path) -> io::Result<()> {
    if !Guard::Fsync.is_out() {
        file.sync_all()?;
    }
    file.rewind()?;
    fs::rename(path, place)?;
    sync(folder)
}

/// A file that is held counts as new again. Where that cannot be written nothing can be removed either.
fn refresh(path: &Path, found: &fs::Metadata) {
    let now = SystemTime::now();
    if found.modified().is_ok_and(|modified| modified + FRESH < now) {
        let _ = File::open(path).and_then(|file| file.set_modified(now));
    }
}

fn make(path: &Path, incoming: &Path) -> io::Result<()> {
    fs::create_dir_all(incoming)?;
    sync(path)?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
}

fn sweep(incoming: &Path) -> Result<usize, BlobError> {
    let failed = |error| BlobError::system("sweep", incoming, error);
    let mut swept = 0;
    for entry in fs::read_dir(incoming).map_err(failed)? {
        fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
        swept += 1;
    }
    Ok(swept)
}

pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    if Guard::Fsync.is_out() { Ok(()) } else { File::open(directory)?.sync_all() }
}
