//! Every key of the configuration file: its type, its environment variables, its default and what it means.

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Its path, dots between.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    /// The first that is set wins.
    pub(crate) environment: &'static [&'static str],
    /// As documented.
    pub(crate) default: &'static str,
    /// As documented; of an ignored key, what it does not do.
    pub(crate) meaning: &'static str,
    pub(crate) ignored: bool,
}

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    Count,
    /// A count, or `auto`.
    CountOrAuto,
    /// As Go writes them.
    Time,
    Size,
    /// A list of texts.
    Words,
    OneOf(&'static [&'static str]),
    /// `namespace/name: {token, concurrency}`.
    Classes,
    /// `name: {cpus, memory}`.
    Limits,
}

impl Kind {
    /// What is wanted, in a message.
    pub(crate) fn wanted(self) -> String {
        match self {
            Self::Text => "a text is wanted".to_owned(),
            Self::Flag => "`true` or `false` is wanted".to_owned(),
            Self::Count => "a whole number from 1 up is wanted".to_owned(),
            Self::CountOrAuto => "a whole number from 1 up, or `auto`, is wanted".to_owned(),
            Self::Time => "a duration is wanted, such as `5h`, `1h30m` or `10s`".to_owned(),
            Self::Size => "a size is wanted, such as `512MiB` or `10GiB`".to_owned(),
            Self::Words => "a list of texts is wanted".to_owned(),
            Self::OneOf(words) => format!("one of `{}` is wanted", words.join("`, `")),
            Self::Limits => "a map is wanted: medium: {cpus: 2, memory: 4GiB}".to_owned(),
            Self::Classes => "a map is wanted: namespace/name: {token: …}".to_owned(),
        }
    }
}

const fn key(
    path: &'static str,
    kind: Kind,
    environment: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { path, kind, environment, default, meaning, ignored: false }
}

const fn ignored(
    path: &'static str,
    kind: Kind,
    environment: &'static [&'static str],
    meaning: &'static str,
) -> Key {
    Key { path, kind, environment, default: "–", meaning, ignored: true }
}

/// The keys of one resource class.
pub(crate) const CLASS_KEYS: [&str; 2] = ["token", "concurrency"];

/// All of them, in the order they are documented.
pub(crate) const KEYS: &[Key] = &[
    key(
        "api.auth_token",
        Kind::Text,
        &["CIRCLECI_RUNNER_API_AUTH_TOKEN", "LAUNCH_AGENT_API_AUTH_TOKEN", "CIRCLECI_API_TOKEN"],
        "required, unless `resource_classes` has tokens",
        "The resource class token.",
    ),
    key(
        "api.url",
        Kind::Text,
        &["CIRCLECI_RUNNER_API_URL", "LAUNCH_AGENT_API_URL"],
        "required",
        "The address of the control plane.",
    ),
    key(
        "api.ca_file",
        Kind::Text,
        &["ROUNDHOUSE_API_CA_FILE"],
        "none",
        "Certificates (PEM) of authorities to trust besides the system's.",
    ),
    key(
        "resource_classes",
        Kind::Classes,
        &[],
        "none",
        "Several classes on one host: `namespace/name: {token: …, concurrency: 4}`; `concurrency` bounds one class and may be left out.",
    ),
    key(
        "runner.name",
        Kind::Text,
        &["CIRCLECI_RUNNER_NAME", "LAUNCH_AGENT_RUNNER_NAME"],
        "the host's name",
        "How this instance is shown: letters, digits and `. ( ) - _`.",
    ),
    key(
        "runner.concurrency",
        Kind::CountOrAuto,
        &["ROUNDHOUSE_RUNNER_CONCURRENCY"],
        "auto",
        "The most tasks at once on this host; `auto` is one for each core.",
    ),
    key(
        "runner.command_prefix",
        Kind::Words,
        &["CIRCLECI_RUNNER_COMMAND_PREFIX", "LAUNCH_AGENT_RUNNER_COMMAND_PREFIX"],
        "none",
        "Put before the task-agent's command line; must run it and exit as it does. In the environment: words with spaces between, or a list in YAML.",
    ),
    key(
        "runner.user",
        Kind::Text,
        &["ROUNDHOUSE_RUNNER_USER"],
        "as root an account for each task, else the launch-agent's own",
        "The one account that runs jobs; only where the launch-agent is root.",
    ),
    key(
        "runner.working_directory",
        Kind::Text,
        &["CIRCLECI_RUNNER_WORK_DIR", "LAUNCH_AGENT_RUNNER_WORK_DIR"],
        "one in each task's own directory",
        "Where jobs work that name no directory; absolute; one `%s` is replaced by a value of each task.",
    ),
    key(
        "runner.cleanup_working_directory",
        Kind::Flag,
        &["CIRCLECI_RUNNER_CLEANUP_WORK_DIR", "LAUNCH_AGENT_RUNNER_CLEANUP_WORK_DIR"],
        "false",
        "Whether a configured working directory is removed after its task.",
    ),
    key(
        "runner.terminal",
        Kind::Flag,
        &["ROUNDHOUSE_RUNNER_TERMINAL"],
        "true",
        "Whether the commands of steps see a terminal, as on CircleCI; a pipe takes much output at a tenth of the time.",
    ),
    key(
        "runner.mode",
        Kind::OneOf(&["continuous", "single-task"]),
        &["CIRCLECI_RUNNER_MODE", "LAUNCH_AGENT_RUNNER_MODE"],
        "continuous",
        "`single-task`: exit after the first task.",
    ),
    key(
        "runner.max_run_time",
        Kind::Time,
        &["CIRCLECI_RUNNER_MAX_RUN_TIME", "LAUNCH_AGENT_RUNNER_MAX_RUN_TIME"],
        "5h",
        "After this long a task is ended; bounds draining too.",
    ),
    key(
        "runner.idle_timeout",
        Kind::Time,
        &["CIRCLECI_RUNNER_IDLE_TIMEOUT", "LAUNCH_AGENT_RUNNER_IDLE_TIMEOUT"],
        "none",
        "Exit after this long without a task; none: never.",
    ),
    key(
        "runner.grace",
        Kind::Time,
        &["ROUNDHOUSE_RUNNER_GRACE"],
        "10s",
        "Between TERM and KILL of a task that is ended.",
    ),
    key(
        "runner.outlive",
        Kind::Time,
        &["ROUNDHOUSE_RUNNER_OUTLIVE"],
        "none",
        "How long a task goes on while its launch-agent is gone; none: until it is done.",
    ),
    key(
        "runner.poison_after",
        Kind::Count,
        &["ROUNDHOUSE_RUNNER_POISON_AFTER"],
        "3",
        "A task that was present at so many crashes of the launch-agent is held for their cause: it is ended instead of adopted.",
    ),
    key(
        "runner.environment",
        Kind::Words,
        &["ROUNDHOUSE_RUNNER_ENVIRONMENT"],
        "`PATH`, `LANG`, `LC_*`, `TZ`, the proxies' variables in both spellings, `SSL_CERT_FILE`",
        "Variables of the launch-agent that jobs get too; a `*` at the end stands for any rest.",
    ),
    key(
        "runner.state_directory",
        Kind::Text,
        &["ROUNDHOUSE_RUNNER_STATE_DIRECTORY"],
        "`/var/lib/roundhouse` for root, else `~/.local/state/roundhouse`",
        "Where tasks' records and unsent logs lie; survives restarts.",
    ),
    key(
        "runner.task_directory",
        Kind::Text,
        &["ROUNDHOUSE_RUNNER_TASK_DIRECTORY"],
        "`work` in the state directory",
        "Where each task gets a directory of its own (home, work, temporary files).",
    ),
    key(
        "runner.transfers",
        Kind::Count,
        &["ROUNDHOUSE_RUNNER_TRANSFERS"],
        "16",
        "The most uploads and downloads at once on this host.",
    ),
    key(
        "runner.min_free",
        Kind::Size,
        &["ROUNDHOUSE_RUNNER_MIN_FREE"],
        "256MiB",
        "Free space, on the disks of the state and task directories, below which no task is claimed.",
    ),
    key(
        "runner.min_memory",
        Kind::Size,
        &["ROUNDHOUSE_RUNNER_MIN_MEMORY"],
        "128MiB",
        "Memory left, of the host and of the launch-agent's control groups, below which no task is claimed.",
    ),
    key(
        "runner.max_zombies",
        Kind::Count,
        &["ROUNDHOUSE_RUNNER_MAX_ZOMBIES"],
        "1000",
        "Processes of the whole host that ended unreaped, beyond which no task is claimed.",
    ),
    key(
        "runner.health_check",
        Kind::Words,
        &["ROUNDHOUSE_RUNNER_HEALTH_CHECK"],
        "none",
        "A program with its arguments; while it does not end with 0 no task is claimed, and its last line says why.",
    ),
    key(
        "runner.health_interval",
        Kind::Time,
        &["ROUNDHOUSE_RUNNER_HEALTH_INTERVAL"],
        "1m",
        "Between the end of one health check and the next.",
    ),
    key(
        "runner.health_timeout",
        Kind::Time,
        &["ROUNDHOUSE_RUNNER_HEALTH_TIMEOUT"],
        "10s",
        "After this long a health check is killed with all it started, and counts as failed.",
    ),
    key(
        "cache.directory",
        Kind::Text,
        &["ROUNDHOUSE_CACHE_DIRECTORY"],
        "`cache` in the state directory",
        "Where this host keeps caches and workspace layers for the next task.",
    ),
    key("cache.size", Kind::Size, &["ROUNDHOUSE_CACHE_SIZE"], "10GiB", "The most that is kept there."),
    key(
        "containers.engine",
        Kind::Text,
        &["ROUNDHOUSE_CONTAINERS_ENGINE"],
        "auto",
        "The container engine (Docker or Podman) of jobs that name an image: the path of its unix socket; `auto`: the first that answers of `DOCKER_HOST` and the usual sockets; `none`: such jobs are not claimed.",
    ),
    key(
        "containers.pull",
        Kind::OneOf(&["missing", "always", "never"]),
        &["ROUNDHOUSE_CONTAINERS_PULL"],
        "missing",
        "When images are asked of their registries; with `missing` an image that is on the host is there for every job.",
    ),
    key(
        "containers.network",
        Kind::Text,
        &["ROUNDHOUSE_CONTAINERS_NETWORK"],
        "the engine's default",
        "The engine's network that a job's containers are in.",
    ),
    key(
        "containers.remote_docker",
        Kind::OneOf(&["private", "host", "off"]),
        &["ROUNDHOUSE_CONTAINERS_REMOTE_DOCKER"],
        "private",
        "Which engine `setup_remote_docker` gives to a job: `private`: a Podman of its own without root's rights, gone with it; `host`: this host's own, with which a job may do whatever the engine may; `off`: none.",
    ),
    key(
        "containers.resource_classes",
        Kind::Limits,
        &[],
        "CircleCI's: small (1 processor, 2 GiB), medium (2, 4), medium+ (3, 6), large (4, 8), xlarge (8, 16), 2xlarge (16, 32), 2xlarge+ (20, 40)",
        "What each container of a job of a class may use at most: `name: {cpus: 2, memory: 4GiB}`; either may be left out. Added to the default ones.",
    ),
    key(
        "logs.max_spool",
        Kind::Size,
        &["ROUNDHOUSE_LOGS_MAX_SPOOL"],
        "256MiB",
        "The most unsent log of one task.",
    ),
    key(
        "logs.spool_wait",
        Kind::Time,
        &["ROUNDHOUSE_LOGS_SPOOL_WAIT"],
        "10m",
        "How long a job's output waits for room in a full spool before its middle is dropped.",
    ),
    key(
        "logging.level",
        Kind::OneOf(&["debug", "info", "warn", "error"]),
        &["CIRCLECI_RUNNER_LOGGING_LEVEL"],
        "info",
        "The least that the launch-agent's own log tells.",
    ),
    key(
        "logging.format",
        Kind::OneOf(&["color", "text", "json", "none"]),
        &["CIRCLECI_RUNNER_LOGGING_FORMAT"],
        "color",
        "How it looks; colors only on a terminal.",
    ),
    key(
        "logging.file",
        Kind::Text,
        &["CIRCLECI_RUNNER_LOGGING_FILE", "LAUNCH_AGENT_LOGGING_FILE"],
        "-",
        "Where it goes; `-` is standard error.",
    ),
    ignored(
        "runner.task_agent_directory",
        Kind::Text,
        &["CIRCLECI_RUNNER_TASK_AGENT_DIRECTORY"],
        "task-agents are kept by digest in the state directory",
    ),
    ignored(
        "runner.cache_task_agent",
        Kind::Flag,
        &["CIRCLECI_RUNNER_CACHE_TASK_AGENT"],
        "task-agents are always kept, by digest",
    ),
    ignored(
        "runner.disable_auto_update",
        Kind::Flag,
        &["LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE"],
        "the launch-agent never replaces itself",
    ),
    ignored(
        "runner.use_home_ssh_dir_for_checkout_keys",
        Kind::Flag,
        &["USE_HOME_SSH_DIR_FOR_CHECKOUT_KEYS"],
        "the keys of a checkout lie in the task's own home: jobs use those that their account has too",
    ),
    ignored(
        "runner.ssh.advertise_addr",
        Kind::Text,
        &["CIRCLECI_RUNNER_SSH_ADVERTISE_ADDR", "LAUNCH_AGENT_RUNNER_SSH_ADVERTISE_ADDR"],
        "there is no rerun with SSH",
    ),
];

/// The key of this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether keys lie below this path.
pub(crate) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key nearest to an unknown one, if it is near enough: misspelled, or in another section.
pub(crate) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let elsewhere = || KEYS.iter().find(|key| last(key.path) == path.rsplit('.').next().unwrap_or(path));
    let sections = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(section, _)| section);
    let candidates = KEYS.iter().map(|key| key.path).chain(sections);
    let close = candidates.map(|known| (distance(path, known), known)).min_by_key(|(distance, _)| *distance);
    let close = close.filter(|(distance, known)| *distance <= known.len() / 4 + 1).map(|(_, known)| known);
    close.or_else(|| elsewhere().map(|key| key.path))
}

/// How many letters differ (Levenshtein).
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in (1..).zip(one.chars()) {
        let mut corner = std::mem::replace(&mut row[0], line);
        for (place, against) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != *against);
            corner = row[place + 1];
            row[place + 1] = changed.min(corner + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}
