//! Unpacking an archive below its roots: one thread decompresses, one writes.

use crate::{
    ArchiveError, Report,
    entries::{Entries, Entry},
    frames::WINDOW_LOG,
    pack::plain,
    target::Target,
    walker::split,
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, Read, Seek, SeekFrom, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use tar::EntryType;

/// What passes from one thread to the other at once, and how often it may be ahead.
const PIECE: usize = 512 * 1024;
const AHEAD: usize = 4;

type Piece = io::Result<Vec<u8>>;

/// Unpacks an archive: the first part of each path names a root, which is made if it is missing and never left.
/// Files that are there already are replaced. All files belong to the caller.
pub fn unpack(input: impl Read + Send, roots: &BTreeMap<String, PathBuf>) -> Result<Report, ArchiveError> {
    unpack_seen(input, roots, &mut |_| ())
}

/// The same, and `see` hears of each file and link before it comes, by its path in the archive.
pub fn unpack_seen(
    input: impl Read + Send,
    roots: &BTreeMap<String, PathBuf>,
    see: &mut dyn FnMut(&Path),
) -> Result<Report, ArchiveError> {
    let (pieces, received) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || decompress(input, &pieces));
        Unpacking::new(roots, see).all(received)
    })
}

/// Ends when the stream does, or when nobody wants more of it.
fn decompress(input: impl Read, pieces: &SyncSender<Piece>) {
    let ended = decoder(input).and_then(|mut stream| {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            stream.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() || pieces.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    });
    if let Err(error) = ended {
        // Nobody listens any more only when the other thread found an error of its own.
        let _ = pieces.send(Err(error));
    }
}

fn decoder(input: impl Read) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::new(input)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}

/// The pieces as one stream.
struct Pieces {
    received: Receiver<Piece>,
    piece: Vec<u8>,
    used: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() {
            self.piece = self.received.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.used = 0;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

struct Unpacking<'r> {
    roots: &'r BTreeMap<String, PathBuf>,
    /// The roots that were named so far.
    targets: BTreeMap<String, Target>,
    report: Report,
    see: &'r mut dyn FnMut(&Path),
}

impl<'r> Unpacking<'r> {
    fn new(roots: &'r BTreeMap<String, PathBuf>, see: &'r mut dyn FnMut(&Path)) -> Self {
        Self { roots, targets: BTreeMap::new(), report: Report::default(), see }
    }

    fn all(mut self, received: Receiver<Piece>) -> Result<Report, ArchiveError> {
        let mut entries = Entries::new(Pieces { received, piece: Vec::new(), used: 0 });
        while let Some(entry) = entries.next()? {
            self.entry(&entry, &mut entries)?;
        }
        self.targets.into_values().try_for_each(Target::finish)?;
        Ok(self.report)
    }

    fn entry(&mut self, entry: &Entry, entries: &mut Entries<Pieces>) -> Result<(), ArchiveError> {
        if entry.kind != EntryType::Directory {
            (self.see)(&entry.path);
        }
        let (target, path) = self.place(&entry.path)?;
        match entry.kind {
            EntryType::Directory => return target.directory(&path, entry.attributes),
            EntryType::Regular | EntryType::Continuous => file(target, &path, entry, entries)?,
            EntryType::Symlink => target.symlink(&path, entry.points_to.as_os_str(), &entry.attributes)?,
            EntryType::Link => self.hard_link(&entry.path, &entry.points_to)?,
            _ => {
                return Err(ArchiveError::refused(
                    &entry.path,
                    "it is neither a file nor a directory nor a link",
                ));
            }
        }
        self.report.files += 1;
        self.report.bytes += entry.size;
        Ok(())
    }

    /// A link's target is named like an entry: by its root and its path below that.
    fn hard_link(&mut self, path: &Path, points_to: &Path) -> Result<(), ArchiveError> {
        let (source, from) = self.place(points_to)?;
        let holder = source.holder(&from)?;
        let name = from.file_name().unwrap_or(OsStr::new("."));
        let (target, to) = self.place(path)?;
        target.hard_link(&to, holder.as_fd(), name)
    }

    fn place(&mut self, path: &Path) -> Result<(&mut Target, PathBuf), ArchiveError> {
        let plain = plain(path)?;
        let mut parts = plain.iter();
        let name = parts.next().and_then(OsStr::to_str).unwrap_or_default();
        let root = self
            .roots
            .get(name)
            .ok_or_else(|| ArchiveError::refused(path, "it names no root that is wanted here"))?;
        if !self.targets.contains_key(name) {
            self.targets.insert(name.to_owned(), Target::open(root)?);
        }
        let target = self.targets.get_mut(name).expect("it was opened just now, or before");
        Ok((target, parts.as_path().to_owned()))
    }
}

fn file(
    target: &mut Target,
    path: &Path,
    entry: &Entry,
    entries: &mut Entries<Pieces>,
) -> Result<(), ArchiveError> {
    split(path).ok_or_else(|| ArchiveError::refused(&entry.path, "a root is a directory"))?;
    let mut file = target.file(path)?;
    let mut ends_in_hole = false;
    while entries.piece(|piece| {
        ends_in_hole = write_around_holes(&mut file, piece)?;
        Ok(())
    })? {}
    if ends_in_hole {
        rustix::fs::ftruncate(&file, entry.size).map_err(ArchiveError::at(path))?;
    }
    entry.attributes.give(file.as_fd()).map_err(ArchiveError::at(path))
}

/// So many zeros are not written: what nobody wrote reads as zeros, and takes no room.
const HOLE: usize = 64 * 1024;

/// Writes a piece but for its blocks of zeros; whether it ends in one.
fn write_around_holes(file: &mut File, piece: &[u8]) -> io::Result<bool> {
    let (mut from, mut at) = (0, 0);
    for block in piece.chunks(HOLE) {
        if block.iter().all(|byte| *byte == 0) {
            file.write_all(&piece[from..at])?;
            file.seek(SeekFrom::Current(i64::try_from(block.len()).map_err(io::Error::other)?))?;
            from = at + block.len();
        }
        at += block.len();
    }
    file.write_all(&piece[from..])?;
    Ok(from == at && at > 0)
}
