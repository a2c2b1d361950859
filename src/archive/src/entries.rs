//! Reading a tar stream entry by entry, as hostile input: nothing in it sizes a buffer beyond a bound.

use crate::{
    ArchiveError,
    tar_header::{BLOCK, time},
    target::Attributes,
};
use rustix::fs::{Mode, Timespec};
use std::{
    ffi::OsString,
    io::{self, BufRead, Read},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};
use tar::{EntryType, Header, PaxExtensions};

/// The most bytes of names and pax records of one entry.
const MOST_SAID: u64 = 1024 * 1024;
/// The most bytes after the end of a tar: tools pad to ten KiB, some to more.
const MOST_PADDING: u64 = 1024 * 1024;

/// One entry, its content still to be read.
pub(crate) struct Entry {
    pub(crate) kind: EntryType,
    pub(crate) path: PathBuf,
    pub(crate) points_to: PathBuf,
    pub(crate) attributes: Attributes,
    /// Bytes of content.
    pub(crate) size: u64,
}

/// What earlier headers said about the entry to come.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    points_to: Option<Vec<u8>>,
    modified: Option<Timespec>,
    size: Option<u64>,
}

/// A tar stream.
pub(crate) struct Entries<R: BufRead> {
    input: R,
    /// Content and padding of the current entry that was not read yet.
    left: u64,
    padding: u64,
}

impl<R: BufRead> Entries<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry; what was left of the one before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut said = Said::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                self.rest()?;
                return Ok(None);
            };
            self.expect(header.entry_size()?);
            match header.entry_type() {
                EntryType::XHeader => self.records(&mut said)?,
                EntryType::GNULongName => said.path = Some(without_nul(self.all()?)),
                EntryType::GNULongLink => said.points_to = Some(without_nul(self.all()?)),
                EntryType::XGlobalHeader => {}
                _ => return self.entry(&header, said).map(Some),
            }
        }
    }

    /// The next piece of the current entry's content, at most what the stream has at hand; none at its end.
    pub(crate) fn piece(&mut self, take: impl FnOnce(&[u8]) -> io::Result<()>) -> Result<bool, ArchiveError> {
        if self.left == 0 {
            return Ok(false);
        }
        let at_hand = self.input.fill_buf()?;
        if at_hand.is_empty() {
            return Err(torn().into());
        }
        let length = at_hand.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        take(&at_hand[..length])?;
        self.input.consume(length);
        self.left -= length as u64;
        Ok(true)
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<(), ArchiveError> {
        while self.piece(|_| Ok(()))? {}
        self.left = std::mem::take(&mut self.padding);
        while self.piece(|_| Ok(()))? {}
        Ok(())
    }

    /// The next header; none at the end of the tar.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut header = Header::new_old();
        self.input
            .read_exact(header.as_mut_bytes())
            .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { torn() } else { error })?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |range: std::ops::Range<usize>| {
            header.as_bytes()[range].iter().map(|byte| u32::from(*byte)).sum::<u32>()
        };
        let expected = sum(0..148) + 8 * u32::from(b' ') + sum(156..BLOCK);
        if header.cksum()? == expected {
            Ok(Some(header))
        } else {
            Err(invalid("a header's checksum is wrong").into())
        }
    }

    /// Reads what follows the end, so that the stream's own checksums are looked at.
    fn rest(&mut self) -> Result<(), ArchiveError> {
        let after = io::copy(&mut (&mut self.input).take(MOST_PADDING), &mut io::sink())?;
        if after < MOST_PADDING { Ok(()) } else { Err(invalid("much follows the end of the tar").into()) }
    }

    fn all(&mut self) -> Result<Vec<u8>, ArchiveError> {
        if self.left > MOST_SAID {
            return Err(invalid("a name is longer than any that a system takes").into());
        }
        let mut all = Vec::new();
        while self.piece(|piece| {
            all.extend_from_slice(piece);
            Ok(())
        })? {}
        Ok(all)
    }

    fn records(&mut self, said: &mut Said) -> Result<(), ArchiveError> {
        let records = self.all()?;
        for record in PaxExtensions::new(&records) {
            let record = record?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => said.path = Some(value.to_vec()),
                b"linkpath" => said.points_to = Some(value.to_vec()),
                b"mtime" => said.modified = record.value().ok().and_then(time),
                b"size" => {
                    said.size = Some(
                        record
                            .value()
                            .ok()
                            .and_then(|size| size.parse().ok())
                            .ok_or_else(|| invalid("a size is no number"))?,
                    )
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, said: Said) -> Result<Entry, ArchiveError> {
        let kind = header.entry_type();
        let has_content = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let size = said.size.map_or_else(|| header.entry_size(), Ok)?;
        self.expect(size);
        let points_to = said.points_to.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
        let seconds = i64::try_from(header.mtime()?).unwrap_or(0);
        let modified = said.modified.unwrap_or(Timespec { tv_sec: seconds, tv_nsec: 0 });
        Ok(Entry {
            kind,
            path: path(said.path.unwrap_or_else(|| header.path_bytes().into_owned())),
            points_to: path(points_to.unwrap_or_default()),
            attributes: Attributes { mode: Mode::from_raw_mode(header.mode()? & 0o777), modified },
            size: if has_content { size } else { 0 },
        })
    }
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    while name.pop_if(|byte| *byte == 0).is_some() {}
    name
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in the middle")
}
