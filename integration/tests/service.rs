//! The programs as services of systemd: what they tell it, what it is told of them, and what a final stop leaves.

use integration::{
    pipelines::{logged, only_task},
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{Outcome, WorkflowStatus},
};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(20);
const STEP: u32 = 1;

/// What it has of a service: its socket.
struct Systemd {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Systemd {
    fn new(rig: &Rig) -> Self {
        let path = rig.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a free path");
        socket.set_read_timeout(Some(SOON)).expect("a sound time");
        Self { socket, path }
    }

    fn watch(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", "3000000");
    }

    /// The words that come until this one does.
    fn hears(&self, word: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.iter().any(|one: &String| one.starts_with(word)) {
            let mut words = [0; 4096];
            let length =
                self.socket.recv(&mut words).unwrap_or_else(|error| panic!("{word}: {error}, but {heard:?}"));
            heard.extend(String::from_utf8_lossy(&words[..length]).lines().map(str::to_owned));
        }
        heard
    }
}

#[actix_rt::test]
async fn a_launch_agent_tells_systemd_what_goes_on() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let systemd = Systemd::new(&rig);
    let runner = [("environment", "['*']"), ("concurrency", "1")];
    let config_file = rig.configure("agent", &server.url, &[(CLASS, &token)], &runner);
    let mut command = rig.roundhouse();
    command.arg("launch-agent").arg("-c").arg(config_file);
    systemd.watch(&mut command);
    let mut agent = rig.start("agent", command);
    systemd.hears("READY=1");
    let watched = "env | grep -E '^(NOTIFY|WATCHDOG)' || echo none";
    let gate = rig.path("gate");
    let gated = format!("{watched}; until [ -e {} ]; do sleep 0.05; done", gate.display());
    let pipeline = server.job(CLASS, &gated).await;
    systemd.hears("STATUS=1 of 1 tasks running");
    agent.process().signal(Signal::HUP);
    let heard = systemd.hears("READY=1");
    let reloading = heard.iter().position(|word| word == "RELOADING=1").expect("it says that it reloads");
    assert!(heard[reloading + 1].starts_with("MONOTONIC_USEC="), "{heard:?}");
    systemd.hears("WATCHDOG=1");
    agent.process().signal(Signal::TERM);
    systemd.hears("STOPPING=1");
    systemd.hears("EXTEND_TIMEOUT_USEC=");
    rig.write("gate", "");
    let view = server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(server.log(only_task(&view).id, STEP).await, "none\n");
    assert_eq!(agent.ended(SOON), 0);
}

#[test]
fn a_control_plane_tells_systemd_that_it_serves() {
    let rig = Rig::new();
    let systemd = Systemd::new(&rig);
    let mut command = rig.roundhouse();
    command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(rig.path("data"));
    systemd.watch(&mut command);
    let mut server = rig.start("server", command);
    assert!(systemd.hears("READY=1")[0].starts_with("STATUS=listening on 127.0.0.1:"));
    server.process().signal(Signal::TERM);
    systemd.hears("STOPPING=1");
    assert_eq!(server.ended(SOON), 0);
}

#[test]
fn the_units_are_as_systemd_wants_them() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no systemd-analyze to look at the units");
    }
    let rig = Rig::new();
    let program = rig.roundhouse().get_program().display().to_string();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/systemd");
    for unit in proc::names(&units).unwrap() {
        let text = fs::read_to_string(units.join(&unit)).unwrap().replace("/usr/bin/roundhouse", &program);
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(rig.write(&unit, &text))
            .output();
        let verified = verified.unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && said.is_empty(), "{unit}: {said}");
    }
}

struct Left {
    rig: Rig,
    server: Server,
    agent: Agent,
    pipeline: PipelineId,
    marker: String,
}

impl Left {
    /// A task whose launch-agent was killed.
    async fn by_a_killed_launch_agent() -> Self {
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        let mut agent = rig.agent_with(
            "agent",
            &server.url,
            &[(CLASS, &token)],
            &[("concurrency", "1"), ("grace", "1s")],
        );
        let marker = wait::marker("sleep 11235");
        let pipeline = server.job(CLASS, &format!("echo started; {marker}")).await;
        server.sees(pipeline, "its output", |view| (logged(view, STEP) > 0).then_some(())).await;
        agent.program().kill();
        Self { rig, server, agent, pipeline, marker }
    }

    fn sweep(&self, result: Option<&str>) -> Output {
        let mut command = self.rig.roundhouse();
        command.args(["launch-agent", "--sweep", "-c"]).arg(&self.agent.config);
        if let Some(result) = result {
            command.env("SERVICE_RESULT", result).env("EXIT_CODE", "killed").env("EXIT_STATUS", "KILL");
        }
        command.output().expect("the program is there")
    }
}

#[actix_rt::test]
async fn what_a_final_stop_leaves_is_swept() {
    let left = Left::by_a_killed_launch_agent().await;
    let swept = left.sweep(Some("timeout"));
    assert!(swept.status.success(), "{swept:?}");
    assert!(proc::running(&left.marker).is_empty());
    for directory in ["tasks", "work"] {
        assert_eq!(proc::names(&left.agent.state.join(directory)).unwrap(), [""; 0]);
    }
    let view = left.server.ended(left.pipeline).await;
    let task = only_task(&view);
    assert!(matches!(task.outcome, Some(Outcome::InfrastructureFail | Outcome::Canceled)), "{view:#?}");
    assert_eq!(left.server.log(task.id, STEP).await, "started\n");
}

#[actix_rt::test]
async fn what_a_crash_leaves_is_not_swept_but_adopted() {
    let left = Left::by_a_killed_launch_agent().await;
    for result in ["signal", "oom-kill", "watchdog"] {
        let spared = left.sweep(Some(result));
        let said = String::from_utf8_lossy(&spared.stderr).into_owned();
        assert!(spared.status.success() && said.contains(result), "{said}");
    }
    assert_eq!(proc::running(&left.marker).len(), 1);
    let mut command = left.rig.roundhouse();
    command.arg("launch-agent").arg("-c").arg(&left.agent.config);
    let agent = left.rig.start("next", command);
    wait::until("it is adopted", SOON, || (agent.says("a task is adopted") > 0).then_some(()));
    let refused = left.sweep(None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(&agent.process().0.to_string()), "{said}");
}
