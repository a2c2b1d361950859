//! `store_artifacts`: files on their way to the artifacts page, small ones many at a time.

mod bundle;
mod carried;

use crate::{
    carry::Carry,
    place::Place,
    steps::{StepError, amount},
};
use carried::Tally;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file and its path on the artifacts page.
#[derive(Debug, PartialEq, Eq)]
struct Upload {
    file: PathBuf,
    artifact: String,
}

/// Stores a file, or every file of a directory. A path that does not exist is said and is no failure.
pub(crate) fn store(
    path: &str,
    destination: Option<&str>,
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let from = place.resolve(path);
    let about = match fs::metadata(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(writeln!(log, "No artifacts: {path} does not exist.")?);
        }
        about => about.map_err(StepError::file(&from))?,
    };
    let (mut uploads, mut notes) = (Vec::new(), Vec::new());
    let prefix = artifact_prefix(path, destination);
    if about.is_dir() {
        walk(&from, &prefix, &mut uploads, &mut notes)?;
    } else {
        uploads.push(Upload { file: from, artifact: prefix });
    }
    let Tally { notes: told, files, bytes, error, .. } = carried::upload(uploads, carry, log)?;
    notes.iter().chain(&told).try_for_each(|note| writeln!(log, "{note}"))?;
    writeln!(log, "Stored {files} artifacts, {}.", amount(bytes))?;
    error.map_or(Ok(()), Err)
}

/// The path as written, without what would leave the artifacts: a leading `~`, `/`, and `.` and `..` parts.
fn artifact_prefix(path: &str, destination: Option<&str>) -> String {
    let written = destination.unwrap_or(path);
    let parts = written.split('/').filter(|part| !matches!(*part, "" | "." | ".." | "~"));
    parts.collect::<Vec<_>>().join("/")
}

/// Every file below `directory`. Links to directories are not followed: they may lead anywhere, and around in circles.
fn walk(
    directory: &Path,
    prefix: &str,
    uploads: &mut Vec<Upload>,
    notes: &mut Vec<String>,
) -> Result<(), StepError> {
    let mut left = vec![(directory.to_owned(), prefix.to_owned())];
    while let Some((directory, prefix)) = left.pop() {
        for entry in fs::read_dir(&directory).map_err(StepError::file(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let artifact = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            match entry.file_type()? {
                kind if kind.is_dir() => left.push((entry.path(), artifact)),
                kind if kind.is_file() || entry.path().is_file() => {
                    uploads.push(Upload { file: entry.path(), artifact });
                }
                _ => notes.push(format!("{} is no regular file: left out.", entry.path().display())),
            }
        }
    }
    uploads.sort_by(|one, other| one.artifact.cmp(&other.artifact));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{Scripted, place, told};
    use std::os::unix::fs::symlink;

    #[test]
    fn an_artifacts_path_is_the_written_one_without_its_root() {
        for (path, destination, expect) in [
            ("dist", None, "dist"),
            ("./dist/", None, "dist"),
            ("/tmp/x.log", None, "tmp/x.log"),
            ("~/out", None, "out"),
            ("../out", None, "out"),
            ("dist", Some("prefix/a"), "prefix/a"),
            ("dist", Some("/"), ""),
        ] {
            assert_eq!(artifact_prefix(path, destination), expect);
        }
    }

    #[test]
    fn a_directory_is_stored_whole_and_its_links_are_followed_to_files_only() {
        let root = tempfile::tempdir().unwrap();
        let (place, carry, mut log) = (place(root.path()), Scripted::default(), Vec::new());
        let dist = root.path().join("project/dist");
        fs::create_dir_all(dist.join("deep/er")).unwrap();
        for file in ["a", "deep/b", "deep/er/c"] {
            fs::write(dist.join(file), file).unwrap();
        }
        symlink("a", dist.join("link")).unwrap();
        symlink("..", dist.join("up")).unwrap();
        symlink("nowhere", dist.join("broken")).unwrap();
        store("dist", Some("out"), &place, &carry, &mut log).unwrap();
        assert_eq!(carry.names(), ["out/a", "out/deep/b", "out/deep/er/c", "out/link"]);
        let told = told(&log, root.path());
        assert!(told.contains("~/project/dist/up is no regular file: left out.\n"), "{told}");
        assert!(told.ends_with("Stored 4 artifacts, 17 B.\n"), "{told}");
    }

    #[test]
    fn a_single_file_takes_its_destination_as_its_name() {
        let root = tempfile::tempdir().unwrap();
        let carry = Scripted::default();
        let place = place(root.path());
        fs::write(root.path().join("project/app.zip"), "z").unwrap();
        store("app.zip", Some("release"), &place, &carry, &mut Vec::new()).unwrap();
        assert_eq!(carry.names(), ["release"]);
    }

    #[test]
    fn many_small_files_go_together_and_a_large_one_goes_alone() {
        let root = tempfile::tempdir().unwrap();
        let (place, carry, mut log) = (place(root.path()), Scripted::default(), Vec::new());
        let dist = root.path().join("project/dist");
        fs::create_dir_all(&dist).unwrap();
        for number in 0..600 {
            fs::write(dist.join(format!("{number:03}")), format!("file {number}")).unwrap();
        }
        fs::write(dist.join("large"), vec![7; 1 << 20]).unwrap();
        store("dist", None, &place, &carry, &mut log).unwrap();
        assert_eq!((carry.names().len(), *carry.bundles.lock().unwrap()), (601, 2));
        let stored = carry.stored.lock().unwrap();
        assert_eq!(stored["dist/599"], b"file 599");
        assert_eq!(stored["dist/large"].len(), 1 << 20);
        assert!(told(&log, root.path()).ends_with("Stored 601 artifacts, 1.0 MiB.\n"));
    }

    #[test]
    fn a_file_that_the_jobs_user_may_not_read_is_left_out_and_named() {
        let root = tempfile::tempdir().unwrap();
        let (place, carry, mut log) = (place(root.path()), Scripted::default(), Vec::new());
        let dist = root.path().join("project/dist");
        fs::create_dir_all(&dist).unwrap();
        // Nobody can read it from its start, root neither.
        symlink("/proc/1/mem", dist.join("secret")).unwrap();
        fs::write(dist.join("a"), "a").unwrap();
        fs::write(dist.join("b"), "b").unwrap();
        store("dist", None, &place, &carry, &mut log).unwrap();
        assert_eq!(carry.names(), ["dist/a", "dist/b"]);
        assert!(told(&log, root.path()).contains("dist/secret: "), "{}", told(&log, root.path()));
    }

    #[test]
    fn a_pipe_is_left_out_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let (place, carry, mut log) = (place(root.path()), Scripted::default(), Vec::new());
        let pipe = root.path().join("project/pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        store("pipe", None, &place, &carry, &mut log).unwrap();
        let told = told(&log, root.path());
        assert!(told.contains("project/pipe: no regular file: left out.\n"), "{told}");
        assert!(carry.names().is_empty());
    }

    #[test]
    fn a_missing_path_is_said_and_a_refusal_fails() {
        let root = tempfile::tempdir().unwrap();
        let (place, mut log) = (place(root.path()), Vec::new());
        store("none", None, &place, &Scripted::default(), &mut log).unwrap();
        assert_eq!(told(&log, root.path()), "No artifacts: none does not exist.\n");
        fs::write(root.path().join("project/a"), "a").unwrap();
        let carry = Scripted { refusal: Some("too large".to_owned()), ..Scripted::default() };
        let error = store("a", None, &place, &carry, &mut log).unwrap_err();
        assert_eq!(error.to_string(), "a: too large");
    }
}
