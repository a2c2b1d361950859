//! Steps that see a terminal: what they find, and that nothing of what they write is changed or lost.

use crate::host::{Host, Left, run, run_with, until};
use protocol::{
    frame::{CancelReason, ToTaskAgent},
    status::{Outcome, StepStatus},
    task::Step,
};

const SUCCESS: Option<(StepStatus, Option<i32>)> = Some((StepStatus::Success, Some(0)));

fn host(steps: Vec<Step>) -> Host {
    let mut host = Host::new(steps);
    host.invitation.terminal = true;
    host
}

fn log_of(command: &str) -> String {
    let left: Left = host(vec![run(command)]).left();
    assert_eq!(left.outcome(), Some(Outcome::Success), "{}", left.log(1));
    left.log(1).to_owned()
}

#[test]
fn a_step_sees_a_terminal_of_eighty_columns_and_reads_nothing() {
    assert_eq!(log_of("[ -t 1 ] && [ -t 2 ] && ! [ -t 0 ]; stty size <&1; cat; echo $PAGER"), "24 80\ncat\n");
}

#[test]
fn it_sees_none_where_that_is_not_wanted() {
    let left = Host::new(vec![run("[ -t 1 ] || [ -t 2 ] || echo \"a pipe <$PAGER>\"")]).left();
    assert_eq!(left.log(1), "a pipe <>\n");
}

#[test]
fn every_byte_comes_as_it_was_written() {
    assert_eq!(
        log_of("printf 'a\\nb\\r\\nc\\t\\003\\004\\032\\177d\\n'; echo err >&2"),
        "a\nb\r\nc\t\u{3}\u{4}\u{1a}\u{7f}d\nerr\n"
    );
}

#[test]
fn what_was_written_before_the_end_is_all_there() {
    for _ in 0..20 {
        let log = log_of("seq 1 20000; exec seq 20001 30000");
        let expected: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
        assert!(log == expected, "{} of {} bytes", log.len(), expected.len());
    }
}

#[test]
fn nobody_is_asked_for_a_word() {
    // Of a program that opens its controlling terminal to ask somebody.
    assert_eq!(log_of("(: < /dev/tty) 2> /dev/null || echo nobody there"), "nobody there\n");
}

#[test]
fn a_child_that_keeps_the_terminal_open_holds_nobody_up_and_may_go_on_writing() {
    let leaves =
        "(while [ ! -e ~/go ]; do echo on; sleep 0.02; done; echo lost; echo wrote > ~/wrote) & echo done";
    let left =
        host(vec![run(leaves), run("touch ~/go; until [ -e ~/wrote ]; do sleep 0.02; done; cat ~/wrote")])
            .left();
    assert_eq!(left.outcome(), Some(Outcome::Success));
    assert!(left.log(1).contains("done\n") && !left.log(1).contains("lost"), "{}", left.log(1));
    assert_eq!((left.step(2), left.log(2)), (SUCCESS, "wrote\n"));
}

#[test]
fn a_background_step_keeps_its_output_and_ends_with_the_job() {
    let server = run_with(
        "echo serving; trap 'echo stopping; exit 0' TERM; while :; do sleep 0.05 || true; done",
        |run| {
            run.background = true;
        },
    );
    let host = host(vec![server, run("until [ -e ~/go ]; do sleep 0.02; done")]);
    let go = host.root().join("go");
    let host = host.begun();
    host.wait_for_log(1, "serving");
    std::fs::write(go, "").unwrap();
    let left = host.finish();
    assert!(left.log(1).starts_with("serving\n") && left.log(1).ends_with("stopping\n"), "{}", left.log(1));
}

#[test]
fn silence_and_a_cancel_end_it_as_by_a_pipe() {
    let silent = run_with("echo a; sleep 1000", |run| run.no_output_timeout_ms = 300);
    let left = host(vec![silent]).left();
    assert_eq!(left.outcome(), Some(Outcome::Timedout));
    assert!(left.log(1).starts_with("a\nToo long with no output"), "{}", left.log(1));
    let host = host(vec![run("echo ready; sleep 1000")]).begun();
    until("it is ready", || host.log_so_far(1) == "ready\n");
    host.send(&ToTaskAgent::Cancel { why: CancelReason::Canceled, grace_ms: 1000 }, &[]);
    assert_eq!(host.finish().outcome(), Some(Outcome::Canceled));
}

#[test]
fn secrets_are_masked_there_too() {
    let left =
        host(vec![run("printf hun; sleep 0.05; echo ter22")]).variable("WORD", "hunter22", true).left();
    assert_eq!(left.log(1), "****\n");
}
