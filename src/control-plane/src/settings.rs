//! What a control plane is told when it starts.

use crate::{
    outbound::Outbound,
    plane::clock::{SystemWall, Wall},
    tls::Tls,
};
use ::policies::Judge;
use compiler::orb::Orbs;
use protocol::ResourceClass;
use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

/// What a control plane is told when it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything it remembers lies; made if it is not there, and locked while it runs.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address under which others reach it, and as which it issues identity tokens; none: that where it listens, if
    /// that is one.
    pub public_url: Option<String>,
    /// How the listener speaks TLS; none: it does not.
    pub tls: Option<Tls>,
    /// The operator's token, kept in memory only; none: `<data_dir>/operator-token`, made at the first start.
    pub operator_token: Option<String>,
    /// A token that sees what waits for an approval and approves it, and can do nothing else.
    pub approver_token: Option<String>,
    /// Where people sign in on the page; none: by tokens alone.
    pub identity_provider: Option<IdentityProvider>,
    /// Whether a link for the first admin is made, as long as nobody is known.
    pub welcomes: bool,
    /// Where the key comes from that encrypts secrets and signs URLs.
    pub key: KeySource,
    /// The program of the task-agent that claims name, published at the start.
    pub agent_program: PathBuf,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How often a second one token of a person or a project may call in the long run; none: as often as it likes.
    pub rate: Option<NonZeroU32>,
    /// After how long a task that nobody takes fails; none: never.
    pub queue_timeout: Option<Duration>,
    /// After how long a task is ended as timed out.
    pub max_run_time: Duration,
    /// Every job goes to this class, whatever it names: for a control plane that serves one host alone.
    pub only_class: Option<ResourceClass>,
    /// What is kept of what is over.
    pub retention: Retention,
    /// Where orbs are found that did not come with a pipeline.
    pub orbs: Option<Arc<dyn Orbs>>,
    /// Through whom policies are asked; none: there are none, and they decide about nothing.
    pub judge: Option<Judge>,
    /// By which others are called; none: nobody is.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// Lines of `known_hosts` for tasks that use SSH, beside those of the hosts that everybody uses.
    pub known_hosts: String,
    /// Whether configurations are fetched over http as well, and from paths of this host.
    pub insecure_fetch: bool,
    /// By which clock schedules are due.
    pub wall: Arc<dyn Wall>,
}

/// What is kept of what is over. What goes on is kept whatever this says, and so is the newest pipeline of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Pipelines of this age; none: of any.
    pub pipelines_for: Option<Duration>,
    /// The newest pipelines of each project, at most that many.
    pub newest: u64,
    /// The sealed variables of pipelines of this age: as long as they can be run again.
    pub reruns_for: Duration,
    /// Lines of the audit log of this age.
    pub audit_for: Duration,
    /// Caches that were found or saved within this time.
    pub caches_for: Duration,
    /// The bytes of all caches; those used longest ago make room.
    pub cache_bytes: u64,
    /// How long a content, or the file of a log, that nothing names is kept for somebody who is about to name it.
    pub unnamed_for: Duration,
    /// How often it is seen to.
    pub every: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIB: u64 = 1024 * 1024 * 1024;

impl Retention {
    /// For a control plane that serves many.
    pub const SERVER: Self = Self {
        pipelines_for: Some(Duration::from_secs(90 * DAY.as_secs())),
        newest: 1000,
        reruns_for: Duration::from_secs(15 * DAY.as_secs()),
        audit_for: Duration::from_secs(365 * DAY.as_secs()),
        caches_for: Duration::from_secs(15 * DAY.as_secs()),
        cache_bytes: 100 * GIB,
        unnamed_for: DAY,
        every: Duration::from_secs(60 * 60),
    };
    /// For one that is there for a run of one folder.
    pub const LOCAL: Self = Self {
        pipelines_for: None,
        newest: 20,
        // Sealed with a key of one process: whoever runs it again gives them again.
        reruns_for: Duration::ZERO,
        caches_for: Duration::from_secs(30 * DAY.as_secs()),
        cache_bytes: 20 * GIB,
        ..Self::SERVER
    };
}

/// Where the key comes from that encrypts secrets and signs URLs.
#[derive(Clone)]
pub enum KeySource {
    /// `<data_dir>/secrets.key`, made at the first start, readable for its owner only.
    File,
    /// Kept in memory: what was encrypted with it is unreadable after this process.
    Memory([u8; 32]),
}

/// A provider of OpenID Connect, and what it knows this control plane by.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// To the letter as its own documents and tokens have it.
    pub issuer: String,
    /// Of this control plane, at the provider.
    pub client_id: String,
    /// None: the provider takes a client for what it is by its address alone.
    pub client_secret: Option<String>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a visitor's groups; none: they are not kept.
    pub group_claim: Option<String>,
}

impl IdentityProvider {
    /// One that is asked for an e-mail address, and for no groups.
    pub fn new(issuer: String, client_id: String) -> Self {
        let scopes = vec!["email".to_owned()];
        Self { issuer, client_id, client_secret: None, scopes, group_claim: None }
    }
}

/// Without what nobody else may know.
impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityProvider")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .field("group_claim", &self.group_claim)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "File",
            Self::Memory(_) => "Memory(***)",
        })
    }
}

impl Settings {
    /// A server over this data directory: everything else as shipped.
    pub fn new(data_dir: PathBuf, listen: SocketAddr, agent_program: PathBuf) -> Self {
        Self {
            data_dir,
            listen,
            public_url: None,
            tls: None,
            operator_token: None,
            approver_token: None,
            identity_provider: None,
            welcomes: false,
            key: KeySource::File,
            agent_program,
            lease: Duration::from_secs(60),
            rate: NonZeroU32::new(50),
            queue_timeout: Some(DAY),
            max_run_time: Duration::from_secs(5 * 60 * 60),
            only_class: None,
            retention: Retention::SERVER,
            orbs: None,
            judge: None,
            outbound: None,
            known_hosts: String::new(),
            insecure_fetch: false,
            wall: Arc::new(SystemWall),
        }
    }
}
