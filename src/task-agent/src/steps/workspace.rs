//! `persist_to_workspace` and `attach_workspace`.

use crate::{
    carry::{Carry, lent, settled},
    glob,
    place::Place,
    steps::{StepError, amount},
};
use archive::Packer;
use protocol::{
    frame::{Answer, Wanted},
    transfer::Writer,
};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{BufReader, Write},
    path::Path,
};

/// The one named root of a layer: what was below `root` when persisted comes below `at` when attached.
const ROOT: &str = "work";

/// Adds what matches `patterns` below `root` to the workspace, as one layer.
pub(crate) fn persist(
    root: &str,
    patterns: &[String],
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let root = place.resolve(root);
    let file = pack(&root, patterns, carry, log)?;
    let size = file.metadata()?.len();
    match carry.ask(Wanted::PersistLayer, Some(file))?.0 {
        Answer::Stored { .. } => Ok(writeln!(log, "Workspace layer added ({}).", amount(size))?),
        other => Err(StepError::of_answer(other)),
    }
}

fn pack(root: &Path, patterns: &[String], carry: &dyn Carry, log: &mut dyn Write) -> Result<File, StepError> {
    let mut packer = Packer::new(lent(carry)?.map_err(StepError::of_answer)?)?;
    let mut matched = false;
    for pattern in patterns {
        for path in glob::expand(root, pattern)? {
            packer.add(ROOT, root, &path)?;
            matched = true;
        }
    }
    if !matched {
        let patterns = patterns.join(", ");
        return Err(StepError::Refused(format!("nothing below {} matches {patterns}", root.display())));
    }
    let (file, report) = packer.finish()?;
    report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
    writeln!(log, "Packed {} files, {}.", report.files, amount(report.bytes))?;
    Ok(settled(file)?)
}

/// Unpacks the layers of all jobs upstream into `at`, in order: a later one wins.
pub(crate) fn attach(
    at: &str,
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let at = place.resolve(at);
    fs::create_dir_all(&at).map_err(StepError::file(&at))?;
    let roots = BTreeMap::from([(ROOT.to_owned(), at)]);
    let mut layers = Layers::default();
    for index in 0.. {
        match carry.ask(Wanted::AttachLayer { index }, None)? {
            (Answer::Layer { job, size, writer }, Some(file)) => {
                layers.begin(writer);
                let report =
                    archive::unpack_seen(BufReader::new(file), &roots, &mut |path| layers.see(path))?;
                report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
                writeln!(
                    log,
                    "Attached the layer of {job}: {} files, {} packed.",
                    report.files,
                    amount(size)
                )?;
                layers.refuse_conflicts()?;
            }
            (Answer::NoLayer, _) if index == 0 => {
                writeln!(log, "The workspace is empty: no job upstream has persisted anything.")?;
                break;
            }
            (Answer::NoLayer, _) => break,
            (other, _) => return Err(StepError::of_answer(other)),
        }
    }
    Ok(())
}

/// The files that came so far, and with which layer.
#[derive(Default)]
struct Layers {
    hasher: RandomState,
    /// By the hash of its path: names of a million files would take too much room.
    files: HashMap<u64, usize>,
    writers: Vec<Option<Writer>>,
    /// The first of those that more than one job has persisted at once.
    conflicts: Vec<String>,
    more: usize,
}

/// So many conflicts are named.
const MOST_NAMED: usize = 20;

impl Layers {
    fn begin(&mut self, writer: Option<Writer>) {
        self.writers.push(writer);
    }

    fn see(&mut self, path: &Path) {
        let layer = self.writers.len() - 1;
        let before = self.files.insert(self.hasher.hash_one(path), layer);
        if before.is_none_or(|before| self.follows(layer, before)) {
            return;
        }
        if self.conflicts.len() < MOST_NAMED {
            self.conflicts.push(path.strip_prefix(ROOT).unwrap_or(path).display().to_string());
        } else {
            self.more += 1;
        }
    }

    /// Where it is not known who persisted a layer, the later wins.
    fn follows(&self, later: usize, earlier: usize) -> bool {
        let (Some(later), Some(earlier)) = (&self.writers[later], &self.writers[earlier]) else {
            return true;
        };
        later.follows(earlier)
    }

    fn refuse_conflicts(&self) -> Result<(), StepError> {
        if self.conflicts.is_empty() {
            return Ok(());
        }
        let mut sentence =
            "Concurrent upstream jobs persisted the same file(s) into the workspace:".to_owned();
        self.conflicts.iter().for_each(|path| sentence += &format!("\n  - {path}"));
        if self.more > 0 {
            sentence += &format!("\n  and {} more", self.more);
        }
        Err(StepError::Refused(sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writers(carry: &Scripted, writers: [(u32, u32, &[u32]); 3]) {
        let writer = |(job, index, over): (u32, u32, &[u32])| Writer { job, index, over: over.to_vec() };
        *carry.writers.lock().unwrap() = writers.map(writer).to_vec();
    }

    #[test]
    fn a_file_of_two_jobs_that_ran_at_once_is_an_error_that_names_it() {
        let (upstream, downstream) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (there, carry) = (place(upstream.path()), Scripted::default());
        for file in ["a", "b", "a"] {
            fs::write(upstream.path().join("project").join(file), "").unwrap();
            persist(".", &[file.to_owned()], &there, &carry, &mut Vec::new()).unwrap();
        }
        let attach = || {
            let place = place(downstream.path());
            attach("ws", &place, &carry, &mut Vec::new()).map_err(|error| error.to_string())
        };
        let conflict = "Concurrent upstream jobs persisted the same file(s) into the workspace:\n  - a";
        for (all, conflicts) in [
            ([(0, 0, [].as_slice()), (1, 0, &[0]), (2, 0, &[0, 1])], false),
            ([(0, 0, &[]), (1, 0, &[]), (0, 0, &[])], false),
            ([(0, 0, &[]), (1, 0, &[0]), (2, 0, &[1])], true),
            ([(0, 0, &[]), (1, 0, &[]), (0, 1, &[])], true),
        ] {
            writers(&carry, all);
            assert_eq!(attach(), if conflicts { Err(conflict.to_owned()) } else { Ok(()) }, "{all:?}");
        }
    }
    use crate::steps::scripted::{Scripted, place, told};

    #[test]
    fn layers_are_attached_in_order_and_the_later_wins() {
        let (upstream, downstream) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (there, carry) = (place(upstream.path()), Scripted::default());
        let dist = upstream.path().join("project/dist");
        fs::create_dir(&dist).unwrap();
        for (file, content) in [("a.js", "1"), ("a.js", "2"), ("b.css", "3")] {
            fs::write(dist.join(file), content).unwrap();
            persist(".", &["dist/*".to_owned()], &there, &carry, &mut Vec::new()).unwrap();
        }
        let mut log = Vec::new();
        attach("~/ws", &place(downstream.path()), &carry, &mut log).unwrap();
        assert_eq!(fs::read_to_string(downstream.path().join("ws/dist/a.js")).unwrap(), "2");
        assert_eq!(fs::read_to_string(downstream.path().join("ws/dist/b.css")).unwrap(), "3");
        assert_eq!(told(&log, downstream.path()).matches("Attached the layer of build").count(), 3);
    }

    #[test]
    fn nothing_matched_fails_and_says_where() {
        let root = tempfile::tempdir().unwrap();
        let refused =
            persist("~/x", &["*.o".to_owned()], &place(root.path()), &Scripted::default(), &mut Vec::new());
        let told = refused.unwrap_err().to_string();
        assert_eq!(told, format!("nothing below {}/x matches *.o", root.path().display()));
    }

    #[test]
    fn an_empty_workspace_is_said_and_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let mut log = Vec::new();
        attach(".", &place(root.path()), &Scripted::default(), &mut log).unwrap();
        assert_eq!(
            told(&log, root.path()),
            "The workspace is empty: no job upstream has persisted anything.\n"
        );
    }
}
