//! `persist_to_workspace` and `attach_workspace`.

use crate::{
    carry::Carry,
    glob,
    place::Place,
    steps::{StepError, amount},
};
use archive::Packer;
use protocol::frame::{Answer, Wanted};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Seek, Write},
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
    let file = pack(&root, patterns, place, log)?;
    let size = file.metadata()?.len();
    match carry.ask(Wanted::PersistLayer, Some(file))?.0 {
        Answer::Stored { .. } => Ok(writeln!(log, "Workspace layer added ({}).", amount(size))?),
        other => Err(StepError::of_answer(other)),
    }
}

fn pack(root: &Path, patterns: &[String], place: &Place, log: &mut dyn Write) -> Result<File, StepError> {
    let mut packer = Packer::new(place.unnamed_file()?)?;
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
    let (mut file, report) = packer.finish()?;
    report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
    writeln!(log, "Packed {} files, {}.", report.files, amount(report.bytes))?;
    file.rewind()?;
    Ok(file)
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
    for index in 0.. {
        match carry.ask(Wanted::AttachLayer { index }, None)? {
            (Answer::Layer { job, size }, Some(file)) => {
                let report = archive::unpack(BufReader::new(file), &roots)?;
                report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
                writeln!(
                    log,
                    "Attached the layer of {job}: {} files, {} packed.",
                    report.files,
                    amount(size)
                )?;
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

#[cfg(test)]
mod tests {
    use super::*;
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
