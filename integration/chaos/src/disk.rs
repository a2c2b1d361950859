//! A small disk of its own for one party: it can be full, fail to read-only, and lose power.
//!
//! It is an ext4 file system on a loop device whose image lies in memory. A power cut is what the file system itself has
//! for this: `EXT4_IOC_SHUTDOWN` without a flush of its journal, after which it is mounted again. What was written and
//! not synced is gone, as it is on a real machine.

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// Nothing of ours is written by itself for so long, so that what is not synced is at stake.
const OPTIONS: &str = "loop,commit=300,errors=remount-ro,nosuid";
/// `EXT4_IOC_SHUTDOWN` and `EXT4_GOING_FLAGS_NOLOGFLUSH`: there is no program for it that every host has.
const SHUTDOWN: &str =
    "open(my $d, '<', $ARGV[0]) or die $!; my $f = pack('L', 2); ioctl($d, 0x8004587d, $f) or die $!";
const FILL: &str = ".fill";

/// A mounted disk; unmounted and removed when dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

impl Disk {
    /// Makes and mounts one.
    pub fn make(at: &Path, megabytes: u64) -> io::Result<Self> {
        fs::create_dir_all(at)?;
        let disk = Self { image: image_of(at), at: at.to_owned() };
        File::create(&disk.image)?.set_len(megabytes * 1024 * 1024)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&disk.image)])?;
        disk.mount()?;
        fs::remove_dir(disk.at.join("lost+found"))?;
        Ok(disk)
    }

    fn mount(&self) -> io::Result<()> {
        run("mount", &["-o", OPTIONS, text(&self.image), text(&self.at)]).map(drop)
    }

    /// Leaves no byte free.
    pub fn fill(&self) -> io::Result<()> {
        let file = File::options().create(true).append(true).open(self.at.join(FILL))?;
        for block in [1 << 20, 1 << 12] {
            let disk = statvfs(&self.at)?;
            let free = disk.f_bavail * disk.f_frsize / block * block;
            if free > 0 {
                // What somebody else took meanwhile is not there to be taken.
                let _ = fallocate(&file, FallocateFlags::empty(), file.metadata()?.len(), free);
            }
        }
        Ok(())
    }

    /// Gives the bytes back.
    pub fn free(&self) {
        // After a power cut the file may be gone.
        let _ = fs::remove_file(self.at.join(FILL));
    }

    /// The disk reports an error, and the kernel makes it read-only under whoever uses it.
    pub fn fail(&self) -> io::Result<()> {
        let device = run("findmnt", &["-n", "-o", "SOURCE", text(&self.at)])?;
        let name = device.trim().rsplit('/').next().unwrap_or_default().to_owned();
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1")
    }

    /// Power is gone. Nobody may use it any more; mend it before it is used again.
    pub fn cut_power(&self) -> io::Result<()> {
        run("perl", &["-e", SHUTDOWN, text(&self.at)]).map(drop)
    }

    /// Checks and mounts it again. Whoever used it has ended.
    ///
    /// It is a copy from now on: a namespace that was given the mount meanwhile, and keeps it to itself, keeps the failed file
    /// system with its image alive, and the kernel would mount that again.
    pub fn mend(&self) -> io::Result<()> {
        run("umount", &[text(&self.at)])?;
        let copy = self.image.with_extension("copy");
        run("cp", &["--sparse=always", text(&self.image), text(&copy)])?;
        fs::rename(&copy, &self.image)?;
        // Exit status 1 says that something was repaired.
        let _ = Command::new("e2fsck").args(["-p", text(&self.image)]).output()?;
        self.mount()
    }
}

/// A directory whose mounts are taken away from everybody's namespace when they are unmounted here, from all that let
/// themselves be told so: whoever was given a copy of them meanwhile, as by a container engine's start, would keep them alive,
/// and the memory of their images with them. Dropping it undoes that.
#[derive(Debug)]
pub struct Shared {
    at: PathBuf,
}

impl Shared {
    /// The directory is a mount of its own from now on.
    pub fn make(at: &Path) -> io::Result<Self> {
        run("mount", &["--bind", text(at), text(at)])?;
        let shared = Self { at: at.to_owned() };
        run("mount", &["--make-shared", text(at)])?;
        Ok(shared)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// Whatever is left of a failed run goes.
fn unmount(at: &Path) {
    if run("umount", &[text(at)]).is_err() {
        let _ = run("umount", &["-l", text(at)]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.at);
        let _ = fs::remove_file(&self.image);
    }
}

/// Where the image of the disk that is mounted there lies: in memory, where the host has such a place.
pub(crate) fn image_of(at: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    directory.join(format!("roundhouse-chaos{}", text(at).replace('/', "-")))
}

/// What this host lacks for disks that fail, if anything.
pub fn lacking() -> Option<String> {
    let missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    if let Some(program) = ["mkfs.ext4", "e2fsck", "mount", "umount", "findmnt", "perl"].iter().find(missing)
    {
        return Some(format!("the program {program}"));
    }
    let probe = tempfile::tempdir().ok()?;
    Disk::make(probe.path(), 16).err().map(|error| format!("loop devices with ext4 ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience;
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(10);

    /// In a namespace that has its own copy of all mounts, until it is killed.
    fn keeper() -> std::process::Child {
        let keeper =
            Command::new("unshare").args(["--mount", "--propagation=private", "sleep", "1000"]).spawn();
        let keeper = keeper.unwrap();
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        let is_apart = || (namespace(&keeper.id().to_string()) != namespace("self")).then_some(());
        patience::until(SOON, is_apart).unwrap();
        keeper
    }

    #[test]
    fn a_disk_whose_mount_somebody_keeps_is_mended_all_the_same() {
        if let Some(lacking) = lacking() {
            return eprintln!("skipped: {lacking}");
        }
        let place = tempfile::tempdir().unwrap();
        let disk = Disk::make(place.path(), 16).unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("kept"), "all of it").unwrap();
        File::open(path("kept")).and_then(|file| file.sync_all()).unwrap();
        let mut keeper = keeper();
        let mended = disk.cut_power().and_then(|()| disk.mend());
        let found = mended.and_then(|()| fs::read_to_string(path("kept")));
        let written = fs::write(path("new"), "more");
        keeper.kill().and_then(|()| keeper.wait()).unwrap();
        assert_eq!(found.unwrap(), "all of it");
        written.unwrap();
    }
}
