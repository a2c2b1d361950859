//! Jobs that wait for somebody's word, an approval or how a release ended: which, the answer to one, and the end of
//! those that nobody answered.

use super::{
    Plane, Written,
    core::Core,
    live::{Change, Live},
    people::Who,
};
use crate::{engine::workflow::Event, refusal::Refusal};
use protocol::{
    JobId, JobStatus, WorkflowId,
    api::{OnHold, ReleaseStatus},
    pipeline::Kind,
};
use slog::{info, warn};
use std::sync::Arc;
use store::{JobRow, Write};

/// The longest that a job waits for an answer: ninety days.
const LONGEST_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// The most letters of the name of whoever answers.
const LONGEST_NAME: usize = 100;
/// The most letters of why a release failed.
const LONGEST_REASON: usize = 500;
/// Who answers and does not say who they are.
const SOMEBODY: &str = "the operator";

/// What somebody says to a job that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is approved.
    Approved,
    /// Its release ended so, and why where it failed.
    Released(ReleaseStatus, Option<String>),
}

impl Plane {
    /// All jobs that wait for an answer, the one that has waited longest first.
    pub(crate) fn on_hold(&self) -> Vec<OnHold> {
        let mut all: Vec<OnHold> =
            self.core().on_hold().map(|(live, place, since_ms)| on_hold(live, place, since_ms)).collect();
        all.sort_by_key(|one| (one.since_ms, one.job));
        all
    }

    /// Answers a job that waits for it.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        (workflow, job): (WorkflowId, JobId),
        answer: Answer,
        (who, said): (&Who, Option<String>),
    ) -> Result<(), Refusal> {
        let by = name(who, said);
        let answered = self.answered(&mut self.core(), (workflow, job), &answer, (&by, who));
        let Some(written) = answered else { return Err(self.why_not(workflow, job, answer.kind()).await?) };
        written.on_disk().await?;
        info!(self.log, "a job was answered";
            "workflow" => %workflow, "job" => %job, "answer" => ?answer, "by" => by);
        Ok(())
    }

    /// None: it does not wait for that.
    fn answered(
        self: &Arc<Self>,
        core: &mut Core,
        (workflow, job): (WorkflowId, JobId),
        answer: &Answer,
        (by, who): (&str, &Who),
    ) -> Option<Written> {
        let live = core.workflow(workflow)?;
        let place = live.jobs.iter().position(|live| live.id == job)?;
        live.jobs[place].on_hold_since.filter(|_| live.jobs[place].definition.kind == answer.kind())?;
        let answered = self.change(core, workflow, |live, moment, change: &mut Change| {
            let actor = who.actor();
            live.jobs[place].answered_by = Some(actor.clone());
            change.writes.push(Write::JobApproved { job, by: by.to_owned(), actor });
            live.jobs[place].reason = answer.why(live.jobs[place].definition.plan.as_deref());
            live.workflow_event(answer.event(place), moment, change);
        });
        answered.map(|((), written)| written)
    }

    /// Why a job cannot be answered so.
    async fn why_not(&self, workflow: WorkflowId, job: JobId, asked: Kind) -> Result<Refusal, Refusal> {
        let row = self.store.job(job).await?.map(|(row, ..)| row).filter(|row| row.workflow == workflow);
        Ok(match row {
            Some(row) if row.status == JobStatus::OnHold && row.definition.kind == asked => {
                Refusal::being_read()
            }
            Some(row) => Refusal::Conflict(state(&row, asked)),
            None => Refusal::Missing(format!("the workflow {workflow} has no job {job}")),
        })
    }

    /// Ends the waiting of jobs that nobody answered for too long.
    pub(crate) fn expire_approvals(self: &Arc<Self>) {
        let now = self.clock.moment().wall_ms;
        let mut core = self.core();
        let is_late = |(live, place, since): (&Live, usize, i64)| {
            (now.saturating_sub(since) > LONGEST_MS).then_some((live.guard.workflow, place))
        };
        let late: Vec<_> = core.on_hold().filter_map(is_late).collect();
        for (workflow, place) in late {
            warn!(self.log, "nobody answered a job for ninety days, it is canceled"; "workflow" => %workflow);
            // Nobody waits for it: what is not stored is read again.
            let _written = self.change(&mut core, workflow, |live, moment, change| {
                live.workflow_event(Event::Expire(place), moment, change);
            });
        }
    }
}

/// Those who share a token say themselves who they are.
fn name(who: &Who, said: Option<String>) -> String {
    let name = match who {
        Who::Operator | Who::Approver => said,
        who => Some(who.login()),
    };
    line(name.as_deref(), LONGEST_NAME).unwrap_or_else(|| SOMEBODY.to_owned())
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
        plan: job.definition.plan.clone(),
        since_ms,
    }
}

impl Answer {
    /// What waits for such an answer.
    fn kind(&self) -> Kind {
        match self {
            Self::Approved => Kind::Approval,
            Self::Released(..) => Kind::Release,
        }
    }

    fn event(&self, job: usize) -> Event {
        match self {
            Self::Approved => Event::Approve(job),
            Self::Released(status, _) => {
                Event::Released { job, succeeded: *status == ReleaseStatus::Success }
            }
        }
    }

    /// Why the job stands as it does then, where its status says too little.
    fn why(&self, plan: Option<&str>) -> Option<String> {
        let Self::Released(ReleaseStatus::Failed, reason) = self else { return None };
        let why = line(reason.as_deref(), LONGEST_REASON).map(|why| format!(": {why}"));
        Some(format!("the release `{}` failed{}", plan.unwrap_or_default(), why.unwrap_or_default()))
    }
}

/// A text as one line of bounded length; none of one in which nothing is said.
fn line(text: Option<&str>, longest: usize) -> Option<String> {
    let plain: String = text?.chars().filter(|c| !c.is_control()).take(longest).collect();
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// How a job stands that does not wait for this.
fn state(row: &JobRow, asked: Kind) -> String {
    let name = &row.definition.name;
    let by = row.approved_by.as_deref().unwrap_or(SOMEBODY);
    match (asked, row.definition.kind, row.status) {
        (Kind::Release, Kind::Release, JobStatus::Blocked) => {
            format!("the job `{name}` does not wait for its release yet: jobs that it requires are not over")
        }
        (Kind::Release, Kind::Release, JobStatus::Success | JobStatus::Failed) => {
            format!("the release of the job `{name}` is over already, says {by}: it is {}", row.status)
        }
        (Kind::Release, Kind::Release, status) => {
            format!("the job `{name}` does not wait for its release any more: it is {status}")
        }
        (Kind::Release, ..) => format!("the job `{name}` is no release"),
        (_, Kind::Approval, JobStatus::Blocked) => {
            format!("the job `{name}` does not wait for an approval yet: jobs that it requires are not over")
        }
        (_, Kind::Approval, JobStatus::Success) => {
            format!("the job `{name}` was approved already, by {by}")
        }
        (_, Kind::Approval, status) => {
            format!("the job `{name}` cannot be approved any more: it is {status}")
        }
        (_, Kind::Release, _) => format!("the job `{name}` is a release: it waits for that and no approval"),
        _ => format!("the job `{name}` is none that waits for an approval"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(line(Some(" ada@host\n\u{1b}[2J "), 100).as_deref(), Some("ada@host[2J"));
        assert_eq!(line(Some("x".repeat(500).as_str()), LONGEST_NAME).map(|name| name.len()), Some(100));
        assert_eq!((line(None, 9), line(Some(" "), 9)), (None, None));
    }

    #[test]
    fn a_release_that_failed_says_which_and_why() {
        let failed = |why: &str| Answer::Released(ReleaseStatus::Failed, Some(why.to_owned()));
        assert_eq!(failed("5xx\n").why(Some("shop")).as_deref(), Some("the release `shop` failed: 5xx"));
        assert_eq!(failed("").why(Some("shop")).as_deref(), Some("the release `shop` failed"));
        assert_eq!(Answer::Released(ReleaseStatus::Success, None).why(Some("shop")), None);
    }
}
