//! Copies of repositories on this host, for the next checkout of the same one: each an archive that a task has made of what
//! it fetched itself, with its own key.
//!
//! A copy has the name that the control plane gave the task: of its project, its repository and whom they trust. So a task
//! gets and replaces no other, and one whose code nobody has approved has none at all. It is handed out as a descriptor
//! for reading. What is in it is believed by nobody: whoever takes it reads every object again by its name, once the
//! repository's own host has let it in. A copy appears whole or not at all; the oldest make room for others.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// A copy of this age is of no use any more: most of what it has not is fetched anyway.
const OLDEST: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// One copy may take up this part of the room.
const SHARE: u64 = 2;
/// Bytes copied at once.
const PIECE: usize = 1024 * 1024;

/// The copies of one host.
#[derive(Debug)]
pub(crate) struct Mirrors {
    directory: PathBuf,
    limit: u64,
    /// Shared by all that have the directory open: a part may be another's.
    _lock: File,
}

impl Mirrors {
    /// Those in this directory, which hold about `limit` bytes.
    pub(crate) fn open(directory: PathBuf, limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let lock = File::open(&directory)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            for (path, ..) in copies(&directory)?.iter().filter(|(path, ..)| is_part(path)) {
                fs::remove_file(path)?;
            }
        }
        flock(&lock, FlockOperation::LockShared)?;
        Ok(Self { directory, limit, _lock: lock })
    }

    /// The copy of this name and its size, open for reading.
    pub(crate) fn take(&self, name: &str) -> Option<(File, u64)> {
        let file = File::open(self.directory.join(checked(name)?)).ok()?;
        let metadata = file.metadata().ok()?;
        let is_young = metadata.modified().ok()?.elapsed().is_ok_and(|age| age <= OLDEST);
        is_young.then_some((file, metadata.len()))
    }

    /// Keeps `size` bytes of a file under this name, in place of what has it; whether there is room for so much.
    pub(crate) fn keep(&self, name: &str, from: &File, size: u64) -> io::Result<bool> {
        let Some(name) = checked(name).filter(|_| size <= self.limit / SHARE) else { return Ok(false) };
        let part = self.directory.join(format!("{}.part", Uuid::new_v4()));
        let kept = copy(from, size, &part).and_then(|()| fs::rename(&part, self.directory.join(name)));
        if kept.is_err() {
            // Whatever is left of it is swept when the directory is opened.
            let _ = fs::remove_file(&part);
        }
        kept?;
        self.make_room(name)?;
        Ok(true)
    }

    /// The oldest go until the rest fits, and all that are too old; never the one that was just kept.
    fn make_room(&self, keep: &str) -> io::Result<()> {
        let mut all = copies(&self.directory)?;
        all.sort_by_key(|(_, made, _)| *made);
        let mut held: u64 = all.iter().map(|(.., size)| size).sum();
        for (path, made, size) in all {
            let is_old = made.elapsed().is_ok_and(|age| age > OLDEST);
            let is_spare = !path.ends_with(keep) && !is_part(&path);
            if is_spare && (is_old || held > self.limit) && fs::remove_file(&path).is_ok() {
                held -= size;
            }
        }
        Ok(())
    }
}

/// A name as control planes give them, and nothing that leads elsewhere.
fn checked(name: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!name.is_empty() && name.len() <= 100 && name.chars().all(is_word)).then_some(name)
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

/// With the time they were made at and their size.
fn copies(directory: &Path) -> io::Result<Vec<(PathBuf, SystemTime, u64)>> {
    let read = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let metadata = entry.metadata()?;
        Ok((entry.path(), metadata.modified()?, metadata.len()))
    };
    fs::read_dir(directory)?.map(read).collect()
}

fn copy(from: &File, size: u64, to: &Path) -> io::Result<()> {
    let (mut file, mut at, mut piece) = (File::create_new(to)?, 0, vec![0; PIECE]);
    file.set_permissions(Permissions::from_mode(0o400))?;
    while at < size {
        let length = usize::try_from(size - at).map_or(PIECE, |left| left.min(PIECE));
        from.read_exact_at(&mut piece[..length], at)?;
        file.write_all(&piece[..length])?;
        at += length as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn text(mirrors: &Mirrors, name: &str) -> Option<String> {
        mirrors.take(name).map(|(file, _)| io::read_to_string(file).unwrap())
    }

    #[test]
    fn a_copy_is_found_by_its_name_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path().join("mirrors"), 100).unwrap();
        assert_eq!(text(&mirrors, "ab-full"), None);
        for told in ["one", "other"] {
            assert!(mirrors.keep("ab-full", &file(told), told.len() as u64).unwrap());
            assert_eq!(text(&mirrors, "ab-full").as_deref(), Some(told));
        }
        assert_eq!(text(&mirrors, "cd-full"), None);
        assert!(mirrors.keep("ab-full", &file("short"), 6).is_err());
        assert_eq!(fs::read_dir(dir.path().join("mirrors")).unwrap().count(), 1, "and leaves nothing");
    }

    #[test]
    fn the_oldest_make_room_and_one_that_takes_too_much_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path().to_owned(), 10).unwrap();
        for (age, name) in [(20, "old"), (10, "newer")] {
            mirrors.keep(name, &file("12345"), 5).unwrap();
            let made = SystemTime::now() - Duration::from_secs(age);
            File::open(dir.path().join(name)).unwrap().set_modified(made).unwrap();
        }
        assert!(mirrors.keep("new", &file("12345"), 5).unwrap());
        assert!(!mirrors.keep("large", &file("123456"), 6).unwrap());
        let there = ["old", "newer", "new"].map(|name| text(&mirrors, name).is_some());
        assert_eq!(there, [false, true, true]);
    }

    #[test]
    fn an_old_copy_is_not_given_and_a_torn_one_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path().to_owned(), 10).unwrap();
        mirrors.keep("old", &file("1"), 1).unwrap();
        File::open(dir.path().join("old")).unwrap().set_modified(SystemTime::now() - 2 * OLDEST).unwrap();
        assert_eq!(text(&mirrors, "old"), None);
        drop(mirrors);
        fs::write(dir.path().join("x.part"), "to").unwrap();
        let mirrors = Mirrors::open(dir.path().to_owned(), 10).unwrap();
        assert!(!dir.path().join("x.part").exists());
        for name in ["../old", "", "a/b", "."] {
            assert!(mirrors.take(name).is_none() && !mirrors.keep(name, &file("1"), 1).unwrap());
        }
    }
}
