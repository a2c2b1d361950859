//! A workflow that runs, in memory: its engine, its tasks, and the writes and news that each event comes to.

use super::{clock::Moment, clock::rfc3339, progress::Progress, token::TokenHash};
use crate::contexts::Gate;
use crate::engine::{
    hold::{Holds, Step},
    task::{self, Verdict},
    workflow::{self, Effect, Workflow},
};
use protocol::{
    Actor, Epoch, JobId, JobStatus, Outcome, PipelineId, ResourceClass, StepNumber, StepStatus, TaskId,
    WorkflowId, WorkflowStatus,
    api::{Fork, GitValues, Reruns, Variables},
    feed::News,
    pipeline::{Executor, Job, Kind},
    task::Source,
};
use std::sync::Arc;
use store::{Guard, ProjectId, TaskRow, Write};
use uuid::Uuid;

/// The name of the launch-agent's own step.
pub(crate) const HOST_STEP: &str = "Spin up environment";

/// What all workflows of a pipeline share.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) id: PipelineId,
    pub(crate) number: u64,
    pub(crate) project: ProjectId,
    pub(crate) project_name: String,
    pub(crate) source: Source,
    pub(crate) git: GitValues,
    /// In the store they lie only sealed.
    pub(crate) variables: Variables,
    /// Who had it made.
    pub(crate) actor: Actor,
    /// Who may use which of the contexts that are kept.
    pub(crate) gate: Gate,
}

impl Pipeline {
    /// Who shares caches with it: nobody but those of the same class. Empty: the project's own.
    pub(crate) fn trust_class(&self) -> String {
        self.git.fork().map(Fork::trust_class).unwrap_or_default()
    }
}

/// A task's place in its workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) workflow: WorkflowId,
    pub(crate) job: usize,
    pub(crate) index: usize,
}

/// Who holds a task.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) runner: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) hash: TokenHash,
    /// Since when, in milliseconds since 1970.
    pub(crate) since_ms: i64,
}

/// A task.
#[derive(Debug)]
pub(crate) struct LiveTask {
    pub(crate) id: TaskId,
    pub(crate) machine: task::Task,
    pub(crate) holder: Option<Holder>,
    pub(crate) progress: Progress,
    /// Since when it waits, or waited first, in milliseconds since 1970.
    pub(crate) queued_ms: i64,
}

/// What a task's holder must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Want {
    pub(crate) class: ResourceClass,
    /// An engine for containers.
    pub(crate) containers: bool,
}

impl Want {
    /// The same without containers.
    pub(crate) fn plain(&self) -> Self {
        Self { class: self.class.clone(), containers: false }
    }
}

/// A job and, once it is queued, its tasks.
#[derive(Debug)]
pub(crate) struct LiveJob {
    pub(crate) id: JobId,
    /// The job that has its results: itself, unless an earlier run of the workflow ran it.
    pub(crate) results: JobId,
    pub(crate) number: u64,
    /// Where its tasks go, if it is any.
    pub(crate) class: Option<ResourceClass>,
    pub(crate) definition: Arc<Job>,
    pub(crate) tasks: Vec<LiveTask>,
    /// Since when it waits for an approval, in milliseconds since 1970.
    pub(crate) on_hold_since: Option<i64>,
    /// Since when it waits for its turn in its serial group, or waited.
    pub(crate) waits_since: Option<i64>,
    /// Why its status is about to change, where that says too little.
    pub(crate) reason: Option<String>,
    /// Who answered it in this run of the workflow, where it waited for that.
    pub(crate) answered_by: Option<Actor>,
}

impl LiveJob {
    /// A job that has not begun; the second id is the one that has its results.
    pub(crate) fn new(
        (id, results): (JobId, JobId),
        number: u64,
        class: Option<ResourceClass>,
        definition: Arc<Job>,
    ) -> Self {
        Self {
            id,
            results,
            number,
            class,
            definition,
            tasks: Vec::new(),
            on_hold_since: None,
            waits_since: None,
            reason: None,
            answered_by: None,
        }
    }

    /// None of a job without tasks.
    pub(crate) fn want(&self) -> Option<Want> {
        let containers = matches!(self.definition.executor, Executor::Docker { .. });
        Some(Want { class: self.class.clone()?, containers })
    }
}

/// A workflow that runs.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) guard: Guard,
    pub(crate) pipeline: Arc<Pipeline>,
    /// Among the pipeline's workflows.
    pub(crate) place: usize,
    /// In the configuration.
    pub(crate) name: String,
    pub(crate) reruns: Reruns,
    /// Who had it run again; none: it is as the pipeline had it.
    pub(crate) actor: Option<Actor>,
    /// The first run of the same workflow: they share a workspace.
    pub(crate) first: WorkflowId,
    /// Whether its jobs have the key to continue the pipeline.
    pub(crate) is_setup: bool,
    pub(crate) engine: Workflow,
    /// What of it needs the turn of a serial group.
    pub(crate) holds: Holds,
    pub(crate) jobs: Vec<LiveJob>,
}

/// What an event came to, outside of its workflow.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) writes: Vec<Write>,
    pub(crate) news: Vec<News>,
    /// Tasks that are new.
    pub(crate) made: Vec<(TaskId, Place)>,
    /// Tasks that wait for a claim now.
    pub(crate) queued: Vec<(TaskId, Want)>,
    /// Tasks that are over now.
    pub(crate) ended: Vec<TaskId>,
    /// Tokens that stand for a lease now, and those that do no more.
    pub(crate) tokens: Vec<(TokenHash, TaskId, Epoch)>,
    pub(crate) dropped_tokens: Vec<TokenHash>,
    /// What it came to for serial groups.
    pub(crate) groups: Vec<Step>,
    /// Whether a holder is to hear of something.
    pub(crate) told: bool,
    /// Whether the workflow is over.
    pub(crate) over: bool,
    /// Whether it has failed, and is to be run again by itself.
    pub(crate) is_due: bool,
    /// Whether workflows join a pipeline that may be followed already.
    pub(crate) joined: bool,
}

impl Live {
    pub(crate) fn task(&self, job: usize, index: usize) -> &LiveTask {
        &self.jobs[job].tasks[index]
    }

    /// Carries an event of one task through task and workflow. `holder` is who claims; `message` says why it ends.
    pub(crate) fn task_event(
        &mut self,
        (job, index): (usize, usize),
        event: task::Event,
        (holder, message): (Option<Holder>, Option<String>),
        moment: Moment,
        change: &mut Change,
    ) -> Verdict {
        let task = &mut self.jobs[job].tasks[index];
        let was_held = task.machine.is_held();
        let (machine, verdict) = task.machine.after(event);
        let message = message.or_else(|| task.explains(event, verdict, moment));
        task.machine = machine;
        change.told |= matches!(event, task::Event::Tick { .. }) && verdict != Verdict::Unmoved;
        match verdict {
            Verdict::Claimed => self.claimed(job, index, holder, moment, change),
            Verdict::Granted => change.writes.push(Write::TaskBegun(self.task(job, index).id)),
            Verdict::Requeued => self.requeued(job, index, moment, change),
            Verdict::Told => {
                change.told = true;
                change.writes.push(Write::TaskCanceled(self.task(job, index).id));
            }
            Verdict::Over(outcome) => self.ended((job, index), (outcome, was_held), message, moment, change),
            Verdict::Exhausted => {
                self.ended((job, index), (Outcome::InfrastructureFail, was_held), message, moment, change);
            }
            Verdict::Renewed | Verdict::Repeated | Verdict::Fenced | Verdict::Begun | Verdict::Unmoved => {}
        }
        verdict
    }

    fn claimed(
        &mut self,
        job: usize,
        index: usize,
        holder: Option<Holder>,
        moment: Moment,
        change: &mut Change,
    ) {
        let task = &mut self.jobs[job].tasks[index];
        let (id, epoch) = (task.id, task.machine.epoch);
        if let Some(holder) = &holder {
            let (runner, host) = (holder.runner.to_string(), holder.host.to_string());
            change.news.push(News::TaskClaimed { task: id, runner: runner.clone() });
            let (hash, at_ms) = (holder.hash, moment.wall_ms);
            change.writes.push(Write::TaskClaimed { task: id, epoch, hash, runner, host, at_ms });
            change.tokens.push((hash, id, epoch));
        }
        task.holder = holder;
        let step = StepNumber::HOST;
        change.news.push(News::StepStarted { task: id, step, name: HOST_STEP.to_owned() });
        self.workflow_event(workflow::Event::TaskClaimed(job), moment, change);
    }

    fn requeued(&mut self, job: usize, index: usize, moment: Moment, change: &mut Change) {
        let want = self.jobs[job].want();
        let task = &mut self.jobs[job].tasks[index];
        let unclaims = task.machine.unclaims;
        change.dropped_tokens.extend(task.holder.take().map(|holder| holder.hash));
        task.progress = Progress::fresh();
        change.writes.push(Write::TaskRequeued { task: task.id, unclaims });
        change.queued.extend(want.map(|want| (task.id, want)));
        self.workflow_event(workflow::Event::TaskRequeued(job), moment, change);
    }

    fn ended(
        &mut self,
        (job, index): (usize, usize),
        (outcome, was_held): (Outcome, bool),
        message: Option<String>,
        moment: Moment,
        change: &mut Change,
    ) {
        let task = &mut self.jobs[job].tasks[index];
        let (id, epoch, at_ms) = (task.id, task.machine.epoch, moment.wall_ms);
        change.dropped_tokens.extend(task.holder.as_ref().map(|holder| holder.hash));
        if let Some(holder) = task.holder.as_ref().filter(|_| was_held) {
            change.news.push(host_step_ended(id, outcome, at_ms.saturating_sub(holder.since_ms)));
        }
        change.news.push(News::TaskEnded { task: id, outcome, message: message.clone() });
        change.writes.push(Write::TaskEnded { task: id, epoch, outcome, message, at_ms });
        change.ended.push(id);
        self.workflow_event(workflow::Event::TaskEnded { job, outcome, was_held }, moment, change);
    }

    /// Carries an event through the workflow, and its effects through jobs and tasks.
    pub(crate) fn workflow_event(&mut self, event: workflow::Event, moment: Moment, change: &mut Change) {
        if event == workflow::Event::Cancel {
            change.writes.push(Write::WorkflowCanceled(self.guard.workflow));
        }
        let before = self.engine.status();
        let was_over = before.is_terminal();
        if event == workflow::Event::Start && !was_over {
            change.writes.extend(self.report(self.engine.status()));
        }
        self.carry(event, moment, change);
        if !self.holds.is_empty() {
            while let Some(job) = self.holds.within(&self.engine) {
                self.carry(workflow::Event::Turn(job), moment, change);
            }
            change.groups.extend(self.holds.look(&self.engine));
        }
        if was_over && event == workflow::Event::Cancel && self.engine.status() == before {
            self.workflow_changed(self.engine.status(), change);
        }
    }

    fn carry(&mut self, event: workflow::Event, moment: Moment, change: &mut Change) {
        let mut refused = Vec::new();
        for effect in self.engine.apply(event) {
            match effect {
                Effect::AwaitTurn(job) => self.await_turn(job, moment, change),
                Effect::Job(job, status) => self.job_changed(job, status, moment, change),
                Effect::QueueTasks(job) => match self.refusal(job) {
                    Some(why) => refused.push((job, why)),
                    None => self.queue_tasks(job, moment, change),
                },
                Effect::CancelTasks(job) => self.cancel_tasks(job, moment, change),
                Effect::Workflow(WorkflowStatus::Failed) if self.is_run_again() => self.await_rerun(change),
                Effect::Workflow(status) => self.workflow_changed(status, change),
            }
        }
        for (job, why) in refused {
            self.jobs[job].reason = Some(why);
            self.carry(workflow::Event::Refuse(job), moment, change);
        }
    }

    /// Why a job may not have the contexts that it names, if it may not.
    pub(crate) fn refusal(&self, job: usize) -> Option<String> {
        let definition = &self.jobs[job].definition;
        // Most jobs name none.
        if definition.contexts.is_empty() {
            return None;
        }
        self.pipeline.gate.refusal(&self.pipeline, definition, &self.behind(job))
    }

    /// Who had the workflow run.
    pub(crate) fn actor(&self) -> &Actor {
        self.actor.as_ref().unwrap_or(&self.pipeline.actor)
    }

    /// Who had a job run: whoever answered the last jobs before it that waited for an answer; without any, whoever had the
    /// workflow run.
    fn behind(&self, job: usize) -> Vec<&Actor> {
        let (mut found, mut seen, mut left) = (Vec::new(), vec![false; self.jobs.len()], vec![job]);
        while let Some(place) = left.pop() {
            for requirement in &self.jobs[place].definition.requires {
                let named = self.jobs.iter().position(|other| other.definition.name == requirement.job);
                let Some(before) = named.filter(|before| !seen[*before]) else { continue };
                seen[before] = true;
                // Who says how a release ended approves of nothing.
                let job = &self.jobs[before];
                match job.answered_by.as_ref().filter(|_| job.definition.kind == Kind::Approval) {
                    Some(actor) => found.push(actor),
                    None => left.push(before),
                }
            }
        }
        if found.is_empty() { vec![self.actor()] } else { found }
    }

    /// Whether it is run again by itself once it has failed.
    pub(crate) fn is_run_again(&self) -> bool {
        self.reruns.automatic < self.reruns.most
    }

    /// Goes on as failing until its rerun is there, so that nobody takes the pipeline for over in between.
    fn await_rerun(&self, change: &mut Change) {
        self.workflow_changed(WorkflowStatus::Failing, change);
        change.is_due = true;
    }

    pub(super) fn job_changed(&mut self, job: usize, status: JobStatus, moment: Moment, change: &mut Change) {
        let at = Some(moment.wall_ms);
        change.writes.extend(self.report_job(job, status));
        let ended = self.job_ended(job, status);
        self.jobs[job].on_hold_since = at.filter(|_| status == JobStatus::OnHold);
        let started_ms = at.filter(|_| matches!(status, JobStatus::Running | JobStatus::OnHold));
        let ended_ms = at.filter(|_| status.is_terminal());
        let live = &mut self.jobs[job];
        let (waits_ms, reason) = (live.waits_since, live.reason.take());
        change.news.push(News::Job { workflow: self.place, job, status, reason: reason.clone() });
        let job = live.id;
        change.writes.push(Write::JobStatus { job, status, started_ms, ended_ms, waits_ms, reason });
        change.writes.extend(ended);
    }

    fn queue_tasks(&mut self, job: usize, moment: Moment, change: &mut Change) {
        let workflow = self.guard.workflow;
        let live = &mut self.jobs[job];
        for index in 0..live.definition.parallelism {
            let id = TaskId(Uuid::now_v7());
            let place = Place { workflow, job, index: index as usize };
            change.news.push(News::Task { workflow: self.place, job, task: id, index });
            change.writes.push(Write::Task(TaskRow::queued(id, live.id, index, moment.wall_ms).into()));
            change.made.push((id, place));
            change.queued.extend(live.want().map(|want| (id, want)));
            live.tasks.push(LiveTask {
                id,
                machine: task::Task::new(),
                holder: None,
                progress: Progress::fresh(),
                queued_ms: moment.wall_ms,
            });
        }
    }

    pub(super) fn cancel_tasks(&mut self, job: usize, moment: Moment, change: &mut Change) {
        for index in 0..self.jobs[job].tasks.len() {
            self.task_event((job, index), task::Event::Cancel, (None, None), moment, change);
        }
    }

    /// Writes and tells the workflow's status.
    pub(crate) fn workflow_changed(&self, status: WorkflowStatus, change: &mut Change) {
        change.over = status.is_terminal();
        change.news.push(News::Workflow { workflow: self.place, status });
        change.writes.push(Write::WorkflowStatus(self.guard.workflow, status));
        change.writes.extend(self.report(status));
        change.writes.extend(self.workflow_ended(status));
    }
}

impl LiveTask {
    /// Why a task ended where nobody but the control plane can say it.
    fn explains(&self, event: task::Event, verdict: Verdict, moment: Moment) -> Option<String> {
        let host = self.holder.as_ref().map_or("unknown", |holder| &holder.host);
        let when = rfc3339(moment.wall_ms);
        match (event, verdict) {
            (task::Event::Tick { .. }, Verdict::Over(_)) => Some(format!(
                "host `{host}` was not heard of until its lease ran out at {when}; its work is lost"
            )),
            (_, Verdict::Exhausted) => Some(format!(
                "the task was given back {} times, the last time by host `{host}` at {when}",
                self.machine.unclaims + 1
            )),
            _ => None,
        }
    }
}

fn host_step_ended(task: TaskId, outcome: Outcome, duration_ms: i64) -> News {
    let duration_ms = u64::try_from(duration_ms).unwrap_or_default();
    let (step, status) = (StepNumber::HOST, host_step_status(outcome));
    News::StepEnded { task, step, status, exit_code: None, duration_ms }
}

/// The launch-agent's own step failed only where the task was lost to the machinery.
pub(crate) fn host_step_status(outcome: Outcome) -> StepStatus {
    match outcome {
        Outcome::InfrastructureFail => StepStatus::Failed,
        _ => StepStatus::Success,
    }
}
