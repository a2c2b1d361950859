//! A copy of a data directory as it is at one moment, also while a control plane runs on it.
//!
//! The database first, then the files: what a row of the copy names was on disk before the row was, and nothing is
//! removed meanwhile. Contents never change under their names, so the copy shares their files where it can.

use crate::{
    data_dir::{self, BLOBS, LOGS, STORE, TOKEN},
    oidc, secrets, tls,
};
use blobs::{BlobError, Blobs};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use store::{Look, OpenError, StoreError};

/// What a copy came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Contents in it.
    pub contents: u64,
    /// Those of them that share their file with the original.
    pub shared: u64,
    /// Files of logs.
    pub logs: u64,
    /// Bytes that were copied.
    pub copied: u64,
}

/// A copy that was not made. Nothing of it stays.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is there already.
    #[error("{} is there already: name a place where nothing is", .0.display())]
    Exists(PathBuf),
    /// What another copy is being made in.
    #[error("{} is there: another backup writes it, or one was cut off; remove it if none runs", .0.display())]
    Unfinished(PathBuf),
    /// It would lie in what it is a copy of.
    #[error("{} lies in the data directory: name a place outside of it", .0.display())]
    Within(PathBuf),
    /// The store is not there, or none of ours.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The database could not be copied.
    #[error("cannot copy the store into {}: {source}", path.display())]
    Copy {
        /// Where to.
        path: PathBuf,
        /// What was said.
        source: StoreError,
    },
    /// The contents could not be listed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    System {
        /// In the imperative.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn system(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::System { doing, path, source }
}

/// Copies a data directory to `target`, where nothing may be yet. It is there whole, or not at all.
pub async fn backup(data_dir: &Path, target: &Path) -> Result<BackedUp, BackupError> {
    let part = Part::begin(data_dir, target)?;
    let _kept = data_dir::keep_files(data_dir).map_err(system("lock", data_dir))?;
    let mut look = Look::open(&data_dir.join(STORE)).await?;
    let store = part.path.join(STORE);
    let copied = look.copy_to(&store).await;
    look.close().await;
    copied.map_err(|source| BackupError::Copy { path: store.clone(), source })?;
    File::open(&store).and_then(|file| file.sync_all()).map_err(system("sync", &store))?;
    let mut done = BackedUp::default();
    // The key last: while it is renewed, its file also opens what was sealed before.
    for private in [TOKEN, oidc::FILE, secrets::FILE] {
        part.copy(data_dir, Path::new(private), &mut done)?;
    }
    part.certificate(data_dir, &mut done)?;
    part.logs(data_dir, &mut done)?;
    part.contents(data_dir, &mut done)?;
    part.finish(target)?;
    Ok(done)
}

/// A copy that is being made; removed again when it is dropped before its end.
struct Part {
    path: PathBuf,
    is_whole: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_whole {
            // What cannot be removed says by its name what it is.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Part {
    fn begin(data_dir: &Path, target: &Path) -> Result<Self, BackupError> {
        let original = data_dir.canonicalize().map_err(system("find", data_dir))?;
        if fs::symlink_metadata(target).is_ok() {
            return Err(BackupError::Exists(target.to_owned()));
        }
        let parent = parent_of(target);
        if parent.canonicalize().map_err(system("find", parent))?.starts_with(original) {
            return Err(BackupError::Within(target.to_owned()));
        }
        let path = target.with_added_extension("part");
        if fs::symlink_metadata(&path).is_ok() {
            return Err(BackupError::Unfinished(path));
        }
        data_dir::make(&path).map_err(system("make", &path))?;
        Ok(Self { path, is_whole: false })
    }

    /// Copies a file that may not be there.
    fn copy(&self, data_dir: &Path, name: &Path, done: &mut BackedUp) -> Result<(), BackupError> {
        let (from, to) = (data_dir.join(name), self.path.join(name));
        match fs::copy(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => return Ok(()),
            copied => done.copied += copied.map_err(system("copy", &from))?,
        }
        File::open(&to).and_then(|file| file.sync_all()).map_err(system("sync", &to))
    }

    /// One that was made here, in the order in which it was: its names, which say that it is whole, last.
    fn certificate(&self, data_dir: &Path, done: &mut BackedUp) -> Result<(), BackupError> {
        let (folder, copy) = (Path::new(tls::FOLDER), self.path.join(tls::FOLDER));
        if !data_dir.join(folder).is_dir() {
            return Ok(());
        }
        data_dir::make(&copy).map_err(system("make", &copy))?;
        for name in tls::FILES {
            self.copy(data_dir, &folder.join(name), done)?;
        }
        data_dir::sync(&copy).map_err(system("sync", &copy))
    }

    /// Logs are still written to, so their files are copied. What is written behind the copied index is cut off when
    /// the copy is used.
    fn logs(&self, data_dir: &Path, done: &mut BackedUp) -> Result<(), BackupError> {
        let logs = self.path.join(LOGS);
        fs::create_dir(&logs).map_err(system("make", &logs))?;
        for (log, _) in crate::logs::all_files(&data_dir.join(LOGS)) {
            let name = crate::logs::path_of(Path::new(LOGS), log.task, log.step);
            let folder = self.path.join(parent_of(&name));
            fs::create_dir_all(&folder).map_err(system("make", &folder))?;
            self.copy(data_dir, &name, done)?;
            data_dir::sync(&folder).map_err(system("sync", &folder))?;
            done.logs += 1;
        }
        data_dir::sync(&logs).map_err(system("sync", &logs))
    }

    fn contents(&self, data_dir: &Path, done: &mut BackedUp) -> Result<(), BackupError> {
        let original = Blobs::at(data_dir.join(BLOBS));
        let copy = Blobs::at(self.path.join(BLOBS));
        for folder in original.folders()? {
            let mut into = None;
            for stored in original.stored(&folder)? {
                let path = copy.path(&folder.scope, &stored.content.digest);
                if into.is_none() {
                    let folder = parent_of(&path).to_owned();
                    fs::create_dir_all(&folder).map_err(system("make", &folder))?;
                    into = Some(folder);
                }
                share(&stored.path, &path, done).map_err(system("copy", &stored.path))?;
                done.contents += 1;
            }
            // The folder, and that it is there.
            for made in into.iter().flat_map(|folder| folder.ancestors().take(3)) {
                data_dir::sync(made).map_err(system("sync", made))?;
            }
        }
        Ok(())
    }

    fn finish(mut self, target: &Path) -> Result<(), BackupError> {
        data_dir::sync(&self.path).map_err(system("sync", &self.path))?;
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        let here = rustix::fs::CWD;
        let renamed = rustix::fs::renameat_with(here, &self.path, here, target, flags);
        renamed.map_err(|error| system("rename", &self.path)(error.into()))?;
        self.is_whole = true;
        data_dir::sync(parent_of(target)).map_err(system("sync", target))
    }
}

/// One file under two names, where the file system can; else a copy.
fn share(from: &Path, to: &Path, done: &mut BackedUp) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        done.shared += 1;
        return Ok(());
    }
    done.copied += fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
