//! The data directory: one control plane at a time, files that are their owner's alone, and removals that wait while
//! somebody copies or checks it.

use crate::{StartError, plane::token};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The database.
pub(crate) const STORE: &str = "store.db";
/// The contents.
pub(crate) const BLOBS: &str = "blobs";
/// The frames of logs that are not sealed.
pub(crate) const LOGS: &str = "logs";
/// The operator's token.
pub(crate) const TOKEN: &str = "operator-token";
/// The key that seals, and signs URLs.
pub(crate) const KEY: &str = "secrets.key";
/// As old as the last sweep.
pub(crate) const SWEPT: &str = "swept";
/// Held by the control plane.
const LOCK: &str = "lock";
/// Held by whoever removes, or wants nothing removed.
const REMOVALS: &str = "removals.lock";

/// How the name of a file ends that is not whole yet.
const DRAFT: &str = "new";

/// Makes the directory, if it is not there, and locks it: the lock goes with the process, however it ends.
pub(crate) fn take(directory: &Path) -> Result<File, StartError> {
    make(directory).map_err(StartError::directory("make", directory))?;
    let path = directory.join(LOCK);
    let mut file = private(&path).map_err(StartError::directory("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Whoever holds it may just be writing its name.
            let _ = file.read_to_string(&mut process);
            let (path, process) = (directory.to_owned(), process.trim().to_owned());
            return Err(StartError::Locked { path, process });
        }
        Err(TryLockError::Error(source)) => return Err(StartError::directory("lock", &path)(source)),
    }
    let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map_err(StartError::directory("write", &path))?;
    Ok(file)
}

/// Makes a directory that is its owner's alone, itself and its parents on disk when this returns.
pub(crate) fn make(directory: &Path) -> io::Result<()> {
    let there = directory.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for made in directory.ancestors() {
        // The current directory is the parent of a plain name.
        sync(if made.as_os_str().is_empty() { Path::new(".") } else { made })?;
        if Some(made) == there.as_deref() {
            break;
        }
    }
    Ok(())
}

fn private(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Puts the names in a directory on disk.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The operator's token, which its file keeps; removing the file makes another one at the next start.
pub(crate) fn operator_token(directory: &Path) -> Result<String, StartError> {
    let path = directory.join(TOKEN);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StartError::directory("read", &path)(error));
        }
        _ => {}
    }
    let token = token::new_token();
    write_private(&path, &token).map_err(StartError::directory("write", &path))?;
    Ok(token)
}

/// Writes a line beside and renames, so that a crash leaves a whole file or none; on disk when this returns.
pub(crate) fn write_private(path: &Path, line: &str) -> io::Result<()> {
    let new = path.with_added_extension(DRAFT);
    // One that an earlier crash left may be another's to read.
    let _ = fs::remove_file(&new);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync(path.parent().expect("a file lies in a directory"))
}

/// Removes the drafts that [`write_private`] left when its process died; how many there were.
pub(crate) fn sweep(directory: &Path) -> Result<usize, StartError> {
    let drafts = || -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == DRAFT) {
                fs::remove_file(path)?;
                swept += 1;
            }
        }
        Ok(swept)
    };
    drafts().map_err(StartError::directory("sweep", directory))
}

/// The right to remove files, which whoever copies or checks the directory takes away meanwhile.
#[derive(Debug)]
pub(crate) struct Removals {
    file: Mutex<File>,
}

impl Removals {
    /// Of this data directory.
    pub(crate) fn of(directory: &Path) -> Result<Self, StartError> {
        let path = directory.join(REMOVALS);
        let file = private(&path).map_err(StartError::directory("open", &path))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Does what removes files; none where they are to stay for now.
    pub(crate) fn now<T>(&self, remove: impl FnOnce() -> T) -> Option<T> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.try_lock().ok()?;
        let result = remove();
        // The lock goes with the process at the latest.
        let _ = file.unlock();
        Some(result)
    }
}

/// Lets no file be removed while the result lives. None: no control plane ever ran here that would.
pub(crate) fn keep_files(directory: &Path) -> io::Result<Option<File>> {
    match File::open(directory.join(REMOVALS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened?;
            file.lock_shared()?;
            Ok(Some(file))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_while_somebody_copies() {
        let folder = tempfile::tempdir().unwrap();
        assert!(keep_files(folder.path()).unwrap().is_none());
        let removals = Removals::of(folder.path()).unwrap();
        let kept = keep_files(folder.path()).unwrap();
        let also = keep_files(folder.path()).unwrap();
        assert_eq!(removals.now(|| 1), None);
        drop(kept);
        assert_eq!(removals.now(|| 1), None);
        drop(also);
        assert_eq!(removals.now(|| 1), Some(1));
        assert!(keep_files(folder.path()).unwrap().is_some(), "a removal that is over is in nobody's way");
    }

    #[test]
    fn a_draft_is_swept_and_what_is_whole_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let token = operator_token(folder.path()).unwrap();
        fs::write(folder.path().join("operator-token.new"), "half").unwrap();
        assert_eq!([sweep(folder.path()).unwrap(), sweep(folder.path()).unwrap()], [1, 0]);
        assert_eq!(operator_token(folder.path()).unwrap(), token);
    }

    #[test]
    fn a_directory_is_made_with_its_parents_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        make(&deep).unwrap();
        make(&deep).unwrap();
        assert_eq!(deep.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
