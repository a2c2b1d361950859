//! The root below which files are made: whatever is asked for, nothing outside it is touched.

use crate::{
    ArchiveError,
    walker::{ON_THE_WAY, Step, Walker, split},
};
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fchmod,
        futimens, linkat, mkdirat, open, openat, openat2, statat, symlinkat, unlinkat, utimensat,
    },
    io::{Errno, fcntl_dupfd_cloexec},
};
use std::{
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Permissions of directories nobody described.
const UNDESCRIBED: Mode = Mode::from_raw_mode(0o755);
/// A directory of ours while files are made in it.
const IN_WORK: Mode = Mode::RWXU;

/// What is known of a file besides its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) mode: Mode,
    pub(crate) modified: Timespec,
}

impl Attributes {
    pub(crate) fn of(stat: &Stat) -> Self {
        let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        Self { mode: Mode::from_raw_mode(stat.st_mode & 0o777), modified }
    }

    fn times(&self) -> Timestamps {
        Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
            last_modification: self.modified,
        }
    }

    /// Gives them to an open file or directory.
    pub(crate) fn give(&self, file: BorrowedFd<'_>) -> rustix::io::Result<()> {
        fchmod(file, self.mode)?;
        futimens(file, &self.times())
    }
}

/// A root for new files. Directories get their attributes at the end, when nothing more is made in them.
#[derive(Debug)]
pub(crate) struct Target {
    walker: Walker,
    /// How a link on the way is followed: within the root.
    resolve: ResolveFlags,
    described: Vec<(PathBuf, Attributes)>,
}

impl Target {
    /// Opens a root, and makes it if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        std::fs::create_dir_all(path).map_err(|error| ArchiveError::file(path, error))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(ArchiveError::at(path))?;
        let stays = if path == Path::new("/") { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
        let resolve = stays | ResolveFlags::NO_MAGICLINKS;
        Ok(Self { walker: Walker::new(root), resolve, described: Vec::new() })
    }

    /// Makes an empty file, in the place of what is there.
    pub(crate) fn file(&mut self, path: &Path) -> Result<File, ArchiveError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        self.make(path, |directory, name| openat(directory, name, flags, mode)).map(File::from)
    }

    /// Makes a symbolic link, which may point anywhere: nothing here follows it out of the root.
    pub(crate) fn symlink(
        &mut self,
        path: &Path,
        points_to: &OsStr,
        attributes: &Attributes,
    ) -> Result<(), ArchiveError> {
        self.make(path, |directory, name| {
            symlinkat(points_to, directory, name)?;
            utimensat(directory, name, &attributes.times(), AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// Makes another name for the file of that name in that directory.
    pub(crate) fn hard_link(
        &mut self,
        path: &Path,
        directory: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<(), ArchiveError> {
        self.make(path, |to, to_name| linkat(directory, name, to, to_name, AtFlags::empty()))
    }

    /// Makes a directory if it is not there, and remembers what it is to look like at the end.
    pub(crate) fn directory(&mut self, path: &Path, attributes: Attributes) -> Result<(), ArchiveError> {
        if let Some((parent, name)) = split(path) {
            let parent = self.reach(parent)?;
            make_directory(parent, name, IN_WORK).map_err(ArchiveError::at(path))?;
            let mode = Mode::from_raw_mode(
                statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(ArchiveError::at(path))?.st_mode,
            );
            if !mode.contains(IN_WORK) {
                rustix::fs::chmodat(parent, name, mode | IN_WORK, AtFlags::empty())
                    .map_err(ArchiveError::at(path))?;
            }
            self.described.push((path.to_owned(), attributes));
        }
        Ok(())
    }

    /// The directory that holds a path, for reading from it.
    pub(crate) fn holder(&mut self, path: &Path) -> Result<OwnedFd, ArchiveError> {
        let parent = self.reach(path.parent().unwrap_or(Path::new("")))?;
        fcntl_dupfd_cloexec(parent, 0).map_err(ArchiveError::at(path))
    }

    /// Gives the directories their attributes, the deepest first: a parent may be read-only.
    pub(crate) fn finish(mut self) -> Result<(), ArchiveError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut described = std::mem::take(&mut self.described);
        described.sort_by_key(|(path, _)| std::cmp::Reverse(path.iter().count()));
        for (path, attributes) in &described {
            let Some((parent, name)) = split(path) else { continue };
            let parent = self.reach(parent)?;
            let given = openat(parent, name, flags, Mode::empty())
                .and_then(|directory| attributes.give(directory.as_fd()));
            given.map_err(ArchiveError::at(path))?;
        }
        Ok(())
    }

    fn make<T>(
        &mut self,
        path: &Path,
        make: impl Fn(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T, ArchiveError> {
        let (parent, name) = split(path).ok_or_else(|| ArchiveError::refused(path, "it has no name"))?;
        let parent = self.reach(parent)?;
        let made = match make(parent, name) {
            Err(Errno::EXIST) => remove(parent, name).and_then(|()| make(parent, name)),
            made => made,
        };
        made.map_err(ArchiveError::at(path))
    }

    fn reach(&mut self, directory: &Path) -> Result<BorrowedFd<'_>, ArchiveError> {
        let root = fcntl_dupfd_cloexec(self.walker.root(), 0).map_err(ArchiveError::at(directory))?;
        let resolve = self.resolve;
        self.walker.go(directory, |step| enter(step, root.as_fd(), resolve))
    }
}

/// Opens a directory on the way, and makes it if it is not there.
fn enter(step: &Step<'_>, root: BorrowedFd<'_>, resolve: ResolveFlags) -> Result<OwnedFd, ArchiveError> {
    let enter = || openat(step.from, step.name, ON_THE_WAY, Mode::empty());
    match enter() {
        Err(Errno::NOTDIR | Errno::LOOP) if is_link(step) => follow(step, root, resolve),
        Err(Errno::NOENT | Errno::NOTDIR) => make_directory(step.from, step.name, UNDESCRIBED)
            .and_then(|()| enter())
            .map_err(ArchiveError::at(step.path)),
        entered => entered.map_err(ArchiveError::at(step.path)),
    }
}

fn is_link(step: &Step<'_>) -> bool {
    statat(step.from, step.name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn follow(step: &Step<'_>, root: BorrowedFd<'_>, resolve: ResolveFlags) -> Result<OwnedFd, ArchiveError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, step.path, flags, Mode::empty(), resolve).map_err(|_| {
        ArchiveError::refused(step.path, "it is a link that leads to no directory within the root")
    })
}

/// Makes a directory unless there is one, in the place of any file.
fn make_directory(parent: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> rustix::io::Result<()> {
    match mkdirat(parent, name, mode) {
        Err(Errno::EXIST) if is_directory(parent, name) => Ok(()),
        Err(Errno::EXIST) => {
            unlinkat(parent, name, AtFlags::empty())?;
            mkdirat(parent, name, mode)
        }
        made => made,
    }
}

fn is_directory(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Removes a file, a link or an empty directory.
fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => unlinkat(parent, name, AtFlags::REMOVEDIR),
        removed => removed,
    }
}
