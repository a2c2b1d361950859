//! Bodies of the runner's HTTP API: claim, lease, stream, transfers. JSON unless said otherwise; `Authorization: Bearer`.
//!
//! | call | token | body → answer |
//! |---|---|---|
//! | `POST /api/v3/runner/claim` | resource class | [`Claim`] → 204, 200 [`Claimed`] (public shape), or 200 [`ClaimedMany`] where `max_tasks` was given |
//! | `POST /api/v3/runner/heartbeat` | resource class | [`Heartbeat`] → [`HeartbeatAnswer`], held open up to `wait_ms` |
//! | `POST /api/v3/runner/unclaim` | task | [`Unclaim`] → 200; 409 no retries left or begun; 400 another id |
//! | `GET /api/v2/task/config` | task | → [`crate::task::TaskSpec`] |
//! | `POST /api/v2/task/event/fail` | task | [`Fail`] → 200 (public shape) |
//! | `POST /api/v3/task/begin` | task | [`Begin`] → 200 [`Granted`]; 409 fenced |
//! | `GET /api/v3/task/stream` | task | → [`crate::stream::Acknowledged`] |
//! | `POST /api/v3/task/stream?epoch=` | task | items of [`crate::stream`] → 200 or 409 `Acknowledged` (409: cut anew from there) |
//! | `POST /api/v3/task/blobs` | task | [`Store`] → [`Destinations`] |
//! | `POST /api/v3/task/artifacts` | task | [`Artifacts`] → 200 |
//! | `POST /api/v3/task/bundles` | task | [`PutBundle`] → 200 |
//! | `POST /api/v3/task/tests` | task | [`Tests`] → 200 |
//! | `GET /api/v3/task/tests` | task | → [`crate::former::Former`], the same for all tasks of a job |
//! | `POST /api/v3/task/cache/find` | task | [`FindCache`] → 200 [`crate::transfer::Found`], 204 |
//! | `POST /api/v3/task/cache` | task | [`SaveCache`] → 201, or 200 where the key was saved before |
//! | `POST /api/v3/task/layers` | task | [`PersistLayer`] → 200 |
//! | `GET /api/v3/task/layers` | task | → [`Layers`] |
//! | `GET /api/v3/task/source` | task | → [`crate::transfer::Found`] |
//! | `POST /api/v3/task/token` | task | [`Mint`] → 200 [`Minted`]; 400 none are issued there |
//! | `POST /api/v3/task/end` | task | [`End`] → 200 |
//! | `PUT`, `GET` of a signed URL | – | the raw content; PUT verifies the digest; 200, 403 bad signature or expired |
//! | `PUT` of one with `part`, `join` ([`PartQuery`]) | – | a part of a large content ([`crate::transfer::Parts`]); join: 409 where some are missing |
//!
//! A refused token is answered 404 with an empty body, so that nobody learns what exists. A task token stands for one
//! lease of one task; once fenced, every call with it is answered 409 [`Fenced`].

use crate::{
    ids::{Digest, Epoch, ResourceClass, TaskId},
    status::Outcome,
    transfer::{Artifact, Content, Destination, Found, TestCase, Writer},
};
use serde::{Deserialize, Serialize};

/// Asks for work. The first four fields are the public shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The runner instance's name.
    pub name: String,
    /// Of its host.
    pub hostname: String,
    /// Of its host, as it sees it.
    #[serde(default)]
    pub ip: String,
    /// Of the launch-agent.
    pub version: String,
    /// `linux/amd64` or `linux/arm64`: chooses the task-agent. Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The most tasks to give; extension, and asks for the answer [`ClaimedMany`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tasks: Option<u32>,
    /// How long to hold the call open for work to appear; extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Whether its host has an engine for tasks in containers; without it none of those is given. Extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub containers: bool,
}

/// One claimed task. The first four fields are the public shape.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Stands for this lease.
    pub task_token: String,
    /// Of the task-agent to run it with.
    pub agent_version: String,
    /// Of the job.
    pub resource_class: ResourceClass,
    /// Names this claim in the public calls.
    pub allocation: String,
    /// Which task. Extension, like all that follows.
    pub task_id: TaskId,
    /// Of this lease.
    pub epoch: Epoch,
    /// How long the lease lasts without a heartbeat.
    pub lease_ms: u64,
    /// The task-agent's program.
    pub agent: AgentProgram,
    /// Whether the task runs in containers: its spec says which.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_containers: bool,
}

impl Claimed {
    /// Under which it is held.
    pub fn lease(&self) -> Lease {
        Lease { task_id: self.task_id, epoch: self.epoch }
    }
}

/// Without what nobody else may know.
impl std::fmt::Debug for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claimed")
            .field("task_id", &self.task_id)
            .field("epoch", &self.epoch)
            .field("resource_class", &self.resource_class)
            .finish_non_exhaustive()
    }
}

/// The program of a task-agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProgram {
    /// What to check, and what to cache it by.
    #[serde(flatten)]
    pub content: Content,
    /// Signed, absolute or relative to the API's own.
    pub url: String,
}

/// Several claimed tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedMany {
    /// At most `max_tasks`.
    pub tasks: Vec<Claimed>,
}

/// A task and the lease under which somebody holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// The task.
    pub task_id: TaskId,
    /// The lease.
    pub epoch: Epoch,
}

/// Renews the leases of all tasks that this instance runs for one token, and waits for news of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The runner instance's name, as in its claims.
    pub name: String,
    /// All of them.
    pub tasks: Vec<Lease>,
    /// How long to hold the call open; answered at once when there is news.
    pub wait_ms: u64,
}

/// News of the tasks in a heartbeat. Told again at each heartbeat while the task is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// To be ended as canceled.
    pub canceled: Vec<TaskId>,
    /// No longer this instance's: to be ended, nothing of them is wanted any more.
    pub fenced: Vec<TaskId>,
}

/// Gives a task back that never began.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclaim {
    /// Must be the token's own.
    pub task_id: TaskId,
    /// The same token as in the header (public shape).
    pub task_token: String,
    /// Why, for the people who look. Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Unclaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unclaim")
            .field("task_id", &self.task_id)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// How often a task may be given back before it fails.
pub const MAX_UNCLAIMS: u32 = 3;

/// Asks leave to run user code. Idempotent within the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Of the claim.
    pub epoch: Epoch,
}

/// User code may run; from now on the task is never queued again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Whether the task was canceled meanwhile: then it is to be ended without running a step.
    pub canceled: bool,
}

/// The lease is over: somebody else holds the task, or nobody wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// A sentence.
    pub message: String,
}

/// The infrastructure failed a task (public shape).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    /// From the claim.
    pub allocation: String,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Base64 of the text.
    pub message: String,
}

/// Contents a task wants to store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Of the lease.
    pub epoch: Epoch,
    /// Any number that fits the body's limit.
    pub contents: Vec<Content>,
}

/// Where to put them, in the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destinations {
    /// One for each content asked.
    pub destinations: Vec<Destination>,
}

/// Artifacts whose contents are stored. A repeat changes nothing; the same path again replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// Of the lease.
    pub epoch: Epoch,
    /// Any number.
    pub artifacts: Vec<Artifact>,
}

/// A bundle of artifacts ([`crate::bundle`]) whose content is stored. Keyed by (task, request): a repeat changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBundle {
    /// Of the lease.
    pub epoch: Epoch,
    /// The task-agent's request number.
    pub request: u64,
    /// The bundle.
    pub content: Content,
}

/// Test results of one `store_test_results` request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tests {
    /// Of the lease.
    pub epoch: Epoch,
    /// The task-agent's request number: a repeat replaces.
    pub request: u64,
    /// The results.
    pub cases: Vec<TestCase>,
}

/// Looks for a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindCache {
    /// In order of preference.
    pub keys: Vec<String>,
    /// Whether only whole keys count, not prefixes.
    pub exact: bool,
}

/// Saves a cache whose content is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveCache {
    /// Of the lease.
    pub epoch: Epoch,
    /// Immutable once saved.
    pub key: String,
    /// The archive.
    pub content: Content,
}

/// Adds a workspace layer whose content is stored. Keyed by (task, request): a repeat changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistLayer {
    /// Of the lease.
    pub epoch: Epoch,
    /// The task-agent's request number: layers of one task apply in this order.
    pub request: u64,
    /// The archive.
    pub content: Content,
}

/// The layers of all jobs upstream, in the order they apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// `name` is the job's.
    pub layers: Vec<Found>,
    /// Of each its writer.
    #[serde(default)]
    pub writers: Vec<Writer>,
}

/// Wants a token by which the task's job proves to others which job it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mint {
    /// Of the lease.
    pub epoch: Epoch,
    /// Whom it is for; nobody: those who trust the job's organization.
    pub audience: Vec<String>,
}

/// Such a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// A signed JSON Web Token.
    pub token: String,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Minted(***)")
    }
}

/// The task is over: its logs and contents are all stored, its processes are gone. Idempotent within the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Of the lease.
    pub epoch: Epoch,
    /// How.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The query of a stream write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamQuery {
    /// Of the lease.
    pub epoch: Epoch,
}

/// An error of this API: a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What happened and what to do.
    pub message: String,
}

/// A content named in a signed URL's path: `/blobs/{project}/{digest}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedQuery {
    /// Milliseconds since 1970.
    pub expires: i64,
    /// Of a PUT: the content's bytes, no more of which are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Base64url HMAC-SHA256 over method, path, `expires` and `size`.
    pub signature: String,
}

/// What more the query of a PUT may have, for a content that goes in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartQuery {
    /// Its number, from 0.
    #[serde(default)]
    pub part: Option<u32>,
    /// Of the part.
    #[serde(default)]
    pub sha256: Option<Digest>,
    /// All parts were sent.
    #[serde(default)]
    pub join: Option<bool>,
}

/// The digest of an empty content, which needs no upload to exist.
pub fn is_empty_content(digest: &Digest) -> bool {
    digest.as_str() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_log_shows_a_token() {
        let unclaim = Unclaim {
            task_id: TaskId(uuid::Uuid::nil()),
            task_token: "s3cret".to_owned(),
            reason: Some("because".to_owned()),
        };
        let shown = format!("{unclaim:?} {:?}", crate::frame::Key("s3cret".to_owned()));
        assert!(shown.contains("because") && !shown.contains("s3cret"), "{shown}");
    }
}
