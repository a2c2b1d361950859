//! A pipeline as the terminal and the page show it, put together from its rows.

use crate::plane::{
    Plane,
    live::{HOST_STEP, host_step_status},
    stream::step_name,
};
use crate::refusal::Refusal;
use protocol::{
    JobId, JobStatus, Outcome, PipelineId, StepNumber, StepStatus, TaskId, WorkflowId,
    api::{JobView, MAX_FAILURES, PipelineView, StepView, TaskView, TestCounts, WorkflowView},
    former::FailedTest,
    pipeline::Job,
    transfer::Artifact,
};
use std::collections::HashMap;
use store::{JobRow, PipelineRows, StepRow, TaskRow, WorkflowRow};

impl Plane {
    /// A pipeline as it stands, if there is one of this id.
    pub(crate) async fn view(&self, id: PipelineId) -> Result<Option<PipelineView>, Refusal> {
        Ok(self.store.pipeline(id).await?.map(|rows| self.explained(view(rows))))
    }

    /// The same with one of its jobs alone.
    pub(crate) async fn view_with(
        &self,
        id: PipelineId,
        job: JobId,
    ) -> Result<Option<PipelineView>, Refusal> {
        Ok(self.store.pipeline_with(id, job).await?.map(|rows| self.explained(view(rows))))
    }

    /// With why those jobs wait that do.
    fn explained(&self, mut view: PipelineView) -> PipelineView {
        let mut known = HashMap::new();
        for workflow in &mut view.workflows {
            let waits = |job: &&mut JobView| job.status == JobStatus::Queued && !job.tasks.is_empty();
            for job in workflow.jobs.iter_mut().filter(waits) {
                let Some((want, project)) = self.core().want_of(workflow.id, job.id) else { continue };
                let why = known.entry(want).or_insert_with_key(|want| self.why_it_waits(want, project));
                job.reason.clone_from(why);
            }
        }
        view
    }
}

/// The rows of the tasks, found by what they belong to.
#[derive(Default)]
struct Parts {
    tasks: HashMap<JobId, Vec<TaskRow>>,
    steps: HashMap<TaskId, Vec<StepRow>>,
    logs: HashMap<(TaskId, StepNumber), u64>,
    artifacts: HashMap<TaskId, Vec<Artifact>>,
    tests: HashMap<TaskId, TestCounts>,
    failures: HashMap<TaskId, Vec<FailedTest>>,
}

/// A pipeline as its rows say it stands.
pub(crate) fn view(rows: PipelineRows) -> PipelineView {
    let mut parts = Parts::default();
    rows.tasks.into_iter().for_each(|task| parts.tasks.entry(task.job).or_default().push(task));
    rows.steps.into_iter().for_each(|step| parts.steps.entry(step.task).or_default().push(step));
    parts.logs = rows.logs.into_iter().map(|log| ((log.task, log.step), log.length)).collect();
    for (task, artifact) in rows.artifacts {
        parts.artifacts.entry(task).or_default().push(artifact);
    }
    parts.tests = rows.tests.into_iter().collect();
    for (task, failures) in rows.failures {
        parts.failures.entry(task).or_default().extend(failures);
    }
    let mut jobs: HashMap<WorkflowId, Vec<JobView>> = HashMap::new();
    for job in rows.jobs {
        let (workflow, view) = (job.workflow, inherited(&job, &jobs).unwrap_or_else(|| parts.job(job)));
        jobs.entry(workflow).or_default().push(view);
    }
    let workflow = |row: WorkflowRow| WorkflowView {
        jobs: jobs.remove(&row.id).unwrap_or_default(),
        id: row.id,
        name: row.name,
        status: row.status,
        reruns: row.reruns,
        actor: row.actor,
    };
    PipelineView {
        id: rows.pipeline.id,
        number: rows.pipeline.number,
        project: rows.project,
        created_ms: rows.pipeline.created_ms,
        actor: rows.pipeline.actor,
        state: rows.pipeline.state,
        errors: rows.pipeline.errors,
        workflows: rows.workflows.into_iter().map(workflow).collect(),
    }
}

/// A job that was not run again is the one that has its results, which stands before it.
fn inherited(row: &JobRow, jobs: &HashMap<WorkflowId, Vec<JobView>>) -> Option<JobView> {
    let origin = row.origin?;
    let found = jobs.values().flatten().find(|job| job.id == origin && !job.inherited);
    found.map(|job| JobView { inherited: true, ..job.clone() })
}

impl Parts {
    fn job(&mut self, row: JobRow) -> JobView {
        let tasks = self.tasks.remove(&row.id).unwrap_or_default();
        let (tests, failures) = (self.tests_of(&tasks), self.failures_of(&tasks));
        JobView {
            id: row.id,
            number: row.number,
            status: row.status,
            reason: row.reason,
            inherited: false,
            started_ms: row.started_ms,
            ended_ms: row.ended_ms,
            approved_by: row.approved_by,
            kind: row.definition.kind,
            plan: row.definition.plan.clone(),
            tasks: tasks.into_iter().map(|task| self.task(task, &row.definition)).collect(),
            tests,
            failures,
            parallelism: row.definition.parallelism,
            name: row.definition.name,
            requires: row.definition.requires,
        }
    }

    fn tests_of(&self, tasks: &[TaskRow]) -> TestCounts {
        let counts = tasks.iter().filter_map(|task| self.tests.get(&task.id));
        counts.fold(TestCounts::default(), |sum, counts| TestCounts {
            passed: sum.passed + counts.passed,
            failed: sum.failed + counts.failed,
            skipped: sum.skipped + counts.skipped,
        })
    }

    fn failures_of(&mut self, tasks: &[TaskRow]) -> Vec<FailedTest> {
        let all = tasks.iter().filter_map(|task| self.failures.remove(&task.id)).flatten();
        all.take(MAX_FAILURES).collect()
    }

    fn task(&mut self, row: TaskRow, job: &Job) -> TaskView {
        let mut steps: Vec<_> = self.host_step(&row).into_iter().collect();
        let started = self.steps.remove(&row.id).unwrap_or_default();
        steps.extend(started.into_iter().map(|step| self.step(step, row.outcome, job)));
        TaskView {
            id: row.id,
            index: row.index,
            outcome: row.outcome,
            message: row.message,
            runner: row.runner,
            steps,
            artifacts: self.artifacts.remove(&row.id).unwrap_or_default(),
        }
    }

    /// The launch-agent's own step lasts as long as the task is held.
    fn host_step(&self, row: &TaskRow) -> Option<StepView> {
        let started_ms = row.claimed_ms?;
        let duration = row.ended_ms.map(|ended| ended.saturating_sub(started_ms).unsigned_abs());
        Some(StepView {
            number: StepNumber::HOST,
            name: HOST_STEP.to_owned(),
            status: row.outcome.map_or(StepStatus::Running, host_step_status),
            exit_code: None,
            started_ms,
            duration_ms: duration,
            log_bytes: self.log_bytes(row.id, StepNumber::HOST),
        })
    }

    fn step(&self, row: StepRow, outcome: Option<Outcome>, job: &Job) -> StepView {
        StepView {
            number: row.number,
            name: step_name(job, row.number),
            status: outcome.map_or(row.status, |outcome| settled(row.status, outcome)),
            exit_code: row.exit_code,
            started_ms: row.started_ms,
            duration_ms: row.duration_ms,
            log_bytes: self.log_bytes(row.task, row.number),
        }
    }

    fn log_bytes(&self, task: TaskId, step: StepNumber) -> u64 {
        self.logs.get(&(task, step)).copied().unwrap_or_default()
    }
}

/// A step that nobody lived to end was ended by what ended its task.
fn settled(status: StepStatus, outcome: Outcome) -> StepStatus {
    match (status, outcome) {
        (StepStatus::Running, Outcome::Canceled) => StepStatus::Canceled,
        (StepStatus::Running, Outcome::Timedout) => StepStatus::Timedout,
        (StepStatus::Running, _) => StepStatus::Failed,
        (status, _) => status,
    }
}
