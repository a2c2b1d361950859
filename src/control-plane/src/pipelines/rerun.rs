//! Running a workflow again: another workflow of the same pipeline, whose jobs that are not run again keep their results.

mod choice;

use super::continuation::new_key;
use crate::{
    contexts::Gate,
    engine::{
        hold::Holds,
        workflow::{Event, Left, Workflow},
    },
    plane::{
        Plane, Written,
        clock::Moment,
        live::{Change, Live, LiveJob},
        projects::{Giver, Numbers},
        report,
        restore::{pipeline, shapes},
    },
    refusal::Refusal,
    triggers,
};
pub(crate) use choice::Which;
use choice::chosen;
use protocol::{
    Actor, JobId, JobStatus, PipelineId, ResourceClass, WorkflowId, WorkflowStatus,
    api::{Reruns, Variables},
    pipeline::Job,
};
use slog::{info, warn};
use std::sync::Arc;
use store::{Command, Guard, JobRow, LiveWorkflow, StoreError, WorkflowRow, Write};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What somebody wants of a rerun.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) which: Which,
    /// In place of those that came with the pipeline, which are gone.
    pub(crate) variables: Option<Variables>,
    pub(crate) by: By,
}

/// Who wants a rerun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody asked for it.
    Hand(Actor),
    /// The workflow itself, which has failed and goes on as failing until its rerun is there.
    Itself,
}

impl Plane {
    /// Runs a workflow again; the id of the new one, which is on disk then.
    pub(crate) async fn rerun(
        self: &Arc<Self>,
        workflow: WorkflowId,
        order: Order,
    ) -> Result<WorkflowId, Refusal> {
        let project = self.workflow_rows(workflow).await?.project;
        let project = self.projects.get(&self.store, &project).await?;
        let numbers = project.numbers.clone().lock_owned().await;
        // Read while nobody else can run it again: of two that do at once, the second sees the first.
        let rows = self.workflow_rows(workflow).await?;
        let siblings = self.store.workflows_of_pipeline(rows.pipeline.id).await?;
        if matches!(order.by, By::Hand(_)) {
            nothing_of_it_runs(&rows, &siblings)?;
        }
        let again = chosen(&rows.jobs, &rows.workflow, &order.which)?;
        let failed_of = self.failed_of(&rows, &order.which).await?;
        let classes = self.classes_again(&rows.jobs, &again)?;
        let variables = self.variables_again(&rows, order.variables)?;
        let (place, first_job) = (siblings.len(), numbers.job);
        let plan = Plan { rows, place, by: order.by, again, failed_of, classes, first_job };
        let new = WorkflowId(Uuid::now_v7());
        self.begin_rerun(new, plan, variables, numbers)?.on_disk().await?;
        Ok(new)
    }

    async fn workflow_rows(&self, workflow: WorkflowId) -> Result<LiveWorkflow, Refusal> {
        let missing = || Refusal::Missing(format!("there is no workflow {workflow}"));
        self.store.live_workflow(workflow).await?.ok_or_else(missing)
    }

    /// The class of each job that runs again: it may have been removed since.
    fn classes_again(&self, jobs: &[JobRow], again: &[bool]) -> Result<Vec<Option<ResourceClass>>, Refusal> {
        let class = |(row, again): (&JobRow, &bool)| match (&row.class, &self.rules.only_class) {
            (Some(_), Some(only)) => Ok(Some(only.clone())),
            (Some(class), None) if *again && !self.access.has_class(class) => Err(Refusal::Bad(format!(
                "the job `{}` wants the resource class `{class}`, which is not there any more: create it first",
                row.definition.name
            ))),
            (class, _) => Ok(class.clone()),
        };
        jobs.iter().zip(again).map(class).collect()
    }

    /// Of each job, the one whose failed tests alone it runs again: that, where it failed of nothing else.
    async fn failed_of(&self, rows: &LiveWorkflow, which: &Which) -> Result<Vec<Option<JobId>>, Refusal> {
        let mut failed_of = vec![None; rows.jobs.len()];
        if *which != Which::FailedTests {
            return Ok(failed_of);
        }
        for (row, failed_of) in rows.jobs.iter().zip(&mut failed_of) {
            let ran = row.origin.unwrap_or(row.id);
            if row.status == JobStatus::Failed && self.store.failed_of_tests(ran).await? {
                *failed_of = Some(ran);
            }
        }
        if failed_of.iter().any(Option::is_some) {
            return Ok(failed_of);
        }
        Err(Refusal::Conflict(format!(
            "no job of the workflow `{}` failed of tests alone, as far as their stored results say: run it again from failed",
            rows.workflow.name
        )))
    }

    /// Those that are kept, with another key to continue the pipeline; others only where those are gone, for all workflows of
    /// the pipeline have the same.
    fn variables_again(&self, rows: &LiveWorkflow, given: Option<Variables>) -> Result<Variables, Refusal> {
        let mut variables = match (self.kept_variables(rows), given) {
            (Ok(kept), None) => kept,
            (Ok(_), Some(_)) => {
                return Err(Refusal::Conflict(format!(
                    "the variables of pipeline {} are kept: run it again without `variables`, or start a new pipeline",
                    rows.pipeline.number
                )));
            }
            (Err(_), Some(given)) => Variables { continuation: None, ..given },
            (Err(gone), None) => return Err(gone),
        };
        if let Some(continuation) = &mut variables.continuation {
            continuation.key = new_key(rows.pipeline.id);
        }
        Ok(variables)
    }

    fn kept_variables(&self, rows: &LiveWorkflow) -> Result<Variables, Refusal> {
        let gone = |_| {
            Refusal::Conflict(format!(
                "the variables of pipeline {} are not kept any more, so it cannot be run again as it was: start a new \
                 pipeline",
                rows.pipeline.number
            ))
        };
        self.variables(rows.pipeline.id, &rows.sealed).map_err(gone)
    }

    /// Queues the one write that makes the new workflow; it runs from the moment it is on disk.
    fn begin_rerun(
        self: &Arc<Self>,
        new: WorkflowId,
        plan: Plan,
        variables: Variables,
        numbers: Giver,
    ) -> Result<Written, Refusal> {
        let next = Numbers { job: numbers.job + plan.count(), ..*numbers };
        let (id, project) = (plan.rows.pipeline.id, plan.rows.pipeline.project);
        let text = serde_json::to_vec(&variables).expect("variables have only string keys");
        let mut change = Change::default();
        change.writes.push(Write::NextNumbers { project, pipeline: next.pipeline, job: next.job });
        change.writes.push(Write::Secrets(id, self.vault.seal(id, &text)));
        let replaced = plan.replaced();
        let mut live = plan.workflow(new, (variables, self.gate()), &mut change)?;
        let moment = self.clock.moment();
        let generation = self.core().next_generation();
        // One that cannot begin leaves the old one where it is, so that it can fail.
        live.begin(generation, moment, &mut change)?;
        let guard = replaced.map(|old| self.replace(old, &mut change)).transpose()?;
        self.core().expect(id);
        Ok(self.queue_rerun(id, guard, live, change, (numbers, next)))
    }

    /// Ends a workflow that waits for its rerun, in the same write that makes it.
    fn replace(&self, old: WorkflowId, change: &mut Change) -> Result<Guard, Refusal> {
        let mut core = self.core();
        let canceled = || Refusal::Conflict(format!("the workflow {old} waits for no rerun any more"));
        let live = core.workflow(old).ok_or_else(canceled)?;
        let guard = live.guard;
        change.writes.push(Write::WorkflowStatus(old, WorkflowStatus::Failed));
        change.writes.extend(live.workflow_ended(WorkflowStatus::Failed));
        core.finish(old);
        Ok(guard)
    }

    fn queue_rerun(
        self: &Arc<Self>,
        pipeline: PipelineId,
        guard: Option<Guard>,
        live: Live,
        change: Change,
        (mut numbers, next): (Giver, Numbers),
    ) -> Written {
        let (tell, told) = oneshot::channel();
        let plane = self.clone();
        let Change { writes, news, .. } = change;
        let to_tell = report::places(&writes);
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            match &result {
                Ok(written) => {
                    *numbers = next;
                    plane.ring(&to_tell, written);
                    // Whoever follows the pipeline looks at it anew, for it has one workflow more.
                    plane.feeds.renew(pipeline);
                    plane.tell(pipeline, news, &[]);
                    plane.take_up(live);
                }
                Err(error) => {
                    plane.core().arrived(pipeline);
                    guard.into_iter().for_each(|guard| plane.lose(guard, error));
                }
            }
            // Who asked may have gone: it runs again all the same.
            let _ = tell.send(result.map(drop));
        });
        self.store.submit(Command { guard, writes, done });
        Written::new(told)
    }

    /// A pipeline that was canceled while its rerun was on the way has that canceled too.
    fn take_up(self: &Arc<Self>, live: Live) {
        let (workflow, pipeline) = (live.guard.workflow, live.pipeline.id);
        let mut core = self.core();
        core.insert(live);
        self.see_to_it();
        if core.arrived(pipeline) {
            let cancel = |live: &mut Live, moment, change: &mut Change| {
                live.workflow_event(Event::Cancel, moment, change);
            };
            drop(self.change(&mut core, workflow, cancel));
        }
    }

    /// Runs those workflows again that have failed and say how often that is to be done: each by itself, for it waits until
    /// nobody makes a pipeline of its project.
    pub(crate) fn rerun_due(self: &Arc<Self>) {
        let due = self.core().take_due();
        for workflow in due {
            let plane = self.clone();
            triggers::spawn(async move { plane.rerun_by_itself(workflow).await });
        }
    }

    async fn rerun_by_itself(self: &Arc<Self>, workflow: WorkflowId) {
        let order = Order { which: Which::FromFailed, variables: None, by: By::Itself };
        match self.rerun(workflow, order).await {
            Ok(new) => {
                info!(self.log, "a workflow that failed runs again"; "workflow" => %workflow, "as" => %new)
            }
            Err(refusal @ (Refusal::Unavailable(_) | Refusal::Full(_))) => {
                warn!(self.log, "a workflow that failed cannot run again yet";
                    "workflow" => %workflow, "error" => %refusal);
                self.core().is_due(workflow);
            }
            Err(refusal) => {
                warn!(self.log, "a workflow that failed is not run again";
                    "workflow" => %workflow, "error" => %refusal);
                self.let_fail(workflow);
            }
        }
    }

    fn let_fail(self: &Arc<Self>, workflow: WorkflowId) {
        let mut core = self.core();
        let fail = |live: &mut Live, _: Moment, change: &mut Change| {
            live.workflow_changed(live.engine.status(), change);
        };
        drop(self.change(&mut core, workflow, fail));
    }
}

/// Neither the workflow nor another run of it may go on.
fn nothing_of_it_runs(rows: &LiveWorkflow, siblings: &[WorkflowRow]) -> Result<(), Refusal> {
    let before = |row: &&WorkflowRow| siblings.iter().find(|other| Some(other.id) == row.reruns.of);
    let first = |row| std::iter::successors(Some(row), before).last().map(|row| row.id);
    let running = siblings.iter().find(|row| !row.status.is_terminal() && first(row) == Some(rows.first));
    match running {
        None => Ok(()),
        Some(running) => Err(Refusal::Conflict(format!(
            "the workflow `{}` is {} as {}: cancel that, or wait for its end",
            running.name, running.status, running.id
        ))),
    }
}

/// A rerun before it is made.
struct Plan {
    rows: LiveWorkflow,
    /// Of the new workflow.
    place: usize,
    by: By,
    /// Of each job, whether it runs again.
    again: Vec<bool>,
    /// Of each job, the one whose failed tests alone it runs again.
    failed_of: Vec<Option<JobId>>,
    classes: Vec<Option<ResourceClass>>,
    first_job: u64,
}

impl Plan {
    /// How many jobs run again.
    fn count(&self) -> u64 {
        self.again.iter().filter(|again| **again).count() as u64
    }

    /// The workflow that ends with the write.
    fn replaced(&self) -> Option<WorkflowId> {
        (self.by == By::Itself).then_some(self.rows.workflow.id)
    }

    fn reruns(&self) -> Reruns {
        let before = self.rows.workflow.reruns;
        let of = Some(self.rows.workflow.id);
        match self.by {
            By::Hand(_) => Reruns { of, ..Reruns::default() },
            By::Itself => Reruns { of, automatic: before.automatic + 1, ..before },
        }
    }

    /// Who has it run: of one that runs again by itself whoever had the one before.
    fn actor(&self) -> Option<Actor> {
        match &self.by {
            By::Hand(actor) => Some(actor.clone()),
            By::Itself => self.rows.workflow.actor.clone(),
        }
    }

    /// The new workflow, which has not begun, and its rows.
    fn workflow(
        mut self,
        id: WorkflowId,
        (variables, gate): (Variables, Gate),
        change: &mut Change,
    ) -> Result<Live, Refusal> {
        let definitions: Vec<&Job> = self.rows.jobs.iter().map(|row| &row.definition).collect();
        let shapes = shapes(&definitions)?;
        let holds = Holds::of(&definitions, &shapes);
        let mut engine = Workflow::new(&shapes)
            .map_err(|error| Refusal::Unavailable(format!("a stored workflow is no workflow: {error}")))?;
        let standing = |(row, again): (&JobRow, &bool)| if *again { JobStatus::Blocked } else { row.status };
        let standing = self.rows.jobs.iter().zip(&self.again).map(standing);
        engine.restore(false, standing.map(Left::at));
        let (reruns, actor) = (self.reruns(), self.actor());
        change.writes.push(Write::Workflow(WorkflowRow {
            id,
            place: u32::try_from(self.place).unwrap_or(u32::MAX),
            status: engine.status(),
            canceled: false,
            reruns,
            actor: actor.clone(),
            ..self.rows.workflow.clone()
        }));
        let jobs = std::mem::take(&mut self.rows.jobs);
        let jobs =
            jobs.into_iter().enumerate().map(|(place, row)| self.job(id, place, row, change)).collect();
        let pipeline = Arc::new(pipeline(self.rows.project, self.rows.pipeline, variables, gate));
        let guard = Guard { workflow: id, generation: 0 };
        let (place, name, first) = (self.place, self.rows.workflow.name, self.rows.first);
        let is_setup = self.rows.workflow.setup;
        Ok(Live { guard, pipeline, place, name, reruns, actor, first, is_setup, engine, holds, jobs })
    }

    fn job(&mut self, workflow: WorkflowId, place: usize, old: JobRow, change: &mut Change) -> LiveJob {
        let id = JobId(Uuid::now_v7());
        let row = if self.again[place] {
            let number = self.first_job;
            self.first_job += 1;
            let class = self.classes[place].clone();
            let (status, started_ms, ended_ms) = (JobStatus::Blocked, None, None);
            let (approved_by, answered_by, waits_ms, reason) = (None, None, None, None);
            JobRow {
                id,
                workflow,
                origin: None,
                failed_of: self.failed_of[place],
                number,
                class,
                status,
                started_ms,
                ended_ms,
                approved_by,
                answered_by,
                waits_ms,
                reason,
                ..old
            }
        } else {
            let origin = old.origin.unwrap_or(old.id);
            // What it ran has to be there still: its pipeline may be about to be forgotten.
            let tasks = old.started_ms.map(|_| Write::HasTasks(origin, old.definition.parallelism));
            change.writes.extend(tasks);
            // Whoever has others run again answers for them.
            let answered_by = old.answered_by.filter(|_| self.by == By::Itself);
            JobRow { id, workflow, origin: Some(origin), answered_by, ..old }
        };
        change.writes.push(Write::Job(row.clone().into()));
        let (results, definition) = (row.origin.unwrap_or(id), Arc::new(row.definition));
        let (number, class) = (row.number, row.class);
        let live = LiveJob::new((id, results), number, class, definition);
        LiveJob { answered_by: row.answered_by, ..live }
    }
}

impl Live {
    /// Begins a workflow some of whose jobs have ended already.
    fn begin(&mut self, generation: u64, moment: Moment, change: &mut Change) -> Result<(), Refusal> {
        self.guard.generation = generation;
        self.workflow_event(Event::Start, moment, change);
        if self.engine.status().is_terminal() {
            let why = change.writes.iter().find_map(|write| match write {
                Write::JobStatus { reason: Some(why), .. } => Some(format!(": {why}")),
                _ => None,
            });
            let why = why.unwrap_or_default();
            return Err(Refusal::Conflict(format!(
                "nothing of the workflow `{}` can run again{why}",
                self.name
            )));
        }
        Ok(())
    }
}
