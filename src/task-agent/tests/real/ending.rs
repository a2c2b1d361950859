//! Tasks that are ended before they are done.

use crate::host::{Host, built_in, run, run_with, when};
use protocol::{
    frame::{CancelReason, ToTaskAgent},
    status::{Outcome, StepStatus},
    task::{Action, When},
};
use sandbox::Identity;
use std::time::{Duration, Instant};

/// A grandchild in a session of its own whose parent is gone, that ignores TERM, and a shell that does too.
const STUBBORN: &str = r#"
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ > ~/grandchild; while :; do sleep 60; done' &
until [ -s ~/grandchild ]; do sleep 0.02; done
echo ready
while :; do sleep 60; done
"#;

fn cancel(why: CancelReason, grace: Duration) -> ToTaskAgent {
    ToTaskAgent::Cancel { why, grace_ms: grace.as_millis().try_into().unwrap() }
}

#[test]
fn a_cancel_ends_every_process_a_second_after_the_grace_at_the_latest() {
    let host = Host::new(vec![run(STUBBORN), when(When::Always, "echo never")]);
    let pid_file = host.root().join("grandchild");
    let host = host.begun();
    host.wait_for_log(1, "ready");
    let pid = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let grandchild = Identity::of(pid).unwrap();
    let (grace, begin) = (Duration::from_millis(300), Instant::now());
    host.send(&cancel(CancelReason::Canceled, grace), &[]);
    let left = host.finish();
    assert!(begin.elapsed() >= grace, "it had its grace");
    assert!(begin.elapsed() < grace + Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(!grandchild.is_alive());
    assert_eq!(left.outcome(), Some(Outcome::Canceled));
    assert_eq!(left.step(1), Some((StepStatus::Canceled, None)));
    assert_eq!(left.step(2), None, "after a cancel nothing more runs");
    assert!(left.status.success());
}

#[test]
fn who_hears_term_may_say_a_last_word() {
    let host = Host::new(vec![run(
        "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02 || true; done",
    )])
    .begun();
    host.wait_for_log(1, "ready");
    host.send(&cancel(CancelReason::Shutdown, Duration::from_secs(20)), &[]);
    let left = host.finish();
    // Its sleep got TERM as well, of which the shell may tell first.
    assert!(left.log(1).ends_with("bye\n"), "{}", left.log(1));
    assert_eq!(left.outcome(), Some(Outcome::Canceled));
}

#[test]
fn a_second_cancel_shortens_the_grace() {
    let host = Host::new(vec![run(STUBBORN)]).begun();
    host.wait_for_log(1, "ready");
    host.send(&cancel(CancelReason::Canceled, Duration::from_secs(3600)), &[]);
    host.send(&cancel(CancelReason::Canceled, Duration::ZERO), &[]);
    assert_eq!(host.finish().outcome(), Some(Outcome::Canceled));
}

#[test]
fn a_task_canceled_before_begin_runs_nothing() {
    let mut host = Host::new(vec![run("echo never")]);
    host.start();
    host.hand_over();
    host.send(&cancel(CancelReason::Fenced, Duration::ZERO), &[]);
    let left = host.finish();
    assert_eq!((left.outcome(), left.records.len()), (Some(Outcome::Canceled), 1));
}

#[test]
fn a_step_that_waits_for_an_answer_is_canceled_too() {
    let host = Host::new(vec![built_in(Action::AttachWorkspace { at: ".".to_owned() })]).begun();
    host.request();
    host.send(&cancel(CancelReason::Canceled, Duration::from_secs(20)), &[]);
    let left = host.finish();
    assert_eq!(left.step(1), Some((StepStatus::Canceled, None)));
}

#[test]
fn a_step_that_says_nothing_for_too_long_times_the_task_out() {
    let mut silent = run_with("echo a; sleep 0.1; echo b; sleep 1000", |run| run.no_output_timeout_ms = 1000);
    silent.name = "Wait for it".to_owned();
    let left = Host::new(vec![silent, when(When::Always, "echo never")]).left();
    assert_eq!(left.outcome(), Some(Outcome::Timedout));
    assert_eq!((left.step(1), left.step(2)), (Some((StepStatus::Timedout, None)), None));
    assert_eq!(left.log(1), "a\nb\nToo long with no output (exceeded 1s): the step `Wait for it` is ended\n");
}

#[test]
fn a_step_that_closed_its_output_is_silent_too() {
    let closed = run_with("exec >&- 2>&-; sleep 1000", |run| run.no_output_timeout_ms = 300);
    assert_eq!(Host::new(vec![closed]).left().outcome(), Some(Outcome::Timedout));
}

#[test]
fn a_task_over_its_time_is_timed_out() {
    for told_by_launch_agent in [false, true] {
        let mut host = Host::new(vec![run("echo ready; sleep 1000")]);
        host.spec.max_run_time_ms = if told_by_launch_agent { 600_000 } else { 300 };
        let host = host.begun();
        if told_by_launch_agent {
            host.wait_for_log(1, "ready");
            host.send(&cancel(CancelReason::MaxRunTime, Duration::from_secs(20)), &[]);
        }
        let left = host.finish();
        assert_eq!(left.outcome(), Some(Outcome::Timedout));
        assert_eq!(left.step(1), Some((StepStatus::Timedout, None)));
    }
}

#[test]
fn a_job_does_not_end_its_task_agent_in_passing() {
    let left = Host::new(vec![run("for s in TERM INT HUP QUIT; do kill -$s $PPID; done; echo on")]).left();
    assert_eq!((left.outcome(), left.log(1)), (Some(Outcome::Success), "on\n"));
}

#[test]
fn a_job_does_not_read_its_task_agents_memory() {
    let left = Host::new(vec![run("stat -c %U /proc/$PPID/environ")]).left();
    assert_eq!(left.log(1), "root\n");
}

#[test]
fn zombies_of_orphans_are_reaped_while_the_task_runs() {
    let host = Host::new(vec![run(
        "for i in 1 2 3; do (setsid sh -c 'exit 0' &); done; echo ready; until [ -e ~/go ]; do sleep 0.02; done; ps -o stat= --ppid $PPID | grep -c Z || true",
    )]);
    let go = host.root().join("go");
    let host = host.begun();
    host.wait_for_log(1, "ready");
    std::fs::write(go, "").unwrap();
    assert_eq!(host.finish().log(1), "ready\n0\n");
}
