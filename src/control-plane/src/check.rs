//! Whether all that a data directory remembers is there and whole. Looks only, also beside a running control plane.

mod logs;
mod unnamed;

use crate::{
    data_dir::{self, BLOBS, STORE},
    pipelines::orbs::digest_of as digest_of_orb,
};
use blobs::{Blobs, Scope};
use protocol::{Digest, StepNumber, TaskId, http::is_empty_content, transfer::Content};
use ring::digest::{Context, SHA256};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use store::{Look, NamedContent, OpenError, OrbRow, StoreError};

/// The most findings that are told one by one.
const MOST: usize = 1000;

/// What a check came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong, a located sentence each.
    pub findings: Vec<String>,
    /// How many more there are.
    pub more: u64,
    /// Contents that rows name.
    pub contents: u64,
    /// Logs that have any byte.
    pub logs: u64,
    /// Published orbs.
    pub orbs: u64,
    /// Contents and files of logs that nothing names: nothing wrong, but to be swept one day.
    pub unnamed: u64,
    /// Their bytes.
    pub unnamed_bytes: u64,
}

/// A directory that could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store is not there, or none of ours.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Checks a data directory; `deep` also reads every content and every frame of every log.
pub async fn check(data_dir: &Path, deep: bool) -> Result<Checked, CheckError> {
    let unreadable = |source| CheckError::Directory { path: data_dir.to_owned(), source };
    // What a row names stays where it is while we look for it.
    let _kept = data_dir::keep_files(data_dir).map_err(unreadable)?;
    loop {
        let alone = !is_open(data_dir);
        let mut checking = Checking::new(data_dir, deep);
        checking.run().await?;
        // A control plane that started meanwhile has changed under us what nobody seemed to change.
        if !alone || !is_open(data_dir) {
            return Ok(checking.checked);
        }
    }
}

/// Whether somebody has the store open, or died so.
fn is_open(data_dir: &Path) -> bool {
    data_dir.join(format!("{STORE}-wal")).exists()
}

struct Checking {
    data_dir: PathBuf,
    blobs: Blobs,
    deep: bool,
    /// Contents that rows name.
    named: HashSet<(Scope, Digest)>,
    /// Files of logs that are needed.
    files: HashSet<(TaskId, StepNumber)>,
    checked: Checked,
}

impl Checking {
    fn new(data_dir: &Path, deep: bool) -> Self {
        let blobs = Blobs::at(data_dir.join(BLOBS));
        let (named, files, checked) = (HashSet::new(), HashSet::new(), Checked::default());
        Self { data_dir: data_dir.to_owned(), blobs, deep, named, files, checked }
    }

    fn find(&mut self, place: &Path, fault: impl std::fmt::Display) {
        if self.checked.findings.len() < MOST {
            self.checked.findings.push(format!("{}: {fault}", place.display()));
        } else {
            self.checked.more += 1;
        }
    }

    async fn run(&mut self) -> Result<(), CheckError> {
        let store = self.data_dir.join(STORE);
        let mut look = match Look::open(&store).await {
            Err(OpenError::Corrupt { message, .. }) => {
                self.find(&store, message);
                return Ok(());
            }
            look => look?,
        };
        if let Err(error) = self.look(&store, &mut look).await {
            self.find(&store, error);
        }
        look.close().await;
        Ok(())
    }

    async fn look(&mut self, store: &Path, look: &mut Look) -> Result<(), StoreError> {
        look.hold().await?;
        for fault in look.faults().await? {
            self.find(store, fault);
        }
        look.contents(|named| self.content(&named)).await?;
        look.orbs(|orb| self.orb(store, &orb)).await?;
        for log in look.logs().await? {
            self.log(look, &log).await?;
        }
        if let Err(error) = self.count_unnamed() {
            let blobs = self.data_dir.join(BLOBS);
            self.find(&blobs, error);
        }
        Ok(())
    }

    fn orb(&mut self, store: &Path, orb: &OrbRow) {
        self.checked.orbs += 1;
        let found = digest_of_orb(&orb.source);
        if found != orb.digest {
            let (name, version) = (&orb.name, &orb.version);
            self.find(
                store,
                format!("the source of the orb {name}@{version} has the digest {found}, not {}", orb.digest),
            );
        }
    }

    fn content(&mut self, named: &NamedContent) {
        let NamedContent { by, project, content: Content { digest, size } } = named;
        if is_empty_content(digest) && *size == 0 {
            return;
        }
        let scope = project.as_deref().map_or_else(Scope::logs, Scope::project);
        let path = self.blobs.path(&scope, digest);
        self.checked.contents += 1;
        let is_first = self.named.insert((scope, digest.clone()));
        match path.metadata() {
            Err(error) => self.find(&path, format!("{}; {by} names it", missing(&error))),
            Ok(found) if found.len() != *size => {
                self.find(&path, format!("has {} bytes; {by} names {size}", found.len()));
            }
            Ok(_) if self.deep && is_first => match digest_of(&path) {
                Ok(found) if found == *digest => {}
                Ok(found) => self.find(&path, format!("its bytes have the digest {found}; {by} names it")),
                Err(error) => self.find(&path, format!("cannot be read: {error}; {by} names it")),
            },
            Ok(_) => {}
        }
    }
}

fn missing(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "is not there".to_owned() } else { error.to_string() }
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hash) = (File::open(path)?, Context::new(&SHA256));
    let mut piece = vec![0; 256 * 1024];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
    }
    let hash = hash.finish();
    Ok(Digest::of_bytes(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")))
}
