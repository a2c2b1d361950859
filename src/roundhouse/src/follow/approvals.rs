//! Approvals while a pipeline is followed: those given ahead are given, of all others, and of releases, it is said how.

use super::{
    Follower,
    model::{Model, Place},
};
use crate::approve;
use client::ClientError;
use protocol::{JobStatus, feed::News, pipeline::Kind};

/// The word for all jobs.
const ALL: &str = "all";

/// How the jobs of a pipeline are approved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Approvals {
    /// What people add to the commands by which they do it, to reach the pipeline: nothing, or options after a blank.
    pub(crate) reach: String,
    /// The names of those that are approved as soon as they wait for it, or `all`.
    pub(crate) ahead: Vec<String>,
}

impl Follower<'_> {
    /// Says which names stand for nothing, and sees to the jobs that wait from the beginning.
    pub(super) async fn begin_approving(&mut self) -> Result<(), ClientError> {
        for name in self.ahead.iter().filter(|name| !is_known(&self.model, name)) {
            let note = format!("--approve {name}: no job of that name is one to be approved");
            self.view.note(&note);
        }
        let waiting = self.model.jobs().filter(|(_, job)| job.status == JobStatus::OnHold);
        for at in waiting.map(|(at, _)| at).collect::<Vec<_>>() {
            self.answer(at).await?;
        }
        Ok(())
    }

    /// A job waits for an approval or a release.
    pub(super) async fn answer(&mut self, at: Place) -> Result<(), ClientError> {
        let is_approval = self.model.job(at).kind == Kind::Approval;
        if !is_approval || !self.ahead.iter().any(|name| admits(&self.model, name, at)) {
            let news =
                News::Job { workflow: at.workflow, job: at.job, status: JobStatus::OnHold, reason: None };
            self.view.told(&self.model, &news);
            return Ok(());
        }
        let (workflow, job) = (self.model.view().workflows[at.workflow].id, self.model.job(at).id);
        match self.operator.approve(workflow, job, &format!("{}, ahead", approve::who())).await {
            // Somebody was faster.
            Ok(()) | Err(ClientError::Conflict(_)) => {
                self.view.note(&format!("{}: approved, as --approve says", self.model.job_label(at)));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_known(model: &Model, name: &str) -> bool {
    name == ALL || model.jobs().any(|(at, job)| job.kind == Kind::Approval && admits(model, name, at))
}

fn admits(model: &Model, name: &str, at: Place) -> bool {
    let (workflow, job) = (&model.view().workflows[at.workflow].name, &model.job(at).name);
    name == ALL || approve::names(name, workflow, job)
}
