//! How a launch-agent stands, as plain data for whoever shows it.

use protocol::{ResourceClass, TaskId};

/// A launch-agent as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `Serving`, `Draining`, `Stopping` or `Done`.
    pub host: String,
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
}

/// A Poller and its token's LeaseKeeper as they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollerStatus {
    /// What the token claims for, if that is known here.
    pub class: Option<ResourceClass>,
    /// Slots that its open claim may fill.
    pub lent: usize,
    /// Why it is parked, or why its last claim failed.
    pub reason: Option<String>,
    /// How often it, or its LeaseKeeper, was started again.
    pub restarts: u64,
}

/// A task's actor as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Which task.
    pub task: TaskId,
    /// Of its job.
    pub class: ResourceClass,
    /// Its slot.
    pub slot: usize,
    /// As its actor last said; `New` before that.
    pub state: String,
    /// How often its actor was started again.
    pub restarts: u64,
}
