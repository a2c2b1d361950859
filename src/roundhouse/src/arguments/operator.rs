//! The commands of an operator: a control plane, its resource classes and pipelines.

use super::{IdentityProviderOptions, Selection};
use clap::{Args, Subcommand};
use control_plane::{Retention, Tls};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where a control plane is, and by which right.
#[derive(Args, Debug)]
pub(crate) struct Connection {
    /// The control plane's address, http://… or https://… [env: ROUNDHOUSE_HOST, CIRCLECI_CLI_HOST]
    #[arg(long, value_name = "URL", help_heading = "Control plane")]
    pub(crate) host: Option<String>,

    /// A token of yours, or the operator's; better given by the environment [env: ROUNDHOUSE_TOKEN, CIRCLECI_CLI_TOKEN]
    #[arg(long, value_name = "TOKEN", help_heading = "Control plane")]
    pub(crate) token: Option<String>,

    /// PEM certificates to trust beside the system's [env: ROUNDHOUSE_CA_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Control plane")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// `roundhouse server`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Server {
    /// Without one: serve.
    #[command(subcommand)]
    pub(crate) command: Option<ServerCommand>,

    /// Where everything it remembers lies; made if missing
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub(crate) data_dir: PathBuf,

    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8811")]
    pub(crate) listen: SocketAddr,

    /// The address under which others reach it, of a proxy before it perhaps; jobs' identity tokens are issued in its name
    /// [default: where it listens, unless that is everywhere]
    #[arg(long, value_name = "URL", env = "ROUNDHOUSE_PUBLIC_URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,

    /// Speak TLS with this certificate, in PEM, with those that vouch for it behind it
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls_self_signed")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Speak TLS with a certificate made here; callers trust `<data dir>/tls/authority.pem`
    #[arg(long)]
    pub(crate) tls_self_signed: bool,

    #[command(flatten)]
    pub(crate) identity_provider: IdentityProviderOptions,

    /// The task-agent to publish [default: roundhouse-task-agent beside this program]
    #[arg(long, value_name = "PATH", env = "ROUNDHOUSE_TASK_AGENT")]
    pub(crate) task_agent: Option<PathBuf>,

    /// Keys of hosts that jobs reach over SSH, in the form of known_hosts: besides those of GitHub, GitLab and Bitbucket
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts: Option<PathBuf>,

    /// Fetch configurations over http too, and from paths of this host: not only over https and ssh
    #[arg(long)]
    pub(crate) allow_insecure_fetch: bool,

    /// How often a second one token of a person or a project may call in the long run; 0: as often as it likes
    #[arg(long, value_name = "CALLS", default_value_t = 50)]
    pub(crate) rate_limit: u32,

    /// Fail tasks that no launch-agent takes for so long, and say why they waited; `never`: let them wait
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = queue_timeout)]
    pub(crate) queue_timeout: QueueTimeout,

    /// How long a lease of a task lasts without a heartbeat, as 60s or 2m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease, hide = true)]
    pub(crate) lease: Duration,

    /// How to write the log on standard error
    #[arg(long, value_enum, default_value_t = crate::logging::Format::Color, value_name = "FORMAT")]
    pub(crate) log_format: crate::logging::Format,

    /// Keep at most so many pipelines of each project; what runs is always kept
    #[arg(long, value_name = "N", default_value_t = Retention::SERVER.newest, help_heading = "What is kept")]
    pub(crate) keep_pipelines: u64,

    /// Keep pipelines for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 90, help_heading = "What is kept")]
    pub(crate) keep_days: u64,

    /// Keep the sealed variables of pipelines that are over for so many days: they can be run again so long
    #[arg(long, value_name = "DAYS", default_value_t = 15, help_heading = "What is kept")]
    pub(crate) keep_reruns_days: u64,

    /// Keep what the audit log tells for so many days, a million lines at most
    #[arg(long, value_name = "DAYS", default_value_t = 365, help_heading = "What is kept")]
    pub(crate) keep_audit_days: u64,

    /// Keep caches for so many days after their last use
    #[arg(long, value_name = "DAYS", default_value_t = 15, help_heading = "What is kept")]
    pub(crate) keep_caches_days: u64,

    /// Keep at most so many GiB of caches, those used last
    #[arg(long, value_name = "GIB", default_value_t = 100, help_heading = "What is kept")]
    pub(crate) keep_caches_gib: u64,

    /// How often that is seen to
    #[arg(long, value_name = "DURATION", default_value = "60m", value_parser = lease, hide = true)]
    pub(crate) keep_every: Duration,

    /// How long a content that nothing names stays
    #[arg(long, value_name = "DURATION", default_value = "1440m", value_parser = lease, hide = true)]
    pub(crate) keep_unnamed: Duration,
}

impl Server {
    /// How the listener speaks TLS, if it does.
    pub(crate) fn tls(&self) -> Option<Tls> {
        match (self.tls_self_signed, &self.tls_certificate, &self.tls_key) {
            (true, ..) => Some(Tls::SelfSigned),
            (_, Some(certificate), Some(key)) => {
                Some(Tls::Files { certificate: certificate.clone(), key: key.clone() })
            }
            _ => None,
        }
    }

    /// What is kept of what is over.
    pub(crate) fn retention(&self) -> Retention {
        let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 60 * 60));
        Retention {
            pipelines_for: Some(days(self.keep_days)),
            newest: self.keep_pipelines,
            reruns_for: days(self.keep_reruns_days),
            audit_for: days(self.keep_audit_days),
            caches_for: days(self.keep_caches_days),
            cache_bytes: self.keep_caches_gib.saturating_mul(1 << 30),
            unnamed_for: self.keep_unnamed,
            every: self.keep_every,
        }
    }
}

/// What can be done with a control plane's data directory, whether it serves or not.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Check that all a data directory remembers is there and whole; each fault is a line, and the exit status 1
    Check {
        /// The data directory
        #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// Read every content and every log as well
        #[arg(long)]
        deep: bool,
    },
    /// Have a control plane that serves make a new key and seal all secrets with it; nothing stops meanwhile
    RotateKey {
        #[command(flatten)]
        connection: Connection,
    },
    /// Copy a data directory as it is now; `roundhouse server --data-dir TARGET` serves the copy
    Backup {
        /// The data directory
        #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// Where nothing is yet
        target: PathBuf,
    },
}

const DATA_DIR: &str = "/var/lib/roundhouse/server";

fn lease(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "write a number with a unit: ms, s, m or h".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        "h" => Ok(Duration::from_secs(3600 * number)),
        other => Err(format!("`{other}` is no unit: write ms, s, m or h")),
    }
}

/// How long a task may wait, if not for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueTimeout(pub(crate) Option<Duration>);

fn queue_timeout(text: &str) -> Result<QueueTimeout, String> {
    if text == "never" { Ok(QueueTimeout(None)) } else { lease(text).map(|time| QueueTimeout(Some(time))) }
}

/// Of an address that identity tokens name exactly as it is written here.
fn public_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || host.contains(['?', '#', '@', ' ']) {
        return Err("write https://HOST or http://HOST, perhaps with a port and a path".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `roundhouse resource-class`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct ResourceClass {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ResourceClassCommand,
}

/// What can be done with resource classes.
#[derive(Debug, Subcommand)]
pub(crate) enum ResourceClassCommand {
    /// Make a resource class
    Create {
        /// namespace/name
        resource_class: protocol::ResourceClass,
        /// For people
        #[arg(default_value = "")]
        description: String,
        /// Make a token for it too, and print it
        #[arg(long)]
        generate_token: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the resource classes of a namespace
    List {
        /// The namespace
        namespace: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Say how many tasks of a resource class run at once at most, whatever its launch-agents have room for
    Limit {
        /// namespace/name
        resource_class: protocol::ResourceClass,
        /// A number; `none`: any number
        #[arg(value_name = "N", value_parser = super::project::most)]
        max_tasks: super::project::Most,
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a resource class
    Delete {
        /// namespace/name
        resource_class: protocol::ResourceClass,
        /// Its tokens too
        #[arg(long, short)]
        force: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

/// `roundhouse pipeline`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Pipeline {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PipelineCommand,
}

/// What can be done with pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum PipelineCommand {
    /// Run a pipeline of the working tree, or of a git repository, on a control plane's launch-agents
    Run(Box<PipelineRun>),
}

/// `roundhouse pipeline run`.
#[derive(Args, Debug)]
pub(crate) struct PipelineRun {
    /// The folder whose pipeline to run; by default this one, or the nearest above it with a .circleci
    pub(crate) path: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Let jobs clone this repository, instead of sending them the working tree
    #[arg(long, value_name = "URL", requires = "revision", help_heading = "What runs")]
    pub(crate) git: Option<String>,

    /// The full commit id to check out
    #[arg(long, value_name = "COMMIT", requires = "git", help_heading = "What runs")]
    pub(crate) revision: Option<String>,

    /// The branch that commit is on
    #[arg(long, value_name = "NAME", requires = "git", help_heading = "What runs")]
    pub(crate) branch: Option<String>,

    /// The tag that commit has, checked out in place of a branch
    #[arg(
        long,
        value_name = "NAME",
        requires = "git",
        conflicts_with = "branch",
        help_heading = "What runs"
    )]
    pub(crate) tag: Option<String>,

    /// Send HEAD as it is committed, without what the working tree changed since
    #[arg(long, conflicts_with = "git", help_heading = "What runs")]
    pub(crate) committed: bool,

    /// What caches and contents belong to [default: local/FOLDER, or the repository's path]
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,

    /// Where jobs run that name no namespace/name of their own
    #[arg(long, value_name = "CLASS")]
    pub(crate) resource_class: Option<protocol::ResourceClass>,

    /// Stay until the pipeline is over, show what happens, and exit as it ended
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Copy artifacts here once it is over, as WORKFLOW/JOB/INDEX/PATH
    #[arg(long, value_name = "DIR", requires = "follow")]
    pub(crate) artifacts: Option<PathBuf>,
}
