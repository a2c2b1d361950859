//! The JSON document: the last view of a pipeline with every log and every artifact's place.

use super::{duration_ms, status};
use crate::artifacts::Places;
use client::{ClientError, Operator};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::{
    JobStatus, Outcome, StepNumber, StepStatus, TaskId,
    api::{JobView, PipelineView, StepView, TaskView, WorkflowView},
    run::{ArtifactReport, JobReport, RunReport, StepReport, TaskReport, WorkflowReport},
};
use std::collections::HashMap;

/// Logs read at once.
const AT_ONCE: usize = 16;
/// The most bytes of a log read at once.
const PART: u64 = 4 << 20;

/// The whole log of every step.
#[derive(Debug, Default)]
pub(crate) struct Logs(HashMap<(TaskId, StepNumber), String>);

impl Logs {
    /// Reads them all.
    pub(crate) async fn read(operator: &Operator, view: &PipelineView) -> Result<Self, ClientError> {
        let tasks = super::jobs(view).flat_map(|job| &job.tasks);
        let steps: Vec<_> =
            tasks.flat_map(|task| task.steps.iter().map(|step| (task.id, step.number))).collect();
        let read = stream::iter(steps).map(|at| async move { Ok((at, read(operator, at).await?)) });
        Ok(Self(read.buffer_unordered(AT_ONCE).try_collect().await?))
    }
}

async fn read(operator: &Operator, at: (TaskId, StepNumber)) -> Result<String, ClientError> {
    let mut log = Vec::new();
    loop {
        let part = operator.log(at, log.len() as u64, PART, 0).await?;
        log.extend_from_slice(&part.bytes);
        if part.bytes.is_empty() {
            return Ok(String::from_utf8_lossy(&log).into_owned());
        }
    }
}

/// What a pipeline came to.
pub(crate) fn document(view: &PipelineView, logs: &mut Logs, places: &Places) -> RunReport {
    let mut workflows = Vec::new();
    for workflow in &view.workflows {
        let jobs = workflow.jobs.iter().map(|job| job_report(workflow, job, logs, places)).collect();
        workflows.push(WorkflowReport { name: workflow.name.clone(), status: workflow.status, jobs });
    }
    RunReport { status: status(view), state: view.state, errors: view.errors.clone(), workflows }
}

fn job_report(workflow: &WorkflowView, job: &JobView, logs: &mut Logs, places: &Places) -> JobReport {
    JobReport {
        name: job.name.clone(),
        kind: job.kind,
        status: job.status,
        reason: job.reason.clone(),
        approved_by: job.approved_by.clone(),
        parallelism: job.parallelism,
        duration_ms: duration_ms(job),
        tasks: job.tasks.iter().map(|task| task_report(job, task, logs)).collect(),
        artifacts: job.tasks.iter().flat_map(|task| artifacts(workflow, job, task, places)).collect(),
        tests: job.tests,
    }
}

fn artifacts(
    workflow: &WorkflowView,
    job: &JobView,
    task: &TaskView,
    places: &Places,
) -> Vec<ArtifactReport> {
    let report = |artifact: &protocol::transfer::Artifact| ArtifactReport {
        path: artifact.path.clone(),
        size: artifact.content.size,
        sha256: artifact.content.digest.to_string(),
        file: places.shown(workflow, job, task.index, &artifact.path),
    };
    task.artifacts.iter().map(report).collect()
}

fn task_report(job: &JobView, task: &TaskView, logs: &mut Logs) -> TaskReport {
    let outcome = task.outcome.unwrap_or(if job.status == JobStatus::Canceled {
        Outcome::Canceled
    } else {
        Outcome::InfrastructureFail
    });
    let steps = task.steps.iter().map(|step| step_report(task, outcome, step, logs)).collect();
    TaskReport { index: task.index, status: outcome, steps }
}

fn step_report(task: &TaskView, outcome: Outcome, step: &StepView, logs: &mut Logs) -> StepReport {
    StepReport {
        name: step.name.clone(),
        status: at_the_end(step.status, outcome),
        exit_code: step.exit_code,
        duration_ms: step.duration_ms.unwrap_or(0),
        output: logs.0.remove(&(task.id, step.number)).unwrap_or_default(),
    }
}

/// A step that nobody saw end ended as its task did.
fn at_the_end(step: StepStatus, outcome: Outcome) -> StepStatus {
    match (step, outcome) {
        (StepStatus::Running, Outcome::Success) => StepStatus::Success,
        (StepStatus::Running, Outcome::Canceled) => StepStatus::Canceled,
        (StepStatus::Running, Outcome::Timedout) => StepStatus::Timedout,
        (StepStatus::Running, Outcome::Failed | Outcome::InfrastructureFail) => StepStatus::Failed,
        (ended, _) => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::scripted::{finished, task_id};

    #[test]
    fn the_document_has_the_published_shape() {
        let mut logs = Logs::default();
        logs.0.insert((task_id(1), StepNumber(1)), "assertion failed\n".to_owned());
        let report = document(&finished(), &mut logs, &Places::below("/out".into()));
        insta::assert_json_snapshot!(report);
    }
}
