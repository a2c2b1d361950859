//! Serial groups of all pipelines: whose turn it is, and what becomes of those that wait for theirs.
//!
//! Who waits is in the store with their workflows, and so is who has the turn. It is given on once the end of what had it
//! is on disk: no crash in between leaves two of them.

use super::{
    Plane,
    clock::Moment,
    core::Core,
    live::{Change, Live},
};
use crate::engine::{
    hold::Step,
    serial::{Decision, Party, Verdict, Waiter},
    workflow::Event,
};
use protocol::{JobStatus, WorkflowId};
use slog::info;
use std::sync::Arc;

impl Plane {
    /// Gives every group that is free to who has waited longest, and ends the waiting of those that wait in vain.
    pub(crate) fn serve_groups(self: &Arc<Self>) {
        let now = self.clock.moment().wall_ms;
        let mut core = self.core();
        while let Some(decision) = core.groups.next(now) {
            self.carry_out(&mut core, &decision);
        }
    }

    /// The end of what had these groups is on disk.
    pub(super) fn free_groups(&self, workflow: WorkflowId, steps: &[Step]) {
        let freed = steps.iter().filter_map(|step| match step {
            Step::Freed { group } => Some(group),
            Step::Waits { .. } | Step::Left { .. } => None,
        });
        for group in freed {
            self.core().groups.free(group, workflow);
            self.see_to_it();
        }
    }

    fn carry_out(self: &Arc<Self>, core: &mut Core, decision: &Decision) {
        let Decision { group, waiter, verdict } = decision;
        let (workflow, job) = (waiter.party.workflow, waiter.job);
        let done = self.change(core, workflow, |live, moment, change| {
            live.jobs[job].reason = why(group, *verdict);
            live.workflow_event(event(job, *verdict), moment, change);
            // What does nothing is over as its turn comes.
            if *verdict == Verdict::Turn && !live.holds.had().contains(group) {
                change.groups.push(Step::Freed { group: group.clone() });
            }
        });
        match done {
            Some(_) => info!(self.log, "a job waits for its serial group no more";
                "workflow" => %workflow, "group" => &**group, "verdict" => ?verdict),
            // Its workflow is to be read again, and joins anew then.
            None => core.groups.free(group, workflow),
        }
    }
}

fn event(job: usize, verdict: Verdict) -> Event {
    match verdict {
        Verdict::Turn => Event::Turn(job),
        Verdict::Skipped { .. } => Event::Skip(job),
        Verdict::Expired => Event::Expire(job),
    }
}

fn why(group: &str, verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Turn => None,
        Verdict::Skipped { by } => {
            Some(format!("skipped: the newer pipeline {by} has or awaits the serial group `{group}`"))
        }
        Verdict::Expired => Some(format!("waited five hours for its turn in the serial group `{group}`")),
    }
}

impl Live {
    pub(crate) fn party(&self) -> Party {
        let Self { guard, pipeline, .. } = self;
        Party { workflow: guard.workflow, project: pipeline.project, number: pipeline.number }
    }

    pub(crate) fn waiter(&self, job: usize) -> Waiter {
        let since_ms = self.jobs[job].waits_since.unwrap_or_default();
        Waiter { party: self.party(), job, since_ms }
    }

    /// A job is queued until it has its turn.
    pub(crate) fn await_turn(&mut self, job: usize, moment: Moment, change: &mut Change) {
        let live = &mut self.jobs[job];
        live.waits_since = Some(moment.wall_ms);
        let group = live.definition.serial_group.as_deref().unwrap_or_default();
        live.reason = Some(format!("waits for its turn in the serial group `{group}`"));
        self.job_changed(job, JobStatus::Queued, moment, change);
    }
}

impl Core {
    /// Takes up what a workflow has and waits for.
    pub(super) fn take_up_groups(&mut self, live: &Live) {
        self.groups.forget(live.guard.workflow);
        for group in live.holds.had() {
            self.groups.take_up(&group, live.party());
        }
        for (group, job) in live.holds.waiting() {
            self.groups.join(group, live.waiter(job));
        }
    }

    /// Takes over what an event came to; what it freed is not free before that is on disk.
    pub(super) fn move_groups(&mut self, workflow: WorkflowId, change: &mut Change) {
        for step in &change.groups {
            match step {
                Step::Waits { group, job } => {
                    let Some(live) = self.workflow(workflow) else { continue };
                    let waiter = live.waiter(*job);
                    self.groups.join(group, waiter);
                }
                Step::Left { group, job } => self.groups.leave(group, workflow, *job),
                Step::Freed { .. } => {}
            }
        }
    }
}
