//! Visiting all that is in a tree: each directory, its files in order, then the directories in it.

use crate::ArchiveError;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
    rc::Rc,
};

/// Something in a tree.
pub(crate) struct Entry<'e> {
    /// The directory it is in.
    pub(crate) directory: BorrowedFd<'e>,
    /// Its name there.
    pub(crate) name: &'e OsStr,
    /// Where it is, from the root.
    pub(crate) path: &'e Path,
    /// What is known of it, no link followed.
    pub(crate) stat: Stat,
}

impl Entry<'_> {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Who is told of a tree.
pub(crate) trait Visitor {
    /// A directory; whether it is to be entered.
    fn directory(&mut self, entry: &Entry<'_>) -> Result<bool, ArchiveError>;
    /// Anything else.
    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError>;
    /// Something that was there a moment ago.
    fn vanished(&mut self, path: &Path);
}

/// A directory to be visited. What it lies in stays open only as long as something in it is waiting.
struct Waiting {
    parent: Rc<OwnedFd>,
    name: OsString,
    path: PathBuf,
}

/// Visits what `name` in `parent` is, and all that is in it.
pub(crate) fn visit(
    parent: OwnedFd,
    name: &OsStr,
    path: &Path,
    visitor: &mut impl Visitor,
) -> Result<(), ArchiveError> {
    let mut waiting = Vec::new();
    let top = Waiting { parent: Rc::new(parent), name: name.to_owned(), path: path.to_owned() };
    meet(top, visitor, &mut waiting)?;
    while let Some(directory) = waiting.pop() {
        let first = waiting.len();
        enter(directory, visitor, &mut waiting)?;
        waiting[first..].reverse();
    }
    Ok(())
}

/// Tells of a leaf at once; lets a directory wait.
fn meet(found: Waiting, visitor: &mut impl Visitor, waiting: &mut Vec<Waiting>) -> Result<(), ArchiveError> {
    match statat(&found.parent, &found.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => waiting.push(found),
        Ok(stat) => {
            let directory = found.parent.as_fd();
            visitor.leaf(&Entry { directory, name: &found.name, path: &found.path, stat })?;
        }
        Err(Errno::NOENT) => visitor.vanished(&found.path),
        Err(errno) => return Err(ArchiveError::at(&found.path)(errno)),
    }
    Ok(())
}

fn enter(found: Waiting, visitor: &mut impl Visitor, waiting: &mut Vec<Waiting>) -> Result<(), ArchiveError> {
    let Waiting { parent, name, path } = found;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(&parent, &name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            visitor.vanished(&path);
            return Ok(());
        }
        opened => opened.map_err(ArchiveError::at(&path))?,
    };
    let stat = rustix::fs::fstat(&opened).map_err(ArchiveError::at(&path))?;
    if visitor.directory(&Entry { directory: parent.as_fd(), name: &name, path: &path, stat })? {
        drop(parent);
        let opened = Rc::new(opened);
        for name in names(&opened).map_err(ArchiveError::at(&path))? {
            let path = path.join(&name);
            meet(Waiting { parent: Rc::clone(&opened), name, path }, visitor, waiting)?;
        }
    }
    Ok(())
}

/// What is in a directory, in order.
fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}
