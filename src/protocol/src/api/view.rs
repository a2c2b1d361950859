//! Pipelines, workflows, jobs, tasks and steps as they stand.

use crate::{
    actor::Actor,
    former::FailedTest,
    ids::{JobId, PipelineId, StepNumber, TaskId, WorkflowId},
    pipeline::{Kind, Requirement},
    status::{JobStatus, Outcome, PipelineState, StepStatus, WorkflowStatus},
    transfer::Artifact,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A pipeline as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineView {
    /// Its name.
    pub id: PipelineId,
    /// Counts within its project.
    pub number: u64,
    /// What it belongs to.
    pub project: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Who had it made.
    #[serde(default)]
    pub actor: Actor,
    /// Whether all of it is known yet.
    #[serde(default)]
    pub state: PipelineState,
    /// Why it errored, each as its compiler said it.
    #[serde(default)]
    pub errors: Vec<String>,
    /// In the order of the configuration; those that continued a setup pipeline, and reruns, after them in their own.
    pub workflows: Vec<WorkflowView>,
}

impl PipelineView {
    /// The places of the last run of each workflow, or of this one alone: what it comes to.
    pub fn last_runs(&self, only: Option<WorkflowId>) -> Vec<usize> {
        let only = only.and_then(|id| self.workflows.iter().position(|workflow| workflow.id == id));
        let only = only.map(|place| self.first_run(place));
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for place in 0..self.workflows.len() {
            last.insert(self.first_run(place), place);
        }
        last.into_iter()
            .filter(|(first, _)| only.is_none_or(|only| only == *first))
            .map(|(_, last)| last)
            .collect()
    }

    /// The place of the run that the one at this place repeats in the end; its own if it repeats none.
    pub fn first_run(&self, place: usize) -> usize {
        let before = |place: usize| {
            let of = self.workflows.get(place)?.reruns.of?;
            // A run repeats one before it, so this comes to an end.
            self.workflows[..place].iter().position(|workflow| workflow.id == of)
        };
        std::iter::successors(Some(place), |place| before(*place)).last().unwrap_or(place)
    }
}

/// A workflow as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowView {
    /// Its name as an id.
    pub id: WorkflowId,
    /// Its name in the configuration.
    pub name: String,
    /// How it stands.
    pub status: WorkflowStatus,
    /// Whether it runs another one again.
    #[serde(default)]
    pub reruns: Reruns,
    /// Who had it run again, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// In the order of the configuration.
    pub jobs: Vec<JobView>,
}

/// Where one run of a workflow stands among those of the same workflow in its pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reruns {
    /// The run that this one repeats.
    pub of: Option<WorkflowId>,
    /// Counts the reruns that nobody asked for, from 1; 0: somebody did, or it is the first run.
    pub automatic: u32,
    /// How many of those there may be.
    pub most: u32,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Its name as an id.
    pub id: JobId,
    /// Counts within its project.
    pub number: u64,
    /// Its name in the workflow.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub kind: Kind,
    /// Of a release: the plan that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How it stands.
    pub status: JobStatus,
    /// Why, where that says too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is not run in this run of the workflow, but keeps the results of an earlier one.
    #[serde(default)]
    pub inherited: bool,
    /// Jobs of the same workflow.
    pub requires: Vec<Requirement>,
    /// Milliseconds since 1970 of its first claim, or of the moment from which it waited for an approval.
    pub started_ms: Option<i64>,
    /// Milliseconds since 1970 of its last task's end, or of the approval.
    pub ended_ms: Option<i64>,
    /// Who approved it, or said how its release ended, as they said themselves.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// How many tasks it is.
    pub parallelism: u32,
    /// All of them; none while it is blocked.
    pub tasks: Vec<TaskView>,
    /// Of its test results.
    pub tests: TestCounts,
    /// The first of the tests that failed, by task.
    #[serde(default)]
    pub failures: Vec<FailedTest>,
}

impl JobView {
    /// What somebody said to it, where it waited for that.
    pub fn answer(&self) -> Option<String> {
        let by = self.approved_by.as_deref()?;
        Some(match (self.kind, &self.reason) {
            (Kind::Release, Some(reason)) => format!("{reason} (says {by})"),
            (Kind::Release, None) => format!("released by {by}"),
            _ => format!("approved by {by}"),
        })
    }
}

/// A job that waits for somebody's approval, or for the end of its release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnHold {
    /// What its pipeline belongs to.
    pub project: String,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The pipeline's number in its project.
    pub number: u64,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// That workflow's name.
    pub workflow_name: String,
    /// Itself.
    pub job: JobId,
    /// Its name in the workflow.
    pub name: String,
    /// Of a release: the plan that it waits for; none of what waits for an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Milliseconds since 1970.
    pub since_ms: i64,
}

/// How a release ended, by the word of whoever carried out its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// How.
    pub status: ReleaseStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who says so, as they say themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The two ends of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// What depends on it goes on.
    Success,
    /// It counts as a job that failed.
    Failed,
}

/// Somebody's approval of a job that waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve {
    /// Who approves, as they say themselves.
    #[serde(default)]
    pub by: Option<String>,
}

/// So many failed tests of a job are shown with it.
pub const MAX_FAILURES: usize = 20;

/// A task as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name.
    pub id: TaskId,
    /// From 0.
    pub index: u32,
    /// Once it is over.
    pub outcome: Option<Outcome>,
    /// Why, where that says too little.
    pub message: Option<String>,
    /// The runner instance that holds or held it.
    pub runner: Option<String>,
    /// Step 0 is the launch-agent's; those that never started are left out.
    pub steps: Vec<StepView>,
    /// Stored so far.
    pub artifacts: Vec<Artifact>,
}

/// A step as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Its place.
    pub number: StepNumber,
    /// As the page shows it.
    pub name: String,
    /// How it stands.
    pub status: StepStatus,
    /// Of its command.
    pub exit_code: Option<i32>,
    /// Milliseconds since 1970.
    pub started_ms: i64,
    /// Monotonic, once it is over.
    pub duration_ms: Option<u64>,
    /// Stored bytes of its log.
    pub log_bytes: u64,
}

/// Counts of test results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Passed.
    pub passed: u64,
    /// Failed or broken.
    pub failed: u64,
    /// Not run.
    pub skipped: u64,
}
