//! Bodies of the operator's HTTP API: resource classes, tokens, pipelines and what became of them.
//!
//! | call | token | body → answer |
//! |---|---|---|
//! | `GET,POST /api/v3/runner/resource`, `DELETE …/{id}[/force]` | operator | public shapes |
//! | `GET,POST /api/v3/runner/token`, `DELETE …/{id}` | operator | public shapes |
//! | `GET /api/v3/runner`, `…/tasks`, `…/tasks/running` | operator | public shapes |
//! | `PUT /api/v3/source/{project}/{digest}` | operator | the archive of a source → 201 |
//! | `POST /api/v3/pipelines` | operator | [`NewPipeline`] → 201 [`Created`]; 400 [`Refused`] |
//! | `GET /api/v3/pipelines/{id}` | operator | → [`PipelineView`] |
//! | `GET /api/v3/pipelines/{id}/feed?after=&wait_ms=` | operator | → [`crate::feed::Feed`], held open |
//! | `POST /api/v3/pipelines/{id}/cancel` | operator | → 202 |
//! | `POST /api/v3/orbs` | operator | [`NewOrb`] → 201 [`PublishedOrb`]; 400 [`Refused`]; 409 published with another source |
//! | `GET /api/v3/orbs` | operator | → [`Items`] of [`PublishedOrb`] |
//! | `GET /api/v3/orbs/{reference}` | operator | → [`FoundOrb`]; 404 |
//! | `GET,POST /api/v3/ssh-keys/{project}` | operator | → [`Items`] of [`KnownSshKey`]; [`NewSshKey`] → 201 [`KnownSshKey`]; 409 it is there |
//! | `DELETE /api/v3/ssh-keys/{project}?fingerprint=` | operator | → 200; 404 |
//! | `GET,POST /api/v2/project/{project}/checkout-key`, `GET,DELETE …/{fingerprint}` | operator | public shapes |
//! | `GET,POST /api/v2/project/{project}/schedule`, `GET,PATCH,DELETE /api/v2/schedule/{id}` | operator | public shapes: [`crate::schedule`] |
//! | `GET /api/v3/approvals` | operator, approver | → [`Items`] of [`OnHold`], oldest first |
//! | `POST /api/v2/workflow/{id}/approve/{job}` | operator, approver | nothing or [`Approve`] → 202 (public shape); 409 it does not wait |
//! | `POST /api/v3/workflows/{id}/release/{job}` | operator, approver | [`Released`] → 202; 409 it does not wait for that |
//! | `POST /api/v3/workflows/{id}/rerun` | operator | [`Rerun`] → 202 [`Entity`] |
//! | `POST /api/v2/workflow/{id}/rerun` | operator | the public shape of the same → 202 |
//! | `POST /api/v2/pipeline/continue` | the key in the body | [`Continue`] → 200 `{message}`; 400 [`Refused`] |
//! | `GET /api/v3/tasks/{task}/steps/{number}/log?offset=&wait_ms=&limit=` | operator | raw bytes from `offset`; `X-Terminal: true` at the end of a finished log; held open while there is nothing |
//! | `GET /api/v3/artifacts/{job}/{index}/{path}` | operator | the content |
//!
//! An approver's token is that of the people beside a `roundhouse run`: it sees what waits and answers it, and nothing else.
//!
//! An operator's token may also come as `Circle-Token`, or as the page's cookie.

mod view;

pub use view::*;

use crate::{
    actor::Actor,
    ids::{JobId, PipelineId, ResourceClass},
    repository::SshKey,
    task::{Source, Variable},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A resource class to make, or one that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Given by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `namespace/name`.
    pub resource_class: ResourceClass,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// At most so many of its tasks run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tasks: Option<u32>,
}

/// A resource class token to make, or one that is. `token` is there only in the answer that makes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Given by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it may claim.
    pub resource_class: ResourceClass,
    /// For people.
    #[serde(default)]
    pub nickname: String,
    /// The secret, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("resource_class", &self.resource_class)
            .field("nickname", &self.nickname)
            .finish_non_exhaustive()
    }
}

/// A list of the runner API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items<T> {
    /// All of them.
    pub items: Vec<T>,
}

/// A pipeline to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPipeline {
    /// `vcs/org/repo`, or `local/<name>`: what caches and contents belong to.
    pub project: String,
    /// The text of the configuration.
    pub config: String,
    /// Where that text was, for its diagnostics.
    pub config_path: String,
    /// Pipeline parameters as typed: each is read as its declared type.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// What is to run of it.
    #[serde(default)]
    pub selection: Selection,
    /// What `checkout` brings.
    pub source: Source,
    /// Its branch, tag, revision, as far as known.
    #[serde(default)]
    pub git: GitValues,
    /// Variables of every job: project variables, `--env` and `--secret`.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// Contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Vec<Variable>>,
    /// The class for jobs that name none of the form `namespace/name`.
    #[serde(default)]
    pub default_class: Option<ResourceClass>,
    /// Whether jobs that name a `docker:` image run directly on the host.
    #[serde(default)]
    pub native: bool,
    /// The published orbs that the configuration and its orbs name.
    #[serde(default)]
    pub orbs: Vec<GivenOrb>,
    /// For `add_ssh_keys`, beside those that the project has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<NewSshKey>,
    /// Who has it made: the control plane says that, and no call.
    #[serde(skip)]
    pub actor: Actor,
}

/// An SSH key for a project.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewSshKey {
    /// Where it is used; none: everywhere.
    pub hostname: Option<String>,
    /// Its private half, without a passphrase; none: a new one is made.
    pub private_key: Option<String>,
    /// Whether jobs check out with it; else they ask for it with `add_ssh_keys`.
    pub checkout: bool,
}

/// Without what nobody else may know.
impl std::fmt::Debug for NewSshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSshKey").field("hostname", &self.hostname).finish_non_exhaustive()
    }
}

/// An SSH key that a project has, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSshKey {
    /// MD5 of its public half.
    pub fingerprint: String,
    /// The other one in use.
    pub sha256: String,
    /// As in `authorized_keys`.
    pub public_key: String,
    /// Where it is used; none: everywhere.
    pub hostname: Option<String>,
    /// Whether jobs check out with it.
    pub checkout: bool,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A published orb, as whoever starts a pipeline has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenOrb {
    /// As the configuration names it: `namespace/name@1`.
    pub reference: String,
    /// The exact version that this is.
    pub version: String,
    /// Its packed text.
    pub source: String,
}

/// An orb to publish on the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrb {
    /// `namespace/name@1.2.3`, or `namespace/name@dev:label`.
    pub reference: String,
    /// Its packed text.
    pub source: String,
    /// Whether a registry has checked it already: it is taken as it is, also where orbs that it uses are not there.
    #[serde(default)]
    pub is_imported: bool,
}

/// An orb that is published on the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedOrb {
    /// `namespace/name`.
    pub name: String,
    /// `1.2.3` or `dev:label`.
    pub version: String,
    /// Milliseconds since 1970.
    pub published_ms: i64,
}

/// The orb that a reference names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundOrb {
    /// The exact version.
    pub version: String,
    /// Its packed text.
    pub source: String,
}

/// The variables of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// Of every job: project variables, `--env` and `--secret`.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// Contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Vec<Variable>>,
    /// Passwords of registries that stand in the configuration itself, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passwords: Vec<String>,
    /// Of a setup pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Continuation>,
    /// That came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKey>,
}

/// What a setup pipeline keeps for the configuration that continues it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// As its setup jobs have it.
    pub key: String,
    /// As given when it was started.
    pub parameters: BTreeMap<String, String>,
    /// The same.
    pub default_class: Option<ResourceClass>,
    /// The same.
    pub native: bool,
    /// Those that came with it.
    pub orbs: Vec<GivenOrb>,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Continuation").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// What of a workflow is to run again. Nothing set: all of it. What does not run again keeps its results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rerun {
    /// Only what failed or was canceled, and what depends on it.
    pub is_from_failed: bool,
    /// The same, and of jobs that failed of tests alone only those tests.
    pub is_failed_tests: bool,
    /// Only these jobs, and what depends on them.
    pub jobs: Vec<JobId>,
    /// In place of the variables that came with the pipeline, where those are kept no more. Only an admin gives any.
    pub variables: Option<Variables>,
}

/// One thing, as the newer public calls answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity<T> {
    /// The thing.
    pub data: T,
}

/// What a thing is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<T> {
    /// Its name.
    pub id: T,
}

/// What is to run of a configuration. Nothing set: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only this job and what it requires.
    pub job: Option<String>,
    /// That job alone.
    pub no_deps: bool,
}

/// What is known of the commit a pipeline runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitValues {
    /// Full commit id.
    pub revision: Option<String>,
    /// Branch xor tag.
    pub branch: Option<String>,
    /// Branch xor tag.
    pub tag: Option<String>,
    /// The one that others come from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// Of the repository.
    pub url: Option<String>,
    /// What the commit says of itself.
    #[serde(default)]
    pub commit: CommitValues,
    /// What told of it, where a webhook did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Whether all this is only what somebody says who may not decide over the project: nothing opens by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_claimed: bool,
}

/// The webhook or the schedule that a pipeline was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Who keeps the repository: `github`, `gitlab`, `bitbucket`, `gitea`.
    pub provider: String,
    /// `push`, `pull_request` or `schedule`.
    pub event: String,
    /// As the provider calls what happened to a pull request; else `push`.
    pub action: String,
    /// The address of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// From which fork it comes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// The schedule, where that is what had it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduledBy>,
}

/// A pull request's repository that is another one than the project's: anybody may have written what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Of the pull request.
    pub number: u64,
    /// Its path on the provider, as `eve/app`; empty where it is gone.
    pub path: String,
    /// Whether somebody has to approve that anything of it runs.
    #[serde(default)]
    pub needs_approval: bool,
}

impl GitValues {
    /// The fork that it comes from.
    pub fn fork(&self) -> Option<&Fork> {
        self.trigger.as_ref()?.fork.as_ref()
    }
}

impl Fork {
    /// What its pipelines share with each other and with no others: caches, and turns in serial groups.
    pub fn trust_class(&self) -> String {
        if self.path.is_empty() {
            format!("pull request {}", self.number)
        } else {
            format!("fork {}", self.path)
        }
    }
}

/// The schedule that a pipeline was made by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledBy {
    /// Of one that people made; a workflow's own has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<uuid::Uuid>,
    /// Its name, or that of the workflow.
    pub name: String,
}

/// What a commit says of itself; empty where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommitValues {
    /// The first line of its message.
    pub subject: String,
    /// The rest of it.
    pub body: String,
    /// Who wrote it.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
}

/// What continues a setup pipeline (public shape).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continue {
    /// As the jobs of its setup workflow have it in `CIRCLE_CONTINUATION_KEY`.
    #[serde(rename = "continuation-key")]
    pub key: String,
    /// The text of the configuration that takes over.
    pub configuration: String,
    /// Pipeline parameters: texts, whole numbers and booleans.
    #[serde(default)]
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Continue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Continue").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

/// The largest body of a call that continues a pipeline, in bytes.
pub const MAX_CONTINUE: usize = 4 * 1024 * 1024;

/// A pipeline that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name.
    pub id: PipelineId,
    /// Counts within its project.
    pub number: u64,
    /// Warnings of the compiler, rendered with their source lines.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A pipeline that was not made: its configuration is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One sentence.
    pub message: String,
    /// Each rendered with file, line, column, source line and caret.
    pub diagnostics: Vec<String>,
}
