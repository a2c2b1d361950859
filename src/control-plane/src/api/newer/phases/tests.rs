//! The table of what each of our statuses is called, and what a run of several workflows comes to.

use super::*;
use protocol::WorkflowId;
use std::fmt::Write;
use uuid::Uuid;

fn workflow(place: u32, status: WorkflowStatus) -> StandingWorkflow {
    StandingWorkflow {
        id: WorkflowId(Uuid::from_u128(place.into())),
        of: None,
        place,
        name: String::new(),
        actor: None,
        status,
        canceled: false,
        began: true,
        ended_ms: None,
    }
}

fn line(table: &mut String, name: &str, stands: Stands) {
    shown(table, name, stands.phase, [stands.outcome(), stands.current_outcome()]);
}

fn shown(table: &mut String, name: &str, phase: Phase, verdicts: [Option<Verdict>; 2]) {
    let word = |verdict: Option<Verdict>| {
        verdict.map_or(serde_json::json!("-"), |verdict| serde_json::json!(verdict))
    };
    let [outcome, current] = verdicts.map(word);
    let phase = serde_json::json!(phase);
    let [phase, outcome, current] = [&phase, &outcome, &current].map(|word| word.as_str().unwrap());
    writeln!(table, "{name:<38} {phase:<8} {outcome:<20} {current}").unwrap();
}

#[test]
fn the_table_of_phases_and_outcomes_is_the_documented_one() {
    use WorkflowStatus::{Canceled, Failed, Failing, NotRun, OnHold, Running, Success};
    let mut table = String::from(
        "what, and how it stands here            phase    outcome              current_outcome\n",
    );
    for status in ["blocked", "on_hold", "queued", "running", "success", "failed", "canceled", "timedout"] {
        let status: JobStatus = serde_json::from_value(status.into()).unwrap();
        line(&mut table, &format!("job {status}"), of_job_status(status));
    }
    for status in [JobStatus::InfrastructureFail, JobStatus::NotRun, JobStatus::Unauthorized] {
        line(&mut table, &format!("job {status}"), of_job_status(status));
    }
    for status in ["running", "success", "failed", "canceled", "timedout", "skipped"] {
        let status: StepStatus = serde_json::from_value(status.into()).unwrap();
        line(&mut table, &format!("step {status}"), of_step(status));
    }
    for status in [Running, Failing, OnHold, Success, Failed, Canceled, NotRun] {
        line(&mut table, &format!("workflow {status}"), of_workflow(&workflow(1, status)));
    }
    let waiting = StandingWorkflow { began: false, ..workflow(1, Running) };
    line(&mut table, "workflow running, no job has begun", of_workflow(&waiting));
    let canceled = StandingWorkflow { canceled: true, ..workflow(1, Running) };
    line(&mut table, "workflow running, somebody canceled it", of_workflow(&canceled));
    for status in [
        RunStatus::Queued,
        RunStatus::Running,
        RunStatus::Failing,
        RunStatus::Canceling,
        RunStatus::OnHold,
        RunStatus::Success,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::Error,
        RunStatus::NotRun,
    ] {
        let (name, stands) = (format!("run {status:?}, pipeline.status {}", status.word()), status.stands());
        // Of a run the current one alone is told, also once it has ended.
        shown(&mut table, &name, stands.phase, [None, stands.verdict]);
        assert!(WORDS.contains(&status.word()));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_run_is_what_the_last_runs_of_its_workflows_come_to() {
    use WorkflowStatus::{Canceled, Failed, Failing, NotRun, OnHold, Running, Success};
    let check = |state, statuses: &[WorkflowStatus], wanted| {
        let all: Vec<_> = (0..).zip(statuses).map(|(place, status)| workflow(place, *status)).collect();
        assert_eq!(RunStatus::of(state, &all), wanted, "{state} {statuses:?}");
    };
    let created = PipelineState::Created;
    check(created, &[Running, Success], RunStatus::Running);
    check(created, &[Running, Failed], RunStatus::Failing);
    check(created, &[Failing, Success], RunStatus::Failing);
    check(created, &[OnHold, Success], RunStatus::OnHold);
    check(created, &[OnHold, Running], RunStatus::Running);
    check(created, &[Success, NotRun], RunStatus::Success);
    check(created, &[Success, Failed, Canceled], RunStatus::Failed);
    check(created, &[Success, Canceled], RunStatus::Canceled);
    check(created, &[NotRun], RunStatus::NotRun);
    check(created, &[], RunStatus::NotRun);
    check(PipelineState::Errored, &[], RunStatus::Error);
    check(PipelineState::Errored, &[Success], RunStatus::Error);
    check(PipelineState::Setup, &[Running], RunStatus::Running);
    let waiting = StandingWorkflow { began: false, ..workflow(1, Running) };
    assert_eq!(RunStatus::of(created, &[workflow(0, NotRun), waiting.clone()]), RunStatus::Queued);
    assert_eq!(RunStatus::of(created, &[workflow(0, Success), waiting]), RunStatus::Running);
    let canceled = StandingWorkflow { canceled: true, ..workflow(0, Running) };
    assert_eq!(RunStatus::of(created, &[canceled]), RunStatus::Canceling);
}

#[test]
fn of_several_reruns_of_one_workflow_the_last_counts() {
    let again = |place, of: &StandingWorkflow, status| StandingWorkflow {
        of: Some(of.id),
        ..workflow(place, status)
    };
    let other = workflow(0, WorkflowStatus::Success);
    let first = workflow(1, WorkflowStatus::Failed);
    let second = again(2, &first, WorkflowStatus::Failed);
    let third = again(3, &first, WorkflowStatus::Success);
    let all = [other, first, second.clone(), third];
    assert_eq!(RunStatus::of(PipelineState::Created, &all), RunStatus::Success);
    assert_eq!(RunStatus::of(PipelineState::Created, &all[..3]), RunStatus::Failed);
    let of_second = again(4, &second, WorkflowStatus::Canceled);
    let all = [&all[..], &[of_second]].concat();
    assert_eq!(RunStatus::of(PipelineState::Created, &all), RunStatus::Canceled);
}
