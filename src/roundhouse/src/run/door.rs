//! The door of a run: the file by which people of the same account reach its control plane to approve jobs, and nothing
//! else.

use crate::failure::{Failure, OrFail};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What stands on a door: where the control plane is, and a token that only approves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sign {
    /// On the loopback.
    pub(crate) url: String,
    /// The approver's.
    pub(crate) token: String,
}

/// A door that is open as long as this is there.
#[derive(Debug)]
pub(crate) struct Door {
    path: PathBuf,
    /// Locked: a door whose run was killed is known by its lock.
    _file: File,
}

impl Door {
    /// Opens the door at this path. The one that a killed run left is replaced.
    pub(crate) fn open(path: &Path, sign: &Sign) -> Result<Self, Failure> {
        let what = || format!("cannot write {}", path.display());
        let text = serde_json::to_vec(sign).expect("a sign has only string keys");
        let unfinished = path.with_extension("new");
        let _ = fs::remove_file(&unfinished);
        // Jobs of other accounts pass through the folder.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .or_machinery(what())?;
        file.write_all(&text).and_then(|()| file.lock()).or_machinery(what())?;
        fs::rename(&unfinished, path).or_machinery(what())?;
        Ok(Self { path: path.to_owned(), _file: file })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // What cannot be removed is no longer locked, and nobody goes in.
        let _ = fs::remove_file(&self.path);
    }
}

/// The open doors of all runs below a state directory that this account may read, by the names of their folders.
pub(crate) fn doors(state: &Path) -> Vec<Sign> {
    let runs = fs::read_dir(state.join("run")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = runs.map(|run| run.path().join(super::place::DOOR)).collect();
    paths.sort();
    paths.iter().filter_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<Sign> {
    let file = File::open(path).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    serde_json::from_reader(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_door_is_found_as_long_as_it_is_open() {
        let state = tempfile::tempdir().unwrap();
        let place = state.path().join("run/tour-00000000");
        fs::create_dir_all(&place).unwrap();
        let path = place.join(super::super::place::DOOR);
        let sign = Sign { url: "http://127.0.0.1:1".to_owned(), token: "t".to_owned() };
        let door = Door::open(&path, &sign).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(doors(state.path()), std::slice::from_ref(&sign));
        drop(door);
        assert!(doors(state.path()).is_empty() && !path.exists());
        fs::write(&path, serde_json::to_vec(&sign).unwrap()).unwrap();
        assert!(doors(state.path()).is_empty(), "of a run that was killed");
        let _door = Door::open(&path, &sign).unwrap();
        assert_eq!(doors(state.path()), [sign]);
    }
}
