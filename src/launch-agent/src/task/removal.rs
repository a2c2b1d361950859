//! Removes trees that a job made, whatever it made of them: no link is followed, and no depth is too deep.

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, chmod, fstat, openat, openat2, renameat,
        unlinkat,
    },
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};
use uuid::Uuid;

/// So many directories are open at once; one that lies deeper is moved up to the top, and removed from there.
const DEEPEST: usize = 48;

/// Removes a directory with all in it; a missing one is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match opened(CWD, path) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        // A link or a file in its place goes itself.
        Err(Errno::NOTDIR | Errno::LOOP) => return std::fs::remove_file(path),
        Err(error) => return Err(error.into()),
    };
    while empty(&top)? {}
    std::fs::remove_dir(path)
}

/// A directory on the way down.
struct Level {
    entries: Dir,
    name: CString,
}

/// Removes what is in a directory. True: some of it was moved up into it, so it has to be looked at again.
fn empty(top: &OwnedFd) -> io::Result<bool> {
    let mut has_moved = false;
    let mut way = vec![Level { entries: Dir::read_from(top)?, name: CString::default() }];
    loop {
        let depth = way.len();
        let Some(level) = way.last_mut() else { return Ok(has_moved) };
        let Some((name, is_directory)) = next(&mut level.entries)? else {
            let done = way.pop().map(|level| level.name).unwrap_or_default();
            if let Some(above) = way.last() {
                gone(unlinkat(above.entries.fd()?, &done, AtFlags::REMOVEDIR))?;
            }
            continue;
        };
        failpoints::crash("tree:removed:half");
        let at = level.entries.fd()?;
        if !is_directory && !is_refused(unlinkat(at, &name, AtFlags::empty()))? {
            continue;
        }
        let below = opened_within(at, &name)?;
        if depth < DEEPEST {
            way.push(Level { entries: Dir::new(below)?, name });
        } else {
            renameat(at, &name, top, format!(".{}", Uuid::new_v4()))?;
            has_moved = true;
        }
    }
}

fn next(entries: &mut Dir) -> io::Result<Option<(CString, bool)>> {
    for entry in entries {
        let entry = entry?;
        if !is_dots(entry.file_name()) {
            return Ok(Some((entry.file_name().to_owned(), entry.file_type() == FileType::Directory)));
        }
    }
    Ok(None)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

const PLACE: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn opened(at: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    writable(openat(at, name, PLACE | OFlags::PATH, Mode::empty())?)
}

/// Not across a mount point: what is mounted there is not the job's.
fn opened_within(at: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    match openat2(&at, name, PLACE | OFlags::PATH, Mode::empty(), ResolveFlags::NO_XDEV) {
        // Before Linux 5.6, and behind some filters of system calls.
        Err(Errno::NOSYS | Errno::PERM) => opened(at, name),
        found => writable(found?),
    }
}

/// Opened to be emptied: a directory of our own that may not be written, as a cache of Go modules, may be from now on.
fn writable(found: OwnedFd) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(fstat(&found)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Refused where it is somebody else's; then the next call says so.
        let _ = chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), mode | Mode::RWXU);
    }
    openat(&found, c".", PLACE | OFlags::RDONLY, Mode::empty())
}

/// Whether it is no file after all, which some file systems say only now.
fn is_refused(removed: Result<(), Errno>) -> io::Result<bool> {
    match removed {
        Err(Errno::ISDIR) => Ok(true),
        other => gone(other).map(|()| false),
    }
}

fn gone(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;
    use std::{fs, os::unix::fs::symlink};

    /// On a thread as small as those of a task.
    fn remove(path: &Path) {
        let path = path.to_owned();
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        thread.spawn(move || remove_tree(&path)).unwrap().join().unwrap().unwrap();
    }

    #[test]
    fn a_tree_deeper_than_any_stack_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut at = opened(CWD, &top).unwrap();
        for _ in 0..2_500 {
            mkdirat(&at, c"a", Mode::RWXU).unwrap();
            at = opened(&at, c"a").unwrap();
        }
        remove(&top);
        assert!(!top.exists());
    }

    #[test]
    fn links_go_and_what_they_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (top, kept) = (dir.path().join("top"), dir.path().join("kept"));
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        symlink(&kept, top.join("sub/link")).unwrap();
        remove(&top);
        symlink(&kept, &top).unwrap();
        remove(&top);
        assert!(!top.is_symlink() && kept.join("file").exists());
    }

    #[test]
    fn what_may_not_be_written_is_removed_and_what_is_not_there_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("top/mod/cache");
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("file"), "x").unwrap();
        for closed in [sub.as_path(), sub.parent().unwrap()] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
            fs::set_permissions(closed, mode).unwrap();
        }
        for _ in 0..2 {
            remove(&dir.path().join("top"));
        }
        assert!(!dir.path().join("top").exists());
    }
}
