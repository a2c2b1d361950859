//! Trees to and from tar in zstd, and from one place to another, never leaving the roots they were given.
//!
//! ```text
//! archive := zstd frame*            each an independent piece of the tar, readable by stock zstd and tar
//! tar     := entry*                 "<root name>/<path below that root>"
//! ```

mod copy;
mod pack;
mod unpack;

pub use copy::copy_tree;
pub use pack::Packer;
pub use unpack::unpack;

use std::{io, path::PathBuf};

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
    /// The archive has something that is refused.
    #[error("the archive is refused: {path}: {why}")]
    Refused {
        /// The entry, as it is written in the archive.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}
