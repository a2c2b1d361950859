//! Reaching a directory below a root, a part of its path at a time.

use rustix::fs::{Mode, OFlags, openat};
use std::{
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// How a directory is opened on the way.
pub(crate) const ON_THE_WAY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One part of a way.
pub(crate) struct Step<'s> {
    /// What was reached so far.
    pub(crate) from: BorrowedFd<'s>,
    /// Where it goes on.
    pub(crate) name: &'s OsStr,
    /// Where that is, from the root.
    pub(crate) path: &'s Path,
}

/// A root, and the directory below it that was reached last: the next one is usually the same, or lies in it.
#[derive(Debug)]
pub(crate) struct Walker {
    root: OwnedFd,
    current: Option<(PathBuf, OwnedFd)>,
}

impl Walker {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root, current: None }
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Goes to a directory, whose path has only ordinary parts, by opening each part on the way.
    pub(crate) fn go<E>(
        &mut self,
        directory: &Path,
        mut open: impl FnMut(&Step<'_>) -> Result<OwnedFd, E>,
    ) -> Result<BorrowedFd<'_>, E> {
        let (mut path, mut reached) = match self.current.take() {
            Some((path, reached)) if directory.starts_with(&path) => (path, Some(reached)),
            _ => (PathBuf::new(), None),
        };
        let known = path.iter().count();
        for name in directory.iter().skip(known) {
            path.push(name);
            let from = reached.as_ref().unwrap_or(&self.root).as_fd();
            reached = Some(open(&Step { from, name, path: &path })?);
        }
        self.current = reached.map(|reached| (path, reached));
        Ok(self.current.as_ref().map_or(&self.root, |(_, reached)| reached).as_fd())
    }

    /// Goes to a directory that is there, following no link.
    pub(crate) fn find(&mut self, directory: &Path) -> rustix::io::Result<BorrowedFd<'_>> {
        self.go(directory, |step| openat(step.from, step.name, ON_THE_WAY, Mode::empty()))
    }
}

/// The directory and the name of a path that has both.
pub(crate) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}
