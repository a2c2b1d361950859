//! A directory that was worked in before, made fit for a checkout.
//!
//! What others left may have been made to run something: the configuration of a repository names programs (for its
//! status, its filters, its hooks). So no git is ever started in a repository that this task has not made itself.

use crate::{place::Place, steps::StepError};
use std::{
    fs, io,
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Removes what an earlier job left in `into`; of what lies in the task's own root, which this very job has put there,
/// the repository alone. Without a repository nothing is removed.
pub(super) fn make_clean(into: &Path, place: &Place, log: &mut dyn Write) -> Result<(), StepError> {
    if fs::symlink_metadata(into.join(".git")).is_err() {
        return Ok(());
    }
    let home = place.home.canonicalize().map_err(StepError::file(&place.home))?;
    if into.starts_with(&home) {
        remove(&into.join(".git")).map_err(StepError::file(into.join(".git")))?;
        return Ok(writeln!(log, "The repository in {} is made anew.", into.display())?);
    }
    if home.starts_with(into) {
        return Err(StepError::Refused(format!(
            "{} is not emptied for a checkout: the task's own files lie in it",
            into.display()
        )));
    }
    for entry in fs::read_dir(into).map_err(StepError::file(into))? {
        let path = entry.map_err(StepError::file(into))?.path();
        remove(&path).map_err(StepError::file(&path))?;
    }
    own(into).map_err(StepError::file(into))?;
    Ok(writeln!(log, "{} is emptied of what an earlier job has left in it.", into.display())?)
}

/// Git works in no repository whose directory is another account's (`safe.directory`), as that of a job before may be: where
/// the directory above lets us, one of our own takes its place.
fn own(emptied: &Path) -> io::Result<()> {
    let about = fs::metadata(emptied)?;
    if about.uid() == rustix::process::geteuid().as_raw() || fs::remove_dir(emptied).is_err() {
        return Ok(());
    }
    fs::create_dir(emptied)?;
    fs::set_permissions(emptied, about.permissions())
}

/// Whatever it is; no link is followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::place;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_another_job_left_is_removed_and_what_links_point_to_is_not() {
        let (root, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = root.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("f"), "").unwrap();
        symlink(&kept, left.path().join(".git")).unwrap();
        fs::create_dir(left.path().join("node_modules")).unwrap();
        let mut log = Vec::new();
        make_clean(left.path(), &place(root.path()), &mut log).unwrap();
        assert_eq!(fs::read_dir(left.path()).unwrap().count(), 0);
        assert!(kept.join("f").exists());
        assert!(String::from_utf8_lossy(&log).contains("is emptied"));
    }

    #[test]
    fn a_directory_of_another_account_is_replaced_by_one_of_our_own() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: giving a directory away needs root");
        }
        let root = tempfile::tempdir().unwrap();
        let into = root.path().join("tree");
        fs::create_dir_all(into.join(".git")).unwrap();
        fs::set_permissions(&into, fs::Permissions::from_mode(0o777)).unwrap();
        std::os::unix::fs::chown(&into, Some(61_304), None).unwrap();
        make_clean(&into, &place(&root.path().join("task")), &mut Vec::new()).unwrap();
        let about = fs::metadata(&into).unwrap();
        assert_eq!((about.uid(), about.mode() & 0o777), (0, 0o777), "others may still work in it");
    }

    #[test]
    fn of_the_jobs_own_files_the_repository_alone_goes() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let into = place.working_directory.canonicalize().unwrap();
        fs::create_dir(into.join(".git")).unwrap();
        fs::write(into.join("restored"), "").unwrap();
        make_clean(&into, &place, &mut Vec::new()).unwrap();
        assert!(into.join("restored").exists() && !into.join(".git").exists());
    }

    #[test]
    fn a_directory_around_the_task_is_never_emptied() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".git")).unwrap();
        let place = place(&root.path().join("task"));
        let refused = make_clean(&root.path().canonicalize().unwrap(), &place, &mut Vec::new());
        assert!(refused.unwrap_err().to_string().contains("is not emptied"));
        assert!(root.path().join(".git").exists());
    }
}
