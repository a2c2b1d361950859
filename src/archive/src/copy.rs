//! Copying a tree, sharing its blocks where the file system can.

use crate::{ArchiveError, Report};
use std::{os::fd::BorrowedFd, path::Path};

/// Copies what is in the directory `from` into the directory `to`, which is made if it is missing.
/// Modes, modification times and links are kept; the copies belong to the caller.
pub fn copy_tree(_from: BorrowedFd<'_>, _to: &Path) -> Result<Report, ArchiveError> {
    unimplemented!()
}
