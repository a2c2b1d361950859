//! `checkout`: the pipeline's source, into the working directory.

use crate::{
    carry::{Carry, Ended},
    commands::{CommandError, Commands},
    place::Place,
    steps::{StepError, amount},
};
use protocol::{
    frame::{Answer, Wanted},
    task::Source,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufReader, Write},
    os::fd::BorrowedFd,
    path::Path,
};

/// The one named root of a source archive.
const ROOT: &str = "work";

/// Brings the source into `path`, or the working directory. `tree` is the directory of a [`Source::Tree`].
pub(crate) fn run(
    path: Option<&str>,
    source: &Source,
    tree: Option<BorrowedFd<'_>>,
    place: &Place,
    (carry, commands): (&dyn Carry, &dyn Commands),
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let into = path.map_or_else(|| place.working_directory.clone(), |path| place.resolve(path));
    fs::create_dir_all(&into).map_err(StepError::file(&into))?;
    refuse_foreign_files(&into)?;
    match (source, tree) {
        (Source::None, _) => Err(StepError::Refused(
            "this pipeline was started without a source: there is nothing to check out".to_owned(),
        )),
        (Source::Tree { .. }, None) => {
            Err(StepError::Refused("the launch-agent did not hand over the source's directory".to_owned()))
        }
        (Source::Tree { .. }, Some(tree)) => told(archive::copy_tree(tree, &into)?, log),
        (Source::Archive { .. }, _) => unpack(&into, carry, log),
        (Source::Git { url, revision, branch }, _) => {
            Git { into: &into, commands, log }.check_out(url, revision, branch.as_deref())
        }
    }
}

/// As CircleCI: what lies there and is no repository was not put there by a checkout.
fn refuse_foreign_files(into: &Path) -> Result<(), StepError> {
    let empty = fs::read_dir(into).map_err(StepError::file(into))?.next().is_none();
    if empty || into.join(".git").exists() {
        return Ok(());
    }
    let sentence =
        format!("the directory {} to check out into is not empty and not a git repository", into.display());
    Err(StepError::Refused(sentence))
}

fn unpack(into: &Path, carry: &dyn Carry, log: &mut dyn Write) -> Result<(), StepError> {
    match carry.ask(Wanted::FetchSource, None)? {
        (Answer::Source { .. }, Some(file)) => {
            let roots = BTreeMap::from([(ROOT.to_owned(), into.to_owned())]);
            told(archive::unpack(BufReader::new(file), &roots)?, log)
        }
        (other, _) => Err(StepError::of_answer(other)),
    }
}

fn told(report: archive::Report, log: &mut dyn Write) -> Result<(), StepError> {
    report.notes.iter().try_for_each(|note| writeln!(log, "{note}"))?;
    Ok(writeln!(log, "Checked out {} files, {}.", report.files, amount(report.bytes))?)
}

/// The real git, as the job's user with the job's keys and variables.
struct Git<'g> {
    into: &'g Path,
    commands: &'g dyn Commands,
    log: &'g mut dyn Write,
}

impl Git<'_> {
    fn check_out(&mut self, url: &str, revision: &str, branch: Option<&str>) -> Result<(), StepError> {
        if self.into.join(".git").exists() {
            self.git(&["remote", "set-url", "origin", url])?;
            self.git(&["fetch", "--force", "--tags", "origin"])?;
        } else {
            self.git(&["clone", "--no-checkout", "--", url, "."])?;
        }
        match branch {
            Some(branch) => self.git(&["checkout", "--force", "-B", branch, revision])?,
            None => self.git(&["checkout", "--force", "--detach", revision])?,
        }
        self.git(&["--no-pager", "log", "-1", "--format=HEAD is now at %h %s"])
    }

    fn git(&mut self, arguments: &[&str]) -> Result<(), StepError> {
        // Nobody is there to be asked for a password.
        let words: Vec<_> =
            ["env", "GIT_TERMINAL_PROMPT=0", "git"].iter().chain(arguments).copied().collect();
        match self.commands.run(&words, self.into, self.log) {
            Ok(0) => Ok(()),
            Ok(code) => Err(StepError::Refused(format!("git {} failed with exit code {code}", arguments[0]))),
            Err(CommandError::Ended) => Err(Ended.into()),
            Err(cause) => Err(StepError::Refused(format!("git {}: {cause}", arguments[0]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{Scripted, place, told};
    use archive::Packer;
    use std::{
        fs::File,
        os::fd::{AsFd, OwnedFd},
        path::PathBuf,
        process::Command,
    };

    fn git(directory: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(directory).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "n@example.org");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn repository(root: &Path) -> (PathBuf, String) {
        let repository = root.join("origin");
        fs::create_dir(&repository).unwrap();
        git(&repository, &["init", "-q", "-b", "main"]);
        for content in ["1", "2"] {
            fs::write(repository.join("f"), content).unwrap();
            git(&repository, &["add", "f"]);
            git(&repository, &["commit", "-qm", content]);
        }
        let first = git(&repository, &["rev-parse", "HEAD~1"]);
        (repository, first)
    }

    fn check_out(
        path: Option<&str>,
        source: &Source,
        place: &Place,
        log: &mut Vec<u8>,
    ) -> Result<(), StepError> {
        let scripted = Scripted::default();
        run(path, source, None, place, (&scripted, &scripted), log)
    }

    #[test]
    fn git_brings_the_exact_revision_and_brings_it_again() {
        let root = tempfile::tempdir().unwrap();
        let (origin, first) = repository(root.path());
        let (place, mut log) = (place(root.path()), Vec::new());
        let url = origin.to_string_lossy().into_owned();
        let source = Source::Git { url, revision: first.clone(), branch: Some("topic".to_owned()) };
        for _ in 0..2 {
            check_out(None, &source, &place, &mut log).unwrap();
            assert_eq!(fs::read_to_string(place.working_directory.join("f")).unwrap(), "1");
            assert_eq!(git(&place.working_directory, &["rev-parse", "HEAD"]), first);
            assert_eq!(git(&place.working_directory, &["branch", "--show-current"]), "topic");
        }
        assert!(told(&log, root.path()).contains("HEAD is now at"));
    }

    #[test]
    fn what_git_says_of_a_failure_is_in_the_log() {
        let root = tempfile::tempdir().unwrap();
        let (place, mut log) = (place(root.path()), Vec::new());
        let source = Source::Git { url: "/nowhere".to_owned(), revision: "0".repeat(40), branch: None };
        let error = check_out(None, &source, &place, &mut log).unwrap_err();
        assert_eq!(error.to_string(), "git clone failed with exit code 128");
        assert!(told(&log, root.path()).contains("'/nowhere' does not exist"));
    }

    #[test]
    fn a_tree_and_an_archive_bring_the_same_files() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(tree.join("sub/f"), "x").unwrap();
        let carry = Scripted::default();
        let mut packer = Packer::new(Vec::new()).unwrap();
        packer.add(ROOT, &tree, Path::new("")).unwrap();
        carry.keep("source", &packer.finish().unwrap().0);
        let opened = OwnedFd::from(File::open(&tree).unwrap());
        let place = place(root.path());
        let sources = [
            ("a", Source::Tree { path: tree.to_string_lossy().into_owned() }),
            ("b", Source::Archive { digest: protocol::Digest::of_bytes(&[0; 32]), size: 1 }),
        ];
        for (into, source) in sources {
            let mut log = Vec::new();
            run(Some(into), &source, Some(opened.as_fd()), &place, (&carry, &carry), &mut log).unwrap();
            let file = place.working_directory.join(into).join("sub/f");
            assert_eq!(fs::read_to_string(file).unwrap(), "x");
            assert_eq!(told(&log, root.path()), "Checked out 1 files, 1 B.\n");
        }
    }

    #[test]
    fn a_directory_with_other_files_and_a_pipeline_without_a_source_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let told = check_out(None, &Source::None, &place, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(told, "this pipeline was started without a source: there is nothing to check out");
        fs::write(place.working_directory.join("mine"), "").unwrap();
        let told = check_out(None, &Source::None, &place, &mut Vec::new()).unwrap_err().to_string();
        assert!(told.ends_with("is not empty and not a git repository"), "{told}");
    }
}
