//! A project's own folder below the state directory: locked for one run at a time, cleaned of what the last one left.
//!
//! ```text
//! <state>/run/<folder>-<8 digits>/
//!     lock         held while a run goes on, with its process id in it
//!     door         by which `roundhouse approve` reaches that run
//!     server/      the control plane's data: caches, logs and records of all runs
//!     agent/       the launch-agent's state
//!     work/        the tasks' own roots
//!     source/tree  the snapshot that jobs check out
//!     artifacts/   copies, by the pipeline's number
//!     log          the machinery's own, of the last run
//! ```

use crate::failure::{Failure, OrFail};
use ring::digest::{SHA256, digest};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// The name of a run's door.
pub(super) const DOOR: &str = "door";

/// Copies of artifacts are kept for this many runs.
const KEPT: usize = 5;

/// A project's own folder, held by this run.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    name: String,
    _lock: File,
}

impl Place {
    /// Takes the place of the project in `folder` below the state directory.
    pub(crate) fn take(state: &Path, folder: &Path) -> Result<Self, Failure> {
        let name = project_name(folder);
        let root = state.join("run").join(&name);
        let what =
            || format!("cannot use the state folder {} (another one: --state-dir DIR)", root.display());
        // Jobs work below it, and some of their programs must be able to read each directory on the way down.
        DirBuilder::new().recursive(true).mode(0o755).create(&root).or_machinery(what())?;
        let root = root.canonicalize().or_machinery(what())?;
        let lock = locked(&root.join("lock"))?;
        let place = Self { root, name, _lock: lock };
        place.clear_source().or_machinery(what())?;
        Ok(place)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What caches and contents belong to.
    pub(crate) fn project(&self) -> String {
        format!("local/{}", self.name)
    }

    /// The control plane's data directory.
    pub(crate) fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    /// The launch-agent's state directory.
    pub(crate) fn agent(&self) -> PathBuf {
        self.root.join("agent")
    }

    /// The parent of the tasks' own roots.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where the snapshot goes; its parent is private.
    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("source/tree")
    }

    /// By which people reach the run to approve jobs.
    pub(crate) fn door(&self) -> PathBuf {
        self.root.join(DOOR)
    }

    /// The machinery's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where copies of the artifacts of this pipeline go; those of long ago make room.
    pub(crate) fn artifacts(&self, pipeline: u64) -> PathBuf {
        let all = self.root.join("artifacts");
        let numbers = fs::read_dir(&all).into_iter().flatten().flatten();
        let mut old: Vec<u64> =
            numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        old.sort_unstable();
        let surplus = old.len().saturating_sub(KEPT - 1);
        for number in &old[..surplus] {
            let _ = fs::remove_dir_all(all.join(number.to_string()));
        }
        // Jobs of other accounts pass through the place; these are nobody's but the owner's.
        let _ = DirBuilder::new().mode(0o700).create(&all);
        let _ = fs::set_permissions(&all, PermissionsExt::from_mode(0o700));
        all.join(pipeline.to_string())
    }

    /// Removes the snapshot; what cannot be removed now is removed by the next run.
    pub(crate) fn leave(self) {
        let _ = self.clear_source();
    }

    fn clear_source(&self) -> std::io::Result<()> {
        let source = self.root.join("source");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        DirBuilder::new().mode(0o700).create(&source)?;
        archive::spread(&source);
        Ok(())
    }
}

/// The folder on the way to this one, itself included, that accounts other than its owner's cannot enter. What is not
/// there yet will be made so that they can.
pub(crate) fn closed_to_others(state: &Path) -> Option<&Path> {
    let closed =
        |folder: &&Path| folder.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 == 0);
    state.ancestors().find(closed)
}

/// `<folder name>-<8 hexadecimal digits of its whole path's SHA-256>`.
fn project_name(folder: &Path) -> String {
    let name = folder.file_name().map_or("root".to_owned(), |name| name.to_string_lossy().into_owned());
    let word = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let plain: String = name.chars().map(word).collect();
    let hash = digest(&SHA256, folder.as_os_str().as_bytes());
    let digits: String = hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{plain}-{digits}")
}

fn locked(path: &Path) -> Result<File, Failure> {
    let what = || format!("cannot lock {}", path.display());
    // Whoever can open it can lock it, so no job may.
    let mut options = OpenOptions::new();
    let open = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = open.or_machinery(what())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(taken(&mut file)),
        Err(TryLockError::Error(error)) => return Err(error).or_machinery(what()),
    }
    file.set_len(0).or_machinery(what())?;
    file.write_all(std::process::id().to_string().as_bytes()).or_machinery(what())?;
    Ok(file)
}

fn taken(file: &mut File) -> Failure {
    let mut holder = String::new();
    // One that has only just taken it may not have written its number yet.
    for _ in 0..50 {
        let _ = file.read_to_string(&mut holder);
        if !holder.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Failure::machinery(format!(
        "a run of this folder is going on already (process {}): wait for its end, or give this one another --state-dir",
        holder.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_of_a_folder_is_told_who_holds_it() {
        let state = tempfile::tempdir().unwrap();
        let first = Place::take(state.path(), Path::new("/some/tour")).unwrap();
        let failure = Place::take(state.path(), Path::new("/some/tour")).unwrap_err();
        assert_eq!(failure.status, protocol::exit::MACHINERY);
        assert!(failure.message.contains(&format!("process {}", std::process::id())), "{}", failure.message);
        Place::take(state.path(), Path::new("/other/tour")).unwrap();
        first.leave();
        Place::take(state.path(), Path::new("/some/tour")).unwrap();
    }

    #[test]
    fn a_private_folder_on_the_way_is_found_before_anything_is_made() {
        let private = tempfile::tempdir().unwrap();
        fs::set_permissions(private.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(closed_to_others(&private.path().join("not/there")), Some(private.path()));
        assert_eq!(closed_to_others(Path::new("/usr/not-there")), None);
    }

    #[test]
    fn a_project_is_named_after_its_folder_and_its_path() {
        let one = project_name(Path::new("/a/my tour"));
        assert!(one.starts_with("my-tour-") && one.len() == "my-tour-".len() + 8, "{one}");
        assert_ne!(one, project_name(Path::new("/b/my tour")));
    }

    #[test]
    fn copies_of_artifacts_are_kept_for_a_few_runs() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::take(state.path(), Path::new("/some/tour")).unwrap();
        for number in 1..=9 {
            fs::create_dir_all(place.artifacts(number)).unwrap();
        }
        let left = fs::read_dir(place.root.join("artifacts")).unwrap().count();
        assert_eq!(left, KEPT);
        let mode = fs::metadata(place.root.join("artifacts")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(place.root.join("artifacts/9").exists() && !place.root.join("artifacts/4").exists());
    }

    #[test]
    fn a_snapshot_that_a_killed_run_left_is_gone() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::take(state.path(), Path::new("/some/tour")).unwrap();
        fs::create_dir_all(place.tree().join("old")).unwrap();
        drop(place);
        let place = Place::take(state.path(), Path::new("/some/tour")).unwrap();
        assert!(!place.tree().exists());
    }
}
