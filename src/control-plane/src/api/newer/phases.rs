//! How runs, workflows, jobs and steps stand, in the words of the public API v3: a phase, and what it comes to or came to.

use protocol::{JobStatus, Outcome, PipelineState, StepStatus, WorkflowStatus, api::JobView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::StandingWorkflow;

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It waits for others of its workflow.
    Created,
    /// It waits for a launch-agent, or for somebody's word.
    Queued,
    Started,
    Ended,
}

/// What something comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Succeeded,
    Failed,
    Canceled,
    Errored,
    NotRun,
    Unauthorized,
    InfrastructureFail,
    Timedout,
}

/// A phase, and what it comes to as far as that is clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    pub(super) phase: Phase,
    pub(super) verdict: Option<Verdict>,
}

impl Stands {
    const CREATED: Self = Self { phase: Phase::Created, verdict: None };
    const QUEUED: Self = Self { phase: Phase::Queued, verdict: None };
    const STARTED: Self = Self { phase: Phase::Started, verdict: None };

    const fn ended(verdict: Verdict) -> Self {
        Self { phase: Phase::Ended, verdict: Some(verdict) }
    }

    const fn heading_for(verdict: Verdict) -> Self {
        Self { phase: Phase::Started, verdict: Some(verdict) }
    }

    pub(super) fn has_begun(self) -> bool {
        matches!(self.phase, Phase::Started | Phase::Ended)
    }

    /// What it came to.
    pub(super) fn outcome(self) -> Option<Verdict> {
        self.verdict.filter(|_| self.phase == Phase::Ended)
    }

    /// What it comes to while it is not over.
    pub(super) fn current_outcome(self) -> Option<Verdict> {
        self.verdict.filter(|_| self.phase != Phase::Ended)
    }
}

/// A job; one that runs and of which a task has failed already is going to fail.
pub(super) fn of_job(job: &JobView) -> Stands {
    let is_failed = |outcome| !matches!(outcome, Outcome::Success | Outcome::Canceled);
    match of_job_status(job.status) {
        Stands::STARTED if job.tasks.iter().filter_map(|task| task.outcome).any(is_failed) => {
            Stands::heading_for(Verdict::Failed)
        }
        stands => stands,
    }
}

fn of_job_status(status: JobStatus) -> Stands {
    match status {
        JobStatus::Blocked => Stands::CREATED,
        JobStatus::OnHold | JobStatus::Queued => Stands::QUEUED,
        JobStatus::Running => Stands::STARTED,
        JobStatus::Success => Stands::ended(Verdict::Succeeded),
        JobStatus::Failed => Stands::ended(Verdict::Failed),
        JobStatus::Canceled => Stands::ended(Verdict::Canceled),
        JobStatus::Timedout => Stands::ended(Verdict::Timedout),
        JobStatus::InfrastructureFail => Stands::ended(Verdict::InfrastructureFail),
        JobStatus::NotRun => Stands::ended(Verdict::NotRun),
        JobStatus::Unauthorized => Stands::ended(Verdict::Unauthorized),
    }
}

pub(super) fn of_step(status: StepStatus) -> Stands {
    match status {
        StepStatus::Running => Stands::STARTED,
        StepStatus::Success => Stands::ended(Verdict::Succeeded),
        StepStatus::Failed => Stands::ended(Verdict::Failed),
        StepStatus::Canceled => Stands::ended(Verdict::Canceled),
        StepStatus::Timedout => Stands::ended(Verdict::Timedout),
        StepStatus::Skipped => Stands::ended(Verdict::NotRun),
    }
}

pub(super) fn of_workflow(workflow: &StandingWorkflow) -> Stands {
    match workflow.status {
        WorkflowStatus::Success => Stands::ended(Verdict::Succeeded),
        WorkflowStatus::Failed => Stands::ended(Verdict::Failed),
        WorkflowStatus::Canceled => Stands::ended(Verdict::Canceled),
        WorkflowStatus::NotRun => Stands::ended(Verdict::NotRun),
        _ if workflow.canceled => Stands::heading_for(Verdict::Canceled),
        WorkflowStatus::Failing => Stands::heading_for(Verdict::Failed),
        WorkflowStatus::OnHold => Stands::STARTED,
        WorkflowStatus::Running if workflow.began => Stands::STARTED,
        WorkflowStatus::Running => Stands::QUEUED,
    }
}

/// How a run stands, as all its workflows together do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunStatus {
    Queued,
    Running,
    Failing,
    Canceling,
    OnHold,
    Success,
    Failed,
    Canceled,
    Error,
    NotRun,
}

/// The words by which runs are searched. None here is `unauthorized`: one of which a job is has failed.
pub(super) const WORDS: [&str; 10] = [
    "canceled",
    "error",
    "failed",
    "failing",
    "not_run",
    "on_hold",
    "queued",
    "running",
    "success",
    "unauthorized",
];

impl RunStatus {
    /// Of each workflow the last run of it counts.
    pub(super) fn of(state: PipelineState, workflows: &[StandingWorkflow]) -> Self {
        let last = last_runs(workflows);
        let is_over = last.iter().all(|workflow| workflow.status.is_terminal());
        if is_over { Self::over(state, &last) } else { Self::going_on(&last) }
    }

    fn going_on(last: &[&StandingWorkflow]) -> Self {
        let stand: Vec<_> = last.iter().map(|workflow| of_workflow(workflow)).collect();
        let live = || last.iter().filter(|workflow| !workflow.status.is_terminal());
        let waits = |stands: &Stands| [Stands::QUEUED, Stands::ended(Verdict::NotRun)].contains(stands);
        if stand.iter().any(|stands| stands.verdict == Some(Verdict::Failed)) {
            Self::Failing
        } else if stand.contains(&Stands::heading_for(Verdict::Canceled)) {
            Self::Canceling
        } else if live().all(|workflow| workflow.status == WorkflowStatus::OnHold) {
            Self::OnHold
        } else if stand.iter().all(waits) {
            Self::Queued
        } else {
            Self::Running
        }
    }

    fn over(state: PipelineState, last: &[&StandingWorkflow]) -> Self {
        let has = |status| last.iter().any(|workflow| workflow.status == status);
        match state {
            PipelineState::Errored => Self::Error,
            _ if has(WorkflowStatus::Failed) => Self::Failed,
            _ if has(WorkflowStatus::Canceled) => Self::Canceled,
            _ if has(WorkflowStatus::Success) => Self::Success,
            _ => Self::NotRun,
        }
    }

    pub(super) fn stands(self) -> Stands {
        match self {
            Self::Queued => Stands::QUEUED,
            Self::Running | Self::OnHold => Stands::STARTED,
            Self::Failing => Stands::heading_for(Verdict::Failed),
            Self::Canceling => Stands::heading_for(Verdict::Canceled),
            Self::Success => Stands::ended(Verdict::Succeeded),
            Self::Failed => Stands::ended(Verdict::Failed),
            Self::Canceled => Stands::ended(Verdict::Canceled),
            Self::Error => Stands::ended(Verdict::Errored),
            Self::NotRun => Stands::ended(Verdict::NotRun),
        }
    }

    /// One of [`WORDS`].
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running | Self::Canceling => "running",
            Self::Failing => "failing",
            Self::OnHold => "on_hold",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Error => "error",
            Self::NotRun => "not_run",
        }
    }
}

/// The last run of each workflow; they come by place, so that a run comes behind the one that it repeats.
fn last_runs(workflows: &[StandingWorkflow]) -> Vec<&StandingWorkflow> {
    let (mut firsts, mut last) = (BTreeMap::new(), BTreeMap::new());
    for workflow in workflows {
        let first = workflow.of.and_then(|of| firsts.get(&of).copied()).unwrap_or(workflow.place);
        firsts.insert(workflow.id, first);
        last.insert(first, workflow);
    }
    last.into_values().collect()
}

#[cfg(test)]
mod tests;
