//! Trees to and from tar in zstd, and from one place to another, never leaving the roots they were given.
//!
//! ```text
//! archive := zstd frame*    each an independent piece of one tar stream, readable by stock zstd and tar
//! tar     := entry*         named "<root name>/<path below that root>"; pax records where ustar has no room
//!
//! pack    visit ──▶ tar ──▶ frames (all cores)          one thread reads
//! unpack  frames (a thread) ──▶ entries ──▶ target      one thread writes: two contend for the journal of ext4
//! copy    visit ──▶ target
//! ```
//!
//! Everything is reached from a directory descriptor, a part of its path at a time, so that no link is followed by
//! accident and no path is too long.

mod copy;
mod entries;
mod frames;
mod pack;
mod spread;
mod tar_header;
mod target;
mod unpack;
mod visit;
mod walker;

pub use copy::{Copier, copy_tree};
pub use pack::Packer;
pub use spread::spread;
pub use unpack::{unpack, unpack_seen};

use std::{
    io,
    path::{Path, PathBuf},
};

/// The most notes of one report.
const MOST_NOTES: usize = 100;

/// What was packed, unpacked or copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Regular files, symbolic links and hard links.
    pub files: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Sentences about what was left out, for the step's log.
    pub notes: Vec<String>,
}

impl Report {
    fn note(&mut self, path: &Path, what: &str) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(format!("{}: {what}", path.display()));
        } else if self.notes.len() == MOST_NOTES {
            self.notes.push("further notes are left out".to_owned());
        }
    }
}

/// A tree that could not be packed, unpacked or copied.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Nothing is there to be packed.
    #[error("{0}: no such file or directory")]
    Missing(PathBuf),
    /// A file could not be read, made or changed.
    #[error("{path}: {source}")]
    File {
        /// As far as it is known, relative to its root.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The archive itself could not be read or written.
    #[error("the archive cannot be read or written: {0}")]
    Stream(#[from] io::Error),
    /// Something would leave its root, or is nothing that belongs in an archive.
    #[error("{path} is refused: {why}")]
    Refused {
        /// As it is written in the archive, or relative to its root.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl ArchiveError {
    fn at(path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        |errno| Self::file(path, errno.into())
    }

    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    fn refused(path: &Path, why: &'static str) -> Self {
        Self::Refused { path: path.to_owned(), why }
    }
}
