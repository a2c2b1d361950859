//! The actors of a running launch-agent that fail again and again: each row of the table of restarts, while a job runs on.
//!
//! The programs wait ten times shorter than they do for users.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{logged, only_task},
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{exit, ids::PipelineId, status::WorkflowStatus};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(60);
/// The launch-agent's own step, and the job's.
const HOST_STEP: u32 = 0;
const STEP: u32 = 1;
const HASTE: u32 = 10;
/// Before the five restarts that a child of the Supervisor is granted within a minute.
const BACKED_OFF: Duration = Duration::from_secs(1 + 2 + 4 + 8 + 16);
/// For so long it is let be after that.
const PARKED: Duration = Duration::from_secs(60);
/// Shorter than an actor is parked here.
const LEASE: &str = "3s";

struct House {
    rig: Rig,
    server: Server,
    token: String,
    places: PathBuf,
}

impl House {
    async fn new() -> Self {
        let rig = Rig::with_places_to_fail();
        let server = rig.server_with("server", "127.0.0.1:0", &["--lease", LEASE]);
        let token = server.class(CLASS).await;
        rig.write("places/haste", &HASTE.to_string());
        let places = rig.path("places");
        Self { rig, server, token, places }
    }

    fn agent(&self) -> Agent {
        let variables = [("ROUNDHOUSE_FAILPOINTS", self.places.as_path())];
        let (classes, runner) = ([(CLASS, self.token.as_str())], [("concurrency", "4"), ("grace", "1s")]);
        self.rig.agent_within("agent", &self.server.url, &classes, &runner, &variables)
    }

    /// Has passages through this place fail, as the text says, from one moment on.
    fn arm(&self, place: &str, text: &str) {
        fs::rename(self.rig.write("armed", text), self.places.join(place)).unwrap();
    }

    fn disarm(&self, place: &str) {
        fs::remove_file(self.places.join(place)).unwrap();
    }

    /// A job that runs until its gate is opened, and has said so.
    async fn running(&self, gate: &str) -> PipelineId {
        let gate = self.rig.path(gate);
        let command =
            format!("echo started; until [ -e {} ]; do sleep 0.05; done; echo done", gate.display());
        let pipeline = self.server.job(CLASS, &command).await;
        self.server.sees(pipeline, "its output", |view| (logged(view, STEP) > 0).then_some(())).await;
        pipeline
    }

    /// Lets it go on to its end; the launch-agent's own words on it.
    async fn succeeds(&self, pipeline: PipelineId, gate: &str) -> String {
        self.rig.write(gate, "");
        let view = self.server.ended(pipeline).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
        let task = only_task(&view).id;
        assert_eq!(self.server.log(task, STEP).await, "started\ndone\n");
        self.server.log(task, HOST_STEP).await
    }

    /// A job that is claimed from now on, and ends well.
    async fn claims(&self) {
        let view = self.server.ended(self.server.job(CLASS, "true").await).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    }

    /// How the launch-agent stands, once it does so.
    fn until<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let (mut status, state) = (self.rig.roundhouse(), self.rig.path("agent"));
        status.args(["status", "--json", "--state-dir"]).arg(state);
        wait::until(what, SOON, || {
            let output = status.output().unwrap();
            look(&serde_json::from_slice(&output.stdout).ok()?)
        })
    }

    /// Waits until the Supervisor's child of this kind is parked; after how many restarts.
    fn until_parked(&self, actor: &str) -> u64 {
        self.until(&format!("a parked {actor}"), |status| {
            let child = child(status, actor)?;
            (child["state"] == "Parked").then(|| child["restarts"].as_u64().unwrap())
        })
    }
}

fn child<'s>(status: &'s Value, actor: &str) -> Option<&'s Value> {
    status["tree"]["children"].as_array()?.iter().find(|child| child["actor"] == actor)
}

#[actix_rt::test]
async fn a_poller_beyond_its_tolerance_is_parked_with_its_reason_and_tried_again() {
    let house = House::new().await;
    let _agent = house.agent();
    let running = house.running("gate").await;
    house.arm("poller:room", "always");
    let began = Instant::now();
    // The claim that is held open is answered, and the next one is asked for.
    house.claims().await;
    assert_eq!(house.until_parked("Poller"), 5);
    assert!(began.elapsed() >= BACKED_OFF / HASTE, "{:?}", began.elapsed());
    let reason = house.until("a reason", |status| status["pollers"][0]["reason"].as_str().map(str::to_owned));
    assert!(reason.contains("its Poller failed: failpoint poller:room"), "{reason}");
    house.disarm("poller:room");
    house.claims().await;
    assert!(began.elapsed() >= (BACKED_OFF + PARKED) / HASTE, "{:?}", began.elapsed());
    house.until("no reason", |status| status["pollers"][0]["reason"].is_null().then_some(()));
    house.succeeds(running, "gate").await;
}

#[actix_rt::test]
async fn a_token_that_was_refused_is_tried_again() {
    let house = House::new().await;
    let address = house.server.url.trim_start_matches("http://").to_owned();
    let House { rig, server, token, places } = house;
    drop(server);
    let stranger = rig.server_at("stranger", &address);
    let house = House { rig, server: stranger, token, places };
    let _agent = house.agent();
    let reason = house.until("a reason", |status| status["pollers"][0]["reason"].as_str().map(str::to_owned));
    assert!(reason.contains("refuses the token"), "{reason}");
    let House { rig, server, token, places } = house;
    drop(server);
    let server = rig.server_at("server", &address);
    House { rig, server, token, places }.claims().await;
}

#[actix_rt::test]
async fn a_lease_keeper_beyond_its_tolerance_drains_the_host_and_what_runs_keeps_its_lease() {
    let house = House::new().await;
    let mut agent = house.agent();
    let running = house.running("gate").await;
    house.arm("lease_keeper:running", "always");
    let began = Instant::now();
    // Another task's lease is to be kept.
    house.claims().await;
    assert_eq!(house.until_parked("LeaseKeeper"), 5);
    assert!(began.elapsed() >= BACKED_OFF / HASTE, "{:?}", began.elapsed());
    house.disarm("lease_keeper:running");
    let reason = house.until("a drain", |status| {
        (status["host"] == "Draining").then(|| status["pollers"][0]["reason"].as_str().unwrap().to_owned())
    });
    assert!(reason.contains("its LeaseKeeper fails again and again, so the host drains"), "{reason}");
    // By then the lease would be over for long that nobody renews.
    house.until("a keeper that is tried again", |status| {
        (child(status, "LeaseKeeper")?["state"] == "Keeping 1").then_some(())
    });
    house.succeeds(running, "gate").await;
    assert_eq!(agent.program().ended(SOON), i32::from(exit::SUCCESS));
}

#[actix_rt::test]
async fn a_health_keeper_beyond_its_tolerance_stops_the_claims_until_it_looks_again() {
    let house = House::new().await;
    let _agent = house.agent();
    let running = house.running("gate").await;
    house.arm("health_keeper:look", "always");
    let began = Instant::now();
    assert_eq!(house.until_parked("HealthKeeper"), 5);
    assert!(began.elapsed() >= BACKED_OFF / HASTE, "{:?}", began.elapsed());
    let why = house.until("a pause", |status| status["paused"].as_str().map(str::to_owned));
    assert!(why.contains("health has not been seen"), "{why}");
    house.disarm("health_keeper:look");
    house.claims().await;
    assert!(began.elapsed() >= (BACKED_OFF + PARKED) / HASTE, "{:?}", began.elapsed());
    house.succeeds(running, "gate").await;
}

#[actix_rt::test]
async fn a_task_actor_that_hangs_is_replaced_on_another_thread_and_comes_back_to_nothing() {
    let house = House::new().await;
    let _agent = house.agent();
    let (one, other) = (house.running("one").await, house.running("other").await);
    let hangs = Duration::from_secs(6);
    house.arm("task:ping", &hangs.as_millis().to_string());
    let began = Instant::now();
    let restarts = |status: &Value| status["counts"]["restarts"]["TaskActor"].as_u64();
    assert_eq!(house.until("a new actor", restarts), 1);
    assert!(began.elapsed() < hangs, "before the old one comes back");
    let told = [house.succeeds(one, "one").await, house.succeeds(other, "other").await];
    let hung = told.iter().filter(|told| told.contains("was started again: it did not answer for 20 s"));
    assert_eq!(hung.count(), 1, "{told:?}");
}

#[actix_rt::test]
async fn a_supervisor_that_panics_ends_the_program_and_the_next_one_goes_on() {
    let house = House::new().await;
    let mut agent = house.agent();
    let running = house.running("gate").await;
    house.arm("supervisor:task_news", "");
    assert_eq!(agent.program().ended(SOON), i32::from(exit::MACHINERY));
    assert_eq!(agent.program().says("it adopts its tasks"), 1);
    let again = house.agent();
    let crashes = wait::until("the crash noted", SOON, || {
        let tasks = again.state.join("tasks");
        let task = proc::names(&tasks).ok()?.pop()?;
        fs::read_to_string(tasks.join(task).join("crashes")).ok()
    });
    assert_eq!(crashes.lines().count(), 1, "{crashes}");
    let told = house.succeeds(running, "gate").await;
    assert!(told.contains("goes on with this task"), "{told}");
}
