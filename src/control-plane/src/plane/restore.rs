//! Workflows read from the store: at the start, and after a write that failed.

use super::{
    Plane,
    live::{Holder, Live, LiveJob, LiveTask, Pipeline},
    progress::Progress,
    token::TokenHash,
};
use crate::{
    contexts::Gate,
    engine::{
        hold::Holds,
        task::{State, Task},
        workflow::{Left, Need, Shape, Work, Workflow},
    },
    refusal::Refusal,
};
use protocol::{
    JobStatus, PipelineId, TaskId, WorkflowId,
    api::Variables,
    pipeline::{Job, Kind, Requirement},
};
use slog::{error, warn};
use std::{collections::HashMap, error::Error, sync::Arc};
use store::{Guard, JobRow, LiveWorkflow, Phase, PipelineRow, StoreError, TaskRow, WorkflowRow, Write};

impl Plane {
    /// Takes up all workflows that are not over. Every lease gets a whole period from now.
    pub(crate) async fn restore_all(self: &Arc<Self>) -> Result<(), Refusal> {
        for workflow in self.store.unfinished_workflows().await? {
            self.restore(workflow).await?;
        }
        Ok(())
    }

    /// Takes up one workflow as the store has it. One whose secrets are lost with their key (the memory of a `run` that
    /// was killed) cannot go on as it was meant: it is canceled. One that cannot be understood is set aside.
    pub(crate) async fn restore(self: &Arc<Self>, workflow: WorkflowId) -> Result<(), Refusal> {
        let rows = match self.store.live_workflow(workflow).await {
            Err(error @ StoreError::Unreadable { .. }) => return self.set_aside(workflow, &error).await,
            rows => rows?,
        };
        let Some(rows) = rows.filter(|rows| !rows.workflow.status.is_terminal()) else {
            self.core().let_go(workflow);
            return Ok(());
        };
        let tokens: HashMap<TaskId, TokenHash> =
            self.store.current_leases(workflow).await?.into_iter().map(|(hash, task)| (task, hash)).collect();
        let pipeline = rows.pipeline.id;
        let variables = self.variables(rows.pipeline.id, &rows.sealed);
        let lost = variables.as_ref().err().map(ToString::to_string);
        if let Err(refusal) = self.revive(rows, variables.unwrap_or_default(), &tokens) {
            return self.set_aside(workflow, &refusal).await;
        }
        if let Some(why) = lost {
            warn!(self.log, "a workflow is canceled"; "workflow" => %workflow, "why" => why);
            self.cancel(pipeline).await?;
        }
        Ok(())
    }

    /// Ends a workflow that another version may have written, so that all others go on.
    async fn set_aside(&self, workflow: WorkflowId, why: &(dyn Error + Sync)) -> Result<(), Refusal> {
        error!(self.log, "a workflow cannot be taken up again, it has failed";
            "workflow" => %workflow, "error" => %why);
        let message = format!("its workflow cannot be taken up again: {why}");
        let at_ms = self.clock.moment().wall_ms;
        self.write(vec![Write::SetAside { workflow, message, at_ms }]).await?;
        self.core().let_go(workflow);
        self.to_tell.send_replace(());
        // What changed is told by no engine: whoever follows looks at the rows.
        if let Some(pipeline) = self.store.pipeline_of(workflow).await? {
            self.feeds.renew(pipeline);
        }
        Ok(())
    }

    fn revive(
        &self,
        rows: LiveWorkflow,
        variables: Variables,
        tokens: &HashMap<TaskId, TokenHash>,
    ) -> Result<(), Refusal> {
        let mut core = self.core();
        let guard = Guard { workflow: rows.workflow.id, generation: core.next_generation() };
        let until = self.clock.moment().now + self.rules.lease.as_millis() as u64;
        let live = revive(rows, guard, (variables, self.gate()), (tokens, until))?;
        core.insert(live);
        self.see_to_it();
        Ok(())
    }

    /// What was sealed for a pipeline.
    pub(crate) fn variables(&self, pipeline: PipelineId, sealed: &[u8]) -> Result<Variables, Refusal> {
        let unreadable =
            |why: String| Refusal::Unavailable(format!("the secrets of pipeline {pipeline} are lost: {why}"));
        let text = self.vault.unseal(pipeline, sealed).map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
    }
}

fn revive(
    rows: LiveWorkflow,
    guard: Guard,
    (variables, gate): (Variables, Gate),
    leases: (&HashMap<TaskId, TokenHash>, u64),
) -> Result<Live, Refusal> {
    let definitions: Vec<&Job> = rows.jobs.iter().map(|job| &job.definition).collect();
    let shapes = shapes(&definitions)?;
    let mut holds = Holds::of(&definitions, &shapes);
    let mut engine = Workflow::new(&shapes)
        .map_err(|error| Refusal::Unavailable(format!("a stored workflow is no workflow: {error}")))?;
    let mut tasks: HashMap<_, Vec<TaskRow>> = HashMap::new();
    for task in rows.tasks {
        tasks.entry(task.job).or_default().push(task);
    }
    let of_job = |job: &JobRow| tasks.get(&job.id).map_or(&[][..], Vec::as_slice);
    engine.restore(rows.workflow.canceled, rows.jobs.iter().map(|job| standing(job, of_job(job))));
    // What it has and waits for is taken up with it.
    holds.look(&engine);
    let jobs = rows.jobs.iter().map(|job| LiveJob {
        id: job.id,
        results: job.origin.unwrap_or(job.id),
        number: job.number,
        class: job.class.clone(),
        definition: Arc::new(job.definition.clone()),
        tasks: of_job(job).iter().map(|task| revive_task(task, leases)).collect(),
        on_hold_since: job.started_ms.filter(|_| job.status == JobStatus::OnHold),
        waits_since: job.waits_ms,
        reason: None,
        answered_by: job.answered_by.clone(),
    });
    let jobs = jobs.collect();
    let pipeline = Arc::new(pipeline(rows.project, rows.pipeline, variables, gate));
    let WorkflowRow { place, name, reruns, actor, setup: is_setup, .. } = rows.workflow;
    let place = place as usize;
    Ok(Live { guard, pipeline, place, name, reruns, actor, first: rows.first, is_setup, engine, holds, jobs })
}

fn standing(job: &JobRow, tasks: &[TaskRow]) -> Left {
    let held = tasks.iter().filter(|task| matches!(task.phase, Phase::Claimed | Phase::Begun)).count();
    let ended = tasks.iter().filter_map(|task| task.outcome).collect();
    let held = u32::try_from(held).unwrap_or(u32::MAX);
    // A job without a task is queued only while it waits for its turn.
    let is_waiting = job.status == JobStatus::Queued && tasks.is_empty();
    Left { status: job.status, held, ended, is_waiting }
}

fn revive_task(row: &TaskRow, (tokens, until): (&HashMap<TaskId, TokenHash>, u64)) -> LiveTask {
    let ended = row.outcome.unwrap_or(protocol::Outcome::InfrastructureFail);
    let state = match row.phase {
        Phase::Queued => State::Queued,
        Phase::Claimed => State::Claimed { until },
        Phase::Begun => State::Begun { until },
        Phase::Ended => State::Ended(ended),
    };
    let holder = tokens.get(&row.id).map(|hash| Holder {
        runner: row.runner.clone().unwrap_or_default().into(),
        host: row.host.clone().unwrap_or_default().into(),
        hash: *hash,
        since_ms: row.claimed_ms.unwrap_or_default(),
    });
    let machine = Task { state, epoch: row.epoch, unclaims: row.unclaims, canceled: row.canceled };
    LiveTask { id: row.id, machine, holder, progress: Progress::unread(), queued_ms: row.queued_ms }
}

/// A pipeline of its row.
pub(crate) fn pipeline(project_name: String, row: PipelineRow, variables: Variables, gate: Gate) -> Pipeline {
    Pipeline {
        id: row.id,
        number: row.number,
        project: row.project,
        project_name,
        source: row.source,
        git: row.git,
        variables,
        actor: row.actor,
        gate,
    }
}

/// The shapes of a workflow's jobs, whose requirements are names.
pub(crate) fn shapes(jobs: &[&Job]) -> Result<Vec<Shape>, Refusal> {
    let places: HashMap<&str, usize> =
        jobs.iter().enumerate().map(|(place, job)| (job.name.as_str(), place)).collect();
    let need = |job: &Job, Requirement { job: name, endings }: &Requirement| {
        let missing = || format!("the job `{}` requires `{name}`, which is not there", job.name);
        let place = places.get(name.as_str()).ok_or_else(|| Refusal::Bad(missing()))?;
        Ok(Need { job: *place, endings: endings.clone() })
    };
    let shape = |job: &&Job| {
        let requires = job.requires.iter().map(|requirement| need(job, requirement));
        let is_serial = job.serial_group.is_some() && job.kind != Kind::Unlock;
        Ok(Shape { requires: requires.collect::<Result<_, Refusal>>()?, work: work(job), is_serial })
    };
    jobs.iter().map(shape).collect()
}

fn work(job: &Job) -> Work {
    match job.kind {
        Kind::Build => Work::Tasks(job.parallelism),
        Kind::Approval => Work::Approval,
        Kind::Release => Work::Release,
        Kind::NoOp | Kind::Lock | Kind::Unlock => Work::Nothing,
    }
}
