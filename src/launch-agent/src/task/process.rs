//! The task-agent's process: made ready, started, found again, killed. Blocking work, for threads that may block.

use super::dir::{ClaimRecord, TaskDir};
use crate::host::Host;
use failpoints::around;
use protocol::{
    Outcome, TaskId, VERSION,
    container::DOOR,
    frame::{Invitation, Key},
    http::Claimed,
    journal::{MAX_RECORD, TaskEvent, read_from},
};
use rustix::{
    fs::{Mode, OFlags},
    process::{getegid, geteuid},
};
use sandbox::{
    Account, Containment,
    account::AccountError,
    launch::{Launch, LaunchError, Started},
};
use std::{
    fs::{DirBuilder, File, Permissions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

/// A process that is ready to be started.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) launch: Launch,
    pub(crate) place: Place,
    /// What the host's step says about it.
    pub(crate) notes: Vec<String>,
}

/// Where a process is to run. Dropped before one was started there, as where the task was over meanwhile or its actor
/// failed, it is removed: nobody else knows of it.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    containment: Option<Containment>,
}

impl Place {
    /// What is to hold the process.
    pub(crate) fn containment(&self) -> &Containment {
        self.containment.as_ref().expect("it is taken by the start, which takes the place as well")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(containment) = self.containment.take() {
            containment.remove();
            // Nothing is in it yet.
            let _ = std::fs::remove_dir(&self.root);
        }
    }
}

/// A process that cannot be made ready or started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The account to run it as cannot be had.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A directory of the task cannot be made.
    #[error("cannot make {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel or the program refused.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// The longest journal of a task-agent that is read for its outcome.
const MAX_JOURNAL: u64 = 64 * 1024 * 1024;

/// Makes directories, account, containment and command line. Nothing runs yet.
pub(crate) fn make_ready(
    host: &Host,
    dir: &TaskDir,
    record: &ClaimRecord,
    program: PathBuf,
) -> Result<Ready, ProcessError> {
    let rights = Rights::choose(host, record.slot)?;
    let task = record.claimed.task_id;
    let root = host.task_root(task);
    around("root", "made", || own_directory(&root, &rights))?;
    let working_directory = host.working_directory(task);
    if let Some(path) = &working_directory {
        own_directory(path, &rights)?;
    }
    let invitation = invitation(host, dir, record, &root, working_directory);
    let output = dir.open_output().map_err(|source| failed(dir.path(), source))?;
    // Of this lease: the next one's may be on this host too.
    let lease = &record.claimed.allocation;
    let containment = Containment::strongest(&host.house, lease, rights.own_account());
    let notes = notes(&record.claimed, &rights, &containment, host);
    let launch = Launch {
        program,
        arguments: Vec::new(),
        prefix: host.settings.command_prefix.clone(),
        account: rights.account.clone(),
        environment: environment(host, &record.claimed),
        directory: root.clone(),
        stdin: invitation,
        error_output: output,
        listener: None,
    };
    let place = Place { root, containment: Some(containment) };
    Ok(Ready { launch, place, notes })
}

/// Starts it. The containment knows its root afterwards.
pub(crate) fn start(ready: Ready) -> Result<(Started, Containment), ProcessError> {
    let Ready { launch, mut place, .. } = ready;
    let mut containment = place.containment.take().expect("a place is taken once");
    let started = launch.start(&mut containment)?;
    Ok((started, containment))
}

/// The last record of a task-agent's journal, if that is the end of a task of which something ran. One that was ended
/// before it had leave to run anything says nothing of the task.
pub(crate) fn outcome(journal: &Path) -> Option<Outcome> {
    let mut file = File::open(journal).ok()?.take(MAX_JOURNAL);
    let (mut text, mut next, mut last, mut has_run) = (Vec::new(), 0, None, false);
    loop {
        let read = file.by_ref().take(64 * 1024).read_to_end(&mut text).ok()?;
        let (records, used) = read_from(&text, next);
        next += records.len() as u64;
        has_run |= records.iter().any(|record| matches!(record.event, TaskEvent::StepStarted { .. }));
        last = records.into_iter().next_back().or(last);
        text.drain(..used);
        if read == 0 || text.len() > MAX_RECORD {
            break;
        }
    }
    match last?.event {
        TaskEvent::Ended { outcome } if has_run || outcome == Outcome::Success => Some(outcome),
        _ => None,
    }
}

/// For how long processes are struck before somebody hears that they do not go.
pub(crate) const STRIKE: Duration = Duration::from_secs(5);

/// Whose rights the job gets.
struct Rights {
    account: Option<Account>,
    /// Whether no other task and nobody else has the account meanwhile.
    is_own: bool,
    /// Whether a `command_prefix` may change them.
    by_prefix: bool,
}

impl Rights {
    fn choose(host: &Host, slot: usize) -> Result<Self, AccountError> {
        let by_prefix = !host.settings.command_prefix.is_empty();
        let (account, is_own) = match &host.user {
            Some(account) => (Some(account.clone()), false),
            None if host.is_root && !by_prefix => (Some(host.accounts.of_slot(slot)?), true),
            None => (None, false),
        };
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let account = account.filter(|account| account.uid != uid || account.gid != gid);
        Ok(Self { account, is_own, by_prefix })
    }

    fn own_account(&self) -> Option<&Account> {
        self.account.as_ref().filter(|_| self.is_own)
    }

    /// Of a directory that is the task's own.
    fn mode(&self) -> u32 {
        if self.by_prefix { 0o1777 } else { 0o700 }
    }

    /// Root gives away what is anybody's: a directory that was there may be the host's (`/tmp`) or a person's, so only
    /// what a task left, or nobody uses, is taken.
    fn may_take(&self, directory: &File) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let about = directory.metadata()?;
        let is_jobs = self.account.as_ref().is_some_and(|account| account.uid == about.uid());
        let is_as_it_would_be = self.account.is_none() && about.mode() & 0o7777 == self.mode();
        let is_free = || Ok::<_, io::Error>(is_as_it_would_be || is_empty(directory)?);
        if is_jobs || Account::is_of_pool(about.uid()) || (about.uid() == 0 && is_free()?) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!(
                "it is there, belongs to uid {} and is in use: name a directory for jobs alone, or one with %s in it",
                about.uid()
            ),
        ))
    }

    fn describe(&self) -> String {
        match (&self.account, self.by_prefix) {
            (_, true) => "Runs as whatever runner.command_prefix makes of it.".to_owned(),
            (Some(account), _) if self.is_own => {
                format!(
                    "Runs as account {} (uid {}), which no other task has meanwhile.",
                    account.name, account.uid
                )
            }
            (Some(account), _) => format!("Runs as account {} (uid {}).", account.name, account.uid),
            (None, _) => {
                let own = Account::current();
                format!("Runs as {} (uid {}), the account of the launch-agent itself.", own.name, own.uid)
            }
        }
    }
}

/// Whose rights the engine of a job's own gets, and whether no other task has them: the job's where that runs on the host,
/// else those that it would have there. None: those of this process. Never root's.
pub(crate) fn engine_account(
    host: &Host,
    slot: usize,
    in_container: bool,
) -> Result<(Option<Account>, bool), String> {
    let own_of_slot = || host.accounts.of_slot(slot).map_err(|error| error.to_string());
    match &host.user {
        _ if !in_container && !host.settings.command_prefix.is_empty() => {
            Err("runner.command_prefix decides whose rights the job has".to_owned())
        }
        Some(account) if !account.is_root() => {
            let is_other = account.uid != geteuid().as_raw();
            Ok((is_other.then(|| account.clone()), false))
        }
        Some(_) if !in_container => {
            Err("the job runs as root, which no engine of its own may: name another account as runner.user"
                .to_owned())
        }
        _ if host.is_root => Ok((Some(own_of_slot()?), true)),
        _ => Ok((None, false)),
    }
}

/// Makes the directory of a job's own engine, in what is the task's own root where the job runs on the host.
pub(crate) fn engine_home(
    host: &Host,
    task: TaskId,
    account: Option<&Account>,
    in_container: bool,
) -> Result<PathBuf, ProcessError> {
    let rights = Rights { account: account.cloned(), is_own: false, by_prefix: false };
    let (root, home) = (host.task_root(task), host.engine_home(task));
    if in_container {
        own_directory(&root, &rights)?;
    }
    own_directory(&home, &rights)?;
    Ok(home)
}

/// Made for the job's account alone; where a prefix decides the account later, for whoever comes.
fn own_directory(path: &Path, rights: &Rights) -> Result<(), ProcessError> {
    let make = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o711).create(parent)?;
        }
        let made = DirBuilder::new().mode(0o700).create(path);
        // A job before may have put a link in its place: what that names is not given away.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => rights.may_take(&directory)?,
            Ok(()) => {}
        }
        if let Some(account) = &rights.account {
            fchown(&directory, Some(account.uid), Some(account.gid))?;
        }
        directory.set_permissions(Permissions::from_mode(rights.mode()))
    };
    make().map_err(|source| failed(path, source))
}

fn is_empty(directory: &File) -> io::Result<bool> {
    let mut entries = rustix::fs::Dir::read_from(directory)?;
    Ok(entries.all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))))
}

fn failed(path: &Path, source: io::Error) -> ProcessError {
    ProcessError::Directory { path: path.to_owned(), source }
}

/// The name of the socket in the directory that is mounted into a container.
pub(crate) const SOCKET: &str = "socket";
/// The same for a task-agent in a container. Its root is replaced there by the home of the job's user.
pub(crate) fn invitation_in_container(host: &Host, record: &ClaimRecord) -> Vec<u8> {
    line(&invited(host, record, Path::new(DOOR).join(SOCKET), PathBuf::from("/")))
}

fn invitation(
    host: &Host,
    dir: &TaskDir,
    record: &ClaimRecord,
    root: &Path,
    working_directory: Option<PathBuf>,
) -> Vec<u8> {
    line(&Invitation { working_directory, ..invited(host, record, dir.socket(), root.to_owned()) })
}

fn invited(host: &Host, record: &ClaimRecord, socket: PathBuf, root: PathBuf) -> Invitation {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Invitation {
        version: VERSION,
        socket,
        key: Key(record.key.clone()),
        root,
        working_directory: None,
        outlive_ms: host.settings.outlive.map(milliseconds),
        max_spool: host.settings.max_spool,
        spool_wait_ms: milliseconds(host.settings.spool_wait),
        terminal: host.settings.terminal,
    }
}

fn line(invitation: &Invitation) -> Vec<u8> {
    let mut line = serde_json::to_vec(invitation).expect("an invitation has only string keys");
    line.push(b'\n');
    line
}

/// What a service manager says to the launch-agent alone.
const THE_SERVICES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Those of the launch-agent's own variables that jobs get, and what identifies the launch to a `command_prefix`.
pub(crate) fn environment(host: &Host, claimed: &Claimed) -> Vec<(String, String)> {
    let covered = |name: &str| host.settings.environment.iter().any(|pattern| covers(pattern, name));
    let passed = |name: &str| covered(name) && !THE_SERVICES.contains(&name);
    let own = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut environment: Vec<_> = own.filter(|(name, _)| passed(name)).collect();
    environment.push(("CIRCLECI_LAUNCH_ID".to_owned(), claimed.allocation.clone()));
    environment
}

pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn notes(claimed: &Claimed, rights: &Rights, containment: &Containment, host: &Host) -> Vec<String> {
    vec![
        format!("Launch-agent {} on {}.", crate::host::VERSION, host.settings.name),
        format!("Task-agent {} (SHA-256 {}).", claimed.agent_version, claimed.agent.content.digest),
        rights.describe(),
        format!("Its processes are held, and will be killed, by {containment}."),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{StepNumber, journal::Record};

    #[test]
    fn the_outcome_is_the_last_record_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.jsonl");
        assert_eq!(outcome(&path), None, "no journal");
        let started = Record { seq: 0, at_ms: 0, event: TaskEvent::StepStarted { step: StepNumber(1) } };
        let ended = Record { seq: 1, at_ms: 0, event: TaskEvent::Ended { outcome: Outcome::Failed } };
        std::fs::write(&path, started.to_line()).unwrap();
        assert_eq!(outcome(&path), None, "killed within a step");
        std::fs::write(&path, started.to_line() + &ended.to_line()).unwrap();
        assert_eq!(outcome(&path), Some(Outcome::Failed));
        std::fs::write(&path, started.to_line() + ended.to_line().trim_end()).unwrap();
        assert_eq!(outcome(&path), None, "a torn record was never synced");
    }

    #[test]
    fn one_that_was_ended_before_any_step_has_no_outcome() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.jsonl");
        for (of, told) in [(Outcome::Canceled, None), (Outcome::Success, Some(Outcome::Success))] {
            let ended = Record { seq: 0, at_ms: 0, event: TaskEvent::Ended { outcome: of } };
            std::fs::write(&path, ended.to_line()).unwrap();
            assert_eq!(outcome(&path), told);
        }
    }

    #[test]
    fn a_directory_that_is_not_of_our_jobs_is_not_taken() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: only root could take it");
        }
        let dir = tempfile::tempdir().unwrap();
        let rights = Rights { account: None, is_own: false, by_prefix: false };
        let (new, used) = (dir.path().join("new"), dir.path().join("used"));
        std::fs::create_dir(&used).unwrap();
        std::fs::write(used.join("file"), "of somebody").unwrap();
        std::fs::set_permissions(&used, Permissions::from_mode(0o755)).unwrap();
        let refused = own_directory(&used, &rights).unwrap_err().to_string();
        assert!(refused.contains("is in use"), "{refused}");
        assert_eq!(std::fs::metadata(&used).unwrap().mode() & 0o777, 0o755);
        own_directory(&new, &rights).unwrap();
        std::fs::write(new.join("file"), "of the task before").unwrap();
        own_directory(&new, &rights).unwrap();
    }

    #[test]
    fn a_long_journal_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.jsonl");
        let event = |seq| TaskEvent::StepStarted { step: StepNumber(seq) };
        let mut text: String = (0..5000)
            .map(|seq| Record { seq, at_ms: 0, event: event(u32::try_from(seq).unwrap()) }.to_line())
            .collect();
        let ended = TaskEvent::Ended { outcome: Outcome::Success };
        text += &Record { seq: 5000, at_ms: 0, event: ended }.to_line();
        std::fs::write(&path, text).unwrap();
        assert_eq!(outcome(&path), Some(Outcome::Success));
    }

    proptest::proptest! {
        #[test]
        fn no_journal_is_too_hostile_to_be_read_for_its_outcome(
            steps in 0..5_u32, is_over: bool, garbage: Vec<u8>,
        ) {
            let event = |seq: u64| match u32::try_from(seq).unwrap() {
                step if step < steps => TaskEvent::StepStarted { step: StepNumber(step) },
                _ => TaskEvent::Ended { outcome: Outcome::Failed },
            };
            let length = u64::from(steps) + u64::from(is_over);
            let lines = (0..length).map(|seq| Record { seq, at_ms: 0, event: event(seq) }.to_line());
            let text = [lines.collect::<String>().as_bytes(), b"{", &garbage].concat();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let told = (is_over && steps > 0).then_some(Outcome::Failed);
            proptest::prop_assert_eq!(outcome(file.path()), told);
        }
    }

    #[test]
    fn variables_are_passed_on_by_name_or_by_prefix() {
        assert!(covers("PATH", "PATH") && covers("LC_*", "LC_ALL"));
        assert!(!covers("PATH", "PATHS") && !covers("LC_*", "LANG"));
    }
}
