//! The oracle itself: it takes what is right, and misses nothing of what is not.

use super::*;
use crate::{
    fault::Fault,
    history::Line,
    schedule::Strike,
    seen::{PipelineSeen, sha256},
    workload::Piece,
};
use std::collections::BTreeMap;

fn pipeline() -> Pipeline {
    let print = Step::Print(vec![Piece::Count(1, 30)]);
    let artifacts = Step::Artifacts(vec![("a".to_owned(), vec![Piece::Bare("steam")])]);
    let first =
        Job { name: "first".into(), requires: vec![], parallelism: 1, steps: vec![print.clone(), artifacts] };
    let second = Job { name: "second".into(), requires: vec![0], parallelism: 1, steps: vec![print] };
    Pipeline { name: "p".into(), jobs: vec![first, second] }
}

fn done(pipeline: &Pipeline, job: &Job) -> JobSeen {
    let step = |(step, number): (&Step, u64)| {
        let log = pipeline.printed(step, 0).unwrap_or_default();
        let exit_code = matches!(step, Step::Print(_)).then_some(0);
        (number, StepSeen { status: "success".into(), exit_code, claimed_length: log.len() as u64, log })
    };
    let artifacts =
        job.artifacts(0).into_iter().map(|(path, content)| (path, (sha256(&content), sha256(&content))));
    let task = TaskSeen {
        id: job.name.clone(),
        outcome: "success".into(),
        runner: "one".into(),
        steps: job.steps.iter().zip(numbers(job)).map(step).collect(),
        artifacts: artifacts.collect(),
        runs: 1,
        ..TaskSeen::default()
    };
    JobSeen { status: "success".into(), tests: (0, 0, 0), tasks: vec![task] }
}

fn seen(pipeline: &Pipeline) -> PipelineSeen {
    let jobs: BTreeMap<_, _> =
        pipeline.jobs.iter().map(|job| (job.name.clone(), done(pipeline, job))).collect();
    PipelineSeen { span: (0, 10_000), is_over: true, jobs }
}

fn first(seen: &mut PipelineSeen) -> &mut TaskSeen {
    &mut seen.jobs.get_mut("first").unwrap().tasks[0]
}

/// What is wrong once something was done to what is right.
fn wrong(blame: &Blame, spoil: impl FnOnce(&mut PipelineSeen)) -> Vec<String> {
    let pipeline = pipeline();
    let mut seen = seen(&pipeline);
    spoil(&mut seen);
    judge(&pipeline, &seen, blame).wrong
}

#[test]
fn what_is_right_is_clean() {
    assert!(wrong(&Blame::default(), |_| {}).is_empty());
}

#[test]
fn every_single_thing_that_is_wrong_is_found() {
    type Spoil = fn(&mut PipelineSeen);
    let spoils: [(&str, Spoil); 9] = [
        ("a byte changed", |seen| first(seen).steps.get_mut(&2).unwrap().log[7] ^= 1),
        ("a byte too much", |seen| first(seen).steps.get_mut(&2).unwrap().log.push(b'x')),
        ("a byte lost", |seen| first(seen).steps.get_mut(&2).unwrap().log.truncate(5)),
        ("ran twice", |seen| first(seen).runs = 2),
        ("never ran", |seen| first(seen).runs = 0),
        ("artifact lost", |seen| first(seen).artifacts.clear()),
        ("artifact damaged", |seen| {
            first(seen).artifacts.values_mut().for_each(|digests| digests.1.push('0'))
        }),
        ("not over", |seen| seen.is_over = false),
        ("job lost", |seen| drop(seen.jobs.remove("second"))),
    ];
    for (what, spoil) in spoils {
        assert!(!wrong(&Blame::default(), spoil).is_empty(), "{what}");
    }
}

/// The first job was lost, so the second was not run.
fn lost(seen: &mut PipelineSeen, message: &str) {
    let task = first(seen);
    (task.outcome, task.message) = ("infrastructure_fail".to_owned(), message.to_owned());
    seen.jobs.get_mut("first").unwrap().status = "infrastructure_fail".to_owned();
    seen.jobs.insert("second".to_owned(), JobSeen { status: "not_run".to_owned(), ..JobSeen::default() });
}

#[test]
fn a_loss_needs_its_excuse_and_still_no_byte_may_be_wrong() {
    let strike = Strike { at: 1, fault: Fault::KillTaskAgent { host: 0, pick: 0 } };
    let killed = Blame::of(&[Line::Struck { at: 1, strike, victim: Some("first".to_owned()) }], 10_000);
    let message = "the task-agent ended before the task did";
    assert!(wrong(&killed, |seen| lost(seen, message)).is_empty());
    assert!(!wrong(&Blame::default(), |seen| lost(seen, message)).is_empty(), "nobody killed it");
    assert!(!wrong(&killed, |seen| lost(seen, "its lease ran out")).is_empty(), "nothing was silent");
    let damaged = |seen: &mut PipelineSeen| {
        lost(seen, message);
        first(seen).steps.get_mut(&2).unwrap().log[3] ^= 1;
    };
    assert!(!wrong(&killed, damaged).is_empty());
}

#[test]
fn what_requires_a_lost_job_must_not_have_run() {
    let ran = |seen: &mut PipelineSeen| seen.jobs.get_mut("first").unwrap().status = "failed".to_owned();
    assert!(wrong(&Blame::default(), ran).iter().any(|wrong| wrong.contains("second")));
}

#[test]
fn a_gap_is_taken_only_where_a_disk_failed() {
    let log =
        b"1\n2\n\n[17 bytes of output dropped at byte 4 of this log: the disk of the runner was full]\n30\n";
    assert!(begins(b"1\n2\n3\n4\n", log, true));
    assert!(!begins(b"1\n2\n3\n4\n", log, false));
}
