//! Large log frames, appended to one file a log: `<data>/logs/<task>/<step>.zst`.
//!
//! A place in a file is given out once and never again while this process lives, so that a write whose sender went
//! away disturbs no other. What lies beyond the index after a crash was never acknowledged: it is cut off.

use failpoints::Guard;
use protocol::{StepNumber, TaskId};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A log's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogName {
    pub(crate) task: TaskId,
    pub(crate) step: StepNumber,
}

/// The files of all logs.
#[derive(Debug)]
pub(crate) struct LogFiles {
    directory: PathBuf,
    ends: Mutex<HashMap<TaskId, BTreeMap<StepNumber, u64>>>,
}

/// A file of logs that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the log `{}`: {source}", path.display())]
pub(crate) struct FileError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(crate) fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self { doing, path: path.to_owned(), source }
    }

    /// Whether the disk is full or must not be written to.
    pub(crate) fn is_no_room(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self.source.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
    }

    /// Whether what was looked for is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

impl LogFiles {
    /// Makes the directory, if it is not there.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, FileError> {
        fs::create_dir_all(&directory).map_err(|error| FileError::new("make", &directory, error))?;
        Ok(Self { directory, ends: Mutex::default() })
    }

    /// Where the frames of a log lie that is not sealed.
    pub(crate) fn open_path(&self, log: LogName) -> PathBuf {
        self.folder(log.task).join(format!("{}.zst", log.step.0))
    }

    /// Removes a log's file, whose frames lie elsewhere now, and the task's folder with the last one.
    pub(crate) fn remove(&self, log: LogName) -> Result<(), FileError> {
        let path = self.open_path(log);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::new("remove", &path, error));
            }
            // A folder that still has files of other logs stays.
            _ => drop(fs::remove_dir(self.folder(log.task))),
        }
        Ok(())
    }

    fn folder(&self, task: TaskId) -> PathBuf {
        self.directory.join(task.to_string())
    }

    /// Appends frames and syncs once; says where the first lies, the others follow it. `indexed_end` is where the
    /// index says that the file ends.
    pub(crate) fn append(&self, log: LogName, indexed_end: u64, frames: &[&[u8]]) -> Result<u64, FileError> {
        let path = self.open_path(log);
        self.append_to(&path, log, indexed_end, frames).map_err(|error| FileError::new("write", &path, error))
    }

    fn append_to(&self, path: &Path, log: LogName, indexed_end: u64, frames: &[&[u8]]) -> io::Result<u64> {
        let file = self.open_for_append(path, log.task)?;
        let length = frames.iter().map(|frame| frame.len() as u64).sum();
        let first = self.take_place(&file, log, indexed_end, length)?;
        let mut at = first;
        for frame in frames {
            file.write_all_at(frame, at)?;
            at += frame.len() as u64;
        }
        if !Guard::Fsync.is_out() {
            file.sync_data()?;
        }
        Ok(first)
    }

    fn open_for_append(&self, path: &Path, task: TaskId) -> io::Result<File> {
        let existing = File::options().write(true).open(path);
        match existing {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let folder = self.folder(task);
        fs::create_dir_all(&folder)?;
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if !Guard::Fsync.is_out() {
            File::open(&folder)?.sync_all()?;
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(file)
    }

    fn take_place(&self, file: &File, log: LogName, indexed_end: u64, length: u64) -> io::Result<u64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = ends.entry(log.task).or_default();
        if !steps.contains_key(&log.step) && file.metadata()?.len() > indexed_end {
            file.set_len(indexed_end)?;
        }
        let end = steps.entry(log.step).or_insert(indexed_end);
        let place = *end;
        *end += length;
        Ok(place)
    }

    /// Forgets where the logs of a task that is over end.
    pub(crate) fn forget(&self, task: TaskId) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;
    use uuid::Uuid;

    const LOG: LogName = LogName { task: TaskId(Uuid::from_u128(1)), step: StepNumber(3) };

    fn files() -> (TempDir, LogFiles) {
        let folder = TempDir::new().unwrap();
        let files = LogFiles::open(folder.path().join("logs")).unwrap();
        (folder, files)
    }

    #[test]
    fn frames_are_appended_one_after_the_other() {
        let (_folder, files) = files();
        assert_eq!(files.append(LOG, 0, &[b"ab", b"c"]).unwrap(), 0);
        assert_eq!(files.append(LOG, 3, &[b"def"]).unwrap(), 3);
        assert_eq!(fs::read(files.open_path(LOG)).unwrap(), b"abcdef");
    }

    #[test]
    fn a_write_that_was_never_indexed_is_not_written_over_while_its_writer_may_live() {
        let (_folder, files) = files();
        files.append(LOG, 0, &[b"ab"]).unwrap();
        assert_eq!(files.append(LOG, 0, &[b"ab"]).unwrap(), 2);
    }

    #[test]
    fn a_torn_tail_is_cut_after_a_restart() {
        let (folder, files) = files();
        files.append(LOG, 0, &[b"indexed", b"torn"]).unwrap();
        let again = LogFiles::open(folder.path().join("logs")).unwrap();
        assert_eq!(again.append(LOG, 7, &[b"!"]).unwrap(), 7);
        assert_eq!(fs::read(files.open_path(LOG)).unwrap(), b"indexed!");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("logs"), b"a file").unwrap();
        let error = LogFiles::open(folder.path().join("logs")).unwrap_err();
        assert!(error.to_string().contains("logs"), "{error}");
    }
}
