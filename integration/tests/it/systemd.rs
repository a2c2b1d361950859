//! The units as they are delivered, under a real systemd: what becomes of a running job by each thing that an operator or a
//! failure does to them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    machine::Machine,
    pipelines::{count_until, is_counted, logged, only_task},
    proc,
    rig::{Rig, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{Outcome, WorkflowStatus},
};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

const CLASS: &str = "rig/linux";
const AGENT: &str = "roundhouse-launch-agent.service";
const SERVER: &str = "roundhouse-server.service";
const SOON: Duration = Duration::from_secs(60);
/// The job's own step, behind the launch-agent's.
const STEP: u32 = 1;

/// A machine with a launch-agent as its service, and a control plane elsewhere.
struct House {
    machine: Machine,
    server: Server,
    token: String,
    rig: Rig,
}

impl House {
    /// None where this host can have no machine.
    async fn new() -> Option<Self> {
        if let Some(lacking) = Machine::lacking() {
            eprintln!("skipped: a machine with a systemd of its own needs {lacking}");
            return None;
        }
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        let house = Self { machine: Machine::boot(&rig), server, token, rig };
        house.configure("2");
        Some(house)
    }

    fn configure(&self, concurrency: &str) {
        let text = format!(
            "api: {{url: '{}', auth_token: {}}}\nrunner: {{name: machine, concurrency: {concurrency}, grace: 1s}}\n\
             logging: {{format: json, file: {}}}\n",
            self.server.url,
            self.token,
            self.log().display()
        );
        let path = self.rig.write("machine/etc/launch-agent-config.yaml", &text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn log(&self) -> PathBuf {
        self.rig.path("machine/agent.log")
    }

    /// How many lines of the launch-agent's log have this in them.
    fn says(&self, text: &str) -> usize {
        fs::read_to_string(self.log()).unwrap_or_default().lines().filter(|line| line.contains(text)).count()
    }

    /// Once, by now or soon.
    fn has_adopted(&self) {
        let adopted = || self.says("a task is adopted");
        wait::until("the adoption", SOON, || (adopted() > 0).then_some(()));
        assert_eq!(adopted(), 1);
    }

    fn start(&self) {
        self.machine.obeys(&["start", AGENT]);
        self.is("ActiveState", "active");
    }

    fn is(&self, property: &str, value: &str) {
        assert_eq!(self.machine.show(AGENT, property), value, "{property}");
    }

    /// A job that has begun and counts until its gate is open.
    async fn counts(&self, gate: &str) -> PipelineId {
        self.begun(&count_until(&self.gate(gate))).await
    }

    /// A job that has begun and ends once its gate is open.
    async fn gated(&self, gate: &str) -> PipelineId {
        let gate = self.gate(gate);
        self.begun(&format!("echo started; until [ -e {} ]; do sleep 0.05; done; echo done", gate.display()))
            .await
    }

    /// The machine sees it as well.
    fn gate(&self, gate: &str) -> PathBuf {
        self.rig.path(&format!("machine/{gate}"))
    }

    fn open(&self, gate: &str) {
        fs::write(self.gate(gate), "").unwrap();
    }

    async fn begun(&self, command: &str) -> PipelineId {
        let pipeline = self.server.job(CLASS, command).await;
        self.server.sees(pipeline, "its output", |view| (logged(view, STEP) > 0).then_some(())).await;
        pipeline
    }

    /// Its outcome, and what it printed.
    async fn ended(&self, pipeline: PipelineId) -> (Option<Outcome>, String) {
        let view = self.server.ended(pipeline).await;
        let task = only_task(&view);
        (task.outcome, self.server.log(task.id, STEP).await)
    }

    /// Waits for its good end; what it printed.
    async fn succeeds(&self, pipeline: PipelineId) -> String {
        let view = self.server.ended(pipeline).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
        self.server.log(only_task(&view).id, STEP).await
    }

    /// No task is left: no directory, no control group, no process.
    fn nothing_is_left(&self) {
        for directory in ["tasks", "work"] {
            let path = self.machine.path(&format!("/var/lib/roundhouse/{directory}"));
            let left = || proc::names(&path).unwrap_or_default();
            wait::until(&format!("{directory} is empty"), SOON, || left().is_empty().then_some(()));
        }
        let groups = self.machine.group_of(AGENT).join("roundhouse");
        wait::until("its tasks' groups are gone", SOON, || (!groups.exists()).then_some(()));
    }
}

const GATED: &str = "started\ndone\n";

#[actix_rt::test]
async fn a_service_is_ready_when_it_serves_and_its_tasks_have_groups_in_its_own() {
    let Some(house) = House::new().await else { return };
    house.start();
    house.machine.shows(AGENT, "StatusText", "0 of 2 tasks running");
    let job = house.gated("gate").await;
    house.machine.shows(AGENT, "StatusText", "1 of 2 tasks running");
    let groups = house.machine.group_of(AGENT).join("roundhouse");
    let populated =
        |path: &Path| fs::read_to_string(path.join("cgroup.events")).unwrap().contains("populated 1");
    assert!(populated(&groups), "{}", groups.display());
    house.open("gate");
    assert_eq!(house.succeeds(job).await, GATED);
    house.nothing_is_left();
}

#[actix_rt::test]
async fn a_reload_takes_up_a_new_program_and_configuration_under_a_running_job() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.counts("gate").await;
    let main = house.machine.main_process(AGENT);
    let program = house.machine.path("/usr/bin/roundhouse");
    let new = program.with_extension("new");
    fs::copy(&program, &new).unwrap();
    fs::rename(&new, &program).unwrap();
    house.configure("3");
    house.machine.obeys(&["reload", AGENT]);
    house.machine.shows(AGENT, "StatusText", "1 of 3 tasks running");
    assert_eq!(house.machine.main_process(AGENT), main, "it is the same process");
    let runs = fs::read_link(format!("/proc/{}/exe", main.0)).unwrap();
    assert_eq!(runs, Path::new("/usr/bin/roundhouse"), "and not the program that was there");
    house.is("NRestarts", "0");
    house.has_adopted();
    house.open("gate");
    is_counted(&house.succeeds(job).await);
    house.nothing_is_left();
}

#[actix_rt::test]
async fn a_reload_of_what_is_wrong_fails_and_the_service_goes_on_as_it_was() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.gated("gate").await;
    house.configure("none");
    let refused = house.machine.systemctl(&["reload", AGENT]);
    assert!(!refused.status.success(), "{refused:?}");
    house.is("ActiveState", "active");
    house.machine.shows(AGENT, "StatusText", "1 of 2 tasks running");
    house.configure("2");
    house.machine.obeys(&["reload", AGENT]);
    house.open("gate");
    assert_eq!(house.succeeds(job).await, GATED);
}

#[actix_rt::test]
async fn a_stop_waits_for_the_job_and_so_does_a_restart() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.gated("one").await;
    house.machine.obeys(&["stop", "--no-block", AGENT]);
    house.machine.shows(AGENT, "StatusText", "ending with the last of 1 tasks");
    house.is("ActiveState", "deactivating");
    house.open("one");
    assert_eq!(house.succeeds(job).await, GATED);
    house.machine.shows(AGENT, "ActiveState", "inactive");
    house.is("Result", "success");
    house.nothing_is_left();
    house.start();
    let (job, before) = (house.gated("two").await, house.machine.main_process(AGENT));
    house.machine.obeys(&["restart", "--no-block", AGENT]);
    house.machine.shows(AGENT, "StatusText", "ending with the last of 1 tasks");
    house.open("two");
    assert_eq!(house.succeeds(job).await, GATED);
    house.machine.shows(AGENT, "StatusText", "0 of 2 tasks running");
    assert_ne!(house.machine.main_process(AGENT), before);
    house.is("NRestarts", "0");
}

#[actix_rt::test]
async fn a_second_sigterm_ends_the_job() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.gated("never").await;
    house.machine.obeys(&["stop", "--no-block", AGENT]);
    house.machine.shows(AGENT, "StatusText", "ending with the last of 1 tasks");
    house.machine.obeys(&["kill", "--signal=TERM", "--kill-who=main", AGENT]);
    house.machine.shows(AGENT, "ActiveState", "inactive");
    house.is("Result", "success");
    assert_eq!(house.ended(job).await, (Some(Outcome::Canceled), "started\n".to_owned()));
    house.nothing_is_left();
}

#[actix_rt::test]
async fn a_killed_launch_agent_is_started_again_and_adopts_its_job() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.counts("gate").await;
    house.machine.obeys(&["kill", "--signal=KILL", "--kill-who=main", AGENT]);
    house.machine.shows(AGENT, "NRestarts", "1");
    house.has_adopted();
    house.open("gate");
    is_counted(&house.succeeds(job).await);
    house.is("ActiveState", "active");
    house.nothing_is_left();
}

#[actix_rt::test]
async fn a_launch_agent_that_stands_still_is_ended_by_the_watchdog_and_the_next_adopts_its_job() {
    let Some(house) = House::new().await else { return };
    house.machine.adds(AGENT, "[Service]\nWatchdogSec=4s\n");
    house.start();
    let job = house.gated("gate").await;
    house.machine.main_process(AGENT).signal(Signal::STOP);
    house.machine.shows(AGENT, "NRestarts", "1");
    house.has_adopted();
    house.machine.shows(AGENT, "StatusText", "1 of 2 tasks running");
    house.open("gate");
    assert_eq!(house.succeeds(job).await, GATED);
}

#[actix_rt::test]
async fn what_a_stop_leaves_that_took_too_long_is_swept() {
    let Some(house) = House::new().await else { return };
    // It is not told to stop, so it does not ask for more time either.
    house.machine.adds(AGENT, "[Service]\nTimeoutStopSec=1s\nKillSignal=SIGCONT\n");
    house.start();
    let job = house.gated("never").await;
    house.machine.obeys(&["stop", AGENT]);
    house.is("Result", "timeout");
    house.nothing_is_left();
    let (outcome, printed) = house.ended(job).await;
    assert!(matches!(outcome, Some(Outcome::InfrastructureFail | Outcome::Canceled)), "{outcome:?}");
    assert_eq!(printed, "started\n");
}

#[actix_rt::test]
async fn a_launch_agent_that_dies_while_it_stops_is_stood_in_for_until_the_job_is_over() {
    let Some(house) = House::new().await else { return };
    house.start();
    let job = house.gated("gate").await;
    house.machine.obeys(&["stop", "--no-block", AGENT]);
    house.machine.shows(AGENT, "StatusText", "ending with the last of 1 tasks");
    house.machine.obeys(&["kill", "--signal=KILL", "--kill-who=main", AGENT]);
    house.machine.shows(AGENT, "SubState", "stop-post");
    house.has_adopted();
    house.is("SubState", "stop-post");
    house.open("gate");
    assert_eq!(house.succeeds(job).await, GATED);
    house.machine.shows(AGENT, "ActiveState", "failed");
    house.is("Result", "signal");
    house.nothing_is_left();
}

#[test]
fn a_control_plane_serves_within_its_unit_and_comes_back_with_its_data_however_it_dies() {
    if let Some(lacking) = Machine::lacking() {
        return eprintln!("skipped: a machine with a systemd of its own needs {lacking}");
    }
    let rig = Rig::new();
    let machine = Machine::boot(&rig);
    let command = "/usr/bin/roundhouse server --log-format text --data-dir /var/lib/roundhouse-server --listen 127.0.0.1:0";
    machine.adds(SERVER, &format!("[Service]\nWatchdogSec=4s\nExecStart=\nExecStart={command}\n"));
    machine.obeys(&["start", SERVER]);
    let listens = || machine.show(SERVER, "StatusText").starts_with("listening on 127.0.0.1:");
    wait::until("its address", SOON, || listens().then_some(()));
    let token = || fs::read_to_string(machine.path("/var/lib/roundhouse-server/operator-token")).unwrap();
    let first = token();
    machine.obeys(&["kill", "--signal=KILL", SERVER]);
    machine.shows(SERVER, "NRestarts", "1");
    machine.shows(SERVER, "ActiveState", "active");
    machine.main_process(SERVER).signal(Signal::STOP);
    machine.shows(SERVER, "NRestarts", "2");
    machine.shows(SERVER, "ActiveState", "active");
    assert_eq!(token(), first);
    machine.obeys(&["stop", SERVER]);
    assert_eq!(machine.show(SERVER, "Result"), "success");
}
