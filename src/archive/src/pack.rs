//! Packing trees into an archive.

use crate::{
    ArchiveError, Report,
    frames::Frames,
    tar_header::{BLOCK, Said},
    target::Attributes,
    visit::{Entry, Visitor, visit},
    walker::split,
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, openat, readlinkat},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};
use tar::EntryType;

/// Small entries are gathered to this size before they are compressed.
const GATHERED: usize = 1024 * 1024;
/// A file is read in pieces of this size.
const PIECE: usize = 256 * 1024;

/// Writes one archive, tree after tree.
pub struct Packer<W: Write> {
    out: BufWriter<Frames<W>>,
    /// Where in the archive a file with several names stands first.
    names: HashMap<(u64, u64), PathBuf>,
    piece: Vec<u8>,
    report: Report,
}

impl<W: Write> std::fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("report", &self.report).finish_non_exhaustive()
    }
}

impl<W: Write> Packer<W> {
    /// An archive without entries so far.
    pub fn new(out: W) -> io::Result<Self> {
        let out = BufWriter::with_capacity(GATHERED, Frames::new(out));
        Ok(Self { out, names: HashMap::new(), piece: vec![0; PIECE], report: Report::default() })
    }

    /// Adds `base`/`relative` (a file, a link, or a directory with all that is in it) as `root_name`/`relative`.
    /// An empty `relative` or `.` is all of `base`. Links are added as links.
    pub fn add(&mut self, root_name: &str, base: &Path, relative: &Path) -> Result<(), ArchiveError> {
        let relative = plain(relative)?;
        let root = plain(Path::new(root_name))?;
        if root.iter().count() != 1 {
            return Err(ArchiveError::refused(&root, "a root's name is one part of a path"));
        }
        let (parent, name) = split(&relative).unwrap_or((Path::new(""), OsStr::new(".")));
        let parent = open_parent(base, parent)?;
        rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(missing_at(&base.join(&relative)))?;
        let path = if relative.as_os_str().is_empty() { root } else { root.join(&relative) };
        visit(parent, name, &path, self)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<(W, Report), ArchiveError> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        let frames = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((frames.finish()?, self.report))
    }

    fn say(
        &mut self,
        kind: EntryType,
        path: &Path,
        points_to: &OsStr,
        entry: &Entry<'_>,
    ) -> Result<(), ArchiveError> {
        let size = if kind == EntryType::Regular { entry.stat.st_size as u64 } else { 0 };
        let attributes = Attributes::of(&entry.stat);
        let (path, points_to) = (path.as_os_str().as_bytes(), points_to.as_bytes());
        Ok(self.out.write_all(&Said { kind, path, points_to, attributes, size }.blocks())?)
    }

    fn file(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat(entry.directory, entry.name, flags, Mode::empty()) {
            Ok(file) => self.content(File::from(file), entry),
            Err(Errno::NOENT) => {
                self.vanished(entry.path);
                Ok(())
            }
            Err(errno) => Err(ArchiveError::at(entry.path)(errno)),
        }
    }

    /// Exactly as many bytes as were said, whatever becomes of the file meanwhile.
    fn content(&mut self, mut file: File, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        self.say(EntryType::Regular, entry.path, OsStr::new(""), entry)?;
        let size = entry.stat.st_size as u64;
        let mut left = size;
        while left > 0 {
            let most = self.piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read =
                file.read(&mut self.piece[..most]).map_err(|error| ArchiveError::file(entry.path, error))?;
            if read == 0 {
                self.report.note(entry.path, "it became shorter while it was packed; the rest is zeros");
                io::copy(&mut io::repeat(0).take(left), &mut self.out)?;
                break;
            }
            self.out.write_all(&self.piece[..read])?;
            left -= read as u64;
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.out.write_all(&[0; BLOCK][..padding as usize])?;
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    /// A file with several names: whether it is in the archive already, under this or another of them.
    fn said_before(&mut self, entry: &Entry<'_>) -> Result<bool, ArchiveError> {
        if entry.stat.st_nlink < 2 {
            return Ok(false);
        }
        let identity = (entry.stat.st_dev, entry.stat.st_ino);
        let Some(first) = self.names.get(&identity).cloned() else {
            self.names.insert(identity, entry.path.to_owned());
            return Ok(false);
        };
        if first != entry.path {
            self.say(EntryType::Link, entry.path, first.as_os_str(), entry)?;
            self.report.files += 1;
        }
        Ok(true)
    }
}

impl<W: Write> Visitor for Packer<W> {
    fn directory(&mut self, entry: &Entry<'_>) -> Result<bool, ArchiveError> {
        let mut path = entry.path.as_os_str().to_owned();
        path.push("/");
        self.say(EntryType::Directory, Path::new(&path), OsStr::new(""), entry)?;
        Ok(true)
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        match entry.kind() {
            FileType::RegularFile if self.said_before(entry)? => {}
            FileType::RegularFile => self.file(entry)?,
            FileType::Symlink => {
                let points_to = readlinkat(entry.directory, entry.name, Vec::new())
                    .map_err(ArchiveError::at(entry.path))?;
                self.say(EntryType::Symlink, entry.path, OsStr::from_bytes(points_to.as_bytes()), entry)?;
                self.report.files += 1;
            }
            _ => self.report.note(entry.path, "left out: neither a file nor a directory nor a link"),
        }
        Ok(())
    }

    fn vanished(&mut self, path: &Path) {
        self.report.note(path, "left out: it was removed while it was packed");
    }
}

/// A relative path without `.` and `..` parts.
pub(crate) fn plain(path: &Path) -> Result<PathBuf, ArchiveError> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => return Err(ArchiveError::refused(path, "it would leave its root")),
        }
    }
    Ok(plain)
}

/// The directory an added tree lies in; links on the way to it are followed, with the rights of the caller.
fn open_parent(base: &Path, parent: &Path) -> Result<OwnedFd, ArchiveError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut opened = openat(CWD, base, flags, Mode::empty()).map_err(missing_at(base))?;
    for name in parent {
        opened = openat(&opened, name, flags, Mode::empty()).map_err(missing_at(&base.join(parent)))?;
    }
    Ok(opened)
}

fn missing_at(path: &Path) -> impl FnOnce(Errno) -> ArchiveError {
    move |errno| match errno {
        Errno::NOENT | Errno::NOTDIR => ArchiveError::Missing(path.to_owned()),
        errno => ArchiveError::at(path)(errno),
    }
}
