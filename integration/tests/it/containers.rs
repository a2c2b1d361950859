//! Jobs in containers, with the real programs and an engine of the tests' own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod images;
mod logins;
mod registry;
mod services;

use crate::podman::Podman;
use integration::{
    local::Ended,
    pipelines::{count_to, job, logged, numbers, only_task},
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{JobStatus, WorkflowStatus},
};
use std::{path::Path, time::Duration};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(180);
const STEP: u32 = 1;

/// Every built-in step; two tasks of another user; a service on localhost and by name.
const TOUR: &str = r#"
version: 2.1
jobs:
  make:
    docker: [{image: "localhost/box:1", environment: {FROM_IMAGE: "yes"}}]
    resource_class: small
    steps:
      - checkout
      - run: {name: who, command: 'echo "$(id -u) $PWD $HOME $FROM_IMAGE"'}
      - run: 'mkdir -p out results; echo made > out/file; echo "<testsuite><testcase name=\"a\"/></testsuite>" > results/r.xml'
      - persist_to_workspace: {root: out, paths: [file]}
      - save_cache: {key: "k-{{ .Revision }}-1", paths: [out]}
      - store_artifacts: {path: out}
      - store_test_results: {path: results}
      - run: {background: true, command: 'echo up > ~/up; exec sleep 1000'}
      - run: {name: beside, command: 'until [ -s ~/up ]; do sleep 0.1; done; cat ~/up'}
      - run: {name: fails, command: exit 3}
      - run: {name: after, when: on_fail, command: echo still here}
  use:
    docker:
      - image: localhost/cimg:1
      - {image: "localhost/box:1", name: web, command: ["sh", "-c", "mkdir /w; echo served > /w/index.html; exec httpd -f -p 8099 -h /w"]}
    parallelism: 2
    steps:
      - attach_workspace: {at: ws}
      - restore_cache: {keys: ["k-"]}
      - run: {name: who, command: 'echo "$(id -u) $PWD $(stat -c %u . ws/file out/file | tr "\n" " ")"'}
      - run: {name: share, command: 'printf "a\nb\nc\n" | circleci tests split --split-by=timings'}
      - run:
          name: fetch
          command: |
            until wget -q -O - http://localhost:8099/; do sleep 0.1; done
            wget -q -O - http://web:8099/
workflows: {all: {jobs: [make, use: {requires: [make: failed]}]}}
"#;

fn run(rig: &Rig, podman: &Podman, config: &str, arguments: &[&str]) -> Ended {
    let project = rig.project("project", config);
    let mut command = rig.roundhouse();
    command.env("DOCKER_HOST", address(podman)).arg("run").arg(project);
    command.args(["--output", "json", "--state-dir"]).arg(rig.path("state")).args(arguments);
    rig.finish(command)
}

fn address(podman: &Podman) -> String {
    format!("unix://{}", podman.socket().display())
}

fn is_swept(podman: &Podman) {
    let left = || podman.printed(&["ps", "--all", "--quiet"]);
    wait::until("no container is left", SOON, || left().is_empty().then_some(()));
}

#[test]
fn a_job_runs_in_its_image_as_its_user_beside_its_services() {
    let Some(podman) = Podman::start() else { return };
    let rig = Rig::new();
    let ended = run(&rig, &podman, TOUR, &[]);
    assert_eq!(ended.step("make", "who"), "0 /root/project /root yes\n");
    assert_eq!(ended.step("make", "beside") + &ended.step("make", "after"), "up\nstill here\n");
    let (make, used) = (ended.job("make"), ended.job("use"));
    assert_eq!((make.status, used.status), (JobStatus::Failed, JobStatus::Success), "{ended:#?}");
    assert_eq!((make.artifacts.len(), make.tests.passed), (1, 1));
    assert_eq!(ended.step("use", "who").trim(), "3434 /home/circleci/project 3434 3434 3434");
    assert_eq!(ended.step("use", "fetch"), "served\nserved\n");
    assert_eq!(ended.job("use").tasks.len(), 2);
    // The first run of the job, asked for over the socket in its container.
    let share = ended.step("use", "share");
    assert!(share.contains("No former run of this job") && share.ends_with("a\nc\n"), "{share}");
    assert!(
        ended.step("make", "Spin up environment").contains("Resource class small: 1 processors, 2048 MiB")
    );
    is_swept(&podman);
}

#[test]
fn a_job_whose_containers_cannot_be_had_says_why() {
    let Some(podman) = Podman::start() else { return };
    let ended = run(
        &Rig::new(),
        &podman,
        r#"
version: 2.1
jobs:
  missing: {docker: [{image: "localhost:1/none:1"}], steps: [run: "true"]}
  nobody: {docker: [{image: "localhost/box:1", user: nosuch}], steps: [run: "true"]}
  service: {docker: [{image: "localhost/box:1"}, {image: "localhost/box:1", command: [/no/such]}], steps: [run: "true"]}
  ends: {docker: [{image: "localhost/box:1"}, {image: "localhost/box:1", name: db, command: [sh, -c, "echo last words; exit 3"]}], steps: [run: "sleep 2"]}
workflows: {all: {jobs: [missing, nobody, service, ends]}}
"#,
        &[],
    );
    for (name, words) in [
        ("missing", "image localhost:1/none:1 cannot be pulled"),
        ("nobody", "the image has no account nosuch"),
        ("service", "/no/such"),
        ("ends", "Service db ended with exit code 3. It said last:\n  last words"),
    ] {
        let said = ended.step(name, "Spin up environment");
        assert!(said.contains(words), "{name}: {said}");
        let status = if name == "ends" { JobStatus::Success } else { JobStatus::InfrastructureFail };
        assert_eq!(ended.job(name).status, status);
    }
    is_swept(&podman);
}

#[test]
fn a_job_in_an_image_sees_a_terminal_and_has_its_commands_whichever_user_of_it_calls() {
    let Some(podman) = Podman::start() else { return };
    let ended = run(
        &Rig::new(),
        &podman,
        r#"
version: 2.1
jobs:
  other:
    docker: [{image: "localhost/box:1"}]
    steps:
      - run: {name: it, command: "stty size <&1; su -s /bin/sh circleci -c 'id -u; env -i /.roundhouse/job/circleci-agent step halt'"}
      - run: "false"
  own:
    docker: [{image: "localhost/cimg:1"}]
    steps:
      - run: {name: it, command: "id -u; circleci env subst '$CIRCLE_JOB '; circleci step halt && echo halted"}
      - run: "false"
workflows: {all: {jobs: [other, own]}}
"#,
        &[],
    );
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert_eq!(ended.step("other", "it"), "24 80\n3434\n");
    assert_eq!(ended.step("own", "it"), "3434\nown halted\n");
    is_swept(&podman);
}

#[test]
fn without_an_engine_a_run_says_so_and_natively_it_says_what_differs() {
    let rig = Rig::new();
    let config =
        "version: 2.1\njobs: {build: {docker: [{image: 'app:1'}, {image: 'db:1'}], steps: [run: 'true']}}\n";
    let project = rig.project("project", config);
    let run = |arguments: &[&str]| {
        let mut command = rig.roundhouse();
        command.env("DOCKER_HOST", "unix:///no/such.sock").arg("run").arg(&project);
        command.arg("--state-dir").arg(rig.path("state")).args(arguments);
        rig.finish(command)
    };
    let refused = run(&[]);
    assert_eq!(refused.status, 2, "{refused:#?}");
    for words in ["the job `build` wants a container", "/no/such.sock", "--native"] {
        assert!(refused.errors.contains(words), "{refused:#?}");
    }
    let native = run(&["--native"]);
    assert_eq!(native.status, 0, "{native:#?}");
    assert!(native.errors.contains("build: not in app:1, without the service db:1"), "{native:#?}");
}

/// A control plane and a launch-agent that has an engine.
struct House {
    podman: Podman,
    rig: Rig,
    server: Server,
    token: String,
}

impl House {
    async fn new() -> Option<Self> {
        let podman = Podman::start()?;
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        Some(Self { podman, rig, server, token })
    }

    fn agent(&self) -> Agent {
        self.agent_with(("grace", "1s"))
    }

    /// The same with another key of its configuration.
    fn agent_with(&self, key: (&str, &str)) -> Agent {
        let address = address(&self.podman);
        let classes = [(CLASS, self.token.as_str())];
        let engine = [("DOCKER_HOST", Path::new(&address))];
        self.rig.agent_within("agent", &self.server.url, &classes, &[key], &engine)
    }

    /// A job that counts in a container, with a service beside it, some of its output stored.
    async fn counting(&self, last: u32) -> PipelineId {
        let command = serde_json::Value::from(count_to(last));
        let config = format!(
            "version: 2.1\njobs:\n  only:\n    docker: [{{image: 'localhost/cimg:1'}}, {{image: 'localhost/box:1', \
             command: [sleep, '1000']}}]\n    steps: [run: {{name: it, command: {command}}}]\nworkflows: {{all: {{jobs: [only]}}}}\n"
        );
        let pipeline = self.server.pipeline(&config, CLASS).await;
        let some = |view: &_| (logged(view, STEP) > 20).then_some(());
        self.server.sees(pipeline, "some output", some).await;
        pipeline
    }

    async fn succeeds(&self, pipeline: PipelineId, last: u32) {
        let view = self.server.ended(pipeline).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
        let log = self.server.log(only_task(&view).id, STEP).await;
        assert_eq!(log, numbers(last), "no byte lost, none doubled");
        is_swept(&self.podman);
    }
}

#[actix_rt::test]
async fn a_job_in_a_container_goes_on_while_its_launch_agent_is_killed_and_started_again() {
    let Some(house) = House::new().await else { return };
    let mut agent = house.agent();
    let pipeline = house.counting(300).await;
    agent.program().kill();
    let containers = house.podman.printed(&["ps", "--quiet"]);
    assert_eq!(containers.lines().count(), 2, "they do not notice");
    let _agent = house.agent();
    house.succeeds(pipeline, 300).await;
}

#[actix_rt::test]
async fn a_job_goes_on_while_its_engine_is_away_and_is_removed_once_that_is_back() {
    let Some(mut house) = House::new().await else { return };
    let agent = house.agent();
    let pipeline = house.counting(200).await;
    house.podman.stop();
    wait::until("the end of the job's steps", SOON, || has_ended(&agent).then_some(()));
    house.podman.serve();
    house.succeeds(pipeline, 200).await;
}

/// Whether the task-agent of the only task wrote down its end.
fn has_ended(agent: &Agent) -> bool {
    let tasks = agent.state.join("tasks");
    let journal = |task: &String| std::fs::read_to_string(tasks.join(task).join("agent.jsonl"));
    let names = proc::names(&tasks).unwrap();
    names.iter().all(|task| journal(task).is_ok_and(|journal| journal.contains("ended")))
}

#[actix_rt::test]
async fn a_canceled_job_leaves_no_container() {
    let Some(house) = House::new().await else { return };
    let _agent = house.agent();
    let pipeline = house.counting(100_000).await;
    house.server.operator().cancel(pipeline).await.unwrap();
    let view = house.server.ended(pipeline).await;
    assert_eq!(job(&view, "only").status, JobStatus::Canceled, "{view:#?}");
    is_swept(&house.podman);
}

#[actix_rt::test]
async fn containers_that_nobody_comes_back_for_are_removed_at_the_start() {
    let Some(house) = House::new().await else { return };
    let mut agent = house.agent();
    house.counting(100_000).await;
    agent.program().kill();
    for directory in ["tasks", "work"] {
        std::fs::remove_dir_all(agent.state.join(directory)).unwrap();
    }
    let mut agent = house.agent();
    is_swept(&house.podman);
    assert_eq!(agent.program().says("left by an earlier life and removed: containers"), 1);
}

#[actix_rt::test]
async fn a_job_in_a_container_proves_which_it_is() {
    let Some(house) = House::new().await else { return };
    let _agent = house.agent();
    let claims = r#"circleci run oidc get --claims '{"aud": "sts.example"}' > token; cut -d. -f2 token | tr -- -_ +/ | base64 -d 2>/dev/null | grep -o '"aud":"[^"]*"'; cat token; test -n "$CIRCLE_OIDC_TOKEN""#;
    let command = serde_json::Value::from(claims);
    let config = format!(
        "version: 2.1\njobs:\n  only:\n    docker: [{{image: 'localhost/cimg:1'}}]\n    steps: [run: {{name: it, shell: \
         /bin/sh -e, command: {command}}}]\nworkflows: {{all: {{jobs: [only]}}}}\n"
    );
    let view = house.server.ended(house.server.pipeline(&config, CLASS).await).await;
    let log = house.server.log(only_task(&view).id, STEP).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{log}");
    assert_eq!(log, "\"aud\":\"sts.example\"\n****\n");
    is_swept(&house.podman);
}
