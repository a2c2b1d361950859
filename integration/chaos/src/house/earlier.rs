//! What an earlier run left behind that was killed itself: its processes, its disks, its directory.

use super::processes;
use crate::patience;
use rustix::process::Signal;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where houses are made, and how their directories begin.
pub(super) const PLACE: &str = "/var/tmp";
pub(super) const PREFIX: &str = "roundhouse-chaos-";
const OWNER: &str = "owner";
/// How long killed processes may take to go.
const PARTING: Duration = Duration::from_secs(10);

/// Says who uses a house.
pub(super) fn own(root: &Path) -> io::Result<()> {
    fs::write(root.join(OWNER), std::process::id().to_string())
}

/// Removes the houses that nobody uses any more.
pub(super) fn sweep() -> io::Result<()> {
    for entry in fs::read_dir(PLACE)? {
        let root = entry?.path();
        let is_house = root.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_house && root.is_dir() && !is_used(&root) {
            remove(&root);
        }
    }
    Ok(())
}

fn is_used(root: &Path) -> bool {
    let Ok(owner) = fs::read_to_string(root.join(OWNER)) else { return is_young(root) };
    fs::read_to_string(format!("/proc/{owner}/comm")).is_ok_and(|name| name.starts_with("chaos"))
}

/// Whether somebody may just be making it.
fn is_young(root: &Path) -> bool {
    let age =
        fs::metadata(root).and_then(|found| found.modified()).map(|made| made.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age < Duration::from_secs(60))
}

/// As far as it goes: what is left is met again by the next.
fn remove(root: &Path) {
    let mark = format!("{}:", root.display());
    processes(&mark).iter().for_each(|process| process.signal(Signal::KILL));
    // Until then they hold their disks.
    let _ = patience::until(PARTING, || processes(&mark).is_empty().then_some(()));
    for (image, place) in disks(root) {
        let _ = Command::new("umount").arg("-l").arg(place).status();
        let _ = fs::remove_file(image);
    }
    let _ = fs::remove_dir_all(root);
}

/// Image and mount point of each disk below a house.
fn disks(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mounted = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let places = mounted.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let own = places.filter(|place| place.starts_with(root));
    own.map(|place| (crate::disk::image_of(&place), place)).collect()
}
