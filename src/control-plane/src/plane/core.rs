//! All running workflows in memory, and where their tasks, tokens and queues are found.
//!
//! Whoever changes a workflow holds the one lock while the writes are queued, so that memory and store change in the
//! same order.

use super::{
    live::{Change, Live, LiveJob, LiveTask, Place, Want},
    queue::Queue,
    token::TokenHash,
};
use crate::{
    engine::{serial::Groups, task::State},
    refusal::Refusal,
};
use protocol::{Epoch, PipelineId, ResourceClass, TaskId, WorkflowId};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use store::Guard;
use tokio::sync::Notify;

/// All running workflows.
#[derive(Debug, Default)]
pub(crate) struct Core {
    live: HashMap<WorkflowId, Live>,
    places: HashMap<TaskId, Place>,
    pub(super) tokens: HashMap<TokenHash, (TaskId, Epoch)>,
    pub(super) queues: HashMap<Want, Queue>,
    /// Of what somebody was passed over: whose project or class has as many tasks as it may have.
    pub(super) passed_over: HashSet<Want>,
    /// The unfinished workflows of each pipeline.
    open: HashMap<PipelineId, HashSet<WorkflowId>>,
    /// Workflows whose memory no longer fits the store: to be read again.
    lost: HashSet<WorkflowId>,
    /// Workflows that have failed and are to be run again by themselves.
    due: HashSet<WorkflowId>,
    /// Pipelines that a rerun is on the way to, and whether they were canceled meanwhile.
    expecting: HashMap<PipelineId, bool>,
    /// Whose turn it is in which serial group.
    pub(super) groups: Groups,
    generations: u64,
}

impl Core {
    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generations += 1;
        self.generations
    }

    /// Takes up a workflow with its queued tasks and the tokens of its held ones.
    pub(crate) fn insert(&mut self, live: Live) {
        let workflow = live.guard.workflow;
        if self.lost.remove(&workflow) {
            // Of what was never stored nothing is left: a place may be another task's now.
            self.places.retain(|_, place| place.workflow != workflow);
        }
        self.open.entry(live.pipeline.id).or_default().insert(workflow);
        self.take_up_groups(&live);
        if live.engine.status().is_terminal() {
            self.due.insert(workflow);
        }
        for (job, entry) in live.jobs.iter().enumerate() {
            for (index, task) in entry.tasks.iter().enumerate() {
                self.places.insert(task.id, Place { workflow, job, index });
                if let Some(holder) = task.holder.as_ref().filter(|_| task.machine.is_held()) {
                    self.tokens.insert(holder.hash, (task.id, task.machine.epoch));
                }
                if task.machine.state == State::Queued {
                    let queue = entry.want().map(|want| self.queues.entry(want).or_default());
                    queue.into_iter().for_each(|queue| queue.push(live.pipeline.project, task.id));
                }
            }
        }
        self.live.insert(workflow, live);
    }

    /// Whether no workflow runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.lost.is_empty()
    }

    pub(crate) fn workflow(&mut self, id: WorkflowId) -> Option<&mut Live> {
        self.live.get_mut(&id)
    }

    /// Where a task stands, if its workflow runs.
    pub(crate) fn place(&self, task: TaskId) -> Option<Place> {
        self.places.get(&task).copied()
    }

    /// A task with the workflow it belongs to.
    pub(crate) fn task(&self, task: TaskId) -> Option<(&Live, &LiveTask, Place)> {
        let place = self.place(task)?;
        let live = self.live.get(&place.workflow)?;
        Some((live, live.task(place.job, place.index), place))
    }

    /// The lease that a token stands for now.
    pub(crate) fn lease(&self, token: &TokenHash) -> Option<(TaskId, Epoch)> {
        self.tokens.get(token).copied()
    }

    /// The unfinished workflows of a pipeline.
    pub(crate) fn workflows_of(&self, pipeline: PipelineId) -> Vec<WorkflowId> {
        self.open.get(&pipeline).into_iter().flatten().copied().collect()
    }

    /// A workflow that runs of an unfinished pipeline.
    pub(crate) fn running_of(&self, id: PipelineId) -> Result<Option<&Live>, Refusal> {
        let Some(open) = self.open.get(&id).filter(|open| !open.is_empty()) else { return Ok(None) };
        open.iter().find_map(|workflow| self.live.get(workflow)).map(Some).ok_or_else(Refusal::being_read)
    }

    /// What rings when a task comes that wants this.
    pub(crate) fn work(&mut self, want: &Want) -> Arc<Notify> {
        match self.queues.get(want) {
            Some(queue) => queue.work.clone(),
            None => self.queues.entry(want.clone()).or_default().work.clone(),
        }
    }

    /// All workflows that run.
    pub(crate) fn running_workflows(&self) -> impl Iterator<Item = (&WorkflowId, &Live)> {
        self.live.iter()
    }

    /// How many workflows run.
    pub(crate) fn running(&self) -> usize {
        self.live.len() + self.lost.len()
    }

    /// How many tasks wait, and how many are held, of each class that has any.
    pub(crate) fn counts(&self) -> HashMap<&ResourceClass, (u64, u64)> {
        let mut counts: HashMap<_, (u64, u64)> = HashMap::new();
        for job in self.live.values().flat_map(|live| &live.jobs) {
            let Some(class) = job.class.as_ref().filter(|_| !job.tasks.is_empty()) else { continue };
            let (queued, held) = counts.entry(class).or_default();
            *queued += count(job, |task| task.machine.state == State::Queued);
            *held += count(job, |task| task.machine.is_held());
        }
        counts
    }

    /// All tasks that somebody holds.
    pub(crate) fn held(&self) -> Vec<Place> {
        let mut held = Vec::new();
        for (workflow, live) in &self.live {
            for (job, entry) in live.jobs.iter().enumerate() {
                let tasks = entry.tasks.iter().enumerate().filter(|(_, task)| task.machine.is_held());
                held.extend(tasks.map(|(index, _)| Place { workflow: *workflow, job, index }));
            }
        }
        held
    }

    /// All jobs that wait for an approval, and since when.
    pub(crate) fn on_hold(&self) -> impl Iterator<Item = (&Live, usize, i64)> {
        let jobs =
            self.live.values().flat_map(|live| live.jobs.iter().enumerate().map(move |job| (live, job)));
        jobs.filter_map(|(live, (place, job))| Some((live, place, job.on_hold_since?)))
    }

    /// Finds its way through what a change of a workflow came to.
    pub(crate) fn absorb(&mut self, workflow: WorkflowId, change: &mut Change) {
        self.places.extend(change.made.drain(..));
        let dropped = change.dropped_tokens.drain(..);
        let freed = dropped.filter(|token| self.tokens.remove(token).is_some()).count();
        self.tokens.extend(change.tokens.drain(..).map(|(hash, task, epoch)| (hash, (task, epoch))));
        if let Some(project) = self.live.get(&workflow).map(|live| live.pipeline.project) {
            for (task, want) in change.queued.drain(..) {
                self.queues.entry(want).or_default().push(project, task);
            }
        }
        self.freed(freed);
        self.move_groups(workflow, change);
        if change.is_due {
            self.due.insert(workflow);
        }
        if change.over {
            self.finish(workflow);
        }
    }

    /// Drops a workflow that is over.
    pub(crate) fn finish(&mut self, workflow: WorkflowId) {
        self.due.remove(&workflow);
        let Some(live) = self.live.remove(&workflow) else { return };
        self.forget_tokens(&live);
        for task in live.jobs.iter().flat_map(|job| &job.tasks) {
            self.places.remove(&task.id);
        }
        let pipeline = live.pipeline.id;
        if let Some(open) = self.open.get_mut(&pipeline) {
            open.remove(&workflow);
            if open.is_empty() {
                self.open.remove(&pipeline);
            }
        }
    }

    fn forget_tokens(&mut self, live: &Live) {
        for holder in live.jobs.iter().flat_map(|job| &job.tasks).filter_map(|task| task.holder.as_ref()) {
            self.tokens.remove(&holder.hash);
        }
    }

    /// A write of a workflow has failed: its memory is dropped. Whether that is news.
    pub(crate) fn lose(&mut self, guard: Guard) -> bool {
        if self.live.get(&guard.workflow).is_some_and(|live| live.guard.generation > guard.generation) {
            return false;
        }
        self.due.remove(&guard.workflow);
        self.groups.pause(guard.workflow);
        if let Some(live) = self.live.remove(&guard.workflow) {
            // Places stay: a task without its workflow is one to ask for again, not one that nobody holds.
            self.forget_tokens(&live);
        }
        self.lost.insert(guard.workflow)
    }

    /// The workflows to be read again.
    pub(crate) fn lost(&self) -> Vec<WorkflowId> {
        self.lost.iter().copied().collect()
    }

    /// A workflow has failed and is to be run again by itself.
    pub(crate) fn is_due(&mut self, workflow: WorkflowId) {
        if self.live.contains_key(&workflow) {
            self.due.insert(workflow);
        }
    }

    /// A rerun of the pipeline is on its way to the disk.
    pub(crate) fn expect(&mut self, pipeline: PipelineId) {
        self.expecting.insert(pipeline, false);
    }

    /// The pipeline is canceled: so is what is on the way to it.
    pub(crate) fn cancel_expected(&mut self, pipeline: PipelineId) {
        self.expecting.entry(pipeline).and_modify(|canceled| *canceled = true);
    }

    /// A rerun is there, or will not come; whether its pipeline was canceled meanwhile.
    pub(crate) fn arrived(&mut self, pipeline: PipelineId) -> bool {
        self.expecting.remove(&pipeline).unwrap_or_default()
    }

    /// The workflows to be run again by themselves.
    pub(crate) fn take_due(&mut self) -> HashSet<WorkflowId> {
        std::mem::take(&mut self.due)
    }

    /// A lost workflow turned out to be over.
    pub(crate) fn let_go(&mut self, workflow: WorkflowId) {
        self.lost.remove(&workflow);
        self.groups.forget(workflow);
        self.places.retain(|_, place| place.workflow != workflow);
        self.open.values_mut().for_each(|open| {
            open.remove(&workflow);
        });
    }
}

fn count(job: &LiveJob, is_one: impl Fn(&LiveTask) -> bool) -> u64 {
    job.tasks.iter().map(|task| u64::from(is_one(task))).sum()
}
