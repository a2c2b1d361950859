//! What the commands of a job do, called by its steps, and what strangers do at its socket.

use crate::host::{Host, run, run_with, until, when};
use protocol::{
    frame::{Answer, Wanted, decode, encode},
    job::{Call, Reply},
    status::{Outcome, StepStatus},
    task::When,
};
use sandbox::packet::Connection;

const SUCCESS: Option<(StepStatus, Option<i32>)> = Some((StepStatus::Success, Some(0)));

#[test]
fn a_step_that_halts_the_job_goes_on_and_is_its_last() {
    for command in ["circleci step halt", "circleci-agent step halt", "circleci task halt"] {
        let halts = format!("{command}; echo on");
        let left = Host::new(vec![run(&halts), run("echo never"), when(When::Always, "echo never")]).left();
        assert_eq!(left.outcome(), Some(Outcome::Success), "{}", left.log(1));
        assert_eq!((left.step(1), left.log(1)), (SUCCESS, "on\n"));
        assert_eq!((left.step(2), left.step(3)), (None, None));
    }
}

#[test]
fn what_failed_before_a_halt_stays_failed() {
    let steps =
        vec![run("exit 3"), when(When::Always, "circleci step halt"), when(When::Always, "echo never")];
    let left = Host::new(steps).left();
    assert_eq!(left.outcome(), Some(Outcome::Failed));
    assert_eq!((left.step(2), left.step(3)), (SUCCESS, None));
    let left = Host::new(vec![run("circleci step halt; exit 4"), run("echo never")]).left();
    assert_eq!(left.outcome(), Some(Outcome::Failed));
    assert_eq!((left.step(1), left.step(2)), (Some((StepStatus::Failed, Some(4))), None));
}

#[test]
fn a_step_in_the_background_halts_the_job_after_the_one_that_runs() {
    let halts = run_with("circleci step halt; touch ~/halted; sleep 600", |run| run.background = true);
    let left =
        Host::new(vec![halts, run("until [ -e ~/halted ]; do sleep 0.02; done"), run("echo never")]).left();
    assert_eq!((left.outcome(), left.step(3)), (Some(Outcome::Success), None));
}

#[test]
fn commands_that_are_none_are_named_and_fail() {
    let left = Host::new(vec![
        run("circleci orb publish x; echo never"),
        when(
            When::Always,
            "circleci --help; circleci-agent version; env -u ROUNDHOUSE_JOB_SOCKET circleci step halt",
        ),
    ])
    .left();
    assert_eq!(left.step(1), Some((StepStatus::Failed, Some(2))));
    assert!(
        left.log(1).starts_with("circleci: `orb publish x` is no command of jobs here;"),
        "{}",
        left.log(1)
    );
    let said = left.log(2);
    assert!(said.contains("step halt") && said.contains("\nroundhouse-task-agent "), "{said}");
    assert!(said.contains("circleci: this is no step of a job: ROUNDHOUSE_JOB_SOCKET is not set"), "{said}");
    assert_eq!(left.step(2), Some((StepStatus::Failed, Some(1))));
}

#[test]
fn texts_are_filled_in_from_the_steps_environment() {
    let host = Host::new(vec![run(
        "MADE=here; export MADE; circleci env subst 'a $GIVEN ${MADE} ${NONE:-else}'; echo ' $GIVEN' | circleci env subst",
    )]);
    let left = host.variable("GIVEN", "given", false).left();
    assert_eq!(left.log(1), "a given here else given\n");
}

#[test]
fn a_command_that_the_job_installs_itself_comes_first() {
    let left = Host::new(vec![
        run("mkdir -p ~/bin; printf '#!/bin/sh\\necho its own \"$@\"\\n' > ~/bin/circleci; chmod +x ~/bin/circleci"),
        run("PATH=~/bin:$PATH; circleci orb validate; circleci-agent step halt"),
        run("echo never"),
    ])
    .left();
    assert_eq!((left.log(2), left.step(3)), ("its own orb validate\n", None));
}

/// A token as its launch-agent brings it. Its length has base64 end with it.
const TOKEN: &str = "eyJhb.eyJzd.c2l";

#[test]
fn a_token_that_a_step_asks_for_is_masked_from_then_on_in_every_log() {
    let shows =
        "echo before; until [ -e ~/token ]; do sleep 0.02; done; cat ~/token; touch ~/shown; sleep 1000";
    let asks = "circleci run oidc get --claims '{\"aud\": \"sts\"}' | tee ~/made; mv ~/made ~/token
                until [ -e ~/shown ]; do sleep 0.02; done; printf %s $(cat ~/token) | base64 -w0";
    let host = Host::new(vec![run_with(shows, |run| run.background = true), run(asks)]).begun();
    let (request, wanted, _) = host.request();
    assert_eq!(wanted, Wanted::Token { audience: vec!["sts".to_owned()] });
    let token = sandbox::memory::sealed("token", TOKEN.as_bytes()).unwrap().into();
    host.answer(request, Answer::Content { size: TOKEN.len() as u64 }, Some(&token));
    let left = host.finish();
    assert_eq!(left.outcome(), Some(Outcome::Success), "{}", left.log(2));
    assert_eq!((left.log(1), left.log(2)), ("before\n****\n", "****\n****"));
}

#[test]
fn nobody_at_the_socket_does_harm() {
    let host = Host::new(vec![
        run("echo $ROUNDHOUSE_JOB_SOCKET; until [ -e ~/go ]; do sleep 0.02; done; circleci step halt"),
        run("echo never"),
    ]);
    let (go, socket) = (host.root().join("go"), host.root().join("tmp/.job/socket"));
    let host = host.begun();
    host.wait_for_log(1, "socket");
    assert_eq!(host.log_so_far(1).trim(), socket.to_str().unwrap());
    let refused = |bytes: &[u8]| {
        let connection = Connection::connect(&socket).unwrap();
        connection.send(bytes, &[]).unwrap();
        let Reply::Refused { message } = decode(&connection.receive().unwrap().unwrap().bytes).unwrap()
        else {
            panic!("it was done")
        };
        message
    };
    for bytes in [b"\0".as_slice(), b"{", b"\"hello\"", &[b' '; 64 * 1024]] {
        assert!(refused(bytes).contains("not a frame that"));
    }
    // Those that say nothing take all the places there are, until they are gone.
    let silent: Vec<_> = (0..40).map(|_| Connection::connect(&socket).unwrap()).collect();
    let turned_away = |connection: &Connection| matches!(connection.receive(), Ok(None) | Err(_));
    assert!(turned_away(silent.last().unwrap()));
    drop(silent);
    until("there is a place again", || {
        let connection = Connection::connect(&socket).unwrap();
        let _ = connection.send(&encode(&"odd").unwrap(), &[]);
        !turned_away(&connection)
    });
    std::fs::write(go, "").unwrap();
    let left = host.finish();
    assert_eq!((left.outcome(), left.step(2)), (Some(Outcome::Success), None), "{}", left.log(1));
    assert_eq!(encode(&Call::Halt).unwrap(), b"\"halt\"");
}
