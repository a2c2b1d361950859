//! What all actors of one launch-agent share: its settings, its directories, its way to the control plane.

pub(crate) mod life;
pub(crate) mod state;

use crate::{
    config::{LogTarget, Settings},
    engine::HostEngine,
    mirrors::Mirrors,
    shelf::Shelf,
    status::Board,
    task::dir::{TaskDir, remove_tree},
};
use client::Transport;
use containers::private;
use life::EndOrder;
use protocol::TaskId;
use rustix::fs::{Access, FlockOperation, flock};
use sandbox::{
    Account,
    account::{AccountError, Pool},
};
use sha2::Digest as _;
use slog::{Logger, warn};
use std::{
    convert::Infallible,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// The version that claims and logs name.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One launch-agent on one host.
pub(crate) struct Host {
    pub(crate) settings: Settings,
    pub(crate) log: Logger,
    pub(crate) transport: Transport,
    pub(crate) programs: Shelf,
    pub(crate) contents: Arc<Shelf>,
    /// Of repositories.
    pub(crate) mirrors: Arc<Mirrors>,
    /// Bounds the transfers of all tasks together.
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) is_root: bool,
    /// Accounts for tasks, where it is root.
    pub(crate) accounts: Pool,
    /// `runner.user`.
    pub(crate) user: Option<Account>,
    /// For tasks in containers.
    pub(crate) engine: HostEngine,
    pub(crate) board: Arc<Board>,
    pub(crate) tasks: PathBuf,
    /// By which what it starts is known to be its own, in this life and the next.
    pub(crate) house: String,
    /// Gone with whoever uses the host last.
    _in_use: Sender<Infallible>,
}

/// How long threads of tasks may outlast their actors.
const PARTING: Duration = Duration::from_secs(2);
/// How the names of files begin by which it looks whether it may write.
pub(crate) const PROBE: &str = ".writable-";

/// Held as long as a launch-agent lives: two on one state directory would adopt the same tasks, two on one task directory
/// would clear away each other's.
#[derive(Debug)]
pub(crate) struct Lock {
    state: File,
    tasks: File,
    in_use: Receiver<Infallible>,
}

/// Why a launch-agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory of its own cannot be made or written.
    #[error("cannot use the directory {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another one has the same state or task directory: each would take the other's tasks for leftovers of its own.
    #[error(
        "another launch-agent (pid {pid}) uses {}: end it, or give this one a directory of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other's.
        pid: String,
    },
    /// The settings reach no control plane.
    #[error(transparent)]
    Transport(#[from] client::TransportError),
    /// Nothing could ever be claimed.
    #[error("no resource class token is configured: set api.auth_token or resource_classes")]
    NoToken,
    /// The account that should run jobs is not to be had.
    #[error("runner.user: {0}")]
    Account(#[from] AccountError),
    /// Only root can run jobs as somebody else.
    #[error(
        "runner.user: only root can run jobs as `{0}`: start the launch-agent as root, or as that account"
    )]
    NotRoot(String),
    /// Its log cannot be written.
    #[error("cannot log to {}: {source}", path.display())]
    Log {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody could ask how it stands.
    #[error("cannot listen at {}: {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The thread of its actors cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Mode of a directory whose entries are nobody's business.
const PASSED: u32 = 0o711;
/// Mode of one above jobs' working directories: programs that go down to theirs by open(2) must be able to read each on
/// the way (tox does), as they can in an image of CircleCI.
const LISTED: u32 = 0o755;

impl Host {
    /// Makes the directories and takes the lock.
    pub(crate) fn open(settings: Settings, log: Logger) -> Result<(Self, Lock), StartError> {
        if settings.classes.is_empty() {
            return Err(StartError::NoToken);
        }
        let is_root = rustix::process::geteuid().is_root();
        let user = account(&settings, is_root)?;
        let tasks = settings.state_dir.join("tasks");
        for (path, mode) in [(&settings.state_dir, LISTED), (&tasks, PASSED), (&settings.work_dir, LISTED)] {
            open_to_passage(path, mode).map_err(|source| directory(path, source))?;
        }
        [&settings.work_dir, &tasks].into_iter().for_each(|path| archive::spread(path));
        let (in_use, is_used) = channel();
        let lock = Lock::take(&settings.state_dir, &settings.work_dir, is_used)?;
        let agents = settings.state_dir.join("agents");
        let programs =
            Shelf::of_programs(agents.clone(), is_root).map_err(|source| directory(&agents, source))?;
        let contents = Shelf::of_contents(settings.cache_dir.clone(), settings.cache_size)
            .map_err(|source| directory(&settings.cache_dir, source))?;
        let mirrors = settings.state_dir.join("mirrors");
        let mirrors = Mirrors::open(mirrors.clone(), settings.cache_size)
            .map_err(|source| directory(&mirrors, source))?;
        let transport = Transport::new(settings.api.clone())?;
        let transfers = Arc::new(Semaphore::new(settings.transfers.max(1)));
        let contents = Arc::new(contents);
        let accounts = Pool::of_house(&settings.state_dir);
        let house = house(&settings.state_dir);
        let tree = supervise::Tree::of::<crate::supervisor::Supervisor>();
        let board = Arc::new(Board::new(tree, &settings.name, transport.url()));
        let engine = HostEngine::new(&settings.containers);
        let host = Self {
            settings,
            log,
            transport,
            programs,
            contents,
            mirrors: Arc::new(mirrors),
            transfers,
            is_root,
            accounts,
            user,
            engine,
            board,
            house,
            tasks,
            _in_use: in_use,
        };
        Ok((host, lock))
    }

    /// Whether [`Host::open`] would work, as far as can be seen without changing anything, beside one that is open.
    pub(crate) fn check(settings: &Settings) -> Result<(), StartError> {
        if settings.classes.is_empty() {
            return Err(StartError::NoToken);
        }
        account(settings, rustix::process::geteuid().is_root())?;
        for path in [&settings.state_dir, &settings.work_dir, &settings.cache_dir] {
            may_be_made(path).map_err(|source| directory(path, source))?;
        }
        if let LogTarget::File(path) = &settings.logging.target {
            may_be_written(path).map_err(|source| StartError::Log { path: path.clone(), source })?;
        }
        Transport::new(settings.api.clone())?;
        Ok(())
    }

    /// The directory of a task.
    pub(crate) fn task_dir(&self, task: TaskId) -> TaskDir {
        TaskDir::new(&self.tasks, task)
    }

    /// The task's own root: home, working directory and temporary files lie in it.
    pub(crate) fn task_root(&self, task: TaskId) -> PathBuf {
        self.settings.work_dir.join(task.to_string())
    }

    /// Of the engine of a job's own.
    pub(crate) fn engine_home(&self, task: TaskId) -> PathBuf {
        self.task_root(task).join(".engine")
    }

    /// Where a job on the host finds its own engine: programs take only a short path of a socket.
    pub(crate) fn engine_door(&self, task: TaskId) -> PathBuf {
        Path::new("/tmp").join(format!(".roundhouse-{task}"))
    }

    /// Tasks of an earlier life, whole ones or not.
    pub(crate) fn leftovers(&self) -> Vec<TaskId> {
        let mut left = named_after_tasks(&self.tasks);
        left.extend(named_after_tasks(&self.settings.work_dir));
        left.sort_unstable();
        left.dedup();
        left
    }

    /// Begins the life of a launch-agent on it: from now on only [`Host::end_life`] is a clean end.
    pub(crate) fn begin_life(&self) {
        let tasks: Vec<_> = self.leftovers().into_iter().map(|task| self.task_dir(task)).collect();
        if let Err(error) = life::begin(&self.settings.state_dir, &life::boot(), &tasks) {
            warn!(self.log, "a crash of this launch-agent would not be noticed"; "error" => %error);
        }
    }

    /// Notes what the life was told, for whoever finds it ended without a word.
    pub(crate) fn is_to_end(self: Arc<Self>, order: EndOrder) {
        drop(spawn_blocking(move || {
            if let Err(error) = life::is_to_end(&self.settings.state_dir, order) {
                warn!(self.log, "a crash while it ends would leave its tasks to the next start"; "error" => %error);
            }
        }));
    }

    /// Whatever becomes of the tasks that are left, they did this one no harm.
    pub(crate) fn end_life(&self) {
        if let Err(error) = life::end(&self.settings.state_dir) {
            warn!(self.log, "this end will be taken for a crash"; "error" => %error);
        }
    }

    /// Removes what is on disk of a task, its directory last: as long as that is there, it can be done again.
    pub(crate) fn remove_task(&self, task: TaskId) -> io::Result<()> {
        let root = self.task_root(task);
        let removed = failpoints::around("root", "removed", || self.remove_root(task, &root))
            .and_then(|()| self.remove_working_directory(task))
            .and_then(|()| remove_tree(&self.engine_door(task)));
        removed.and_then(|()| self.task_dir(task).remove())
    }

    /// What an engine of the job's own left may belong to accounts below this one.
    fn remove_root(&self, task: TaskId, root: &Path) -> io::Result<()> {
        match remove_all(root) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !self.is_root => {
                private::clear(&self.engine_home(task))?;
                remove_all(root)
            }
            removed => removed,
        }
    }

    fn remove_working_directory(&self, task: TaskId) -> io::Result<()> {
        match self.working_directory(task) {
            Some(path) if self.settings.cleanup_working_directory => remove_all(&path),
            _ => Ok(()),
        }
    }

    /// `runner.working_directory` for one task.
    pub(crate) fn working_directory(&self, task: TaskId) -> Option<PathBuf> {
        let configured = self.settings.working_directory.as_ref()?;
        Some(configured.replacen("%s", &task.to_string(), 1).into())
    }
}

/// A short name of a state directory that no other on this host has.
fn house(state_dir: &Path) -> String {
    let path = state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_owned());
    let digest = sha2::Sha256::digest(path.as_os_str().as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// With what a job mounted in it taken away first: what that holds is not the job's.
fn remove_all(path: &Path) -> io::Result<()> {
    for point in sandbox::mounts::below(path) {
        sandbox::mounts::detach(&point)?;
    }
    remove_tree(path)
}

/// Of `runner.user`. What is wrong with it is said at the start, not by each task.
fn account(settings: &Settings, is_root: bool) -> Result<Option<Account>, StartError> {
    let Some(name) = &settings.user else { return Ok(None) };
    let account = Account::by_name(name)?;
    let is_own = account.uid == rustix::process::geteuid().as_raw();
    if is_root || is_own { Ok(Some(account)) } else { Err(StartError::NotRoot(name.clone())) }
}

fn directory(path: &Path, source: io::Error) -> StartError {
    StartError::Directory { path: path.to_owned(), source }
}

/// Whether it is a directory of ours to write in, or the nearest there is above it.
fn may_be_made(path: &Path) -> io::Result<()> {
    let nearest = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    // As root everything may be written; what is no directory is no directory all the same.
    rustix::fs::access(nearest.join("."), Access::WRITE_OK | Access::EXEC_OK).map_err(Into::into)
}

fn may_be_written(file: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
            Ok(rustix::fs::access(directory.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?)
        }
        opened => opened.map(drop),
    }
}

/// A directory through which every account may go and which only we write; of this mode, if it is made here.
fn open_to_passage(path: &Path, made: u32) -> io::Result<()> {
    // One that was there is the operator's, `/tmp` perhaps: passage is added to its rights, and nothing is taken away.
    // Refused where it is somebody else's; then it is as it is.
    let added = if path.exists() { PASSED } else { made };
    DirBuilder::new().recursive(true).mode(made).create(path)?;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
    let _ = std::fs::set_permissions(path, Permissions::from_mode(mode | added));
    let probe = path.join(format!("{PROBE}{}", std::process::id()));
    // Of one that was killed in here, in a container that counts its pids anew.
    let _ = std::fs::remove_file(&probe);
    File::create_new(&probe)?;
    std::fs::remove_file(probe)
}

impl Lock {
    fn take(state_dir: &Path, work_dir: &Path, in_use: Receiver<Infallible>) -> Result<Self, StartError> {
        let state = lock_file(state_dir)?;
        // The directory itself is locked: it may be others' too, and nothing is left in it.
        let tasks = File::open(work_dir).map_err(|source| directory(work_dir, source))?;
        lock(&tasks, work_dir, "unknown")?;
        Ok(Self { state, tasks, in_use })
    }

    /// Gives everything back once nobody uses the host any more, or after a while.
    pub(crate) fn give_back(self) {
        // The sender sends nothing: it is dropped, or somebody hangs.
        let _ = self.in_use.recv_timeout(PARTING);
        // Closing them is not enough: a child that has not executed yet holds them for moments more.
        for held in [&self.state, &self.tasks] {
            let _ = flock(held, FlockOperation::Unlock);
        }
    }
}

fn lock_file(state_dir: &Path) -> Result<File, StartError> {
    let path = state_dir.join("lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(|source| directory(state_dir, source))?;
    let mut pid = String::new();
    // Only for the sentence: a lock without a number in it is a lock all the same.
    let _ = file.read_to_string(&mut pid);
    lock(&file, state_dir, pid.trim())?;
    let write =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|source| directory(state_dir, source))?;
    Ok(file)
}

fn lock(file: &File, path: &Path, pid: &str) -> Result<(), StartError> {
    let in_use = |_| StartError::InUse { path: path.to_owned(), pid: pid.to_owned() };
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(in_use)
}

fn named_after_tasks(path: &Path) -> Vec<TaskId> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_launch_agents_share_neither_state_nor_tasks() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other, tasks] = ["one", "other", "tasks"].map(|name| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        });
        let take = |state: &PathBuf, tasks: &PathBuf| Lock::take(state, tasks, channel().1);
        let held = take(&one, &tasks).unwrap();
        let refused = take(&one, &other).unwrap_err().to_string();
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        assert!(matches!(take(&other, &tasks), Err(StartError::InUse { path, .. }) if path == tasks));
        held.give_back();
        take(&one, &tasks).unwrap();
    }
}
