//! The feed of a running pipeline: what its followers (the terminal, the page) are told as it happens.
//!
//! The feed is a convenience of one life of the control plane: after a restart it begins anew with another `life`, and a
//! follower reads the [`crate::api::PipelineView`] again.

use crate::{
    ids::{StepNumber, TaskId},
    status::{JobStatus, Outcome, StepStatus, WorkflowStatus},
};
use serde::{Deserialize, Serialize};

/// Some of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Another one means: begin again from 0, from a fresh view.
    pub life: u64,
    /// Ask for what comes `after` this.
    pub next: u64,
    /// In order.
    pub news: Vec<News>,
}

/// One piece of news. Jobs and workflows are named by their place in the [`crate::api::PipelineView`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A job changed its status.
    Job {
        /// Place among the workflows.
        workflow: usize,
        /// Place among the workflow's jobs.
        job: usize,
        /// The new status.
        status: JobStatus,
        /// Why, where that says too little.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A job that was queued got this task.
    Task {
        /// Place among the workflows.
        workflow: usize,
        /// Place among the workflow's jobs.
        job: usize,
        /// Its name.
        task: TaskId,
        /// Of `parallelism`.
        index: u32,
    },
    /// A launch-agent claimed a task.
    TaskClaimed {
        /// Which.
        task: TaskId,
        /// The runner instance.
        runner: String,
    },
    /// A task is over.
    TaskEnded {
        /// Which.
        task: TaskId,
        /// How.
        outcome: Outcome,
        /// Why, where that says too little.
        message: Option<String>,
    },
    /// A step began.
    StepStarted {
        /// Of which task.
        task: TaskId,
        /// Its place.
        step: StepNumber,
        /// Its name.
        name: String,
    },
    /// A step is over.
    StepEnded {
        /// Of which task.
        task: TaskId,
        /// Its place.
        step: StepNumber,
        /// How.
        status: StepStatus,
        /// Of its command.
        exit_code: Option<i32>,
        /// Monotonic.
        duration_ms: u64,
    },
    /// A step's log has grown to this length; several growths may be told as one.
    LogGrew {
        /// Of which task.
        task: TaskId,
        /// Its place.
        step: StepNumber,
        /// Stored bytes.
        length: u64,
    },
    /// A workflow changed its status.
    Workflow {
        /// Place among the workflows.
        workflow: usize,
        /// The new status.
        status: WorkflowStatus,
    },
}
