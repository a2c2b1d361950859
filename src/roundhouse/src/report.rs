//! What a pipeline came to: the JSON document, the table for people, the exit status.

mod collect;
mod table;

pub(crate) use collect::{Logs, document};
pub(crate) use table::{Closing, table};

use protocol::{
    JobStatus, PipelineState, WorkflowStatus,
    api::{JobView, PipelineView},
    exit,
};

/// `success` if every workflow that had something to do succeeded, else the worst. One that was continued with a
/// configuration that is not valid has failed.
pub(crate) fn status(view: &PipelineView) -> WorkflowStatus {
    let errored = (view.state == PipelineState::Errored).then_some(WorkflowStatus::Failed);
    let all = view.workflows.iter().map(|workflow| workflow.status).chain(errored);
    all.max_by_key(|status| badness(*status)).unwrap_or(WorkflowStatus::NotRun)
}

fn badness(status: WorkflowStatus) -> u8 {
    match status {
        WorkflowStatus::NotRun => 0,
        WorkflowStatus::Success => 1,
        WorkflowStatus::Running | WorkflowStatus::OnHold => 2,
        WorkflowStatus::Canceled => 3,
        WorkflowStatus::Failing | WorkflowStatus::Failed => 4,
    }
}

/// What a script is told: the machinery's failure only where no job failed by itself.
pub(crate) fn exit_status(view: &PipelineView, interrupted: bool) -> u8 {
    if interrupted {
        return exit::INTERRUPTED;
    }
    if matches!(status(view), WorkflowStatus::Success | WorkflowStatus::NotRun) {
        return exit::SUCCESS;
    }
    let any = |wanted: &[JobStatus]| jobs(view).any(|job| wanted.contains(&job.status));
    let own = any(&[JobStatus::Failed, JobStatus::Timedout, JobStatus::Canceled]);
    if any(&[JobStatus::InfrastructureFail]) && !own { exit::MACHINERY } else { exit::JOB_FAILED }
}

fn jobs(view: &PipelineView) -> impl Iterator<Item = &JobView> {
    view.workflows.iter().flat_map(|workflow| &workflow.jobs)
}

/// From its first claim to its last end; 0 if it never ran.
fn duration_ms(job: &JobView) -> u64 {
    match (job.started_ms, job.ended_ms) {
        (Some(started), Some(ended)) => u64::try_from(ended - started).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::scripted::{finished, pipeline};

    fn ended(statuses: &[JobStatus], workflow: WorkflowStatus) -> PipelineView {
        let names = vec!["job"; statuses.len()];
        let mut view = pipeline(&[("main", &names)]);
        view.workflows[0].status = workflow;
        for (job, status) in view.workflows[0].jobs.iter_mut().zip(statuses) {
            job.status = *status;
        }
        view
    }

    #[test]
    fn the_exit_status_says_who_failed() {
        use JobStatus::{Canceled, Failed, InfrastructureFail, NotRun, Success};
        let status = |jobs: &[JobStatus], workflow| exit_status(&ended(jobs, workflow), false);
        assert_eq!(status(&[Success], WorkflowStatus::Success), exit::SUCCESS);
        assert_eq!(status(&[Failed, NotRun], WorkflowStatus::Failed), exit::JOB_FAILED);
        assert_eq!(status(&[InfrastructureFail, NotRun], WorkflowStatus::Failed), exit::MACHINERY);
        assert_eq!(status(&[InfrastructureFail, Failed], WorkflowStatus::Failed), exit::JOB_FAILED);
        assert_eq!(status(&[Canceled], WorkflowStatus::Canceled), exit::JOB_FAILED);
        assert_eq!(exit_status(&ended(&[Success], WorkflowStatus::Success), true), exit::INTERRUPTED);
    }

    #[test]
    fn the_worst_workflow_is_the_status() {
        let mut view = pipeline(&[("a", &["x"]), ("b", &["x"])]);
        view.workflows[0].status = WorkflowStatus::Success;
        view.workflows[1].status = WorkflowStatus::NotRun;
        assert_eq!(status(&view), WorkflowStatus::Success);
        view.workflows[1].status = WorkflowStatus::Canceled;
        assert_eq!(status(&view), WorkflowStatus::Canceled);
    }

    #[test]
    fn a_continuation_that_is_not_valid_fails_the_run_although_its_setup_succeeded() {
        let mut view = ended(&[JobStatus::Success], WorkflowStatus::Success);
        view.state = PipelineState::Setup;
        assert_eq!(exit_status(&view, false), exit::SUCCESS);
        view.state = PipelineState::Errored;
        assert_eq!(exit_status(&view, false), exit::JOB_FAILED);
    }

    #[test]
    fn a_job_lasts_from_its_first_claim_to_its_last_end() {
        let view = finished();
        assert_eq!(jobs(&view).map(duration_ms).collect::<Vec<_>>(), [62_400, 0]);
    }
}
