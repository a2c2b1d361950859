//! What others are told of workflows and jobs where their project wants that: the provider of their commit how they stand,
//! webhooks how they ended.

use super::{Plane, clock::wall_ms, live::Live};
use protocol::{
    JobId, JobStatus, PipelineId, WorkflowStatus,
    outgoing::Event,
    pipeline::Kind,
    task::Source,
    webhook::{CommitState, Statuses},
};
use store::{EventRow, ProjectId, StatusRow, Write};

/// The longest name in a context, in characters.
const LONGEST: usize = 200;

/// A state, and what it says to people.
type Standing = (CommitState, &'static str);

impl Live {
    /// Of the workflow itself.
    pub(super) fn report(&self, status: WorkflowStatus) -> Option<Write> {
        let page = format!("/pipelines/{}", self.pipeline.id);
        self.told(Statuses::Workflows, &self.name, of_workflow(status)?, page)
    }

    /// Of one of its jobs.
    pub(super) fn report_job(&self, job: usize, status: JobStatus) -> Option<Write> {
        let job = &self.jobs[job];
        let page = format!("/jobs/{}", job.id);
        self.told(Statuses::Jobs, &job.definition.name, of_job(status)?, page)
    }

    fn told(&self, of: Statuses, name: &str, standing: Standing, page: String) -> Option<Write> {
        let (project, source) = (self.pipeline.project, &self.pipeline.source);
        row((project, source), Some(of), &context(name), standing, page)
    }

    /// That the workflow itself is over, if it is.
    pub(crate) fn workflow_ended(&self, status: WorkflowStatus) -> Option<Write> {
        status.is_terminal().then(|| self.event(Event::WorkflowCompleted, None))
    }

    /// That one of its jobs is over. Of one without steps, and of one of which no task was ever queued, nobody is told.
    pub(super) fn job_ended(&self, job: usize, status: JobStatus) -> Option<Write> {
        let job = &self.jobs[job];
        let has_run = !job.tasks.is_empty() || status == JobStatus::Unauthorized;
        let is_told = status.is_terminal() && has_run && job.definition.kind == Kind::Build;
        is_told.then(|| self.event(Event::JobCompleted, Some(job.id)))
    }

    fn event(&self, event: Event, job: Option<JobId>) -> Write {
        let (project, pipeline) = (self.pipeline.project, self.pipeline.id);
        let (workflow, made_ms) = (self.guard.workflow, wall_ms());
        Write::Event(EventRow { project, event, pipeline, workflow, job, made_ms })
    }
}

/// Where those are of which others may have to be told.
pub(crate) fn places(writes: &[Write]) -> Vec<usize> {
    let is_one = |write: &Write| matches!(write, Write::Status(_) | Write::Event(_));
    (0..writes.len()).filter(|place| is_one(&writes[*place])).collect()
}

impl Plane {
    /// Has others told if anything of that is to be: the numbers of all writes say so.
    pub(crate) fn ring(&self, places: &[usize], numbers: &[u64]) {
        if places.iter().any(|place| numbers.get(*place).is_some_and(|number| *number > 0)) {
            self.to_tell.send_replace(());
        }
    }
}

/// Of a pipeline that does not come to be.
pub(crate) fn unusable(project: ProjectId, source: &Source, pipeline: PipelineId) -> Option<Write> {
    let standing = (CommitState::Error, "the configuration cannot be used: the page says why");
    row((project, source), None, &context("configuration"), standing, format!("/pipelines/{pipeline}"))
}

fn context(name: &str) -> String {
    let name: String = name.chars().take(LONGEST).collect();
    format!("ci/roundhouse: {name}")
}

/// None: what runs is no commit of a repository.
fn row(
    (project, source): (ProjectId, &Source),
    of: Option<Statuses>,
    context: &str,
    (state, description): Standing,
    page: String,
) -> Option<Write> {
    let Source::Git { url, revision, .. } = source else { return None };
    let row = StatusRow {
        project,
        url: url.clone(),
        of,
        revision: revision.clone(),
        context: context.to_owned(),
        state,
        description: description.to_owned(),
        page,
        made_ms: wall_ms(),
    };
    Some(Write::Status(Box::new(row)))
}

/// None: it is nothing new to whoever looks at the commit.
fn of_workflow(status: WorkflowStatus) -> Option<Standing> {
    Some(match status {
        WorkflowStatus::Running => (CommitState::Running, "the workflow runs"),
        WorkflowStatus::Failing => return None,
        WorkflowStatus::OnHold => (CommitState::Pending, "the workflow waits for somebody"),
        WorkflowStatus::Success => (CommitState::Success, "the workflow succeeded"),
        WorkflowStatus::Failed => (CommitState::Failure, "the workflow failed"),
        WorkflowStatus::Canceled => (CommitState::Canceled, "the workflow was canceled"),
        WorkflowStatus::NotRun => return None,
    })
}

fn of_job(status: JobStatus) -> Option<Standing> {
    Some(match status {
        JobStatus::Blocked | JobStatus::Queued | JobStatus::NotRun => return None,
        JobStatus::OnHold => (CommitState::Pending, "the job waits for somebody"),
        JobStatus::Running => (CommitState::Running, "the job runs"),
        JobStatus::Success => (CommitState::Success, "the job succeeded"),
        JobStatus::Failed => (CommitState::Failure, "the job failed"),
        JobStatus::Timedout => (CommitState::Failure, "the job ran over its time"),
        JobStatus::Canceled => (CommitState::Canceled, "the job was canceled"),
        JobStatus::Unauthorized => (CommitState::Failure, "the job may not have its context"),
        JobStatus::InfrastructureFail => (CommitState::Error, "the job was lost to the machinery"),
    })
}
