//! Steps that run: order, environment, results.

use crate::host::{Host, Left, run, run_with, until, when};
use protocol::{
    frame::{CancelReason, ToTaskAgent},
    status::{Outcome, StepStatus},
    task::When,
};

const SUCCESS: Option<(StepStatus, Option<i32>)> = Some((StepStatus::Success, Some(0)));

fn log_of(command: &str) -> String {
    let left = Host::new(vec![run(command)]).left();
    assert_eq!(left.outcome(), Some(Outcome::Success), "{}", left.log(1));
    left.log(1).to_owned()
}

#[test]
fn steps_run_one_after_the_other_and_the_journal_says_so() {
    let left = Host::new(vec![run("echo one"), run("echo two >&2")]).left();
    assert_eq!(left.outcome(), Some(Outcome::Success));
    assert!(left.status.success());
    assert_eq!((left.step(1), left.step(2)), (SUCCESS, SUCCESS));
    assert_eq!((left.log(1), left.log(2)), ("one\n", "two\n"));
    assert_eq!(left.records.len(), 5);
}

#[test]
fn output_and_errors_keep_their_order() {
    let log = log_of("for i in 1 2 3; do echo out $i; echo err $i >&2; done");
    assert_eq!(log, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
}

#[test]
fn nothing_runs_before_begin() {
    let mut host = Host::new(vec![run("echo ran")]);
    host.start();
    host.hand_over();
    host.die();
    host.rise();
    assert_eq!(host.meet(), (true, false), "it holds its task and waits");
    assert_eq!(host.log_so_far(1), "");
    host.send(&ToTaskAgent::Begin, &[]);
    assert_eq!(host.finish().log(1), "ran\n");
}

#[test]
fn a_failure_skips_what_wants_success_and_runs_the_rest() {
    let steps = vec![
        run("exit 3"),
        run("echo skipped"),
        when(When::Always, "echo always"),
        when(When::OnFail, "echo failed"),
    ];
    let left = Host::new(steps).left();
    assert_eq!(left.outcome(), Some(Outcome::Failed));
    assert_eq!(left.step(1), Some((StepStatus::Failed, Some(3))));
    assert_eq!((left.step(2), left.step(3), left.step(4)), (None, SUCCESS, SUCCESS));
    assert!(left.status.success(), "the task-agent did what it had to");
}

#[test]
fn the_shell_ends_at_the_first_failure_also_in_a_pipe() {
    let left = Host::new(vec![run("false | true\necho on")]).left();
    assert_eq!((left.step(1), left.log(1)), (Some((StepStatus::Failed, Some(1))), ""));
}

#[test]
fn a_command_ended_by_a_signal_counts_from_128() {
    for (signal, name, code) in [("KILL", "SIGKILL", 137), ("SEGV", "SIGSEGV", 139)] {
        let left = Host::new(vec![run(&format!("kill -{signal} $$"))]).left();
        assert_eq!(left.step(1), Some((StepStatus::Failed, Some(code))));
        assert_eq!(left.log(1), format!("Killed by {name}\n"));
    }
}

#[test]
fn the_job_knows_where_it_lives() {
    let host = Host::new(vec![run(
        "pwd; echo $PWD; echo $HOME; echo $TMPDIR; echo $CIRCLE_WORKING_DIRECTORY; umask",
    )]);
    let root = host.root().to_string_lossy().into_owned();
    let expected = "~/project\n~/project\n~\n~/tmp\n~/project\n0022\n";
    assert_eq!(host.left().log(1).replace(&root, "~"), expected);
}

#[test]
fn later_variables_win_and_a_steps_own_win_over_all() {
    let own = run_with("echo $A $B $C", |run| run.environment = vec![("C".to_owned(), "$HOME".to_owned())]);
    let host =
        Host::new(vec![own]).variable("A", "1", false).variable("A", "2", false).variable("B", "b b", false);
    assert_eq!(host.variable("C", "lost", false).left().log(1), "2 b b $HOME\n");
}

#[test]
fn variables_reach_later_steps_through_bash_env() {
    let steps = vec![run("echo 'export MADE=\"by hand\"' >> \"$BASH_ENV\""), run("echo $MADE")];
    assert_eq!(Host::new(steps).left().log(2), "by hand\n");
}

#[test]
fn a_step_may_name_its_shell_and_its_directory() {
    let shell = run_with("echo $0; pwd", |run| {
        run.shell = Some("/bin/sh -e".to_owned());
        run.working_directory = Some("sub".to_owned());
    });
    let inline = run_with("echo $0", |run| run.shell = Some("/usr/bin/env bash -c".to_owned()));
    let left = Host::new(vec![run("mkdir sub"), shell, inline]).left();
    assert!(
        left.log(2).contains(".step-002.sh\n") && left.log(2).ends_with("/project/sub\n"),
        "{}",
        left.log(2)
    );
    assert_eq!(left.log(3), "bash\n");
}

#[test]
fn what_cannot_start_says_why_in_its_log() {
    let check = |change: fn(&mut protocol::task::Run), expected: &str| {
        let left = Host::new(vec![run_with("true", change)]).left();
        assert_eq!(left.step(1), Some((StepStatus::Failed, None)));
        assert!(left.log(1).contains(expected), "{}", left.log(1));
    };
    check(|run| run.shell = Some("/no/such/shell".to_owned()), "cannot start `/no/such/shell`: No such file");
    check(|run| run.working_directory = Some("nowhere".to_owned()), "nowhere is not there");
}

#[test]
fn a_script_may_be_longer_than_an_argument() {
    let script = format!("echo begin\n# {}\necho end", "x".repeat(500_000));
    assert_eq!(log_of(&script), "begin\nend\n");
}

#[test]
fn a_command_reads_nothing_and_inherits_nothing() {
    assert_eq!(log_of("cat; ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    let masks = log_of("grep -E '^Sig(Ign|Blk)' /proc/self/status");
    assert!(masks.lines().all(|line| line.ends_with("0000000000000000")), "{masks}");
}

#[test]
fn secrets_are_masked_in_every_log() {
    let steps =
        vec![run("printf hun; sleep 0.05; echo ter22; echo $WORD | rev"), run("echo token-of-the-host")];
    let mut host = Host::new(steps).variable("WORD", "hunter22", true).variable("PLAIN", "rev", false);
    host.spec.masks.push("token-of-the-host".to_owned());
    let left = host.left();
    assert_eq!((left.log(1), left.log(2)), ("****\n22retnuh\n", "****\n"));
}

#[test]
fn what_a_step_leaves_running_does_not_hold_it_up_and_does_not_survive_the_task() {
    let host = Host::new(vec![
        run("sleep 1000 & echo $! > ~/left; echo done"),
        run("kill -0 $(cat ~/left) && echo alive"),
    ]);
    let pid_file = host.root().join("left");
    let host = host.begun();
    until("the pid is written", || std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')));
    let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let left: Left = host.finish();
    assert_eq!((left.log(1), left.log(2)), ("done\n", "alive\n"));
    assert!(!sandbox::Identity::of(pid).is_ok_and(|process| process.is_alive()));
}

#[test]
fn a_background_step_runs_beside_the_others_and_ends_with_the_job() {
    let server = run_with(
        "echo serving; trap 'echo stopping; exit 0' TERM; while :; do sleep 0.05 || true; done",
        |run| {
            run.background = true;
        },
    );
    let crashed = run_with("echo broken; exit 9", |run| run.background = true);
    let wait = "until [ -e ~/go ]; do sleep 0.02; done";
    let host = Host::new(vec![server, crashed, run(wait)]);
    let go = host.root().join("go");
    let host = host.begun();
    host.wait_for_log(1, "serving");
    host.wait_for_log(2, "broken");
    std::fs::write(go, "").unwrap();
    let left = host.finish();
    assert_eq!(left.outcome(), Some(Outcome::Success), "a background failure is none of the job");
    assert_eq!(left.step(1), Some((StepStatus::Success, None)));
    assert_eq!(left.step(3), SUCCESS);
    assert!(left.log(1).ends_with("stopping\n"), "{}", left.log(1));
}

#[test]
fn a_task_without_steps_succeeds() {
    assert_eq!(Host::new(Vec::new()).left().outcome(), Some(Outcome::Success));
}

#[test]
fn more_steps_than_descriptors_fit_one_packet_run_all() {
    let left = Host::new(
        (0..200)
            .map(|number| {
                run_with("echo $N", |run| run.environment = vec![("N".to_owned(), number.to_string())])
            })
            .collect(),
    )
    .left();
    assert_eq!(left.outcome(), Some(Outcome::Success));
    assert!((1..=200).all(|step| left.log(step) == format!("{}\n", step - 1)));
}

#[test]
fn a_step_that_fails_is_run_again_as_often_as_it_says() {
    let counts = "echo x >> tries; echo try $(wc -l < tries); [ $(wc -l < tries) -eq 3 ]";
    let step = |most| {
        run_with(counts, |run| {
            (run.max_auto_reruns, run.auto_rerun_delay_ms) = (most, 5);
        })
    };
    let left = Host::new(vec![step(4)]).left();
    assert_eq!(left.step(1), SUCCESS);
    let again = |attempt, next| {
        format!("\nAttempt {attempt} of 5 failed (exit code 1). Attempt {next} of 5 begins in 5ms:\n\n")
    };
    assert_eq!(left.log(1), format!("try 1\n{}try 2\n{}try 3\n", again(1, 2), again(2, 3)));
    let left = Host::new(vec![step(1)]).left();
    assert_eq!(left.step(1), Some((StepStatus::Failed, Some(1))));
    assert!(left.log(1).ends_with("try 2\n"), "{}", left.log(1));
}

#[test]
fn a_pause_between_two_attempts_ends_with_the_task() {
    let step = run_with("echo tried; exit 1", |run| {
        (run.max_auto_reruns, run.auto_rerun_delay_ms) = (1, 600_000);
    });
    let host = Host::new(vec![step]).begun();
    until("the first attempt", || host.log_so_far(1).contains("begins in 600s"));
    host.send(&ToTaskAgent::Cancel { why: CancelReason::Canceled, grace_ms: 1000 }, &[]);
    let left = host.finish();
    assert_eq!(left.outcome(), Some(Outcome::Canceled));
    assert_eq!(left.step(1), Some((StepStatus::Canceled, None)));
}
