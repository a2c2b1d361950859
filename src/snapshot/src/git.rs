//! The real git, asked about one tree with its author's rights.

use crate::{Commit, Git, SnapshotError, config::without_credentials};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Variables that would make git look at another repository than the one it stands in.
const MISLEADING: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
];

/// A tree in which git is asked. Root asks as the tree's owner: git refuses, rightly, to let root run what another
/// user's configuration says.
#[derive(Debug)]
pub(crate) struct Asked {
    tree: PathBuf,
    owner: Option<Owner>,
}

#[derive(Debug)]
struct Owner {
    uid: u32,
    gid: u32,
    home: Option<PathBuf>,
}

impl Asked {
    pub(crate) fn new(tree: &Path) -> Result<Self, SnapshotError> {
        let metadata = fs::metadata(tree).map_err(SnapshotError::at(tree))?;
        let is_another = rustix::process::geteuid().is_root() && metadata.uid() != 0;
        let owner = is_another.then(|| Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
            home: home(metadata.uid()),
        });
        Ok(Self { tree: tree.to_owned(), owner })
    }

    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Whether the tree belongs to somebody else than the caller, who does not run that other's programs.
    pub(crate) fn is_anothers(&self) -> bool {
        self.owner.is_some()
    }

    /// What git prints; anything but success is an error.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>, SnapshotError> {
        let output = self.output(arguments)?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.refusal(arguments, &output)) }
    }

    /// The one line git prints, or none if it has no answer (or an empty one).
    pub(crate) fn line(&self, arguments: &[&str]) -> Result<Option<String>, SnapshotError> {
        let output = self.output(arguments)?;
        let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
        Ok((output.status.success() && !line.is_empty()).then_some(line))
    }

    /// A path git prints, which may be relative to the tree.
    pub(crate) fn path(&self, arguments: &[&str]) -> Result<PathBuf, SnapshotError> {
        let mut printed = self.ask(arguments)?;
        printed.pop_if(|byte| *byte == b'\n');
        Ok(self.tree.join(OsString::from_vec(printed)))
    }

    /// The top of the repository the tree lies in, if it does.
    pub(crate) fn top(&self) -> Result<Option<PathBuf>, SnapshotError> {
        let arguments = ["rev-parse", "--show-toplevel"];
        let output = match self.command(&arguments).output() {
            Err(_) if !self.tree.join(".git").exists() => return Ok(None),
            output => output.map_err(|error| self.not_started(error))?,
        };
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let mut printed = output.stdout;
            printed.pop_if(|byte| *byte == b'\n');
            let top = PathBuf::from(OsString::from_vec(printed));
            top.canonicalize().map(Some).map_err(SnapshotError::at(&top))
        } else if said.contains("not a git repository") || said.contains("must be run in a work tree") {
            Ok(None)
        } else {
            Err(self.refusal(&arguments, &output))
        }
    }

    /// Where the repository stands.
    pub(crate) fn stands(&self) -> Result<Git, SnapshotError> {
        let (revision, commit) = self.commit()?.unzip();
        Ok(Git {
            revision,
            branch: self.line(&["symbolic-ref", "--quiet", "--short", "HEAD"])?,
            default_branch: self
                .line(&["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"])?
                .and_then(|branch| branch.strip_prefix("origin/").map(str::to_owned)),
            tag: self.line(&["describe", "--tags", "--exact-match", "HEAD"])?,
            url: self.line(&["config", "--get", "remote.origin.url"])?.map(|url| without_credentials(&url)),
            commit: commit.unwrap_or_default(),
        })
    }

    /// The id of the current commit, and what it says; none before the first.
    fn commit(&self) -> Result<Option<(String, Commit)>, SnapshotError> {
        const FORMAT: &str = "--format=%H%x00%s%x00%b%x00%an%x00%ae";
        let output = self.output(&["log", "--max-count=1", "--no-show-signature", FORMAT, "HEAD", "--"])?;
        if !output.status.success() {
            return Ok(None);
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let mut fields = printed.trim_end_matches('\n').split('\0').map(|field| field.trim_end().to_owned());
        let revision = fields.next().unwrap_or_default();
        let [subject, body, author_name, author_email] =
            std::array::from_fn(|_| fields.next().unwrap_or_default());
        Ok(Some((revision, Commit { subject, body, author_name, author_email })))
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, SnapshotError> {
        self.command(arguments).output().map_err(|error| self.not_started(error))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.args(["-c", "core.fsmonitor="]).args(arguments).current_dir(&self.tree);
        quiet(&mut git);
        if let Some(owner) = &self.owner {
            git.uid(owner.uid).gid(owner.gid).env_remove("XDG_CONFIG_HOME").env_remove("HOME");
            git.envs(owner.home.iter().map(|home| ("HOME", home)));
        }
        git
    }

    fn not_started(&self, error: io::Error) -> SnapshotError {
        SnapshotError::NoGit(self.tree.clone(), error)
    }

    fn refusal(&self, arguments: &[&str], output: &Output) -> SnapshotError {
        refusal(&self.tree, arguments, output)
    }
}

/// Runs git in a directory of our own, so that what it makes can be read by everybody.
pub(crate) fn run_in_copy(directory: &Path, arguments: &[&str]) -> Result<(), SnapshotError> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 022 && exec git \"$@\"", "git"]).args(arguments).current_dir(directory);
    quiet(&mut shell);
    let output = shell.output().map_err(|error| SnapshotError::NoGit(directory.to_owned(), error))?;
    if output.status.success() { Ok(()) } else { Err(refusal(directory, arguments, &output)) }
}

fn quiet(git: &mut Command) {
    MISLEADING.iter().for_each(|name| {
        git.env_remove(name);
    });
    git.envs([("LC_ALL", "C"), ("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0")])
        .stdin(Stdio::null());
}

fn refusal(tree: &Path, arguments: &[&str], output: &Output) -> SnapshotError {
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let message = if said.is_empty() { output.status.to_string() } else { said };
    SnapshotError::Git { command: arguments.join(" "), tree: tree.to_owned(), message }
}

/// The home of an account, as the local table has it.
fn home(uid: u32) -> Option<PathBuf> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).map(PathBuf::from))?
    })
}
