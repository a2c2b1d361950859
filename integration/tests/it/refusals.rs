//! Bad input: each a clear message and the right exit status, nothing half-written, nothing lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    local::Ended,
    pipelines::only_task,
    rig::{Rig, Running, Server},
    wait,
};
use protocol::status::WorkflowStatus;
use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

const HELLO: &str = "version: 2.1
jobs:
  hello:
    machine: true
    steps: [{run: echo hello}]
workflows: {all: {jobs: [hello]}}
";

#[track_caller]
fn refused(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, status, "{ended:#?}");
    for word in words {
        assert!(ended.errors.contains(word), "`{word}` is not said: {ended:#?}");
    }
    assert!(!ended.errors.contains("panicked"), "{ended:#?}");
}

fn run(config: &str) -> Ended {
    let rig = Rig::new();
    let project = rig.project("project", config);
    rig.run(&project, &[])
}

#[test]
fn a_missing_configuration_is_named() {
    let rig = Rig::new();
    fs::create_dir(rig.path("empty")).unwrap();
    refused(&rig.run(&rig.path("empty"), &[]), 2, &[".circleci/config.yml"]);
    refused(&rig.run(&rig.path("nowhere"), &[]), 2, &["nowhere"]);
}

#[test]
fn broken_yaml_is_told_at_its_place() {
    refused(&run("version: 2.1\njobs: [a\n"), 2, &["config.yml:", "error"]);
}

#[test]
fn an_unknown_step_is_told_at_its_place() {
    let config = HELLO.replace("{run: echo hello}", "chekout");
    refused(&run(&config), 2, &["config.yml:5:13", "chekout", "^"]);
}

#[test]
fn a_cycle_of_jobs_is_told() {
    let config = HELLO.replace(
        "{all: {jobs: [hello]}}",
        "{all: {jobs: [{hello: {name: a, requires: [b]}}, {hello: {name: b, requires: [a]}}]}}",
    );
    refused(&run(&config), 2, &["config.yml:6:", "wait for one another", "`a` requires `b`"]);
}

#[test]
fn a_wrong_command_line_is_told() {
    let rig = Rig::new();
    let project = rig.project("project", HELLO);
    refused(&rig.run(&project, &["--concurrency", "none"]), 2, &["--concurrency"]);
    refused(&rig.run(&project, &["--workflow", "no-such"]), 2, &["no-such"]);
    refused(&rig.run(&project, &["--job", "no-such"]), 2, &["no-such"]);
}

#[test]
fn a_failing_job_is_a_status_of_its_own() {
    refused(&run(&HELLO.replace("echo hello", "exit 7")), 1, &[]);
}

#[test]
fn a_missing_task_agent_is_told() {
    let rig = Rig::new();
    let project = rig.project("project", HELLO);
    let ended = rig.run(&project, &["--task-agent", "/no/such/agent"]);
    refused(&ended, 3, &["/no/such/agent"]);
}

#[test]
fn a_launch_agents_configuration_is_refused_at_its_place() {
    let rig = Rig::new();
    let with = |path: &Path| {
        let mut command = rig.roundhouse();
        command.arg("launch-agent").arg("-c").arg(path);
        rig.finish(command)
    };
    refused(&with(&rig.path("missing.yaml")), 2, &["missing.yaml", "No such file"]);
    let wrong =
        rig.write("wrong.yaml", "api: {url: 'http://127.0.0.1:1', auth_token: t}\nrunner:\n  nmae: x\n");
    refused(
        &with(&wrong),
        2,
        &["wrong.yaml:3:3", "unknown key `runner.nmae`", "did you mean `runner.name`?"],
    );
}

#[actix_rt::test]
async fn a_wrong_token_is_refused_and_told() {
    let rig = Rig::new();
    let server = rig.server("server");
    server.class("rig/linux").await;
    let agent = rig.agent("agent", &server, &[("rig/linux", "wrong-token")], 1);
    let log = rig.path("agent.log");
    let told = || fs::read_to_string(&log).unwrap_or_default().contains("refuse").then_some(());
    wait::until("the refusal in the log", Duration::from_secs(20), told);
    assert!(agent.process().is_alive(), "other tokens may still be good");
    assert!(!fs::read_to_string(&log).unwrap().contains("wrong-token"), "a token is never logged");
    let mut command = rig.roundhouse();
    command.args(["pipeline", "run", "--host", &server.url, "--token", "wrong-token"]);
    command.arg(rig.project("project", HELLO));
    refused(&rig.finish(command), 3, &["refuses the token"]);
}

#[test]
fn a_port_in_use_is_named() {
    let rig = Rig::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = rig.roundhouse();
    command.args(["server", "--listen", &address, "--data-dir"]).arg(rig.path("data"));
    refused(&rig.finish(command), 3, &[&address, "in use"]);
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let rig = Rig::new();
    let server = rig.server("server");
    let mut command = rig.roundhouse();
    command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&server.data);
    refused(&rig.finish(command), 3, &[server.data.to_str().unwrap()]);
}

/// Runs a command with this file system mounted, for it alone.
fn with_mounted(rig: &Rig, directory: &Path, options: &str, arguments: &[&str]) -> Ended {
    rig.finish(mounted(rig, directory, options, arguments))
}

fn mounted(rig: &Rig, directory: &Path, options: &str, arguments: &[&str]) -> Command {
    fs::create_dir_all(directory).unwrap();
    let mut command = Command::new("unshare");
    let root = rustix::process::geteuid().is_root();
    command.args(if root { ["--mount", "--"].as_slice() } else { &["--map-root-user", "--mount", "--"] });
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    command.args(["sh", "-c", script, "sh", options]).arg(directory);
    command.arg(rig.roundhouse().get_program()).args(arguments);
    command
}

#[test]
fn a_read_only_state_directory_is_named() {
    let rig = Rig::new();
    let (project, state) = (rig.project("project", HELLO), rig.path("read-only"));
    let arguments = ["run", project.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let ended = with_mounted(&rig, &state, "ro,size=1m", &arguments);
    refused(&ended, 3, &["read-only", "Read-only file system"]);
}

#[test]
fn a_disk_without_room_is_named_before_anything_is_started() {
    let rig = Rig::new();
    let (project, state) = (rig.project("project", HELLO), rig.path("small"));
    let arguments = ["run", project.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let ended = with_mounted(&rig, &state, "size=96m", &arguments);
    refused(&ended, 3, &["no job can start", "runner.min_free is", "small"]);
}

/// Its launch-agent claims as long as a byte is free, and has a small disk for everything of its own.
fn on_a_small_disk(rig: &Rig, server: &Server, token: &str) -> Running {
    let state = rig.path("small");
    // Root of a namespace has no other accounts.
    let user = if rustix::process::geteuid().is_root() { "" } else { ", user: root" };
    let config = rig.write(
        "small.yaml",
        &format!(
            "api: {{url: '{}', auth_token: {token}}}\nlogging: {{format: json}}\n\
             runner: {{state_directory: {}, min_free: 1B{user}}}\nlogs: {{spool_wait: 1s}}\n",
            server.url,
            state.display()
        ),
    );
    let arguments = ["launch-agent", "-c", config.to_str().unwrap()];
    rig.start("small", mounted(rig, &state, "size=96m", &arguments))
}

#[actix_rt::test]
async fn a_job_that_fills_the_disk_is_told_so_and_the_next_one_runs() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let _agent = on_a_small_disk(&rig, &server, &token);
    let class = HELLO.replace("machine: true", "machine: true\n    resource_class: rig/linux");
    let fill = class.replace("echo hello", "head -c 512M /dev/zero > ~/large");
    let filled = server.ended(server.pipeline(&fill, "rig/linux").await).await;
    assert_eq!(filled.workflows[0].status, WorkflowStatus::Failed, "{filled:#?}");
    let said = server.log(only_task(&filled).id, 1).await;
    assert!(said.contains("No space left on device"), "{said}");
    let next = server.ended(server.pipeline(&class, "rig/linux").await).await;
    assert_eq!(next.workflows[0].status, WorkflowStatus::Success, "{next:#?}");
}
