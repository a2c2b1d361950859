//! Control groups of tasks, and what directories have in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a directory has in it.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every control group that is named after one of these tasks.
pub(crate) fn control_groups(tasks: &[String]) -> Vec<PathBuf> {
    let (mut left, mut directories) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if tasks.iter().any(|task| name.contains(task.as_str())) {
                left.push(entry.path());
            }
            directories.push(entry.path());
        }
    }
    left
}
