//! The settings of a launch-agent as plain data: nothing missing, nothing contradictory.

use crate::config::{ContainerSettings, Secret};
use protocol::{Digest, ids::ResourceClass};
use sha2::{Digest as _, Sha256};
use std::{
    num::NonZero,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything a launch-agent is told before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The runner instance's name.
    pub name: String,
    /// How to reach the control plane.
    pub api: client::Settings,
    /// Where tasks' records, spools and sockets lie.
    pub state_dir: PathBuf,
    /// The parent of each task's own root (home, work, temporary files).
    pub work_dir: PathBuf,
    /// `runner.working_directory`, its `%s` still in it.
    pub working_directory: Option<String>,
    /// Whether a configured working directory is removed after its task.
    pub cleanup_working_directory: bool,
    /// Whether the commands of steps see a terminal.
    pub terminal: bool,
    /// Where task-agents, caches and layers are kept.
    pub cache_dir: PathBuf,
    /// The most bytes of kept caches and layers.
    pub cache_size: u64,
    /// The most unacknowledged bytes of one task's spools.
    pub max_spool: u64,
    /// How long output waits for room in a full spool.
    pub spool_wait: Duration,
    /// One for each token.
    pub classes: Vec<ClassSettings>,
    /// The most tasks at once on this host.
    pub concurrency: usize,
    /// The one account that runs jobs.
    pub user: Option<String>,
    /// Put before the task-agent's command line.
    pub command_prefix: Vec<String>,
    /// Whether to go on after the first task.
    pub mode: Mode,
    /// After this long a task is ended, and so is a drain.
    pub max_run_time: Duration,
    /// To end after this long without a task.
    pub idle_timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How long a task-agent goes on without a launch-agent; none: until its task is done.
    pub outlive: Option<Duration>,
    /// A task that was present at so many crashes of the launch-agent is ended instead of adopted.
    pub poison_after: usize,
    /// The most transfers at once on this host.
    pub transfers: usize,
    /// The disk's free bytes below which no task is claimed.
    pub min_free: u64,
    /// The memory left, in bytes, below which no task is claimed.
    pub min_memory: u64,
    /// The most zombies on the host with which a task is claimed.
    pub max_zombies: usize,
    /// The operator's own check of the host: a program and its arguments; none: empty.
    pub health_check: Vec<String>,
    /// Between the end of one check and the next.
    pub health_interval: Duration,
    /// The longest that a check may take.
    pub health_timeout: Duration,
    /// Whether sources may be trees of this very host, named by path: only where control plane and user are one.
    pub local_sources: bool,
    /// Names, or prefixes ending in `*`, of the launch-agent's own variables that jobs get too.
    pub environment: Vec<String>,
    /// How jobs in containers are run.
    pub containers: ContainerSettings,
    /// Where its log goes, and how.
    pub logging: Logging,
}

/// One token and what it claims for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSettings {
    /// None where only `api.auth_token` is known: the control plane knows its class.
    pub class: Option<ResourceClass>,
    /// The resource class token.
    pub token: Secret,
    /// The most of this class's tasks at once; none: as many as the host has room for.
    pub concurrency: Option<usize>,
}

impl ClassSettings {
    /// By which the token is known again, without being told.
    pub(crate) fn fingerprint(&self) -> String {
        Digest::of_bytes(&Sha256::digest(self.token.expose()).into()).to_string()
    }
}

/// How long a launch-agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Task after task.
    Continuous,
    /// One task, then it ends.
    SingleTask,
}

/// The launch-agent's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// What is too small to be told.
    pub level: LogLevel,
    /// How it looks.
    pub format: LogFormat,
    /// Where it goes.
    pub target: LogTarget,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What may need a look.
    Warn,
    /// What needs one.
    Error,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, with color where it is a terminal.
    Color,
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// Not at all.
    None,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    StandardError,
    /// Appended to this file.
    File(PathBuf),
}

/// Variables that jobs get from the launch-agent's environment if nothing else is configured.
pub(crate) const PASSED_ON: [&str; 11] = [
    "PATH",
    "LANG",
    "LC_*",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

const GIB: u64 = 1 << 30;

impl Settings {
    /// Every default, for these tokens.
    pub fn new(
        name: impl Into<String>,
        url: impl Into<String>,
        state_dir: impl Into<PathBuf>,
        classes: Vec<ClassSettings>,
    ) -> Self {
        let state_dir = state_dir.into();
        Self {
            name: name.into(),
            api: client::Settings::new(url),
            work_dir: state_dir.join("work"),
            working_directory: None,
            cleanup_working_directory: false,
            terminal: true,
            cache_dir: state_dir.join("cache"),
            cache_size: 10 * GIB,
            max_spool: GIB / 4,
            spool_wait: minutes(10),
            classes,
            concurrency: auto_concurrency(),
            user: None,
            command_prefix: Vec::new(),
            mode: Mode::Continuous,
            max_run_time: minutes(5 * 60),
            idle_timeout: None,
            grace: Duration::from_secs(10),
            outlive: None,
            poison_after: 3,
            transfers: 16,
            min_free: GIB / 4,
            min_memory: GIB / 8,
            max_zombies: 1000,
            health_check: Vec::new(),
            health_interval: minutes(1),
            health_timeout: Duration::from_secs(10),
            local_sources: false,
            environment: PASSED_ON.map(str::to_owned).to_vec(),
            containers: ContainerSettings::default(),
            logging: Logging {
                level: LogLevel::Info,
                format: LogFormat::Color,
                target: LogTarget::StandardError,
            },
            state_dir,
        }
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// One task for each core.
pub(crate) fn auto_concurrency() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// This host's name, as its kernel has it.
pub fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// Where a launch-agent keeps its state if nothing else is configured: `/var/lib/roundhouse` for root, else the user's own.
pub fn default_state_directory(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/roundhouse"));
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state: PathBuf| Path::join(&state, "roundhouse"))
}
