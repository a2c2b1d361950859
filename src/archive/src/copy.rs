//! Copying a tree, or single files of it, sharing their blocks where the file system can.

use crate::{
    ArchiveError, Report,
    target::{Attributes, Target},
    visit::{Entry, Visitor, visit},
    walker::{Walker, split},
};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, copy_file_range, ioctl_ficlone, openat, readlinkat, statat},
    io::{Errno, fcntl_dupfd_cloexec},
};
use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

/// The most bytes the kernel is asked to copy at once.
const AT_ONCE: usize = 1 << 30;

/// Copies what is in the directory `from` into the directory `to`, which is made if it is missing.
/// Modes, modification times and links are kept; the copies belong to the caller.
pub fn copy_tree(from: BorrowedFd<'_>, to: &Path) -> Result<Report, ArchiveError> {
    let mut copier = Copier::new(from, to)?;
    copier.tree(Path::new(""))?;
    copier.finish()
}

/// Copies from one directory to another, whole or piece by piece.
#[derive(Debug)]
pub struct Copier {
    from: Walker,
    to: Target,
    /// Directories that single files needed, made like their originals.
    made: HashSet<PathBuf>,
    without: BTreeSet<(u64, u64)>,
    readable_by_all: bool,
    linking: bool,
    /// Until the file system refuses it once.
    sharing: bool,
    report: Report,
}

impl Copier {
    /// From an open directory into `to`, which is made if it is missing.
    pub fn new(from: BorrowedFd<'_>, to: &Path) -> Result<Self, ArchiveError> {
        let from = fcntl_dupfd_cloexec(from, 0).map_err(ArchiveError::at(to))?;
        Ok(Self {
            from: Walker::new(from),
            to: Target::open(to)?,
            made: HashSet::new(),
            without: BTreeSet::new(),
            readable_by_all: false,
            linking: false,
            sharing: true,
            report: Report::default(),
        })
    }

    /// From here on copies can be read by every account, and directories entered.
    #[must_use]
    pub fn readable_by_all(mut self) -> Self {
        self.readable_by_all = true;
        self
    }

    /// From here on a file that nobody may write and everybody may read becomes another name for the same file, where
    /// the file system can do that.
    #[must_use]
    pub fn linking(mut self) -> Self {
        self.linking = true;
        self
    }

    /// Leaves out a directory, under whatever name it is met. One that is not there is no matter.
    #[must_use]
    pub fn without(mut self, directory: &Path) -> Self {
        if let Ok(stat) = statat(CWD, directory, AtFlags::empty()) {
            self.without.insert((stat.st_dev, stat.st_ino));
        }
        self
    }

    /// Copies a directory (the empty path is all) with all that is in it, or a file.
    pub fn tree(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let (parent, name) = split(path).unwrap_or((Path::new(""), OsStr::new(".")));
        let parent = self.from.find(parent).and_then(|parent| fcntl_dupfd_cloexec(parent, 0));
        visit(parent.map_err(ArchiveError::at(path))?, name, path, self)
    }

    /// Copies one file or link; whether it was there. A directory is nothing to be copied by this.
    pub fn file(&mut self, path: &Path) -> Result<bool, ArchiveError> {
        let Some((parent, name)) = split(path) else { return Ok(false) };
        let found = self.from.find(parent).and_then(|parent| {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok((fcntl_dupfd_cloexec(parent, 0)?, stat))
        });
        let (directory, stat) = match found {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            found => found.map_err(ArchiveError::at(path))?,
        };
        let entry = Entry { directory: directory.as_fd(), name, path, stat };
        if entry.kind() == FileType::Directory {
            return Ok(false);
        }
        self.parents(parent)?;
        self.leaf(&entry).map(|()| true)
    }

    /// Makes one directory like its original, empty; whether there is such an original.
    pub fn directory(&mut self, path: &Path) -> Result<bool, ArchiveError> {
        let Some((parent, name)) = split(path) else { return Ok(true) };
        let found = self.from.find(parent).and_then(|parent| {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok((fcntl_dupfd_cloexec(parent, 0)?, stat))
        });
        let Ok((directory, stat)) = found else { return Ok(false) };
        let entry = Entry { directory: directory.as_fd(), name, path, stat };
        if entry.kind() != FileType::Directory {
            return Ok(false);
        }
        self.parents(parent)?;
        Visitor::directory(self, &entry)
    }

    fn parents(&mut self, path: &Path) -> Result<(), ArchiveError> {
        if !self.made.contains(path) {
            self.made.insert(path.to_owned());
            self.directory(path)?;
        }
        Ok(())
    }

    /// Gives the directories their attributes, and tells what was copied.
    pub fn finish(self) -> Result<Report, ArchiveError> {
        self.to.finish()?;
        Ok(self.report)
    }

    fn attributes(&self, entry: &Entry<'_>) -> Attributes {
        let mut attributes = Attributes::of(&entry.stat);
        if self.readable_by_all {
            attributes.mode |= Mode::RUSR | Mode::RGRP | Mode::ROTH;
            if attributes.mode.contains(Mode::XUSR) || entry.kind() == FileType::Directory {
                attributes.mode |= Mode::XUSR | Mode::XGRP | Mode::XOTH;
            }
        }
        attributes
    }

    fn regular(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        if self.linking
            && is_settled(entry)
            && self.to.hard_link(entry.path, entry.directory, entry.name).is_ok()
        {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let from = match openat(entry.directory, entry.name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                self.vanished(entry.path);
                return Ok(());
            }
            opened => opened.map_err(ArchiveError::at(entry.path))?,
        };
        let to = self.to.file(entry.path)?;
        self.content(&from, &to).map_err(|error| ArchiveError::file(entry.path, error))?;
        self.attributes(entry).give(to.as_fd()).map_err(ArchiveError::at(entry.path))
    }

    fn content(&mut self, from: &OwnedFd, to: &File) -> io::Result<()> {
        if self.sharing && ioctl_ficlone(to, from).is_ok() {
            return Ok(());
        }
        self.sharing = false;
        loop {
            match copy_file_range(from, None, to, None, AT_ONCE) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        // Both files are wherever the kernel stopped, so what is left is exactly what is copied here.
        io::copy(&mut File::from(fcntl_dupfd_cloexec(from, 0)?), &mut &*to).map(|_| ())
    }
}

/// Whether a file is one that nobody changes in its place and everybody may read, as Git's objects are.
fn is_settled(entry: &Entry<'_>) -> bool {
    Mode::from_raw_mode(entry.stat.st_mode & 0o777) == Mode::RUSR | Mode::RGRP | Mode::ROTH
}

impl Visitor for Copier {
    fn directory(&mut self, entry: &Entry<'_>) -> Result<bool, ArchiveError> {
        if self.without.contains(&(entry.stat.st_dev, entry.stat.st_ino)) {
            return Ok(false);
        }
        self.to.directory(entry.path, self.attributes(entry))?;
        Ok(true)
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        match entry.kind() {
            FileType::RegularFile => {
                self.regular(entry)?;
                self.report.bytes += entry.stat.st_size as u64;
            }
            FileType::Symlink => {
                let points_to = readlinkat(entry.directory, entry.name, Vec::new())
                    .map_err(ArchiveError::at(entry.path))?;
                self.to.symlink(
                    entry.path,
                    OsStr::from_bytes(points_to.as_bytes()),
                    &Attributes::of(&entry.stat),
                )?;
            }
            _ => {
                self.report.note(entry.path, "left out: neither a file nor a directory nor a link");
                return Ok(());
            }
        }
        self.report.files += 1;
        Ok(())
    }

    fn vanished(&mut self, path: &Path) {
        self.report.note(path, "left out: it was removed while it was copied");
    }
}
