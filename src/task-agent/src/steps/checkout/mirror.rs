//! The host's copy of a repository: used for a new checkout once the remote has let the job in, and made of one.
//!
//! ```text
//! mirror/refs          a line for each branch of the remote: commit, name
//! packs/pack-….pack    as git stores them, without their indexes
//! ```
//!
//! Who made it is not known, so nothing in it is believed: git reads every object of a pack and names it anew
//! (`index-pack`), branches are only those names that the remote may confirm, and nothing else of it reaches the repository.

use crate::{
    carry::{Carry, lent, settled},
    steps::{StepError, amount},
};
use archive::Packer;
use protocol::{
    frame::{Answer, Wanted},
    repository::{self, Method},
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
};

/// Where branches of the remote have their names.
pub(super) const REMOTE: &str = "refs/remotes/origin/";
/// More packs than that make every look into the repository slow: it is copied anew from a fresh one.
const MOST_PACKS: usize = 24;
/// The longest list of branches that is read.
const MOST_REFS: u64 = 16 * 1024 * 1024;

/// The copies of one kind, as a task sees them.
pub(super) struct Mirror<'m> {
    pub(super) into: &'m Path,
    pub(super) method: Method,
    pub(super) carry: &'m dyn Carry,
    /// Whether the host had one.
    pub(super) found: Cell<bool>,
}

impl Mirror<'_> {
    /// Unpacks the host's copy beside the repository's objects; the packs that git has to read. None where there is none.
    pub(super) fn take(&self, log: &mut dyn Write) -> Result<Vec<PathBuf>, StepError> {
        let (answer, file) = self.carry.ask(Wanted::TakeMirror { method: self.method }, None)?;
        let (Answer::Mirror { size }, Some(file)) = (answer, file) else { return Ok(Vec::new()) };
        self.found.set(true);
        let [packs, lists] = self.unpacked();
        let roots =
            [("packs", &packs), ("mirror", &lists)].map(|(name, path)| (name.to_owned(), path.clone()));
        for path in [&packs, &lists] {
            fs::create_dir_all(path).map_err(StepError::file(path))?;
        }
        archive::unpack(BufReader::new(file), &BTreeMap::from(roots))?;
        writeln!(log, "Using this host's copy of the repository ({}).", amount(size))?;
        let packs = packs_in(&packs).map_err(StepError::file(&packs))?;
        Ok(if packs.len() > MOST_PACKS { Vec::new() } else { packs })
    }

    /// Whether the host had one when it was asked.
    pub(super) fn was_there(&self) -> bool {
        self.found.get()
    }

    fn unpacked(&self) -> [PathBuf; 2] {
        ["packs", "mirror"].map(|name| self.into.join(".git/roundhouse").join(name))
    }

    /// Moves a pack that git has read to the others; of a repository without all its files' contents it says so.
    pub(super) fn settle(&self, pack: &Path) -> Result<(), StepError> {
        let objects = self.into.join(".git/objects/pack");
        fs::create_dir_all(&objects).map_err(StepError::file(&objects))?;
        let name = pack.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if self.method == Method::Blobless {
            let promise = objects.join(format!("{name}.promisor"));
            fs::write(&promise, "").map_err(StepError::file(&promise))?;
        }
        // The pack last: git finds one by its index, which comes before it.
        for extension in ["rev", "pack", "idx"] {
            let from = pack.with_extension(extension);
            if from.exists() {
                fs::rename(&from, objects.join(format!("{name}.{extension}")))
                    .map_err(StepError::file(&from))?;
            }
        }
        Ok(())
    }

    /// Gives the remote's branches the commits they had then: from there on git fetches what is new.
    pub(super) fn branches(&self) -> Result<(), StepError> {
        let [_, lists] = self.unpacked();
        let path = lists.join("refs");
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(MOST_REFS).read_to_string(&mut text));
        read.map_err(StepError::file(&path))?;
        let refs: String =
            text.lines().filter(|line| is_branch(line)).map(|line| format!("{line}\n")).collect();
        let packed = self.into.join(".git/packed-refs");
        fs::write(&packed, refs).map_err(StepError::file(&packed))
    }

    /// Removes what was unpacked and is no part of the repository.
    pub(super) fn clear(&self) -> Result<(), StepError> {
        let path = self.into.join(".git/roundhouse");
        if path.exists() { fs::remove_dir_all(&path).map_err(StepError::file(path)) } else { Ok(()) }
    }

    /// The bytes of the repository's packs.
    pub(super) fn weight(&self) -> u64 {
        let packs = packs_in(&self.into.join(".git/objects/pack")).unwrap_or_default();
        packs.iter().filter_map(|pack| Some(fs::metadata(pack).ok()?.len())).sum()
    }

    /// Gives the host a copy of the repository, with `branches` as git lists them. One that cannot be kept costs the next
    /// checkout time, and this one nothing.
    pub(super) fn keep(&self, branches: &[u8], log: &mut dyn Write) -> Result<(), StepError> {
        match self.kept(branches) {
            Ok(Answer::Stored { size }) => {
                Ok(writeln!(log, "This host keeps a copy of the repository ({}).", amount(size))?)
            }
            Ok(Answer::Refused { message }) => Ok(writeln!(log, "No copy is kept on this host: {message}")?),
            Ok(_) => Ok(()),
            Err(StepError::Ended(ended)) => Err(ended.into()),
            Err(error) => Ok(writeln!(log, "No copy is kept on this host: {error}")?),
        }
    }

    fn kept(&self, branches: &[u8]) -> Result<Answer, StepError> {
        let objects = self.into.join(".git/objects/pack");
        let packs = packs_in(&objects).map_err(StepError::file(&objects))?;
        if packs.len() > MOST_PACKS {
            return Ok(Answer::NoMirror);
        }
        let [_, lists] = self.unpacked();
        fs::create_dir_all(&lists).map_err(StepError::file(&lists))?;
        fs::write(lists.join("refs"), branches).map_err(StepError::file(&lists))?;
        let mut packer = Packer::new(lent(self.carry)?.map_err(StepError::of_answer)?)?;
        packer.add("mirror", &lists, Path::new("refs"))?;
        for name in packs.iter().filter_map(|pack| pack.file_name()) {
            packer.add("packs", &objects, Path::new(name))?;
        }
        let (file, _) = packer.finish()?;
        self.clear()?;
        Ok(self.carry.ask(Wanted::KeepMirror { method: self.method }, Some(settled(file)?))?.0)
    }
}

/// A commit and one of the remote's branches.
fn is_branch(line: &str) -> bool {
    let Some((commit, name)) = line.split_once(' ') else { return false };
    repository::is_commit(commit)
        && name.strip_prefix(REMOTE).is_some_and(|name| repository::is_reference(name) && name != "HEAD")
}

/// The packs of a directory that have a pack's name.
fn packs_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_pack = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let id = name.strip_prefix("pack-").and_then(|name| name.strip_suffix(".pack"));
        id.is_some_and(repository::is_commit) && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
    };
    let paths =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| is_pack(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_the_remotes_and_nothing_else() {
        let commit = "a1".repeat(20);
        for (name, expected) in [
            ("refs/remotes/origin/main", true),
            ("refs/remotes/origin/a/b", true),
            ("refs/remotes/origin/HEAD", false),
            ("refs/remotes/origin/../../x", false),
            ("refs/heads/main", false),
            ("HEAD", false),
        ] {
            assert_eq!(is_branch(&format!("{commit} {name}")), expected, "{name}");
        }
        assert!(!is_branch("ref: refs/heads/x refs/remotes/origin/y") && !is_branch(""));
    }
}
