//! `checkout`: the pipeline's source, into the working directory.

mod clean;
mod git;
mod login;
mod mirror;

use crate::{
    carry::Carry,
    commands::Commands,
    place::Place,
    steps::{StepError, amount, ssh::SshHome},
};
use clean::make_clean;
use git::{Access, At, Git};
use login::LoggedIn;
use mirror::Mirror;
use protocol::{
    frame::{Answer, Wanted},
    repository::{Login, Method, Ssh},
    task::Source,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufReader, Write},
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The one named root of a source archive.
const ROOT: &str = "work";

/// What a step wants to be checked out, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkout<'a> {
    /// If not the working directory.
    pub(crate) path: Option<&'a str>,
    pub(crate) method: Method,
    pub(crate) source: &'a Source,
    /// The directory of a [`Source::Tree`].
    pub(crate) tree: Option<BorrowedFd<'a>>,
    pub(crate) ssh: &'a Ssh,
    pub(crate) login: &'a Login,
    /// What this task has checked out so far.
    pub(crate) own: &'a Own,
}

/// The directories that a task's checkouts have filled: what lies elsewhere may be anybody's.
#[derive(Debug, Default)]
pub(crate) struct Own(Mutex<BTreeSet<PathBuf>>);

impl Own {
    fn has(&self, directory: &Path) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(directory)
    }

    fn add(&self, directory: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(directory);
    }
}

impl Checkout<'_> {
    /// Brings the source.
    pub(crate) fn run(
        &self,
        place: &Place,
        (carry, commands): (&dyn Carry, &dyn Commands),
        log: &mut dyn Write,
    ) -> Result<(), StepError> {
        let into = self.path.map_or_else(|| place.working_directory.clone(), |path| place.resolve(path));
        fs::create_dir_all(&into).map_err(StepError::file(&into))?;
        let into = into.canonicalize().map_err(StepError::file(&into))?;
        refuse_foreign_files(&into)?;
        let is_own = self.own.has(&into);
        // A tree of this very host may be checked out over its author's own: nothing of that is removed.
        if !is_own && !matches!(self.source, Source::Tree { .. } | Source::None) {
            make_clean(&into, place, log)?;
        }
        match (self.source, self.tree) {
            (Source::None, _) => Err(StepError::Refused(
                "this pipeline was started without a source: there is nothing to check out".to_owned(),
            )),
            (Source::Tree { .. }, None) => Err(StepError::Refused(
                "the launch-agent did not hand over the source's directory".to_owned(),
            )),
            (Source::Tree { .. }, Some(tree)) => told(archive::copy_tree(tree, &into)?, log),
            (Source::Archive { .. }, _) => unpack(&into, carry, log),
            (Source::Git { url, revision, branch, tag }, _) => {
                let home = SshHome { place, known_hosts: &self.ssh.known_hosts };
                let ssh = home.for_checkout(url, self.ssh.checkout.as_ref(), log)?;
                let at = At { url, revision, branch: branch.as_deref(), tag: tag.as_deref() };
                let logged_in = LoggedIn::at(place, url, self.login, log)?;
                let (method, access) = (self.method, Access { ssh, login: self.login, logged_in });
                let mirror = Mirror { into: &into, method, carry, found: Cell::new(false) };
                Git { into: &into, commands, log, access, mirror }.check_out(at, method, is_own)
            }
        }?;
        self.own.add(into);
        Ok(())
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
        checked_out(path, source, &Own::default(), place, log)
    }

    fn checked_out(
        path: Option<&str>,
        source: &Source,
        own: &Own,
        place: &Place,
        log: &mut Vec<u8>,
    ) -> Result<(), StepError> {
        let scripted = Scripted::default();
        of(path, source, own).run(place, (&scripted, &scripted), log)
    }

    fn of<'a>(path: Option<&'a str>, source: &'a Source, own: &'a Own) -> Checkout<'a> {
        const NO_SSH: &Ssh = &Ssh { checkout: None, keys: Vec::new(), known_hosts: String::new() };
        let login = &Login::None;
        Checkout { path, method: Method::Full, source, tree: None, ssh: NO_SSH, login, own }
    }

    #[test]
    fn git_brings_the_exact_revision_and_brings_it_again() {
        let root = tempfile::tempdir().unwrap();
        let (origin, first) = repository(root.path());
        let (place, mut log) = (place(root.path()), Vec::new());
        let url = origin.to_string_lossy().into_owned();
        let source =
            Source::Git { url, revision: first.clone(), branch: Some("topic".to_owned()), tag: None };
        let own = Own::default();
        for _ in 0..2 {
            checked_out(None, &source, &own, &place, &mut log).unwrap();
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
        let source =
            Source::Git { url: "/nowhere".to_owned(), revision: "0".repeat(40), branch: None, tag: None };
        let error = check_out(None, &source, &place, &mut log).unwrap_err();
        let said = "cannot read the repository /nowhere: what git said of it stands above";
        assert_eq!(error.to_string(), said);
        assert!(told(&log, root.path()).contains("'/nowhere' does not"));
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
            let own = Own::default();
            let wanted = Checkout { tree: Some(opened.as_fd()), ..of(Some(into), &source, &own) };
            wanted.run(&place, (&carry, &carry), &mut log).unwrap();
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
