//! Contexts and variables of projects with the real programs: given by the command line, and to the jobs that may have them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    fleet::{CLASS, Fleet},
    local::Ended,
    rig::pipeline,
};
use protocol::{JobStatus, api::GitValues};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

const CONFIG: &str = "version: 2.1
jobs:
  build:
    machine: true
    environment: {OWN: the job's}
    steps:
      - run: {name: show, command: 'echo \"$A|$B|$C|$OWN\" | rev; echo said $C'}
  deploy:
    machine: true
    steps: [run: echo deployed]
workflows:
  main:
    jobs:
      - build: {context: [first, second]}
      - deploy: {context: guarded}
";
const SECRET: &str = "s3cret-of-the-second-context";

/// A command with this on its standard input.
fn with_input(fleet: &Fleet, arguments: &[&str], input: &str) {
    let mut command: Command = fleet.rig.roundhouse();
    command.args(arguments).args(["--host", &fleet.server.url, "--token", &fleet.server.token]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{arguments:?}");
}

fn done(ended: Ended) -> Ended {
    assert_eq!(ended.status, 0, "{ended:#?}");
    ended
}

/// The first line of a log, which the step printed backwards: masking finds every common form of a secret.
fn backwards(log: &str) -> String {
    log.lines().next().unwrap().trim_end().chars().rev().collect()
}

#[actix_rt::test]
async fn a_job_has_what_its_contexts_and_project_keep_masked_and_a_guarded_one_is_unauthorized() {
    let fleet = Fleet::start(&[]).await;
    for name in ["first", "second", "guarded"] {
        done(fleet.roundhouse(&["context", "create", "local", name]));
    }
    for (variable, value) in
        [("A", "of-the-project\n"), ("B", "hidden-below"), ("C", "hidden-too"), ("OWN", "hidden")]
    {
        with_input(&fleet, &["project", "env", "set", "local/rig", variable], value);
    }
    with_input(&fleet, &["context", "store-secret", "local", "first", "B"], "of-the-first");
    with_input(&fleet, &["context", "store-secret", "local", "first", "C"], "hidden-as-well");
    with_input(&fleet, &["context", "store-secret", "local", "second", "C"], &format!("{SECRET}\n"));
    let only = "pipeline.git.branch == \"main\"";
    done(fleet.roundhouse(&["context", "restrict", "local", "guarded", "--expression", only]));
    let git = GitValues { branch: Some("topic".to_owned()), ..GitValues::default() };
    let mut new = pipeline(CONFIG, CLASS);
    new.git = git;
    let created = fleet.server.operator().create_pipeline(&new).await.unwrap();
    let view = fleet.server.ended(created.id).await;
    let job = |name: &str| view.workflows[0].jobs.iter().find(|job| job.name == name).unwrap().clone();
    assert_eq!((job("build").status, job("deploy").status), (JobStatus::Success, JobStatus::Unauthorized));
    assert!(job("deploy").reason.unwrap().contains(only));
    let log = fleet.log(&view, "build", "show").await;
    assert_eq!(backwards(&log), format!("of-the-project|of-the-first|{SECRET}|the job's"));
    assert!(log.contains("said ****") && !log.contains(SECRET), "{log}");
    let shown = done(fleet.roundhouse(&["context", "show", "local", "guarded"]));
    assert!(shown.output.contains(only), "{shown:#?}");
    let shown = done(fleet.roundhouse(&["project", "env", "list", "local/rig"]));
    assert!(shown.output.contains("xxxxject") && !shown.output.contains("of-the-project"), "{shown:#?}");
    let told = done(fleet.roundhouse(&["audit"]));
    assert!(told.output.contains("the context second: C") && !told.output.contains(SECRET), "{told:#?}");
    for name in ["store.db", "store.db-wal"] {
        let bytes = fs::read(fleet.server.data.join(name)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{name}");
    }
}

/// What the job's step sees of its variables.
async fn seen(fleet: &Fleet) -> String {
    let created = fleet.server.operator().create_pipeline(&pipeline(CONFIG, CLASS)).await.unwrap();
    let view = fleet.server.ended(created.id).await;
    let log = fleet.log(&view, "build", "show").await;
    backwards(&log)
}

#[actix_rt::test]
async fn a_new_key_opens_all_that_lay_sealed_with_the_old_one_also_in_the_next_life() {
    let mut fleet = Fleet::start(&[]).await;
    for name in ["first", "second", "guarded"] {
        done(fleet.roundhouse(&["context", "create", "local", name]));
    }
    with_input(&fleet, &["context", "store-secret", "local", "second", "C"], &format!("{SECRET}\n"));
    with_input(&fleet, &["project", "env", "set", "local/rig", "A"], "of-the-project");
    let key = fleet.server.data.join("secrets.key");
    let old = fs::read_to_string(&key).unwrap();
    done(fleet.roundhouse(&["server", "rotate-key"]));
    let new = fs::read_to_string(&key).unwrap();
    assert!(new != old && new.trim().len() == old.trim().len(), "one key, and another");
    assert_eq!(seen(&fleet).await, format!("of-the-project||{SECRET}|the job's"));
    let address = fleet.server.url.trim_start_matches("http://").to_owned();
    fleet.server.program().kill();
    fleet.server = fleet.rig.server_at("server", &address);
    assert_eq!(seen(&fleet).await, format!("of-the-project||{SECRET}|the job's"));
}
