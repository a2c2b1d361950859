//! What an account of the pool left outside its task's root: nothing of it is there for the next task of that account.

use super::removal::remove_tree;
use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Where every account may leave something on a usual host, and where programs of the host look for it later.
const SHARED: [&str; 9] = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/dev/mqueue",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/spool/cron/atjobs",
    "/var/spool/at",
    "/var/mail",
];

/// Removes what belongs to this account and lies in one of those. One that did not change since `since` is not looked
/// through. What cannot be removed is given back, with the reason.
pub(crate) fn remove(account: u32, since: SystemTime) -> Vec<(PathBuf, io::Error)> {
    let changed = |path: &Path| path.metadata().is_ok_and(|about| is_newer(&about, since));
    let places = SHARED.iter().map(Path::new).filter(|path| changed(path));
    places.flat_map(|path| remove_in(path, account)).collect()
}

fn is_newer(about: &Metadata, since: SystemTime) -> bool {
    about.modified().is_ok_and(|modified| modified >= since)
}

/// By the owner of the entry itself: no link is followed, and the place is one that no job can replace.
fn remove_in(place: &Path, account: u32) -> Vec<(PathBuf, io::Error)> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|about| about.uid() == account));
    let removed = own.map(|entry| (entry.path(), remove_tree(&entry.path())));
    removed.filter_map(|(path, removed)| Some((path, removed.err()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, lchown, symlink};

    /// Of no account of the host.
    const ACCOUNT: u32 = 61_404;

    #[test]
    fn what_an_account_left_is_removed_and_what_others_left_stays() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: only root has accounts to lend");
        }
        let dir = tempfile::tempdir().unwrap();
        let [place, kept] = ["place", "kept"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(place.join("tree/sub")).unwrap();
        std::fs::create_dir(&kept).unwrap();
        for file in ["file", "tree/sub/file", "other"] {
            std::fs::write(place.join(file), "x").unwrap();
        }
        std::fs::write(kept.join("file"), "x").unwrap();
        symlink(&kept, place.join("link")).unwrap();
        for own in ["file", "tree"] {
            chown(place.join(own), Some(ACCOUNT), None).unwrap();
        }
        lchown(place.join("link"), Some(ACCOUNT), None).unwrap();
        assert!(remove_in(&place, ACCOUNT).is_empty());
        let left: Vec<_> =
            std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
        assert!(kept.join("file").exists(), "what a link names stays");
    }

    #[test]
    fn a_place_that_did_not_change_meanwhile_is_not_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let about = dir.path().metadata().unwrap();
        assert!(is_newer(&about, about.modified().unwrap()));
        assert!(!is_newer(&about, SystemTime::now() + std::time::Duration::from_secs(60)));
    }
}
