//! Packing trees into an archive.

use crate::{ArchiveError, Report};
use std::{
    io::{self, Write},
    path::Path,
};

/// Writes one archive, tree after tree.
#[derive(Debug)]
pub struct Packer<W: Write> {
    out: W,
}

impl<W: Write> Packer<W> {
    /// An archive without entries so far.
    pub fn new(out: W) -> io::Result<Self> {
        Ok(Self { out })
    }

    /// Adds `base`/`relative` (a file, a link, or a directory with all that is in it) as `root_name`/`relative`.
    /// An empty `relative` or `.` is all of `base`. Links are added as links.
    pub fn add(&mut self, _root_name: &str, _base: &Path, _relative: &Path) -> Result<(), ArchiveError> {
        unimplemented!()
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<(W, Report), ArchiveError> {
        Ok((self.out, Report::default()))
    }
}
