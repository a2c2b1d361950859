//! The one JSON document of `roundhouse run --output json`.

use crate::{
    pipeline::Kind,
    status::{JobStatus, Outcome, PipelineState, StepStatus, WorkflowStatus},
};
use serde::{Deserialize, Serialize};

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// `success` if every workflow succeeded, else the worst.
    pub status: WorkflowStatus,
    /// `setup` where its setup workflow ended without continuing it, `errored` where it was continued with a
    /// configuration that is not valid.
    #[serde(default, skip_serializing_if = "PipelineState::is_created")]
    pub state: PipelineState,
    /// What was wrong with that configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// In the order of the configuration; those that continued a setup pipeline after its own.
    pub workflows: Vec<WorkflowReport>,
}

/// What a workflow came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowReport {
    /// In the configuration.
    pub name: String,
    /// At its end.
    pub status: WorkflowStatus,
    /// In the order of the configuration.
    pub jobs: Vec<JobReport>,
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// In the workflow.
    pub name: String,
    /// What it did.
    #[serde(default)]
    pub kind: Kind,
    /// At its end.
    pub status: JobStatus,
    /// Why, where that says too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who approved it, where it was for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// How many tasks it was.
    pub parallelism: u32,
    /// From its first claim to its last end, or as long as it waited for an approval; 0 if it never ran.
    pub duration_ms: u64,
    /// By index.
    pub tasks: Vec<TaskReport>,
    /// Of all its tasks.
    pub artifacts: Vec<ArtifactReport>,
    /// Of all its tasks.
    pub tests: crate::api::TestCounts,
}

/// What a task came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// From 0.
    pub index: u32,
    /// At its end.
    pub status: Outcome,
    /// Those that started, in order.
    pub steps: Vec<StepReport>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// In the job.
    pub name: String,
    /// At its end.
    pub status: StepStatus,
    /// Of its command.
    pub exit_code: Option<i32>,
    /// Monotonic.
    pub duration_ms: u64,
    /// Its whole masked log; bytes that are no UTF-8 are replaced.
    pub output: String,
}

/// An artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactReport {
    /// As stored.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Of its content.
    pub sha256: String,
    /// Where it lies on this machine.
    pub file: String,
}
