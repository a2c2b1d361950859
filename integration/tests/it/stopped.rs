//! A launch-agent that is stopped: asked once, twice, three times, killed for taking too long, and dead in the middle of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{logged, only_task},
    proc,
    rig::{Agent, Rig, Running, Server},
    wait,
};
use protocol::{api::PipelineView, ids::PipelineId, status::Outcome};
use rustix::process::Signal;
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(1);
const STEP: u32 = 1;

/// A host with one job that is deaf to TERM, and runs until a file is there.
struct House {
    rig: Rig,
    server: Server,
    agent: Agent,
    pipeline: PipelineId,
    marker: String,
}

impl House {
    async fn new(grace: Duration) -> Self {
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        let grace = format!("{}s", grace.as_secs());
        let runner = [("concurrency", "2"), ("grace", grace.as_str())];
        let agent = rig.agent_with("agent", &server.url, &[(CLASS, &token)], &runner);
        // Of this house alone: others may run in the same process.
        let port = server.url.rsplit(':').next().unwrap();
        let (marker, gate) = (wait::marker(&format!("sleep 1{port}")), rig.path("gate"));
        let command = format!(
            "trap '' TERM; echo started; {marker} & until [ -e {} ]; do sleep 0.05; done; echo done",
            gate.display()
        );
        let pipeline = server.job(CLASS, &command).await;
        server.sees(pipeline, "its output", |view| (logged(view, STEP) > 0).then_some(())).await;
        Self { rig, server, agent, pipeline, marker }
    }

    /// SIGTERM, once more; returns when it is heard.
    fn terminate(&mut self, said: &str) {
        let agent = self.agent.program();
        let before = agent.says(said);
        agent.process().signal(Signal::TERM);
        wait::until(said, SOON, || (agent.says(said) > before).then_some(()));
    }

    /// Told to stop, and dead before its job is over.
    async fn dead_while_draining() -> Self {
        let mut house = Self::new(GRACE).await;
        house.terminate(DRAINING);
        let life = house.agent.state.join("life");
        let is_noted = || fs::read_to_string(&life).ok().filter(|life| life.contains("draining"));
        wait::until("what it was told, on disk", SOON, is_noted);
        house.agent.program().kill();
        house
    }

    /// As systemd runs it after an end of this kind.
    fn sweep(&self, result: Option<&str>) -> Command {
        let mut command = self.rig.roundhouse();
        command.args(["launch-agent", "--sweep", "-c"]).arg(&self.agent.config);
        if let Some(result) = result {
            command.env("SERVICE_RESULT", result).env("EXIT_CODE", "killed").env("EXIT_STATUS", "KILL");
        }
        command
    }

    /// One that waits for the job.
    fn waiting_sweep(&self) -> Running {
        let sweep = self.rig.start("sweep", self.sweep(Some("signal")));
        wait::until("the adoption", SOON, || (sweep.says("a task is adopted") > 0).then_some(()));
        assert_eq!(sweep.says("waiting for them in its place"), 1);
        sweep
    }

    fn runs(&self) -> bool {
        proc::running(&self.marker).len() == 1
    }

    async fn is_unclaimed(&self, pipeline: PipelineId) {
        let view = self.server.operator().pipeline(pipeline).await.unwrap();
        assert!(view.workflows[0].jobs[0].tasks.iter().all(|task| task.runner.is_none()), "{view:#?}");
    }

    /// How the job ended, and that nothing is left of it.
    async fn ended(&self) -> PipelineView {
        let view = self.server.ended(self.pipeline).await;
        assert!(!self.runs());
        for directory in ["tasks", "work"] {
            assert_eq!(proc::names(&self.agent.state.join(directory)).unwrap(), [""; 0]);
        }
        assert!(!self.agent.state.join("life").exists(), "nobody is accused of a crash");
        view
    }
}

/// By its task-agent, which says that it was canceled, or by whoever killed that.
fn was_ended(view: &PipelineView) -> bool {
    matches!(only_task(view).outcome, Some(Outcome::InfrastructureFail | Outcome::Canceled))
}

const DRAINING: &str = "claiming no more";
const STOPPING: &str = "ending every task now";

#[actix_rt::test]
async fn the_first_sigterm_waits_for_the_job_and_the_second_ends_it_after_the_grace() {
    let mut house = House::new(GRACE).await;
    house.terminate(DRAINING);
    let waiting = house.server.job(CLASS, "true").await;
    let began = Instant::now();
    house.terminate(STOPPING);
    assert_eq!(house.agent.program().ended(SOON), 0);
    assert!(began.elapsed() >= GRACE, "{:?}", began.elapsed());
    let view = house.ended().await;
    let task = only_task(&view);
    assert!(was_ended(&view), "{view:#?}");
    assert!(house.server.log(task.id, 0).await.contains("the launch-agent was told to end at once"));
    assert_eq!(house.server.log(task.id, STEP).await, "started\n");
    house.is_unclaimed(waiting).await;
}

#[actix_rt::test]
async fn a_third_sigterm_waits_for_no_grace() {
    let mut house = House::new(Duration::from_secs(600)).await;
    house.terminate(DRAINING);
    house.terminate(STOPPING);
    assert!(house.runs());
    house.terminate(STOPPING);
    assert_eq!(house.agent.program().ended(SOON), 0);
    let view = house.ended().await;
    assert!(was_ended(&view), "{view:#?}");
}

#[actix_rt::test]
async fn a_job_that_is_over_after_the_first_sigterm_ends_the_launch_agent() {
    let mut house = House::new(GRACE).await;
    house.terminate(DRAINING);
    house.rig.write("gate", "");
    assert_eq!(house.agent.program().ended(SOON), 0);
    let view = house.ended().await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Success), "{view:#?}");
}

#[actix_rt::test]
async fn what_a_final_stop_leaves_is_swept() {
    let mut house = House::new(GRACE).await;
    house.agent.program().kill();
    let swept = house.sweep(Some("timeout")).output().unwrap();
    assert!(swept.status.success(), "{swept:?}");
    let view = house.ended().await;
    let task = only_task(&view);
    assert!(was_ended(&view), "{view:#?}");
    assert_eq!(house.server.log(task.id, STEP).await, "started\n");
}

#[actix_rt::test]
async fn what_a_crash_leaves_is_not_swept_but_adopted() {
    let mut house = House::new(GRACE).await;
    house.agent.program().kill();
    for result in ["signal", "oom-kill", "watchdog"] {
        let spared = house.sweep(Some(result)).output().unwrap();
        let said = String::from_utf8_lossy(&spared.stderr).into_owned();
        assert!(spared.status.success() && said.contains(result), "{said}");
    }
    assert!(house.runs());
    let mut command = house.rig.roundhouse();
    command.arg("launch-agent").arg("-c").arg(&house.agent.config);
    let agent = house.rig.start("next", command);
    wait::until("it is adopted", SOON, || (agent.says("a task is adopted") > 0).then_some(()));
    let tasks = house.agent.state.join("tasks");
    let crashes = tasks.join(&proc::names(&tasks).unwrap()[0]).join("crashes");
    assert_eq!(fs::read_to_string(crashes).unwrap().lines().count(), 1, "and no sweep is one");
    let refused = house.sweep(None).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(&agent.process().0.to_string()), "{said}");
}

#[actix_rt::test]
async fn a_launch_agent_that_dies_while_it_waits_for_its_job_is_stood_in_for_by_the_sweep() {
    let house = House::dead_while_draining().await;
    let mut sweep = house.waiting_sweep();
    let waiting = house.server.job(CLASS, "true").await;
    assert!(house.runs());
    house.rig.write("gate", "");
    assert_eq!(sweep.ended(SOON), 0);
    let view = house.ended().await;
    let task = only_task(&view);
    assert_eq!(task.outcome, Some(Outcome::Success), "{view:#?}");
    assert_eq!(house.server.log(task.id, STEP).await, "started\ndone\n");
    house.is_unclaimed(waiting).await;
}

#[actix_rt::test]
async fn a_sweep_that_waits_for_a_job_ends_it_when_it_is_told_to_end() {
    let house = House::dead_while_draining().await;
    let mut sweep = house.waiting_sweep();
    sweep.process().signal(Signal::TERM);
    assert_eq!(sweep.ended(SOON), 0);
    let view = house.ended().await;
    assert!(was_ended(&view), "{view:#?}");
}
