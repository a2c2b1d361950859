//! Steps do here what their authors saw them do on CircleCI: with the real programs, the logs asserted.

use integration::{
    fleet::{CLASS, Fleet},
    local::Ended,
    pipelines::{job, numbers, only_task},
    proc,
    rig::{Rig, pipeline},
    wait,
};
use protocol::{
    api::{GitValues, NewPipeline, PipelineView},
    run::StepReport,
    status::{JobStatus, Outcome, StepStatus, WorkflowStatus},
    task::Variable,
};
use std::time::{Duration, Instant};

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
      - run: {name: usual, command: 'basename $(readlink /proc/$$/exe); echo $SHELLOPTS; cat'}
      - run: {name: called, command: 'for each in circleci circleci-agent; do basename $(command -v $each); done'}
      - run: {name: plain, shell: /bin/sh -e, command: 'false | true; echo on; echo ${BASH_VERSION:-no bash}'}
      - run: {name: fills, command: "circleci env subst 'a $OF_JOB ${NONE:-b}'"}
      - run: {name: serves, background: true, command: 'echo serving; exec SERVES'}
      - run: {name: leaves, command: 'setsid sh -c "trap \"\" TERM; while :; do LEAVES; done" & echo left'}
      - run: {name: halts, command: 'circleci-agent step halt; echo on'}
      - run: {name: never, when: always, command: 'echo never'}
  dies:
    machine: true
    steps:
      - run: {name: dies, command: 'kill -SEGV $$'}
      - run: {name: skipped, command: 'echo never'}
      - run: {name: always, when: always, command: 'echo always'}
      - run: {name: failed, when: on_fail, command: 'echo failed'}
  fails:
    machine: true
    steps:
      - run:
          name: flaky
          max_auto_reruns: 3
          auto_rerun_delay: 1s
          command: 'echo x >> tries; echo try $(wc -l < tries); exit $((3 - $(wc -l < tries)))'
      - run: {name: hopeless, max_auto_reruns: 1, command: 'echo tried; exit 7'}
      - run: {name: skipped, command: 'echo never'}
  silent:
    machine: true
    steps:
      - run: {name: Say nothing, no_output_timeout: 1s, command: 'echo once; sleep 1000'}
      - run: {name: never, when: always, command: 'echo never'}
  stops:
    machine: true
    steps:
      - run: {name: halts, command: 'circleci task halt; echo on'}
      - run: {name: never, when: always, command: 'echo never'}
  claims:
    machine: true
    steps:
      - run: {name: asks, command: 'echo "<$CIRCLE_OIDC_TOKEN>"; circleci run oidc get --claims "{\"aud\": \"x\"}"'}
workflows: {all: {jobs: [meets: {context: org}, dies, fails, silent, stops, claims]}}
"#;

/// The step of a job, if it ran.
fn ran(ended: &Ended, job: &str, step: &str) -> Option<StepReport> {
    let task = ended.job(job).tasks.into_iter().next()?;
    task.steps.into_iter().find(|known| known.name == step)
}

#[test]
fn a_job_meets_what_circleci_promises_it() {
    let rig = Rig::new();
    let [serves, leaves] = ["sleep 23606", "sleep 24494"].map(wait::marker);
    let project = rig.project("project", &STEPS.replace("SERVES", &serves).replace("LEAVES", &leaves));
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
    assert!(said("usual").starts_with("bash\n") && said("usual").contains("errexit"), "{ended:#?}");
    assert!(said("usual").trim_end().ends_with("pipefail"), "{ended:#?}");
    assert_eq!(said("called"), "circleci\ncircleci-agent\n");
    assert_eq!(ran(&ended, "meets", "never"), None, "{ended:#?}");
    for left in [serves, leaves] {
        assert!(proc::running(&left).is_empty(), "{left} ended with its job");
    }
    knows(&said("knows"));

    assert_eq!(ended.step("dies", "dies"), "Killed by SIGSEGV\n");
    assert_eq!(ran(&ended, "dies", "dies").and_then(|step| step.exit_code), Some(139));
    assert_eq!(ran(&ended, "dies", "skipped"), None);
    assert_eq!(
        (ended.step("dies", "always"), ended.step("dies", "failed")),
        ("always\n".to_owned(), "failed\n".to_owned())
    );
    fails(&ended);
    assert_eq!(
        (ended.step("stops", "halts").as_str(), ended.job("stops").status),
        ("on\n", JobStatus::Success)
    );
    assert_eq!(ran(&ended, "stops", "never"), None);
    assert_eq!(ended.job("silent").tasks[0].status, Outcome::Timedout);
    assert_eq!(ran(&ended, "silent", "never"), None);
    let silence = "once\nToo long with no output (exceeded 1s): the step `Say nothing` is ended\n";
    assert_eq!(ended.step("silent", "Say nothing"), silence);
    assert!(ended.step("claims", "asks").starts_with("<>\n"), "{ended:#?}");
    assert!(ended.step("claims", "asks").contains("no identity tokens are issued here"), "{ended:#?}");
    let told = "left unset, for a local run has no true value for them: CIRCLE_OIDC_TOKEN";
    assert_eq!(ended.errors.matches(told).count(), 1, "{}", ended.errors);
    assert!(rig.leftovers().is_empty(), "nothing outlives the run");
}

fn fails(ended: &Ended) {
    let again = |(attempt, all): (u32, u32), code: i32, pause: &str| {
        let next = attempt + 1;
        format!(
            "\nAttempt {attempt} of {all} failed (exit code {code}). Attempt {next} of {all} begins{pause}:\n\n"
        )
    };
    let flaky = ran(ended, "fails", "flaky").expect("it ran");
    let said = format!("try 1\n{}try 2\n{}try 3\n", again((1, 4), 2, " in 1s"), again((2, 4), 1, " in 1s"));
    assert_eq!((flaky.status, flaky.output), (StepStatus::Success, said));
    assert!(flaky.duration_ms >= 2000, "two pauses of a second");
    let hopeless = ran(ended, "fails", "hopeless").expect("it ran");
    assert_eq!((hopeless.status, hopeless.exit_code), (StepStatus::Failed, Some(7)));
    assert_eq!(hopeless.output, format!("tried\n{}tried\n", again((1, 2), 7, "")));
    assert_eq!(ran(ended, "fails", "skipped"), None);
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

/// Much at once and at the very end, lines as a terminal that nobody set up ends them, and an end while others still write.
const LOUD: &str = r#"
version: 2.1
jobs:
  loud:
    machine: true
    steps:
      - run: {name: bursts, command: 'seq 1 200000'}
      - run: {name: leaves, command: '(exec SLEEPS) & seq 1 30000'}
      - run: {name: complains, command: 'echo of it > /dev/stderr; echo of it > /dev/stdout; (exec SLEEPS) & echo $! > pid'}
      - run: {name: finds, command: 'kill -0 $(cat pid) && echo it lives'}
      - run: {name: ends lines, command: 'stty opost onlcr <&1; printf "a\nb\n"; echo "$LINES_OF_IT"'}
      - run: {name: asks, command: '(read -r answer < /dev/tty) 2> /dev/null || echo nobody; stty size <&1'}
workflows: {all: {jobs: [loud]}}
"#;

#[test]
fn a_terminal_loses_nothing_and_hides_no_secret_whatever_is_made_of_its_lines() {
    let rig = Rig::new();
    let sleeps = wait::marker("sleep 26832");
    let project = rig.project("project", &LOUD.replace("SLEEPS", &sleeps));
    let ended = rig.run(&project, &["--secret", "LINES_OF_IT=hunter-of-one\nhunter-of-two"]);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    let is_counted = |step: &str, last: u32| ended.step("loud", step) == numbers(last);
    assert!(is_counted("bursts", 200_000) && is_counted("leaves", 30_000), "every byte comes");
    // A command that opens its terminal makes it no controlling one, whose end would end what the step leaves running.
    assert_eq!(ended.step("loud", "complains") + &ended.step("loud", "finds"), "of it\nof it\nit lives\n");
    assert_eq!(ended.step("loud", "ends lines"), "a\r\nb\r\n****\r\n");
    assert_eq!(ended.step("loud", "asks"), "nobody\n24 80\n");
    assert!(proc::running(&sleeps).is_empty(), "it ended with its job");
}

/// A job in a fleet, which prints what it knows, and a token before and after it is in a file.
const KNOWS: &str = r#"
version: 2.1
jobs:
  knows:
    machine: true
    resource_class: rig/linux
    parallelism: 2
    steps:
      - run: {name: knows, command: 'env | grep -E "^(CI|CIRCLE|OF)[A-Z_0-9]*=" | sort'}
      - run: {name: pipe, command: '[ -t 1 ] || echo no terminal'}
      - run: {name: asks, command: 'circleci run oidc get | tee ~/token'}
      - run:
          name: later
          command: |
            cat ~/token
            printf %s "$(cat ~/token)" | od -An -v -tx1 | tr -d ' \n'; echo
            cut -d. -f1 ~/token
workflows: {all: {jobs: [knows: {context: org}]}}
"#;

fn secret(name: &str, value: &str) -> Variable {
    Variable { name: name.to_owned(), value: value.to_owned(), secret: true }
}

#[actix_rt::test]
async fn a_job_in_a_fleet_knows_itself_and_its_tokens_are_in_no_log() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let runner = [("terminal", "false"), ("concurrency", "2")];
    let agent = rig.agent_with("agent", &server.url, &[(CLASS, &token)], &runner);
    let (url, revision) = ("https://github.com/acme/shop.git", "0123456789012345678901234567890123456789");
    let git = GitValues {
        branch: Some("main".to_owned()),
        revision: Some(revision.to_owned()),
        url: Some(url.to_owned()),
        ..GitValues::default()
    };
    let new = NewPipeline {
        git,
        environment: vec![secret("OF_PROJECT", "of the project"), secret("OF_BOTH", "of the project")],
        contexts: [("org".to_owned(), vec![secret("OF_BOTH", "of the context")])].into(),
        ..pipeline(KNOWS, CLASS)
    };
    let id = server.operator().create_pipeline(&new).await.unwrap().id;
    let view = server.ended(id).await;
    let fleet = Fleet { rig, server, agent };
    let printed = fleet.log(&view, "knows", "knows").await;
    let job = job(&view, "knows");
    assert_eq!(job.status, JobStatus::Success, "{printed}");
    let expected = [
        ("CIRCLE_BRANCH", "main"),
        ("CIRCLE_NODE_TOTAL", "2"),
        ("CIRCLE_OIDC_TOKEN", "****"),
        ("CIRCLE_OIDC_TOKEN_V2", "****"),
        ("CIRCLE_PIPELINE_ID", &id.to_string()),
        ("CIRCLE_PROJECT_REPONAME", "rig"),
        ("CIRCLE_PROJECT_USERNAME", "local"),
        ("CIRCLE_REPOSITORY_URL", url),
        ("CIRCLE_SHA1", revision),
        ("CIRCLE_WORKFLOW_ID", &view.workflows[0].id.to_string()),
        ("CIRCLE_WORKFLOW_JOB_ID", &job.id.to_string()),
        ("OF_BOTH", "****"),
        ("OF_PROJECT", "****"),
    ];
    for (name, value) in expected {
        assert!(printed.lines().any(|line| line == format!("{name}={value}")), "{name}: {printed}");
    }
    assert!(printed.contains(&format!("\nCIRCLE_BUILD_URL={}/", fleet.server.url)), "{printed}");
    assert!(!printed.contains("CIRCLE_TAG="), "{printed}");
    assert_eq!(fleet.log(&view, "knows", "pipe").await, "no terminal\n");
    assert_eq!(fleet.log(&view, "knows", "asks").await, "****\n");
    let later = fleet.log(&view, "knows", "later").await;
    // What a token is made of is no secret: its header is in every one.
    assert!(later.starts_with("****\n****\neyJ"), "{later}");
}

/// A step that is deaf, with a grandchild that left its session and its parent, and one that would run whatever happened.
const DEAF: &str = r#"
version: 2.1
jobs:
  only:
    machine: true
    resource_class: rig/linux
    steps:
      - run:
          name: deaf
          command: |
            trap '' TERM
            setsid sh -c '(trap "" TERM; while :; do HIDES; done) & exit 0'
            echo ready
            while :; do DEAF; done
      - run: {name: never, when: always, command: 'echo never'}
workflows: {all: {jobs: [only]}}
"#;

fn is_ready(view: &PipelineView) -> Option<()> {
    let steps = job(view, "only").tasks.first().map(|task| task.steps.as_slice()).unwrap_or_default();
    steps.iter().any(|step| step.name == "deaf" && step.log_bytes > 0).then_some(())
}

#[actix_rt::test]
async fn after_a_cancel_and_a_time_out_nothing_runs_and_nothing_is_left_a_second_after_the_grace() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let grace = Duration::from_millis(1500);
    for (limit, outcome, status) in
        [("5h", Outcome::Canceled, JobStatus::Canceled), ("4s", Outcome::Timedout, JobStatus::Timedout)]
    {
        let runner = [("grace", "1.5s"), ("max_run_time", limit)];
        let agent = rig.agent_with("agent", &server.url, &[(CLASS, &token)], &runner);
        let [deaf, hides] = ["sleep 28844", "sleep 30000"].map(wait::marker);
        let id = server.pipeline(&DEAF.replace("DEAF", &deaf).replace("HIDES", &hides), CLASS).await;
        server.sees(id, "the deaf step", is_ready).await;
        let begun = Instant::now();
        if outcome == Outcome::Canceled {
            server.operator().cancel(id).await.unwrap();
        }
        let most = if outcome == Outcome::Canceled { grace } else { grace + Duration::from_secs(4) };
        let is_left = || !proc::running(&deaf).is_empty() || !proc::running(&hides).is_empty();
        wait::until("the end of both", SOON, || (!is_left()).then_some(()));
        let took = begun.elapsed();
        assert!(took < most + Duration::from_secs(1), "{outcome:?}: {took:?}");
        let view = server.ended(id).await;
        let task = only_task(&view);
        assert_eq!((task.outcome, job(&view, "only").status), (Some(outcome), status), "{view:#?}");
        assert_eq!(task.steps.iter().filter(|step| step.name == "never").count(), 0, "{view:#?}");
        drop(agent);
    }
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
