//! The real git, as the job's user with the job's keys, login and variables, in a repository of the task's own making.

use super::{
    login::LoggedIn,
    mirror::{self, Mirror},
};
use crate::{
    carry::Ended,
    commands::{CommandError, Commands},
    steps::StepError,
};
use protocol::repository::{self, Login, Method, PROTOCOLS};
use std::{borrow::Cow, fs, io::Write, path::Path};

/// What holds in all of it: nobody is there to be asked for a password, no protocol runs a program that an address
/// names, and nothing that lies in a repository says what is to run.
const SURROUNDINGS: [&str; 8] =
    ["env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE", "GIT_TERMINAL_PROMPT=0"];
const SETTINGS: [&str; 9] = [
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "advice.detachedHead=false",
    "-c",
    // What is fetched stays a pack, for the host's copy.
    "fetch.unpackLimit=1",
];
/// A larger repository is not copied by a job in its checkout: that would take minutes.
const MOST_WEIGHT: u64 = 4 << 30;

/// All branches, as `git clone` fetches them.
const BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";

/// What is checked out.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) url: &'a str,
    pub(super) revision: &'a str,
    pub(super) branch: Option<&'a str>,
    pub(super) tag: Option<&'a str>,
}

impl At<'_> {
    /// What is in it comes from whoever started the pipeline.
    fn check(&self) -> Result<(), StepError> {
        repository::transport(self.url).map_err(|error| StepError::Refused(error.to_string()))?;
        let refused = |what: &str, name: &str| Err(StepError::Refused(format!("`{name}` is no {what}")));
        if !repository::is_commit(self.revision) {
            return refused("full id of a commit", self.revision);
        }
        match [self.branch, self.tag].into_iter().flatten().find(|name| !repository::is_reference(name)) {
            Some(name) => refused("name of a branch or tag", name),
            None => Ok(()),
        }
    }

    /// The one reference that has the commit: of a pull request, of a tag or of a branch.
    fn reference(&self) -> Option<String> {
        if let Some(tag) = self.tag {
            return Some(format!("+refs/tags/{tag}:refs/tags/{tag}"));
        }
        let branch = self.branch?;
        Some(format!("+{}:refs/remotes/origin/{branch}", repository::reference_of(branch)))
    }

    fn is_of_a_pull_request(&self) -> bool {
        let is_branch = |branch: &str| repository::reference_of(branch).starts_with("refs/heads/");
        self.tag.is_none() && self.branch.is_some_and(|branch| !is_branch(branch))
    }
}

/// What lets a checkout in at the repository's server.
pub(super) struct Access<'g> {
    /// The command of git's connections over SSH.
    pub(super) ssh: Option<String>,
    /// As the task was given it, and as git asks for it, if there is one.
    pub(super) login: &'g Login,
    pub(super) logged_in: Option<LoggedIn>,
}

/// A repository that is checked out.
pub(super) struct Git<'g> {
    pub(super) into: &'g Path,
    pub(super) commands: &'g dyn Commands,
    pub(super) log: &'g mut dyn Write,
    pub(super) access: Access<'g>,
    pub(super) mirror: Mirror<'g>,
}

impl Git<'_> {
    /// Fetches and checks out, in a directory without a repository or in one of an earlier checkout of this task.
    pub(super) fn check_out(mut self, at: At<'_>, method: Method, is_own: bool) -> Result<(), StepError> {
        at.check()?;
        if is_own {
            self.git(&["remote", "set-url", "origin", at.url])?;
            self.log_in()?;
            let head = self.confirm(&at)?;
            return self.bring(&at, method, head.as_deref());
        }
        self.make(&at)?;
        let head = self.confirm(&at)?;
        match method {
            Method::Shallow { .. } => self.bring(&at, method, None),
            Method::Blobless | Method::Full => self.bring_with_copy(&at, method, head.as_deref()),
        }
    }

    fn make(&mut self, at: &At<'_>) -> Result<(), StepError> {
        self.git(&["init", "--quiet"])?;
        self.git(&["remote", "add", "origin", at.url])?;
        self.log_in()
    }

    /// For what later steps fetch here.
    fn log_in(&self) -> Result<(), StepError> {
        let logged_in = self.access.logged_in.as_ref();
        logged_in.map_or(Ok(()), |login| login.include_in(&self.into.join(".git/config")))
    }

    fn bring(&mut self, at: &At<'_>, method: Method, head: Option<&str>) -> Result<(), StepError> {
        self.fetch(at, method)?;
        if let (Some(head), Method::Blobless | Method::Full) = (head, method) {
            self.git(&["symbolic-ref", "refs/remotes/origin/HEAD", head])?;
        }
        self.switch(at)
    }

    /// The same from the host's copy on, which the remote has let this job use by now. One of no use costs time only.
    fn bring_with_copy(&mut self, at: &At<'_>, method: Method, head: Option<&str>) -> Result<(), StepError> {
        let mut brought = 0;
        let used = self.take_copy().and_then(|bytes| {
            brought = bytes;
            self.bring(at, method, head)?;
            if bytes > 0 && method == Method::Full { self.is_whole(at) } else { Ok(()) }
        });
        match used {
            Err(error) if !matches!(error, StepError::Ended(_)) && self.mirror.was_there() => {
                writeln!(self.log, "This host's copy is of no use ({error}): all is fetched.")?;
                let git = self.into.join(".git");
                fs::remove_dir_all(&git).map_err(StepError::file(git))?;
                brought = 0;
                self.make(at)?;
                self.bring(at, method, head)?;
            }
            other => other?,
        }
        let weight = self.mirror.weight();
        // What is new since then is fetched again by the next one: a little of it costs less than another copy.
        if weight > brought + brought / 4 && weight <= MOST_WEIGHT { self.keep_copy() } else { Ok(()) }
    }

    /// The bytes that came of it.
    fn take_copy(&mut self) -> Result<u64, StepError> {
        let packs = self.mirror.take(self.log)?;
        for pack in &packs {
            let path = pack.to_string_lossy();
            let mut said = Vec::new();
            if self.run(&["index-pack", &path], Some(&mut said))? != 0 {
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                return Err(StepError::Refused(said));
            }
            self.mirror.settle(pack)?;
        }
        if !packs.is_empty() {
            self.mirror.branches()?;
        }
        self.mirror.clear()?;
        Ok(self.mirror.weight())
    }

    /// Whether everything is there that the commit is made of.
    fn is_whole(&mut self, at: &At<'_>) -> Result<(), StepError> {
        self.git(&["rev-list", "--objects", "--quiet", at.revision, "--"])
    }

    fn keep_copy(&mut self) -> Result<(), StepError> {
        let mut branches = Vec::new();
        let format = "--format=%(objectname) %(refname)";
        self.run(&["for-each-ref", format, mirror::REMOTE], Some(&mut branches))?;
        self.mirror.keep(&branches, self.log)
    }

    /// Asks the remote: it says whether these keys may read there, and which branch is its default one.
    fn confirm(&mut self, at: &At<'_>) -> Result<Option<String>, StepError> {
        let mut said = Vec::new();
        let code = self.run(&["ls-remote", "--symref", "origin", "HEAD"], Some(&mut said))?;
        let text = String::from_utf8_lossy(&said);
        if code != 0 {
            write!(self.log, "{text}")?;
            return Err(unreachable(at.url, code, &text, self.access.login));
        }
        let line = text.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"));
        let branch =
            line.and_then(|line| line.split('\t').next()).filter(|name| repository::is_reference(name));
        Ok(branch.map(|branch| format!("refs/remotes/origin/{branch}")))
    }

    fn fetch(&mut self, at: &At<'_>, method: Method) -> Result<(), StepError> {
        match method {
            Method::Blobless => self.fetch_all(at, &["--filter=blob:none", "--tags"])?,
            Method::Full => self.fetch_all(at, &["--tags"])?,
            Method::Shallow { depth } => self.fetch_shallow(at, depth)?,
        }
        // A commit that no branch has any more may still be there.
        if self.has(at)? || self.tries(&["fetch", "--force", "origin", at.revision])? && self.has(at)? {
            return Ok(());
        }
        Err(StepError::Refused(format!(
            "the commit {} is not in the repository any more: was its branch forced elsewhere?",
            at.revision
        )))
    }

    fn fetch_all(&mut self, at: &At<'_>, how: &[&str]) -> Result<(), StepError> {
        let mut words = vec!["fetch", "--force", "--progress", "--prune"];
        words.extend(how);
        words.extend(["origin", BRANCHES]);
        let own = at.reference().filter(|_| at.is_of_a_pull_request());
        words.extend(own.as_deref());
        self.git(&words)
    }

    /// The commit itself; where a server gives no commits by their ids, its branch or tag, and where that is further by
    /// now, all of it.
    fn fetch_shallow(&mut self, at: &At<'_>, depth: u32) -> Result<(), StepError> {
        let depth = format!("--depth={}", depth.max(1));
        let to = at.branch.filter(|_| at.tag.is_none());
        let exact = to.map_or_else(
            || at.revision.to_owned(),
            |branch| format!("+{}:refs/remotes/origin/{branch}", at.revision),
        );
        let words = ["fetch", "--force", "--progress", &depth, "--no-tags", "origin"];
        let is_there = self.tries(&[words.as_slice(), &[&exact]].concat())?;
        let reference = at.reference().unwrap_or_else(|| BRANCHES.to_owned());
        if is_there && at.tag.is_none() {
            return Ok(());
        }
        self.git(&[words.as_slice(), &[&reference]].concat())?;
        if is_there || self.has(at)? {
            return Ok(());
        }
        writeln!(self.log, "The commit is further back than {depth} reaches: its whole history is fetched.")?;
        self.git(&["fetch", "--force", "--progress", "--unshallow", "origin", &reference])
    }

    fn has(&mut self, at: &At<'_>) -> Result<bool, StepError> {
        let commit = format!("{}^{{commit}}", at.revision);
        Ok(self.run(&["cat-file", "-e", &commit], Some(&mut Vec::new()))? == 0)
    }

    fn switch(&mut self, at: &At<'_>) -> Result<(), StepError> {
        match at.branch.filter(|_| at.tag.is_none()) {
            Some(branch) => self.git(&["checkout", "--force", "-B", branch, at.revision, "--"])?,
            None => self.git(&["checkout", "--force", "--detach", at.revision, "--"])?,
        }
        self.git(&["reset", "--quiet", "--hard", at.revision])?;
        self.git(&["--no-pager", "log", "-1", "--no-color", "--format=HEAD is now at %h %s"])
    }

    fn git(&mut self, arguments: &[&str]) -> Result<(), StepError> {
        match self.run(arguments, None)? {
            0 => Ok(()),
            127 => {
                Err(StepError::Refused("there is no git where this job runs: install it there".to_owned()))
            }
            code => Err(StepError::Refused(format!("git {} failed with exit code {code}", arguments[0]))),
        }
    }

    fn tries(&mut self, arguments: &[&str]) -> Result<bool, StepError> {
        Ok(self.run(arguments, None)? == 0)
    }

    /// Its exit code. What it says goes into the log, or where it is wanted.
    fn run(&mut self, arguments: &[&str], said: Option<&mut Vec<u8>>) -> Result<i32, StepError> {
        let allowed = format!("GIT_ALLOW_PROTOCOL={PROTOCOLS}");
        let mut words = SURROUNDINGS.to_vec();
        words.push(&allowed);
        words.extend(self.access.ssh.as_deref());
        let login = self.access.logged_in.as_ref().map(LoggedIn::options);
        words.extend(SETTINGS);
        words.extend(login.iter().flatten().map(String::as_str));
        words.extend(arguments);
        let log: &mut dyn Write = match said {
            Some(said) => said,
            None => self.log,
        };
        match self.commands.run(&words, self.into, log) {
            Ok(code) => Ok(code),
            Err(CommandError::Ended) => Err(Ended.into()),
            Err(cause) => Err(StepError::Refused(format!("git {}: {cause}", arguments[0]))),
        }
    }
}

/// What git says of a server that asks for a name and a password, where nobody has them or has others.
const WANTS_LOGIN: [&str; 3] =
    ["could not read Username", "could not read Password", "Authentication failed for"];

/// The sentence after git's own where a server of https wants another login.
fn not_let_in(url: &str, login: &Login) -> StepError {
    let hint = match login {
        Login::None => Cow::Borrowed("the server wants a login, and this job has none"),
        Login::Withheld { why } => format!("the server wants a login, and this job has none: {why}").into(),
        Login::Shown { .. } => {
            "the server refuses the project's token: it may be over, or not be for this repository".into()
        }
    };
    StepError::Refused(format!("cannot read the repository {url}: {hint}"))
}

/// The sentence after git's own.
fn unreachable(url: &str, code: i32, said: &str, login: &Login) -> StepError {
    let url = repository::without_password(url);
    let hint = match said {
        _ if code == 127 => "there is no git where this job runs: install it there",
        _ if WANTS_LOGIN.iter().any(|words| said.contains(words)) => return not_let_in(&url, login),
        _ if said.contains("Host key verification failed") => {
            "its host's key is not known here: name it in /etc/ssh/ssh_known_hosts of the host, or to the control plane \
             with --known-hosts"
        }
        _ if said.contains("Permission denied (") => {
            "none of this job's keys opens it: give the project a checkout key with `roundhouse ssh-key create`"
        }
        _ => "what git said of it stands above",
    };
    StepError::Refused(format!("cannot read the repository {url}: {hint}"))
}
