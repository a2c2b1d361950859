//! Steps do here what their authors saw them do on CircleCI: with the real programs, the logs asserted.

use integration::{
    local::Ended,
    pipelines::{job, only_task},
    rig::Rig,
    wait,
};
use protocol::status::{JobStatus, Outcome, StepStatus, WorkflowStatus};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

const STEPS: &str = r#"
version: 2.1
jobs:
  meets:
    machine: true
    environment: {OF_JOB: job, OF_STEP: job, OF_CONTEXT: job}
    steps:
      - run: {name: sees, command: "[ -t 1 ] && [ -t 2 ] && stty size <&1; cat; printf 'a\\nb\\r\\n'"}
      - run: {name: knows, command: 'env | grep -E "^(CI|CIRCLE)[A-Z_0-9]*=" | sort'}
      - run:
          name: wins
          environment: {OF_STEP: step, LITERAL: $OF_JOB}
          command: |
            echo $OF_JOB $OF_STEP $OF_CONTEXT "$LITERAL"
            [ "$LATER" = from-the-context ] && echo context over project
            [ "$CIRCLE_JOB" = meets ] && echo built-in over context
      - run: {name: makes, command: 'mkdir ~/deep; echo "export MADE=by-hand" >> "$BASH_ENV"'}
      - run: {name: finds, working_directory: ~/deep, command: 'echo $MADE; pwd | grep -o "/deep$"'}
      - run: {name: plain, shell: /bin/sh -e, command: 'false | true; echo on; echo ${BASH_VERSION:-no bash}'}
      - run: {name: fills, command: "circleci env subst 'a $OF_JOB ${NONE:-b}'"}
      - run: {name: serves, background: true, command: 'echo serving; exec sleep 1000'}
      - run: {name: leaves, command: 'setsid sh -c "trap \"\" TERM; while :; do sleep 60; done" & echo left'}
      - run: {name: halts, command: 'circleci-agent step halt; echo on'}
      - run: {name: never, when: always, command: 'echo never'}
  dies:
    machine: true
    steps:
      - run: {name: dies, command: 'kill -SEGV $$'}
      - run: {name: skipped, command: 'echo never'}
      - run: {name: always, when: always, command: 'echo always'}
      - run: {name: failed, when: on_fail, command: 'echo failed'}
  silent:
    machine: true
    steps:
      - run: {name: Say nothing, no_output_timeout: 1s, command: 'echo once; sleep 1000'}
      - run: {name: never, when: always, command: 'echo never'}
  claims:
    machine: true
    steps:
      - run: {name: asks, command: 'echo "<$CIRCLE_OIDC_TOKEN>"; circleci run oidc get --claims "{\"aud\": \"x\"}"'}
workflows: {all: {jobs: [meets: {context: org}, dies, silent, claims]}}
"#;

/// Whether the step of a job ran, and how it ended.
fn ran(ended: &Ended, job: &str, step: &str) -> Option<StepStatus> {
    let task = ended.job(job).tasks.into_iter().next()?;
    task.steps.into_iter().find(|known| known.name == step).map(|known| known.status)
}

#[test]
fn a_job_meets_what_circleci_promises_it() {
    let rig = Rig::new();
    let project = rig.project("project", STEPS);
    let context = rig.write(
        "org.env",
        "LATER=from-the-context\nOF_CONTEXT=from-the-context\nCIRCLE_JOB=from-the-context\n",
    );
    let context = format!("org={}", context.display());
    let ended = rig.run(&project, &["--env", "LATER=project", "--context", &context]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    let said = |step: &str| ended.step("meets", step);
    assert_eq!(ended.job("meets").status, JobStatus::Success, "{ended:#?}");
    assert_eq!(said("sees"), "24 80\na\nb\r\n");
    assert_eq!(said("wins"), "job step job $OF_JOB\ncontext over project\nbuilt-in over context\n");
    assert_eq!((said("finds"), said("plain")), ("by-hand\n/deep\n".to_owned(), "on\nno bash\n".to_owned()));
    assert_eq!((said("fills"), said("leaves")), ("a job b".to_owned(), "left\n".to_owned()));
    assert_eq!((said("serves"), said("halts")), ("serving\n".to_owned(), "on\n".to_owned()));
    assert_ne!(ran(&ended, "meets", "never"), Some(StepStatus::Success), "{ended:#?}");
    knows(&said("knows"));

    assert_eq!(ended.step("dies", "dies"), "Killed by SIGSEGV\n");
    assert_eq!(
        (ended.step("dies", "always"), ended.step("dies", "failed")),
        ("always\n".to_owned(), "failed\n".to_owned())
    );
    assert_eq!(ended.job("silent").tasks[0].status, Outcome::Timedout);
    let silence = "once\nToo long with no output (exceeded 1s): the step `Say nothing` is ended\n";
    assert_eq!(ended.step("silent", "Say nothing"), silence);
    assert!(ended.step("claims", "asks").starts_with("<>\n"), "{ended:#?}");
    assert!(ended.step("claims", "asks").contains("no identity tokens are issued here"), "{ended:#?}");
    let told = "left unset, for a local run has no true value for them: CIRCLE_OIDC_TOKEN";
    assert_eq!(ended.errors.matches(told).count(), 1, "{}", ended.errors);
    assert!(rig.leftovers().is_empty(), "nothing outlives the run");
}

/// Of CircleCI's own variables, those that a run of a folder without a repository has, each with a value.
fn knows(printed: &str) {
    let value = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    for (name, expected) in [
        ("CI", "true"),
        ("CIRCLECI", "true"),
        ("CIRCLE_BUILD_NUM", "1"),
        ("CIRCLE_JOB", "meets"),
        ("CIRCLE_NODE_INDEX", "0"),
        ("CIRCLE_NODE_TOTAL", "1"),
        ("CIRCLE_WORKING_DIRECTORY", "~/project"),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{name}: {printed}");
    }
    for name in [
        "CIRCLE_BUILD_URL",
        "CIRCLE_INTERNAL_TASK_DATA",
        "CIRCLE_ORGANIZATION_ID",
        "CIRCLE_PIPELINE_ID",
        "CIRCLE_PROJECT_ID",
        "CIRCLE_PROJECT_REPONAME",
        "CIRCLE_PROJECT_USERNAME",
        "CIRCLE_SHELL_ENV",
        "CIRCLE_WORKFLOW_ID",
        "CIRCLE_WORKFLOW_JOB_ID",
        "CIRCLE_WORKFLOW_WORKSPACE_ID",
    ] {
        assert!(value(name).is_some_and(|value| !value.is_empty()), "{name}: {printed}");
    }
    for name in ["CIRCLE_OIDC_TOKEN", "CIRCLE_TAG", "CIRCLE_USERNAME", "CIRCLE_PULL_REQUEST"] {
        assert_eq!(value(name), None, "{name}: {printed}");
    }
}

#[test]
fn a_run_may_do_without_terminals() {
    let rig = Rig::new();
    let config = "version: 2.1\njobs: {build: {machine: true, steps: [run: {name: it, command: '[ -t 1 ] || echo pipe'}]}}\n";
    let ended = rig.run(&rig.project("project", config), &["--no-terminal"]);
    assert_eq!((ended.status, ended.step("build", "it").as_str()), (0, "pipe\n"), "{ended:#?}");
}

/// What a token says and with which key it is signed, and what is published of keys.
const PROVES: &str = r#"
echo "token: $CIRCLE_OIDC_TOKEN_V2"
touch "$TMPDIR/ready"; until [ -e "$GO" ]; do sleep 0.05; done
part() { printf '%s==' "$1" | tr -- -_ +/ | base64 -d 2>/dev/null || true; echo; }
token=$(circleci run oidc get --claims '{"aud": "sts.example"}')
issuer=$(part "$(echo "$token" | cut -d. -f2)" | grep -o '"iss":"[^"]*"' | cut -d'"' -f4)
key=$(part "$(echo "$token" | cut -d. -f1)" | grep -o '"kid":"[^"]*"' | cut -d'"' -f4)
part "$(echo "$token" | cut -d. -f2)" | grep -o '"aud":"[^"]*"'
keys=$(curl -sS "$issuer/.well-known/openid-configuration" | grep -o '"jwks_uri":"[^"]*"' | cut -d'"' -f4)
curl -sS "$keys" | grep -q "$key" && echo published
"#;

#[actix_rt::test]
async fn a_job_proves_which_it_is_also_after_its_launch_agent_was_killed() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let classes = [("rig/linux", token.as_str())];
    let mut agent = rig.agent("agent", &server, &classes, 1);
    let go = rig.path("go");
    let pipeline = server.job("rig/linux", &format!("GO={}\n{PROVES}", go.display())).await;
    let began = |view: &protocol::api::PipelineView| {
        job(view, "only")
            .tasks
            .first()
            .is_some_and(|task| task.steps.iter().any(|step| step.log_bytes > 0 && step.name == "it"))
            .then_some(())
    };
    server.sees(pipeline, "the step's first line", began).await;
    agent.program().kill();
    let _agent = rig.agent("agent", &server, &classes, 1);
    wait::until("the other launch-agent", SOON, || std::fs::write(&go, "").ok());
    let view = server.ended(pipeline).await;
    let log = server.log(only_task(&view).id, 1).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{log}");
    assert_eq!(log, "token: ****\n\"aud\":\"sts.example\"\npublished\n");
}
