//! How pipelines, jobs, tasks and steps stand and end, in CircleCI's own words.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step that had to succeed did.
    Success,
    /// A step failed.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// `max_run_time` was over.
    Timedout,
    /// Not the job's fault: the host, an agent or the network failed it.
    InfrastructureFail,
}

/// What is known of a pipeline's workflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// All of them are there.
    #[default]
    Created,
    /// Its setup workflow is there, and has not continued it.
    Setup,
    /// Its configuration, or the one it was continued with, could not be had or is not valid: there will be no more.
    Errored,
}

/// Where a job stands, as API v2 and the page name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It waits for jobs that it requires.
    Blocked,
    /// It waits for somebody's approval, or for the end of its release.
    OnHold,
    /// Its tasks wait for a launch-agent.
    Queued,
    /// At least one of its tasks was claimed.
    Running,
    /// All its tasks succeeded.
    Success,
    /// A task failed.
    Failed,
    /// It was canceled, before or while it ran.
    Canceled,
    /// A task ran over its time.
    Timedout,
    /// A task was lost to the machinery.
    InfrastructureFail,
    /// A job that it requires did not succeed, so it never runs.
    NotRun,
    /// It may not have a context that it names, so it never runs.
    Unauthorized,
}

/// Where a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// Some job can still run, and none has failed.
    Running,
    /// A job has failed; others still run.
    Failing,
    /// Nothing can run until somebody answers a job that waits for it.
    OnHold,
    /// Every job succeeded.
    Success,
    /// A job failed, and nothing runs any more.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// Its conditions left it nothing to do.
    NotRun,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It runs now.
    Running,
    /// It did what it had to.
    Success,
    /// Its command, or what it should have stored, failed.
    Failed,
    /// It was ended by a cancel.
    Canceled,
    /// It wrote nothing for `no_output_timeout`, or the task's time was over.
    Timedout,
    /// It was not its turn (`when`), so it never ran.
    Skipped,
}

impl Outcome {
    /// What a job is whose task ended so.
    pub fn job_status(self) -> JobStatus {
        match self {
            Self::Success => JobStatus::Success,
            Self::Failed => JobStatus::Failed,
            Self::Canceled => JobStatus::Canceled,
            Self::Timedout => JobStatus::Timedout,
            Self::InfrastructureFail => JobStatus::InfrastructureFail,
        }
    }
}

impl PipelineState {
    /// Whether there is nothing to say of it.
    pub fn is_created(&self) -> bool {
        *self == Self::Created
    }
}

impl JobStatus {
    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Blocked | Self::OnHold | Self::Queued | Self::Running)
    }
}

impl WorkflowStatus {
    /// Whether nothing can change it any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Running | Self::Failing | Self::OnHold)
    }
}

macro_rules! display_as_serialized {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}

display_as_serialized!(Outcome PipelineState JobStatus WorkflowStatus StepStatus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_written_in_circlecis_words() {
        assert_eq!(JobStatus::InfrastructureFail.to_string(), "infrastructure_fail");
        assert_eq!(JobStatus::NotRun.to_string(), "not_run");
        assert_eq!(JobStatus::OnHold.to_string(), "on_hold");
        assert_eq!(Outcome::Timedout.job_status(), JobStatus::Timedout);
        assert_eq!(serde_json::to_string(&WorkflowStatus::Failing).unwrap(), "\"failing\"");
    }
}
