//! A working tree as its author has it, taken once for a run.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What of a tree is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All as it is: tracked files, and untracked ones that are not ignored.
    WorkingTree,
    /// What the current commit has, and nothing else.
    Committed,
}

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The repository, where the tree is one or lies in one.
    pub git: Option<Git>,
    /// Files and links of the tree itself, those of `.git` not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sentences about what was left out, for people.
    pub notes: Vec<String>,
}

/// Where a repository stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Git {
    /// The full id of the current commit; none before the first.
    pub revision: Option<String>,
    /// The branch that is checked out, if one is.
    pub branch: Option<String>,
    /// A tag that names the current commit exactly, if one does.
    pub tag: Option<String>,
    /// The address of `origin`, without credentials.
    pub url: Option<String>,
}

/// A tree that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file could not be read or made.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Copying failed.
    #[error(transparent)]
    Copy(#[from] archive::ArchiveError),
    /// Git is not there, or refused.
    #[error("git {command} in {tree} failed: {message}")]
    Git {
        /// What was asked of it.
        command: String,
        /// Where.
        tree: PathBuf,
        /// What it said.
        message: String,
    },
    /// `--committed` needs a commit.
    #[error("{0} has no commit to take: commit something, or run without --committed")]
    NoCommit(PathBuf),
}

/// Takes a snapshot of `tree` into the new directory `into`, readable for every account that is handed it
/// (keep the directory around it private). `without` names directories that do not belong to the tree though they may lie in it.
pub fn take(
    _tree: &Path,
    _into: &Path,
    _what: What,
    _without: &[PathBuf],
) -> Result<Snapshot, SnapshotError> {
    unimplemented!()
}
