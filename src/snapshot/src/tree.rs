//! The files of a working tree, and of the repositories within it.

use crate::{Snapshot, SnapshotError, What, git, git::Asked, make_directory, repository};
use archive::Copier;
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

/// One snapshot being taken.
#[derive(Debug)]
pub(crate) struct Taking {
    into: PathBuf,
    without: Vec<PathBuf>,
    notes: Vec<String>,
}

impl Taking {
    pub(crate) fn new(into: &Path, without: &[PathBuf]) -> Result<Self, SnapshotError> {
        make_directory(into)?;
        let into = into.canonicalize().map_err(SnapshotError::at(into))?;
        let without =
            without.iter().filter_map(|path| path.canonicalize().ok()).chain([into.clone()]).collect();
        Ok(Self { into, without, notes: Vec::new() })
    }

    pub(crate) fn take(mut self, tree: &Path, what: What) -> Result<Snapshot, SnapshotError> {
        self.without.retain(|path| path != tree && path.starts_with(tree));
        let asked = Asked::new(tree)?;
        let mut snapshot = match (asked.top()?, what) {
            (Some(top), What::Committed) if top == tree => self.committed(&asked)?,
            (_, What::Committed) => return Err(SnapshotError::NotARepository(tree.to_owned())),
            (Some(top), What::WorkingTree) if top == tree => self.working_tree(&asked)?,
            (Some(_), What::WorkingTree) if !is_ignored(&asked)? => self.listed(&asked)?,
            (_, What::WorkingTree) => self.whole(tree)?,
        };
        snapshot.notes.append(&mut self.notes);
        Ok(snapshot)
    }

    /// A folder that is no repository.
    fn whole(&mut self, tree: &Path) -> Result<Snapshot, SnapshotError> {
        let mut copier = self.without.iter().fold(self.copier(tree)?, |copier, path| copier.without(path));
        copier.tree(Path::new(""))?;
        taken(copier, None)
    }

    fn working_tree(&mut self, asked: &Asked) -> Result<Snapshot, SnapshotError> {
        repository::copy(asked, &self.into.join(".git"), What::WorkingTree)?;
        self.listed(asked)
    }

    /// What git lists of a tree, and of the repositories in it with their own.
    fn listed(&mut self, asked: &Asked) -> Result<Snapshot, SnapshotError> {
        let mut copier = self.copier(asked.tree())?;
        self.list(asked, Path::new(""), &mut copier)?;
        taken(copier, Some(asked.stands()?))
    }

    fn list(&mut self, asked: &Asked, below: &Path, copier: &mut Copier) -> Result<(), SnapshotError> {
        let listed = asked.ask(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut paths: Vec<_> = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let path = Path::new(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(path)));
            let original = asked.tree().join(path);
            if !self.without.iter().any(|without| original.starts_with(without))
                && !copier.file(&below.join(path))?
            {
                self.directory(&original, &below.join(path), copier)?;
            }
        }
        Ok(())
    }

    /// A submodule, another repository, or nothing any more.
    fn directory(&mut self, original: &Path, path: &Path, copier: &mut Copier) -> Result<(), SnapshotError> {
        if !copier.directory(path)? || original.join(".git").symlink_metadata().is_err() {
            return Ok(());
        }
        let nested = Asked::new(original)?;
        if nested.top()?.as_deref() == Some(original) {
            repository::copy(&nested, &self.into.join(path).join(".git"), What::WorkingTree)?;
            self.list(&nested, path, copier)?;
        }
        Ok(())
    }

    fn committed(&mut self, asked: &Asked) -> Result<Snapshot, SnapshotError> {
        let stands = asked.stands()?;
        let Some(revision) = &stands.revision else {
            return Err(SnapshotError::NoCommit(asked.tree().to_owned()));
        };
        self.check_out(asked, revision, Path::new(""))?;
        let (files, bytes) = count(&self.into)?;
        Ok(Snapshot { git: Some(stands), files, bytes, notes: Vec::new() })
    }

    /// Copies a repository and lets git write the files of a commit.
    fn check_out(&mut self, asked: &Asked, revision: &str, below: &Path) -> Result<(), SnapshotError> {
        let copy = self.into.join(below);
        make_directory(&copy)?;
        repository::copy(asked, &copy.join(".git"), What::Committed)?;
        if !below.as_os_str().is_empty() {
            git::run_in_copy(&copy, &["update-ref", "--no-deref", "HEAD", revision])?;
        }
        git::run_in_copy(&copy, &["reset", "--hard", "--quiet"])?;
        repository::settle(asked, &copy.join(".git"))?;
        for (path, revision) in submodules(asked, revision)? {
            self.submodule(asked, &path, &revision, &below.join(&path))?;
        }
        Ok(())
    }

    fn submodule(
        &mut self,
        asked: &Asked,
        path: &Path,
        revision: &str,
        below: &Path,
    ) -> Result<(), SnapshotError> {
        let original = asked.tree().join(path);
        let is_there = original.join(".git").symlink_metadata().is_ok();
        let nested = Asked::new(if is_there { &original } else { asked.tree() })?;
        if is_there
            && nested
                .line(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])?
                .is_some()
        {
            return self.check_out(&nested, revision, below);
        }
        self.notes
            .push(format!("submodule {} is left empty: its commit {revision} is not here", below.display()));
        Ok(())
    }

    fn copier(&self, tree: &Path) -> Result<Copier, SnapshotError> {
        let from = File::open(tree).map_err(SnapshotError::at(tree))?;
        Ok(Copier::new(from.as_fd(), &self.into)?.readable_by_all())
    }
}

fn taken(copier: Copier, git: Option<crate::Git>) -> Result<Snapshot, SnapshotError> {
    let report = copier.finish()?;
    Ok(Snapshot { git, files: report.files, bytes: report.bytes, notes: report.notes })
}

/// Whether the repository around a folder ignores all of it, so that git lists nothing in it.
fn is_ignored(asked: &Asked) -> Result<bool, SnapshotError> {
    Ok(asked.line(&["check-ignore", "."])?.is_some())
}

/// The submodules of a commit and their own commits.
fn submodules(asked: &Asked, revision: &str) -> Result<Vec<(PathBuf, String)>, SnapshotError> {
    let listed = asked.ask(&["ls-tree", "-r", "-z", revision])?;
    let submodule = |entry: &[u8]| {
        let (about, path) = entry.split_at(entry.iter().position(|byte| *byte == b'\t')?);
        let revision = about.strip_prefix(b"160000 commit ")?;
        Some((PathBuf::from(OsStr::from_bytes(&path[1..])), String::from_utf8_lossy(revision).into_owned()))
    };
    Ok(listed.split(|byte| *byte == 0).filter_map(submodule).collect())
}

/// Files and bytes of a tree, its repositories apart.
fn count(tree: &Path) -> Result<(u64, u64), SnapshotError> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(tree).map_err(SnapshotError::at(tree))? {
        let entry = entry.map_err(SnapshotError::at(tree))?;
        let metadata = entry.path().symlink_metadata().map_err(SnapshotError::at(&entry.path()))?;
        if metadata.is_dir() && entry.file_name() != ".git" {
            let (more_files, more_bytes) = count(&entry.path())?;
            (files, bytes) = (files + more_files, bytes + more_bytes);
        } else if !metadata.is_dir() {
            (files, bytes) = (files + 1, bytes + if metadata.is_file() { metadata.len() } else { 0 });
        }
    }
    Ok((files, bytes))
}
