//! Large log frames, appended to one file a log: `<data>/logs/<task>/<step>.zst`.
//!
//! A place in a file is given out once and never again while this process lives, so that a write whose sender went
//! away disturbs no other. What lies beyond the index after a crash was never acknowledged: it is cut off.

use crate::data_dir;
use failpoints::Guard;
use protocol::{StepNumber, TaskId};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, Metadata},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
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
        data_dir::make(&directory).map_err(|error| FileError::new("make", &directory, error))?;
        Ok(Self { directory, ends: Mutex::default() })
    }

    /// All files of logs that came between these times.
    pub(crate) fn of_age(&self, ages: Range<SystemTime>) -> Vec<LogName> {
        let is_meant = |found: &Metadata| found.modified().is_ok_and(|modified| ages.contains(&modified));
        let all = all(&self.directory).filter(|(_, found)| is_meant(found));
        all.map(|(log, _)| log).collect()
    }

    /// Where the frames of a log lie that is not sealed.
    pub(crate) fn open_path(&self, log: LogName) -> PathBuf {
        path_of(&self.directory, log.task, log.step)
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
        let file = self.open_for_append(path, log)?;
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

    /// A file whose name this process has not seen on disk yet may be another call's, made but not synced, or left so
    /// by a crash.
    fn open_for_append(&self, path: &Path, log: LogName) -> io::Result<File> {
        let folder = self.folder(log.task);
        let is_known = self.ends().get(&log.task).is_some_and(|steps| steps.contains_key(&log.step));
        if is_known {
            return File::options().write(true).open(path);
        }
        fs::create_dir_all(&folder)?;
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if !Guard::Fsync.is_out() {
            data_dir::sync(&folder)?;
            data_dir::sync(&self.directory)?;
        }
        Ok(file)
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<TaskId, BTreeMap<StepNumber, u64>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_place(&self, file: &File, log: LogName, indexed_end: u64, length: u64) -> io::Result<u64> {
        let mut ends = self.ends();
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
        self.ends().remove(&task);
    }
}

/// Where the frames of a log lie that is not sealed, below the directory of all.
pub(crate) fn path_of(directory: &Path, task: TaskId, step: StepNumber) -> PathBuf {
    directory.join(task.to_string()).join(format!("{}.zst", step.0))
}

/// All files of logs with their bytes. A folder that is just being removed has none any more.
pub(crate) fn all_files(directory: &Path) -> impl Iterator<Item = (LogName, u64)> {
    all(directory).map(|(log, found)| (log, found.len()))
}

fn all(directory: &Path) -> impl Iterator<Item = (LogName, Metadata)> {
    let folders = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files.filter_map(|file| Some((name_of(&file.path())?, file.metadata().ok()?)))
}

/// The log of `<task>/<step>.zst`.
fn name_of(file: &Path) -> Option<LogName> {
    let step = file.file_name()?.to_str()?.strip_suffix(".zst")?.parse().ok()?;
    let task = file.parent()?.file_name()?.to_str()?.parse().ok()?;
    Some(LogName { task, step: StepNumber(step) })
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
