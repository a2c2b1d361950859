//! A repository's own directory, copied so that the copy stands where the original does.

use crate::{
    SnapshotError, What,
    config::{self, Filters},
    git::{Asked, run_in_copy},
    make_directory,
};
use archive::Copier;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::{ffi::OsStringExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// What all work trees of a repository share.
const SHARED: [&str; 5] = ["refs", "reftable", "info", "packed-refs", "shallow"];
/// What each work tree has for itself.
const OWN: [&str; 3] = ["refs", "info", "HEAD"];
/// What says how far the work in a work tree is, besides its files.
const IN_WORK: [&str; 8] = [
    "index",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
];

/// More objects in files of their own are put into a pack: once, rather than copied one by one for each job.
const MOST_LOOSE: usize = 200;

/// Copies the repository of a tree to `to`, which is a `.git` directory afterwards.
pub(crate) fn copy(asked: &Asked, to: &Path, what: What) -> Result<(), SnapshotError> {
    let own = asked.path(&["rev-parse", "--git-dir"])?;
    let shared = asked.path(&["rev-parse", "--git-common-dir"])?;
    ["", "refs", "objects", "info"].iter().try_for_each(|name| make_directory(&to.join(name)))?;
    let mut shared_parts = SHARED.map(PathBuf::from).to_vec();
    if what == What::Committed {
        // Files that Git LFS keeps are written from here.
        shared_parts.push("lfs".into());
    }
    parts(&shared, to, shared_parts)?;
    let mut own_parts = OWN.map(PathBuf::from).to_vec();
    if what == What::WorkingTree {
        own_parts.extend(IN_WORK.map(PathBuf::from));
        own_parts.extend(shared_indexes(&own)?);
    }
    parts(&own, to, own_parts)?;
    objects(&shared.join("objects"), &to.join("objects"))?;
    let filters = if asked.is_anothers() { Filters::LeftOut } else { Filters::Kept };
    write_config(asked, &own, &shared, to, if what == What::Committed { filters } else { Filters::Kept })?;
    if loose(&to.join("objects"))? > MOST_LOOSE {
        // Where Git cannot pack them, they are copied for each job as they are.
        let _ = run_in_copy(to, &["repack", "-d", "-l", "-q"]);
    }
    Ok(())
}

/// How many objects have a file of their own.
fn loose(objects: &Path) -> Result<usize, SnapshotError> {
    let list = |directory: &Path| fs::read_dir(directory).map_err(SnapshotError::at(directory));
    let mut loose = 0;
    for directory in list(objects)?.flatten().filter(|entry| entry.file_name().len() == 2) {
        loose += list(&directory.path())?.count();
    }
    Ok(loose)
}

/// Writes the configuration once more, as it is to stay.
pub(crate) fn settle(asked: &Asked, to: &Path) -> Result<(), SnapshotError> {
    let own = asked.path(&["rev-parse", "--git-dir"])?;
    let shared = asked.path(&["rev-parse", "--git-common-dir"])?;
    write_config(asked, &own, &shared, to, Filters::Kept)
}

fn write_config(
    asked: &Asked,
    own: &Path,
    shared: &Path,
    to: &Path,
    filters: Filters,
) -> Result<(), SnapshotError> {
    let in_force = config::settings(&asked.ask(&["config", "--list", "-z"])?);
    let mut settings = Vec::new();
    for file in [shared.join("config"), own.join("config.worktree")] {
        if file.exists() {
            let name = file.to_string_lossy();
            settings.extend(config::settings(&asked.ask(&[
                "config",
                "--file",
                &name,
                "--includes",
                "--list",
                "-z",
            ])?));
        }
    }
    let path = to.join("config");
    fs::write(&path, config::file(&in_force, &settings, filters)).map_err(SnapshotError::at(&path))?;
    fs::set_permissions(&path, Permissions::from_mode(0o644)).map_err(SnapshotError::at(&path))
}

/// Where an index is split, its greater part has a name of its own.
fn shared_indexes(own: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let entries = fs::read_dir(own).map_err(SnapshotError::at(own))?;
    let names = entries.filter_map(|entry| entry.ok().map(|entry| PathBuf::from(entry.file_name())));
    Ok(names.filter(|name| name.to_string_lossy().starts_with("sharedindex.")).collect())
}

/// Copies those of the parts that are there.
fn parts(from: &Path, to: &Path, parts: Vec<PathBuf>) -> Result<(), SnapshotError> {
    let mut copier = copier(from, to)?;
    for part in parts {
        if from.join(&part).symlink_metadata().is_ok() {
            copier.tree(&part)?;
        }
    }
    copier.finish()?;
    Ok(())
}

fn copier(from: &Path, to: &Path) -> Result<Copier, SnapshotError> {
    let from = File::open(from).map_err(SnapshotError::at(from))?;
    Ok(Copier::new(from.as_fd(), to)?.readable_by_all())
}

/// Gathers the objects of a repository and of all it borrows from.
fn objects(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    let stores = stores(from)?;
    for store in &stores {
        let mut copier = copier(store, to)?.linking();
        copier.tree(Path::new(""))?;
        copier.finish()?;
    }
    remove(&to.join("info/alternates"))?;
    if stores.len() > 1 {
        // These describe one store, and are made again when they are missed.
        remove(&to.join("info/commit-graph"))?;
        remove(&to.join("info/commit-graphs"))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), SnapshotError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SnapshotError::at(path)(error)),
        _ => Ok(()),
    }
}

/// An object store and those it borrows from, and they, each once.
fn stores(first: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let mut known = BTreeSet::new();
    let (mut stores, mut waiting) = (Vec::new(), vec![first.to_owned()]);
    while let Some(store) = waiting.pop() {
        let store = store.canonicalize().map_err(SnapshotError::at(&store))?;
        if known.insert(store.clone()) {
            let lines = fs::read(store.join("info/alternates")).unwrap_or_default();
            let borrowed =
                lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#');
            waiting.extend(borrowed.map(|line| store.join(OsString::from_vec(line.to_vec()))));
            stores.push(store);
        }
    }
    Ok(stores)
}
