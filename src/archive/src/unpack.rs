//! Unpacking an archive below its roots.

use crate::{ArchiveError, Report};
use std::{collections::BTreeMap, io::Read, path::PathBuf};

/// Unpacks an archive: the first part of each path names a root, which is made if it is missing and never left.
/// Files that are there already are replaced. All files belong to the caller.
pub fn unpack(_input: impl Read + Send, _roots: &BTreeMap<String, PathBuf>) -> Result<Report, ArchiveError> {
    unimplemented!()
}
