//! Jobs that wait for somebody's approval: which, the answer to one, and the end of those that nobody answered.

use super::{
    Plane, Written,
    core::Core,
    live::{Change, Live},
};
use crate::{engine::workflow::Event, refusal::Refusal};
use protocol::{JobId, JobStatus, WorkflowId, api::OnHold, pipeline::Kind};
use slog::{info, warn};
use std::sync::Arc;
use store::{JobRow, Write};

/// The longest that a job waits for an approval: ninety days.
const LONGEST_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// The most letters of an approver's name.
const LONGEST_NAME: usize = 100;
/// Who approves and does not say who they are.
const SOMEBODY: &str = "the operator";

impl Plane {
    /// All jobs that wait for an approval, the one that has waited longest first.
    pub(crate) fn on_hold(&self) -> Vec<OnHold> {
        let mut all: Vec<OnHold> =
            self.core().on_hold().map(|(live, place, since_ms)| on_hold(live, place, since_ms)).collect();
        all.sort_by_key(|one| (one.since_ms, one.job));
        all
    }

    /// Approves a job that waits for it.
    pub(crate) async fn approve(
        self: &Arc<Self>,
        workflow: WorkflowId,
        job: JobId,
        by: Option<&str>,
    ) -> Result<(), Refusal> {
        let by = name(by);
        let approved = self.approved(&mut self.core(), workflow, job, &by);
        let Some(written) = approved else { return Err(self.why_not(workflow, job).await?) };
        written.on_disk().await?;
        info!(self.log, "a job was approved"; "workflow" => %workflow, "job" => %job, "by" => by);
        Ok(())
    }

    /// None: it does not wait.
    fn approved(
        self: &Arc<Self>,
        core: &mut Core,
        workflow: WorkflowId,
        job: JobId,
        by: &str,
    ) -> Option<Written> {
        let place = core.workflow(workflow)?.jobs.iter().position(|live| live.id == job)?;
        core.workflow(workflow)?.jobs[place].on_hold_since?;
        let answered = self.change(core, workflow, |live, moment, change: &mut Change| {
            change.writes.push(Write::JobApproved { job, by: by.to_owned() });
            live.workflow_event(Event::Approve(place), moment, change);
        });
        answered.map(|((), written)| written)
    }

    /// Why a job cannot be approved.
    async fn why_not(&self, workflow: WorkflowId, job: JobId) -> Result<Refusal, Refusal> {
        let row = self.store.job(job).await?.map(|(row, ..)| row).filter(|row| row.workflow == workflow);
        Ok(match row {
            Some(row) if row.status == JobStatus::OnHold => Refusal::being_read(),
            Some(row) => Refusal::Conflict(state(&row)),
            None => Refusal::Missing(format!("the workflow {workflow} has no job {job}")),
        })
    }

    /// Ends the waiting of jobs that nobody approved for too long.
    pub(crate) fn expire_approvals(self: &Arc<Self>) {
        let now = self.clock.moment().wall_ms;
        let mut core = self.core();
        let is_late = |(live, place, since): (&Live, usize, i64)| {
            (now.saturating_sub(since) > LONGEST_MS).then_some((live.guard.workflow, place))
        };
        let late: Vec<_> = core.on_hold().filter_map(is_late).collect();
        for (workflow, place) in late {
            warn!(self.log, "nobody approved a job for ninety days, it is canceled"; "workflow" => %workflow);
            // Nobody waits for it: what is not stored is read again.
            let _written = self.change(&mut core, workflow, |live, moment, change| {
                live.workflow_event(Event::Expire(place), moment, change);
            });
        }
    }
}

fn on_hold(live: &Live, place: usize, since_ms: i64) -> OnHold {
    let job = &live.jobs[place];
    OnHold {
        project: live.pipeline.project_name.clone(),
        pipeline: live.pipeline.id,
        number: live.pipeline.number,
        workflow: live.guard.workflow,
        workflow_name: live.name.clone(),
        job: job.id,
        name: job.definition.name.clone(),
        since_ms,
    }
}

/// A name as one line of bounded length.
fn name(by: Option<&str>) -> String {
    let plain: String =
        by.unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let plain = plain.trim();
    if plain.is_empty() { SOMEBODY.to_owned() } else { plain.to_owned() }
}

/// How a job stands that does not wait for an approval.
fn state(row: &JobRow) -> String {
    let name = &row.definition.name;
    match (row.definition.kind, row.status) {
        (Kind::Build | Kind::NoOp | Kind::Lock | Kind::Unlock, _) => {
            format!("the job `{name}` is none that waits for an approval")
        }
        (_, JobStatus::Blocked) => {
            format!("the job `{name}` does not wait for an approval yet: jobs that it requires are not over")
        }
        (_, JobStatus::Success) => {
            let by = row.approved_by.as_deref().unwrap_or(SOMEBODY);
            format!("the job `{name}` was approved already, by {by}")
        }
        (_, status) => format!("the job `{name}` cannot be approved any more: it is {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approvers_name_is_one_line() {
        assert_eq!(name(Some(" ada@host\n\u{1b}[2J ")), "ada@host[2J");
        assert_eq!(name(Some("x".repeat(500).as_str())).len(), LONGEST_NAME);
        assert_eq!((name(None), name(Some(" "))), (SOMEBODY.to_owned(), SOMEBODY.to_owned()));
    }
}
