//! The programs as services of systemd: what they tell it, and what it is told of them.

use integration::{pipelines::only_task, proc, rig::Rig, wait};
use protocol::status::WorkflowStatus;
use rustix::process::Signal;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
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
fn a_control_plane_tells_systemd_that_it_serves_and_lives() {
    let rig = Rig::new();
    let systemd = Systemd::new(&rig);
    let mut command = rig.roundhouse();
    command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(rig.path("data"));
    systemd.watch(&mut command);
    let mut server = rig.start("server", command);
    assert!(systemd.hears("READY=1")[0].starts_with("STATUS=listening on 127.0.0.1:"));
    systemd.hears("WATCHDOG=1");
    // A terminal that hangs up, or an operator used to it: no reason to end.
    server.process().signal(Signal::HUP);
    wait::until("its answer", SOON, || (server.says("nothing is read anew") > 0).then_some(()));
    systemd.hears("WATCHDOG=1");
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
