//! Workflows of any shape that ended in any way: what runs again has all that it needs, and nothing more runs.

use super::*;
use proptest::{prelude::*, sample::Index};
use protocol::{
    WorkflowId, WorkflowStatus,
    api::Reruns,
    pipeline::{Ending, Executor, Job, Kind, Requirement},
};
use uuid::Uuid;

fn id(place: usize) -> JobId {
    JobId(Uuid::from_u128(place as u128 + 1))
}

fn job(place: usize, requires: &[usize], status: JobStatus) -> JobRow {
    let definition = Job {
        name: format!("job-{place}"),
        kind: Kind::Build,
        serial_group: None,
        plan: None,
        requires: requires.iter().map(|place| Requirement::success(format!("job-{place}"))).collect(),
        parallelism: 1,
        executor: Executor::Machine,
        resource_class: None,
        environment: vec![],
        contexts: vec![],
        working_directory: "~/project".to_owned(),
        steps: vec![],
    };
    JobRow {
        id: id(place),
        workflow: WorkflowId(Uuid::nil()),
        place: 0,
        origin: None,
        failed_of: None,
        number: 1,
        class: "a/b".parse().ok(),
        definition,
        status,
        started_ms: None,
        ended_ms: None,
        approved_by: None,
        answered_by: None,
        waits_ms: None,
        reason: None,
    }
}

fn workflow() -> WorkflowRow {
    WorkflowRow {
        id: WorkflowId(Uuid::nil()),
        pipeline: protocol::PipelineId(Uuid::nil()),
        place: 0,
        name: "main".to_owned(),
        status: WorkflowStatus::Failed,
        canceled: false,
        reruns: Reruns::default(),
        actor: None,
        setup: false,
    }
}

fn refused(jobs: &[JobRow], which: &Which) -> String {
    chosen(jobs, &workflow(), which).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_run_again_is_refused_with_the_reason() {
    let jobs =
        [job(0, &[], JobStatus::Failed), job(1, &[0], JobStatus::NotRun), job(2, &[], JobStatus::Success)];
    assert_eq!(
        refused(&jobs, &Which::Jobs(vec![id(1)])),
        "the job `job-1` cannot run: what it requires of `job-0` is not so, which is failed and would not run again; \
         name that one too"
    );
    assert!(refused(&jobs, &Which::Jobs(vec![id(9)])).contains("has no job with the id"));
    assert_eq!(refused(&jobs[2..], &Which::FromFailed), "nothing of the workflow `main` has failed");
    assert_eq!(refused(&[], &Which::All), "the workflow `main` has no jobs");
}

#[test]
fn what_was_not_wanted_stays_so_where_nothing_can_change_it() {
    let mut report = job(2, &[0, 1], JobStatus::NotRun);
    report.definition.requires[0].endings = vec![Ending::Failed];
    let jobs = [job(0, &[], JobStatus::Success), job(1, &[], JobStatus::Failed), report];
    assert_eq!(chosen(&jobs, &workflow(), &Which::FromFailed).unwrap(), [false, true, false]);
    assert_eq!(chosen(&jobs, &workflow(), &Which::All).unwrap(), [true; 3]);
}

#[test]
fn a_job_that_kept_its_results_is_named_as_it_is_shown() {
    let kept = JobRow { origin: Some(id(7)), ..job(0, &[], JobStatus::Success) };
    assert_eq!(chosen(&[kept], &workflow(), &Which::Jobs(vec![id(7)])).unwrap(), [true]);
}

#[test]
fn of_jobs_between_a_lock_and_its_unlock_all_run_again_or_none() {
    use JobStatus::{Failed, NotRun, Success};
    let locked = |kind, row: JobRow| {
        let serial_group = Some("a/b".to_owned());
        JobRow { definition: Job { kind, serial_group, ..row.definition }, ..row }
    };
    let jobs = [
        job(0, &[], Success),
        locked(Kind::Lock, job(1, &[0], Success)),
        job(2, &[1], Success),
        job(3, &[2], Failed),
        locked(Kind::Unlock, job(4, &[3], NotRun)),
        job(5, &[4], NotRun),
    ];
    let again = [false, true, true, true, true, true];
    assert_eq!(chosen(&jobs, &workflow(), &Which::FromFailed).unwrap(), again);
    assert_eq!(chosen(&jobs, &workflow(), &Which::Jobs(vec![id(2)])).unwrap(), again);
    let after = [false, false, false, false, false, true];
    let done = |row: &JobRow| JobRow { status: Success, ..row.clone() };
    let ended: Vec<JobRow> = jobs.iter().map(done).collect();
    assert_eq!(chosen(&ended, &workflow(), &Which::Jobs(vec![id(5)])).unwrap(), after);
}

/// A graph whose jobs ended as the engine ends them: none ran whose requirements did not succeed.
fn ended() -> impl Strategy<Value = Vec<JobRow>> {
    use JobStatus::{Canceled, Failed, InfrastructureFail, Success, Timedout};
    let own =
        prop::sample::select(vec![Success, Success, Success, Failed, Canceled, Timedout, InfrastructureFail]);
    prop::collection::vec((prop::collection::vec(any::<Index>(), 0..3), own), 1..12).prop_map(|all| {
        let mut jobs: Vec<JobRow> = Vec::new();
        for (place, (requires, own)) in all.iter().enumerate() {
            let requires: Vec<usize> =
                requires.iter().filter(|_| place > 0).map(|index| index.index(place)).collect();
            let runs = requires.iter().all(|other| jobs[*other].status == Success);
            jobs.push(job(place, &requires, if runs { *own } else { JobStatus::NotRun }));
        }
        jobs
    })
}

proptest! {
    #[test]
    fn from_failed_runs_all_that_did_not_succeed_and_nothing_else(jobs in ended()) {
        let failed = jobs.iter().any(|job| job.status != JobStatus::Success);
        match chosen(&jobs, &workflow(), &Which::FromFailed) {
            Ok(again) => {
                for (job, again) in jobs.iter().zip(again) {
                    prop_assert_eq!(again, job.status != JobStatus::Success);
                }
            }
            Err(_) => prop_assert!(!failed),
        }
    }

    #[test]
    fn whatever_is_named_runs_with_all_that_depends_on_it_or_is_refused(jobs in ended(), named in any::<Index>()) {
        let named = named.index(jobs.len());
        if let Ok(again) = chosen(&jobs, &workflow(), &Which::Jobs(vec![id(named)])) {
            prop_assert!(again[named]);
            for (place, needs) in needs(&jobs).unwrap().0.into_iter().enumerate() {
                let reached = place == named || needs.iter().any(|need| again[need.job]);
                let kept = |need: &Need| again[need.job] || jobs[need.job].status == JobStatus::Success;
                prop_assert_eq!(again[place], reached && needs.iter().all(kept));
            }
        }
    }
}
