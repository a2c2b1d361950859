//! The shapes of runs, workflows, jobs and users in the public API v3.

use super::phases::{Phase, Verdict};
use crate::api::v3::{Described, Reference, Thing};
use serde::Serialize;

pub(super) type Run = Thing<RunAttributes, RunReferences>;
pub(super) type Workflow = Thing<WorkflowAttributes, WorkflowReferences>;
pub(super) type Job = Thing<JobAttributes, JobReferences>;

/// Of a run it is told how it stands, also once it has ended: a rerun can change that.
#[derive(Debug, Serialize)]
pub(super) struct RunAttributes {
    pub(super) phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_outcome: Option<Verdict>,
    pub(super) created_at: String,
    pub(super) errors: Vec<RunError>,
}

#[derive(Debug, Serialize)]
pub(super) struct RunError {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct RunReferences {
    pub(super) event: Described<Event>,
    pub(super) trigger: Described<Trigger>,
    pub(super) project: Reference,
    /// Who had it made, where that is a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Reference>,
}

/// What happened in the repository.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vcs: Option<Vcs>,
}

#[derive(Debug, Serialize)]
pub(super) struct Trigger {
    pub(super) event_source: EventSource,
}

#[derive(Debug, Serialize)]
pub(super) struct EventSource {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// What is known of the commit.
#[derive(Debug, Serialize)]
pub(super) struct Vcs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin_repository_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<Commit>,
}

#[derive(Debug, Serialize)]
pub(super) struct Commit {
    pub(super) subject: String,
    pub(super) author: Author,
}

#[derive(Debug, Serialize)]
pub(super) struct Author {
    pub(super) name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct WorkflowAttributes {
    pub(super) name: String,
    pub(super) phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_outcome: Option<Verdict>,
    pub(super) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct WorkflowReferences {
    pub(super) run: Reference,
    pub(super) project: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Reference>,
}

#[derive(Debug, Serialize)]
pub(super) struct JobAttributes {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: protocol::pipeline::Kind,
    pub(super) phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current_outcome: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<String>,
    /// Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parallel_executions: Option<Vec<Execution>>,
}

#[derive(Debug, Serialize)]
pub(super) struct JobReferences {
    pub(super) project: Reference,
    pub(super) pipeline: Reference,
    pub(super) workflow: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Reference>,
}

/// A task of a job, by its index.
#[derive(Debug, Serialize)]
pub(super) struct Execution {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) num: u32,
    pub(super) phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<i32>,
    pub(super) started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<String>,
    /// Of a `run` step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Artifact {
    pub(super) path: String,
    pub(super) url: String,
    pub(super) execution: u32,
}

/// One of the lines that test results are.
#[derive(Debug, Serialize)]
pub(super) struct Test<'c> {
    pub(super) classname: &'c str,
    pub(super) name: &'c str,
    pub(super) result: protocol::transfer::TestResult,
    pub(super) run_time: f64,
    pub(super) message: &'c str,
}

#[derive(Debug, Serialize)]
pub(super) struct User {
    pub(super) login: String,
    pub(super) name: String,
}
