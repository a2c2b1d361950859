//! `save_cache` and `restore_cache`.

use crate::{
    cache_key::{self, Facts},
    carry::{Carry, lent, settled},
    place::Place,
    steps::{StepError, amount},
};
use archive::{ArchiveError, Packer};
use protocol::frame::{Answer, Wanted};
use std::{
    fs::File,
    io::{self, BufReader, Write},
    time::{SystemTime, UNIX_EPOCH},
};

/// Saves `paths` under `key`, unless that key is saved already. Only a key that cannot be evaluated fails the step: a
/// cache that is not saved costs time later and nothing else, so whatever else goes wrong is said and passed over.
pub(crate) fn save(
    key: &str,
    paths: &[String],
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let key = evaluate(key, place)?;
    match save_under(&key, paths, place, carry, log) {
        Ok(()) => Ok(()),
        Err(StepError::Ended(ended)) => Err(ended.into()),
        Err(error) => Ok(writeln!(log, "The cache was not saved: {error}")?),
    }
}

fn save_under(
    key: &str,
    paths: &[String],
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    match carry.ask(Wanted::FindCache { key: key.to_owned() }, None)?.0 {
        Answer::AlreadySaved => return Ok(already_saved(key, log)?),
        Answer::NoCache => {}
        other => return Err(StepError::of_answer(other)),
    }
    let Some(file) = pack(paths, place, carry, log)? else {
        return Ok(writeln!(log, "Nothing to save: none of the paths exists.")?);
    };
    let size = file.metadata()?.len();
    match carry.ask(Wanted::SaveCache { key: key.to_owned() }, Some(file))?.0 {
        Answer::Stored { .. } => Ok(writeln!(log, "Saved cache {key} ({}).", amount(size))?),
        Answer::AlreadySaved => Ok(already_saved(key, log)?),
        other => Err(StepError::of_answer(other)),
    }
}

fn already_saved(key: &str, log: &mut dyn Write) -> io::Result<()> {
    writeln!(log, "Skipped: a cache with the key {key} exists, and a saved key never changes.")
}

fn pack(
    paths: &[String],
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<Option<File>, StepError> {
    let mut packer = Packer::new(lent(carry)?.map_err(StepError::of_answer)?)?;
    let mut packed = false;
    for path in paths {
        let at = place.rooted(path);
        match packer.add(at.name, &at.base, &at.relative) {
            Ok(()) => packed = true,
            Err(ArchiveError::Missing(_)) => writeln!(log, "{path} does not exist: left out.")?,
            Err(error) => return Err(error.into()),
        }
    }
    let (file, report) = packer.finish()?;
    report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
    Ok(if packed { Some(settled(file)?) } else { None })
}

/// Restores the cache of the first key that has one. None found is no failure.
pub(crate) fn restore(
    keys: &[String],
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let keys = keys.iter().map(|key| evaluate(key, place)).collect::<Result<Vec<_>, _>>()?;
    match carry.ask(Wanted::RestoreCache { keys: keys.clone() }, None)? {
        (Answer::NoCache, _) => {
            Ok(keys.iter().try_for_each(|key| writeln!(log, "No cache is found for key: {key}"))?)
        }
        (Answer::Cache { key, size }, Some(file)) => {
            writeln!(log, "Found cache {key} ({}).", amount(size))?;
            let report = archive::unpack(BufReader::new(file), &place.roots())?;
            report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
            Ok(writeln!(log, "Restored {} files, {}.", report.files, amount(report.bytes))?)
        }
        (other, _) => Err(StepError::of_answer(other)),
    }
}

fn evaluate(template: &str, place: &Place) -> Result<String, StepError> {
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let variable = |name: &str| place.variables.get(name).cloned();
    let facts = Facts { variable: &variable, directory: &place.working_directory, home: &place.home, epoch };
    Ok(cache_key::evaluate(template, &facts)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{Scripted, place, told};
    use std::fs;

    #[test]
    fn a_cache_comes_back_below_another_home() {
        let (saver, restorer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (there, carry, mut log) = (place(saver.path()), Scripted::default(), Vec::new());
        fs::create_dir(saver.path().join(".npm")).unwrap();
        fs::write(saver.path().join(".npm/a"), "home").unwrap();
        fs::write(saver.path().join("project/b"), "work").unwrap();
        let paths = ["~/.npm".to_owned(), "b".to_owned(), "gone".to_owned()];
        save("v1-{{ .Branch }}", &paths, &there, &carry, &mut log).unwrap();
        assert!(
            told(&log, saver.path()).starts_with("gone does not exist: left out.\nSaved cache v1-main (")
        );

        let here = place(restorer.path());
        restore(&["v1-".to_owned()], &here, &carry, &mut Vec::new()).unwrap();
        assert_eq!(fs::read_to_string(restorer.path().join(".npm/a")).unwrap(), "home");
        assert_eq!(fs::read_to_string(restorer.path().join("project/b")).unwrap(), "work");
    }

    #[test]
    fn a_saved_key_never_changes() {
        let root = tempfile::tempdir().unwrap();
        let (carry, mut log) = (Scripted::default(), Vec::new());
        carry.keep("k", b"first");
        save("k", &["project".to_owned()], &place(root.path()), &carry, &mut log).unwrap();
        assert_eq!(carry.stored.lock().unwrap()["k"], b"first");
        assert!(told(&log, root.path()).starts_with("Skipped: a cache with the key k exists"));
    }

    #[test]
    fn a_miss_is_said_and_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let mut log = Vec::new();
        let keys = ["a".to_owned(), "b".to_owned()];
        restore(&keys, &place(root.path()), &Scripted::default(), &mut log).unwrap();
        assert_eq!(told(&log, root.path()), "No cache is found for key: a\nNo cache is found for key: b\n");
    }

    #[test]
    fn a_cache_that_cannot_be_saved_is_said_and_fails_nothing_but_a_bad_key_fails() {
        let root = tempfile::tempdir().unwrap();
        let carry = Scripted { refusal: Some("the disk is full".to_owned()), ..Scripted::default() };
        let mut log = Vec::new();
        save("k", &["~".to_owned()], &place(root.path()), &carry, &mut log).unwrap();
        assert_eq!(told(&log, root.path()), "The cache was not saved: the disk is full\n");
        assert!(save("{{ nope }}", &[], &place(root.path()), &carry, &mut log).is_err());
    }
}
