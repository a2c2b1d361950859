//! What can go wrong, each a value that a history can keep and a replay can do again.

use serde::{Deserialize, Serialize};

/// One of the hosts that run launch-agents.
pub type HostNumber = usize;

/// Something that goes wrong. Times are in milliseconds; `pick` chooses among those that are there at the moment.
#[expect(missing_docs, reason = "what the fields are is said once, at the type")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// A launch-agent is killed, and started again after a while.
    KillAgent { host: HostNumber, down: u64 },
    /// A launch-agent is killed so often in a row that whatever task is there all the time is held for the cause.
    KillAgentAgain { host: HostNumber },
    /// The operator's own check of a host is not content.
    Unwell { host: HostNumber, length: u64 },
    /// A launch-agent is to be replaced by its program as it lies on disk now, under running jobs.
    ReloadAgent { host: HostNumber },
    /// A launch-agent stands still.
    StopAgent { host: HostNumber, length: u64 },
    /// A task-agent is killed.
    KillTaskAgent { host: HostNumber, pick: u64 },
    /// A task-agent stands still.
    StopTaskAgent { host: HostNumber, pick: u64, length: u64 },
    /// The control plane is killed, and started again after a while.
    KillPlane { down: u64 },
    /// The control plane stands still.
    StopPlane { length: u64 },
    /// The next passage of a launch-agent's actor through this place panics.
    Panic { host: HostNumber, point: Point },
    /// The next request of a host on this route comes to harm.
    Tamper { host: HostNumber, route: Route, how: Tampering },
    /// Every connection of a host is cut, and none comes about.
    Cut { host: HostNumber, length: u64 },
    /// Every connection of a host is half open: nothing comes through, and nobody is told.
    Silence { host: HostNumber, length: u64 },
    /// The control plane's disk is full.
    FullPlane { length: u64 },
    /// The disk of a host's state is full.
    FullHost { host: HostNumber, length: u64 },
    /// The control plane's disk fails and is only read from, until it is repaired.
    ReadOnlyPlane { length: u64 },
    /// The disk of a host's state fails and is only read from, until the host is repaired and started again.
    ReadOnlyHost { host: HostNumber, length: u64 },
    /// The control plane's machine loses power: what was not synced is gone.
    PowerCutPlane { down: u64 },
    /// A host loses power.
    PowerCutHost { host: HostNumber, down: u64 },
    /// The control plane's wall clock jumps by so many milliseconds.
    Clock { by: i64 },
}

/// Crashes of a launch-agent that a task is present at before it is held for their cause.
pub const POISON_AFTER: u64 = 4;
/// Between kills in a row: a launch-agent that is started again is at work by then.
pub const AGAIN: u64 = 1_500;

/// A place where an actor of a launch-agent hears a message, as `failpoints` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(pub String);

/// Every actor, every message; and within the work that streams and carries.
pub const POINTS: &[&str] = &[
    "supervisor:command",
    "supervisor:standings",
    "supervisor:poller_news",
    "supervisor:health_news",
    "supervisor:lease_news",
    "supervisor:task_news",
    "supervisor:child_exited",
    "poller:room",
    "poller:withdraw",
    "lease_keeper:running",
    "lease_keeper:turning",
    "health_keeper:look",
    "task:arrived",
    "task:received",
    "task:journaled",
    "task:no_process",
    "task:stream_news",
    "task:upload_news",
    "task:child_exited",
    "task:cancel_task",
    "task:ping",
    "log_streamer:log_appended",
    "log_streamer:drain_logs",
    "log_streamer:before_post",
    "log_streamer:after_post",
    "artifact_uploader:carry",
    "artifact_uploader:hashed",
    "artifact_uploader:put",
    "artifact_uploader:told",
];

impl Point {
    /// The actor that panics.
    pub fn actor(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

/// Requests by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Whatever comes next.
    Any,
    /// Asking for work.
    Claim,
    /// Renewing leases.
    Heartbeat,
    /// Leave to run user code.
    Begin,
    /// Log chunks and records.
    Stream,
    /// The end of a task.
    End,
    /// Contents both ways.
    Blob,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Any, Self::Claim, Self::Heartbeat, Self::Begin, Self::Stream, Self::End, Self::Blob];

    /// Whether a request is one of these.
    pub fn has(self, method: &str, path: &str) -> bool {
        let begins = |prefix: &str| path.starts_with(prefix);
        match self {
            Self::Any => true,
            Self::Claim => begins("/api/v3/runner/claim"),
            Self::Heartbeat => begins("/api/v3/runner/heartbeat"),
            Self::Begin => begins("/api/v3/task/begin"),
            Self::Stream => method == "POST" && begins("/api/v3/task/stream"),
            Self::End => begins("/api/v3/task/end"),
            Self::Blob => begins("/blobs/"),
        }
    }
}

/// What happens to one request; times are in milliseconds.
#[expect(missing_docs, reason = "what the fields are is said once, at the type")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tampering", rename_all = "snake_case")]
pub enum Tampering {
    /// The connection is cut before anything of it arrives.
    CutBefore,
    /// It arrives, and the connection is cut before the answer.
    CutAfter,
    /// Half of it arrives.
    HalfRequest,
    /// Half of the answer arrives.
    HalfAnswer,
    /// It arrives late.
    Late { by: u64 },
    /// It arrives, and the connection stays open without an answer for so long.
    HalfOpen { length: u64 },
    /// It is answered by an error of this status, and never arrives.
    Status { status: u16 },
    /// It arrives twice.
    Twice,
}

impl Fault {
    /// The host whose connection or launch-agent is silent by it, and for how long; none: every host's.
    pub fn silences(&self) -> Option<(Option<HostNumber>, u64)> {
        match *self {
            Self::KillAgent { host, down } | Self::PowerCutHost { host, down } => Some((Some(host), down)),
            Self::StopAgent { host, length }
            | Self::Cut { host, length }
            | Self::Silence { host, length }
            | Self::ReadOnlyHost { host, length }
            | Self::FullHost { host, length } => Some((Some(host), length)),
            Self::KillAgentAgain { host } => Some((Some(host), POISON_AFTER * AGAIN)),
            Self::ReloadAgent { host } => Some((Some(host), 500)),
            Self::Panic { host, ref point } if point.actor() == "supervisor" => Some((Some(host), 500)),
            Self::KillPlane { down } | Self::PowerCutPlane { down } => Some((None, down)),
            Self::StopPlane { length } | Self::FullPlane { length } | Self::ReadOnlyPlane { length } => {
                Some((None, length))
            }
            _ => None,
        }
    }

    /// The host whose disk of state fails.
    pub fn spoils(&self) -> Option<HostNumber> {
        match *self {
            Self::FullHost { host, .. }
            | Self::ReadOnlyHost { host, .. }
            | Self::PowerCutHost { host, .. } => Some(host),
            _ => None,
        }
    }

    /// The host whose launch-agent dies by it, and when, after the fault.
    pub fn deaths(&self) -> Vec<(HostNumber, u64)> {
        match *self {
            Self::KillAgent { host, .. } | Self::PowerCutHost { host, .. } => vec![(host, 0)],
            Self::ReadOnlyHost { host, length } => vec![(host, length)],
            Self::KillAgentAgain { host } => (0..POISON_AFTER).map(|time| (host, time * AGAIN)).collect(),
            _ => Vec::new(),
        }
    }

    /// How the report names its kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::KillAgent { .. } => "launch-agent killed",
            Self::KillAgentAgain { .. } => "launch-agent killed again and again",
            Self::Unwell { .. } => "host not well",
            Self::ReloadAgent { .. } => "launch-agent replaced under running jobs",
            Self::StopAgent { .. } => "launch-agent stopped and continued",
            Self::KillTaskAgent { .. } => "task-agent killed",
            Self::StopTaskAgent { .. } => "task-agent stopped and continued",
            Self::KillPlane { .. } => "control plane killed",
            Self::StopPlane { .. } => "control plane stopped and continued",
            Self::Panic { .. } => "panic in an actor",
            Self::Tamper { how, .. } => how.name(),
            Self::Cut { .. } => "all connections of a host cut",
            Self::Silence { .. } => "all connections of a host half open",
            Self::FullPlane { .. } => "control plane's disk full",
            Self::FullHost { .. } => "launch-agent's disk full",
            Self::ReadOnlyPlane { .. } => "control plane's disk read-only",
            Self::ReadOnlyHost { .. } => "launch-agent's disk read-only",
            Self::PowerCutPlane { .. } => "power cut of the control plane",
            Self::PowerCutHost { .. } => "power cut of a host",
            Self::Clock { .. } => "clock jump",
        }
    }
}

impl Tampering {
    /// How the report names its kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutBefore => "connection cut before a request",
            Self::CutAfter => "connection cut before an answer",
            Self::HalfRequest => "request truncated",
            Self::HalfAnswer => "answer truncated",
            Self::Late { .. } => "request delayed",
            Self::HalfOpen { .. } => "connection half open",
            Self::Status { .. } => "answered 5xx",
            Self::Twice => "request repeated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_kept_as_json() {
        let how = Tampering::Late { by: 70 };
        let fault = Fault::Tamper { host: 1, route: Route::Begin, how };
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault, "{text}");
    }
}
