//! A setup workflow continues its pipeline through an orb that calls as the public one does: here, and through a server
//! that is killed meanwhile.

use integration::{local::Ended, pipelines, proc, rig::Rig, wait};
use protocol::{
    api::PipelineView,
    status::{JobStatus, PipelineState, WorkflowStatus},
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const SOON: Duration = Duration::from_secs(60);

/// What the public orb's command does, with what every host has instead of `jq`.
const ORB: &str = r#"
version: 2.1
commands:
  continue:
    parameters:
      configuration_path: {type: string}
      parameters: {type: string, default: "{}"}
      circleci_domain: {type: string, default: circleci.com}
    steps:
      - run:
          name: Continue Pipeline
          environment:
            CONFIG_PATH: << parameters.configuration_path >>
            PARAMETERS: << parameters.parameters >>
            CIRCLECI_DOMAIN: << parameters.circleci_domain >>
          command: |
            text=$(sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' "$CONFIG_PATH" | awk '{printf "%s\\n", $0}')
            printf '{"continuation-key": "%s", "configuration": "%s", "parameters": %s}' \
              "$CIRCLE_CONTINUATION_KEY" "$text" "$PARAMETERS" > "$TMPDIR/continue_post.json"
            cat "$TMPDIR/continue_post.json"
            [ "$(curl --retry 5 --retry-delay 0 --retry-connrefused -o /dev/stderr -w '%{http_code}' -XPOST \
                   -H "Content-Type: application/json" -H "Accept: application/json" \
                   --data @"$TMPDIR/continue_post.json" \
                   "https://${CIRCLECI_DOMAIN}/api/v2/pipeline/continue")" -eq 200 ]
"#;

const SETUP: &str = r#"
version: 2.1
setup: true
parameters: {flavor: {type: string, default: plain}}
orbs: {continuation: own/continuation@1}
jobs:
  decide:
    machine: true
    steps:
      - checkout
      - run: STEP
      - continuation/continue: {configuration_path: .circleci/next.yml, parameters: '{"chosen": true}'}
workflows: {decide: {jobs: [decide]}}
"#;

const NEXT: &str = r#"
version: 2.1
parameters: {chosen: {type: boolean, default: false}, flavor: {type: string, default: plain}}
orbs: {greeting: own/greeting@1}
jobs:
  build: {machine: true, steps: [greeting/greet: {whom: << pipeline.parameters.flavor >>}]}
  never: {machine: true, steps: [run: "false"]}
workflows:
  chosen: {when: << pipeline.parameters.chosen >>, jobs: [build]}
  other: {unless: << pipeline.parameters.chosen >>, jobs: [never]}
"#;

const GREETING: &str = "version: 2.1\ncommands: {greet: {parameters: {whom: {type: string}}, steps: [run: echo << parameters.whom >>]}}\n";

fn publish(rig: &Rig, orbs: &[(&str, &str)]) {
    for (name, text) in orbs {
        let path = rig.write(&format!("{name}.yml"), text);
        let mut command = rig.roundhouse();
        command.args(["orb", "publish", &format!("own/{name}@1.0.0")]).arg(path);
        command.arg("--orbs").arg(rig.path("orbs"));
        let ended = rig.finish(command);
        assert_eq!(ended.status, 0, "{}", ended.errors);
    }
}

/// A project whose setup job does this before it continues, and what it continues with.
fn project(rig: &Rig, step: &str, next: &str) -> PathBuf {
    publish(rig, &[("continuation", ORB), ("greeting", GREETING)]);
    let project = rig.project("shop", &SETUP.replace("STEP", step));
    rig.write("shop/.circleci/next.yml", next);
    project
}

fn run(rig: &Rig, project: &Path) -> Ended {
    let orbs = rig.path("orbs").display().to_string();
    rig.run(project, &["--orbs", &orbs, "--param", "flavor=vanilla"])
}

#[test]
fn a_setup_workflow_continues_its_pipeline_and_the_run_follows() {
    let rig = Rig::new();
    let ended = run(&rig, &project(&rig, "true", NEXT));
    assert_eq!(ended.status, 0, "{}\n{}", ended.errors, ended.output);
    let report = ended.report();
    let names: Vec<_> = report.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    assert_eq!((report.state, names), (PipelineState::Created, vec!["decide", "chosen"]));
    assert_eq!(ended.step("build", "echo vanilla"), "vanilla\n");
    let log = ended.step("decide", "Continue Pipeline");
    assert!(
        log.contains("\"continuation-key\": \"****\"") && log.contains("the pipeline is continued"),
        "{log}"
    );
    assert!(rig.leftovers().is_empty());
}

#[test]
fn a_continuation_that_is_not_valid_fails_its_job_and_the_run_and_says_why() {
    let rig = Rig::new();
    let ended = run(&rig, &project(&rig, "true", &NEXT.replace("greeting/greet", "greeting/great")));
    assert_eq!(ended.status, 1, "{}\n{}", ended.errors, ended.output);
    let report = ended.report();
    assert_eq!((report.state, report.status), (PipelineState::Errored, WorkflowStatus::Failed));
    assert!(report.errors[0].contains("greet"), "{:?}", report.errors);
    assert_eq!(ended.job("decide").status, JobStatus::Failed);
    let log = ended.step("decide", "Continue Pipeline");
    assert!(log.contains("did you mean"), "{log}");
}

#[test]
fn a_setup_workflow_that_ends_without_continuing_is_said() {
    let rig = Rig::new();
    let project = project(&rig, "true", NEXT);
    let config = SETUP.lines().filter(|line| !line.contains("continuation/continue"));
    rig.write("shop/.circleci/config.yml", &config.collect::<Vec<_>>().join("\n").replace("STEP", "true"));
    let ended = run(&rig, &project);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    assert_eq!(ended.report().state, PipelineState::Setup);
    let mut command = rig.roundhouse();
    command.arg("run").arg(&project).arg("--state-dir").arg(rig.path("state"));
    command.arg("--orbs").arg(rig.path("orbs"));
    let ended = rig.finish(command);
    assert!(ended.output.contains("ended without continuing the pipeline"), "{}", ended.output);
}

#[actix_rt::test]
async fn a_server_killed_between_setup_and_continuation_loses_nothing() {
    let rig = Rig::new();
    let mut server = rig.server("server");
    let token = server.class("rig/linux").await;
    let _agent = rig.agent("agent", &server, &[("rig/linux", &token)], 2);
    let waits = wait::marker("sleep 14142");
    let next = NEXT
        .replace("greeting/greet: {whom: << pipeline.parameters.flavor >>}", "run: echo done")
        .replace("orbs: {greeting: own/greeting@1}\n", "");
    let project = project(&rig, &format!("{waits} || true"), &next);
    let mut command = rig.roundhouse();
    command.args(["pipeline", "run", "--host", &server.url, "--token", &server.token]);
    command.args(["--resource-class", "rig/linux"]).arg("--orbs").arg(rig.path("orbs")).arg(&project);
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    let id = ended.output.trim().parse().unwrap();
    let job = wait::until("the setup job", SOON, || proc::running(&waits).pop());
    let address = server.url.trim_start_matches("http://").to_owned();
    server.program().kill();
    let server = rig.server_at("server", &address);
    job.signal(Signal::KILL);
    let over = |view: &PipelineView| view.workflows.len() == 2 && view.workflows[1].status.is_terminal();
    let view = server.sees(id, "the continuation's end", |view| over(view).then(|| view.clone())).await;
    assert_eq!(view.workflows[1].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(pipelines::job(&view, "build").number, 2);
}
