//! What a job must not get at, and what must not be seen.

use integration::{pipelines::only_task, rig::Rig, wait};
use protocol::status::{JobStatus, StepStatus, WorkflowStatus};
use std::{fs, path::Path, time::Duration};

const SECRET: &str = "correct-horse-battery-staple";

/// Files below that have these bytes in them.
fn holding(directory: &Path, words: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| match path.is_dir() && !path.is_symlink() {
        true => holding(&path, words),
        false => vec![path].into_iter().filter(|path| has(path, words)).collect(),
    });
    found.collect()
}

fn has(path: &Path, words: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn a_secret_is_masked_in_the_log_and_lies_nowhere_on_the_disk() {
    let rig = Rig::new();
    let config = "version: 2.1
jobs:
  tell:
    machine: true
    steps:
      - run: {name: tell, command: 'echo \"it is $PASSPHRASE\"; test ${#PASSPHRASE} -eq 28'}
workflows: {all: {jobs: [tell]}}
";
    let project = rig.project("project", config);
    let ended = rig.run(&project, &["--secret", &format!("PASSPHRASE={SECRET}")]);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    let told = ended.step("tell", "tell");
    assert!(told.starts_with("it is ***") && !told.contains(SECRET), "{told}");
    let found = holding(&rig.path("state"), SECRET);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_link_to_a_file_of_roots_uploads_nothing() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root's launch-agent has rights that its jobs have not");
    }
    let rig = Rig::new();
    let treasure = rig.write("treasure", "for root's eyes alone\n");
    fs::set_permissions(&treasure, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = format!(
        "version: 2.1
jobs:
  thief:
    machine: true
    steps:
      - run: ln -s {} loot
      - store_artifacts: {{path: loot}}
workflows: {{all: {{jobs: [thief]}}}}
",
        treasure.display()
    );
    let ended = rig.run(&rig.project("project", &config), &[]);
    assert_eq!(ended.job("thief").artifacts, [], "{}", ended.output);
    assert!(holding(&rig.path("state"), "for root's eyes").is_empty());
}

#[test]
fn a_job_sees_no_token_of_the_launch_agent() {
    let rig = Rig::new();
    let config = "version: 2.1
jobs:
  curious:
    machine: true
    steps:
      - run: {name: look, command: 'env; cat /proc/$PPID/environ /proc/$PPID/cmdline | tr \"\\0\" \"\\n\" || true'}
workflows: {all: {jobs: [curious]}}
";
    let ended = rig.run(&rig.project("project", config), &[]);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    let seen = ended.step("curious", "look").to_lowercase();
    assert!(seen.contains("circleci=true"), "{seen}");
    let tokens: Vec<_> =
        seen.lines().filter(|line| line.contains("token") || line.contains("bearer")).collect();
    assert!(tokens.is_empty(), "{tokens:?}");
}

#[actix_rt::test]
async fn a_single_task_launch_agent_ends_after_its_task() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let runner = [("concurrency", "4"), ("mode", "single-task")];
    let mut agent = rig.agent_with("agent", &server.url, &[("rig/linux", &token)], &runner);
    let config = "version: 2.1
jobs:
  hello:
    machine: true
    resource_class: rig/linux
    steps: [{run: echo hello}]
workflows: {all: {jobs: [hello]}}
";
    let view = server.ended(server.pipeline(config, "rig/linux").await).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success);
    assert_eq!(agent.program().ended(Duration::from_secs(20)), 0);
    let status = only_task(&view).steps.iter().map(|step| step.status).collect::<Vec<_>>();
    assert_eq!(status, [StepStatus::Success, StepStatus::Success]);
}

#[actix_rt::test]
async fn a_terminated_launch_agent_lets_its_task_end_and_claims_no_more() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let mut agent = rig.agent("agent", &server, &[("rig/linux", &token)], 4);
    let go = rig.path("go");
    let config = format!(
        "version: 2.1
jobs:
  waiting:
    machine: true
    resource_class: rig/linux
    steps: [{{run: 'echo waiting for it; until test -e {}; do sleep 0.05; done'}}]
workflows: {{all: {{jobs: [waiting]}}}}
",
        go.display()
    );
    let first = server.pipeline(&config, "rig/linux").await;
    let running = |view: &_| (integration::pipelines::logged(view, 1) > 0).then_some(());
    server.sees(first, "the job's first words", running).await;
    agent.process().signal(rustix::process::Signal::TERM);
    let log = rig.path("agent.log");
    let draining = || fs::read_to_string(&log).unwrap().contains("Draining").then_some(());
    wait::until("the drain", Duration::from_secs(10), draining);
    let second = server.pipeline(&config, "rig/linux").await;
    fs::write(&go, "").unwrap();
    let view = server.ended(first).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(agent.program().ended(Duration::from_secs(20)), 0);
    let view = server.operator().pipeline(second).await.unwrap();
    assert_eq!(view.workflows[0].jobs[0].status, JobStatus::Queued, "nobody claimed it");
}
