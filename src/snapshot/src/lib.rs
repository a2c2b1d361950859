//! A working tree as its author has it, taken once for a run.
//!
//! ```text
//! the author's                          the snapshot
//!   tracked files as they are     ──▶     the same, readable for every account
//!   untracked, not ignored        ──▶     the same
//!   ignored                                –
//!   submodules                    ──▶     the same, each with its own `.git` directory in its place
//!   .git: HEAD, refs, index       ──▶     the same, so that `git status` says the same
//!         objects, alternates     ──▶     linked, shared or copied, in one place
//!         config                  ──▶     what a repository needs, without credentials
//!         hooks, logs, worktrees         –
//! ```

mod config;
mod git;
mod repository;
mod tree;

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
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
    /// The branch that others come from, as `origin` had it when it was last asked.
    pub default_branch: Option<String>,
    /// A tag that names the current commit exactly, if one does.
    pub tag: Option<String>,
    /// The address of `origin`, without credentials.
    pub url: Option<String>,
    /// What the current commit says of itself.
    pub commit: Commit,
}

/// What a commit says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The first line of its message.
    pub subject: String,
    /// The rest of it.
    pub body: String,
    /// Who wrote it.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
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
    #[error("the working tree cannot be copied: {0}")]
    Copy(#[from] archive::ArchiveError),
    /// There is no Git to ask.
    #[error("{0} is a Git repository, but the program git cannot be started: install it ({1})")]
    NoGit(PathBuf, io::Error),
    /// Git refused.
    #[error("git {command} in {tree} failed: {message}")]
    Git {
        /// What was asked of it.
        command: String,
        /// Where.
        tree: PathBuf,
        /// What it said.
        message: String,
    },
    /// Only a repository has committed files.
    #[error("{0} is not the top of a Git repository: --committed takes whole repositories only")]
    NotARepository(PathBuf),
    /// `--committed` needs a commit.
    #[error("{0} has no commit to take: commit something, or run without --committed")]
    NoCommit(PathBuf),
}

impl SnapshotError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::File { path: path.to_owned(), source }
    }
}

/// Takes a snapshot of `tree` into the new directory `into`, readable for every account that is handed it (keep the
/// directory around it private). `without` names directories that do not belong to the tree though they may lie in it.
/// If it fails, nothing is left of it.
pub fn take(tree: &Path, into: &Path, what: What, without: &[PathBuf]) -> Result<Snapshot, SnapshotError> {
    let tree = tree.canonicalize().map_err(SnapshotError::at(tree))?;
    fs::create_dir(into).map_err(SnapshotError::at(into))?;
    let taken = tree::Taking::new(into, without).and_then(|taking| taking.take(&tree, what));
    if taken.is_err() {
        // The error that counts is the one that is told; what cannot be removed lies in a directory of its own.
        let _ = fs::remove_dir_all(into);
    }
    taken
}

/// Makes a directory that every account can enter.
fn make_directory(path: &Path) -> Result<(), SnapshotError> {
    fs::create_dir_all(path).map_err(SnapshotError::at(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(SnapshotError::at(path))
}
