//! How a launch-agent stands, as plain data for whoever shows it, and the local socket where it is asked for.
//!
//! ```text
//! Supervisor ──publishes at each tick and each question──▶ Board ──▶ Status ──▶ GET /status, /metrics, /healthz, /readyz
//! actors ──count what they do─────────────────────────────▶   ▲
//! supervise::Tree ──states, restarts, mailboxes, failures─────┘
//! ```

mod ask;
mod board;
mod metrics;
mod socket;
mod verdict;

pub use ask::{AskError, ask};
pub(crate) use board::{Board, Standing, millis};
pub(crate) use socket::{Asked, Server};

use protocol::{ResourceClass, TaskId};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Where a launch-agent with this state directory answers `GET /status`, `/metrics`, `/healthz` and `/readyz`.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("status.sock")
}

/// A launch-agent as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// `runner.name`.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Where it claims.
    pub control_plane: String,
    /// Since its start.
    pub uptime_ms: u64,
    /// `Serving`, `Draining`, `Stopping` or `Done`.
    pub host: String,
    /// Whether the Supervisor was silent for so long that it hangs: then the rest is what was last known of it.
    pub hung: bool,
    /// Since the Supervisor's last sign of life.
    pub silent_ms: u64,
    /// How late its last tick was.
    pub lag_ms: u64,
    /// All slots.
    pub slots: usize,
    /// Slots with a task.
    pub taken: usize,
    /// Why nothing is claimed, where the host is the reason.
    pub paused: Option<String>,
    /// One for each token.
    pub pollers: Vec<PollerStatus>,
    /// All that hold a slot.
    pub tasks: Vec<TaskStatus>,
    /// Every actor, below the Supervisor.
    pub tree: ActorStatus,
    /// What was done so far.
    pub counts: Counts,
    /// On disk of tasks' logs; none where the disk does not answer.
    pub spool_bytes: Option<u64>,
    /// What earlier lives had left; none until it was looked for.
    pub orphans: Option<Orphans>,
}

/// What earlier lives of a launch-agent had left on its host, found and removed at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// Directories of tasks without a claim, or of no task that is known.
    pub tasks: usize,
    /// Processes of tasks that are not there any more.
    pub processes: usize,
    /// Control groups of such tasks.
    pub groups: usize,
    /// Containers of such tasks.
    #[serde(default)]
    pub containers: usize,
    /// File systems mounted in such tasks' directories.
    pub mounts: usize,
    /// Contents half downloaded or half kept.
    pub parts: usize,
    /// Files by which a start looks whether it may write.
    pub probes: usize,
}

impl Orphans {
    /// Each kind by name.
    pub fn kinds(&self) -> [(&'static str, usize); 7] {
        [
            ("tasks", self.tasks),
            ("processes", self.processes),
            ("control groups", self.groups),
            ("containers", self.containers),
            ("mounts", self.mounts),
            ("parts of contents", self.parts),
            ("probes", self.probes),
        ]
    }
}

/// A Poller and its token's LeaseKeeper as they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollerStatus {
    /// What the token claims for, if that is known here.
    pub class: Option<ResourceClass>,
    /// Slots that its open claim may fill.
    pub lent: usize,
    /// Why it is parked, or why its last claim failed.
    pub reason: Option<String>,
    /// How often it, or its LeaseKeeper, was started again.
    pub restarts: u64,
    /// Its heartbeats.
    pub heartbeats: Heartbeats,
}

/// The heartbeats of one token, which keep the leases of its tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeats {
    /// How many were answered.
    pub answered: u64,
    /// How many were not.
    pub failed: u64,
    /// Since the last one that was answered.
    pub age_ms: Option<u64>,
    /// Why the last of them failed.
    pub failure: Option<Failure>,
}

/// A task's actor as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Of its job.
    pub class: ResourceClass,
    /// Its slot.
    pub slot: usize,
    /// As its actor last said; `New` before that.
    pub state: String,
    /// Since it was claimed or adopted here.
    pub age_ms: u64,
    /// How often its actor was started again.
    pub restarts: u64,
}

/// An actor as it stands, with its children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorStatus {
    /// What kind of actor it is.
    pub actor: String,
    /// Which of its kind: a resource class, a task.
    pub name: String,
    /// As it last said itself, or its parent while it is not there.
    pub state: String,
    /// For how long.
    pub since_ms: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// Messages that wait in its mailbox.
    pub queued: u64,
    /// Messages that it has taken out since it was last started.
    pub handled: u64,
    /// How it last failed.
    pub failure: Option<Failure>,
    /// Its children.
    pub children: Vec<ActorStatus>,
}

/// What went wrong, and how long ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What.
    pub message: String,
    /// When.
    pub ago_ms: u64,
}

/// What a launch-agent did since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks that it claimed.
    pub claims: u64,
    /// Tasks of an earlier life that it went on with.
    pub adoptions: u64,
    /// Tasks that are over here, by how.
    pub tasks: BTreeMap<String, u64>,
    /// Contents that it sent to the control plane's store.
    pub uploads: u64,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Bytes of logs that the control plane acknowledged.
    pub log_bytes: u64,
    /// How often actors were started again, by kind.
    pub restarts: BTreeMap<String, u64>,
}
