//! Launch-agents that die and come back, or do not.

use crate::host::{Host, built_in, run};
use protocol::{
    VERSION,
    frame::{Answer, ToTaskAgent, Wanted},
    status::{Outcome, StepStatus},
    task::Action,
};

#[test]
fn a_job_does_not_notice_that_its_launch_agent_died() {
    let host = Host::new(vec![run("for i in $(seq 1 40); do echo $i; sleep 0.02; done")]);
    let mut host = host.begun();
    for _ in 0..3 {
        host.wait_for_log(1, "1");
        host.die();
        host.rise();
        assert_eq!(host.meet(), (true, true));
    }
    let left = host.finish();
    let expected: String = (1..=40).map(|number| format!("{number}\n")).collect();
    assert_eq!((left.outcome(), left.log(1)), (Some(Outcome::Success), expected.as_str()));
}

#[test]
fn a_task_ends_although_nobody_listens() {
    let mut host = Host::new(vec![run("echo alone")]).begun();
    host.die();
    assert_eq!(host.finish().outcome(), Some(Outcome::Success));
}

#[test]
fn an_unanswered_request_is_asked_again_under_its_number() {
    let mut host = Host::new(vec![built_in(Action::RestoreCache { keys: vec!["k".to_owned()] })]).begun();
    let (number, wanted, _) = host.request();
    assert_eq!(wanted, Wanted::RestoreCache { keys: vec!["k".to_owned()] });
    host.die();
    host.rise();
    host.meet();
    let (again, same, _) = host.request();
    assert_eq!((again, &same), (number, &wanted));
    host.answer(number, Answer::NoCache, None);
    assert_eq!(host.finish().step(1), Some((StepStatus::Success, None)));
}

#[test]
fn a_task_half_handed_over_is_handed_over_again() {
    let mut host = Host::new(vec![run("echo whole")]);
    host.start();
    let spec = sandbox::memory::sealed("spec", &serde_json::to_vec(&host.spec).unwrap()).unwrap();
    let journal = tempfile::tempfile().unwrap();
    let beside = [std::os::fd::AsFd::as_fd(&spec), std::os::fd::AsFd::as_fd(&journal)];
    host.send(&ToTaskAgent::Task { version: VERSION }, &beside);
    host.die();
    host.rise();
    assert_eq!(host.meet(), (false, false));
    host.hand_over();
    host.send(&ToTaskAgent::Begin, &[]);
    assert_eq!(host.finish().log(1), "whole\n");
}

#[test]
fn a_launch_agent_that_stays_away_too_long_ends_the_task() {
    let mut host = Host::new(vec![run("echo ready; sleep 1000")]);
    host.invitation.outlive_ms = Some(200);
    let mut host = host.begun();
    host.wait_for_log(1, "ready");
    host.die();
    let left = host.finish();
    assert_eq!(left.outcome(), Some(Outcome::InfrastructureFail));
    assert_eq!(left.step(1), Some((StepStatus::Canceled, None)));
}

#[test]
fn another_version_is_refused_from_either_side() {
    let mut host = Host::new(vec![run("true")]);
    host.invitation.version = VERSION + 1;
    host.start();
    assert_eq!(host.exit().code(), Some(3));
    assert!(host.errors().contains("speaks version 2"), "{}", host.errors());

    let mut host = Host::new(vec![run("true")]);
    host.start();
    host.send(&ToTaskAgent::Task { version: VERSION + 1 }, &[]);
    assert_eq!(host.exit().code(), Some(3));
    assert!(host.errors().contains("speaks version 2"), "{}", host.errors());
}
