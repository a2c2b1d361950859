//! Programs that are killed in the middle of a job, and a job that does not want to end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{count_to, logged, numbers, only_task},
    proc::{self, Process},
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{Outcome, WorkflowStatus},
};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(20);

/// The job's own step, behind the launch-agent's.
const STEP: u32 = 1;

struct House {
    rig: Rig,
    server: Server,
    token: String,
}

impl House {
    async fn new() -> Self {
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        Self { rig, server, token }
    }

    fn agent(&self) -> Agent {
        let runner = [("concurrency", "2"), ("grace", "1s")];
        self.rig.agent_with("agent", &self.server.url, &[(CLASS, &self.token)], &runner)
    }

    /// Waits until some of the job's output is stored.
    async fn is_on_its_way(&self, pipeline: PipelineId) {
        self.server.sees(pipeline, "some output", |view| (logged(view, STEP) > 20).then_some(())).await;
    }

    /// The task-agents that run for this house.
    fn task_agents(&self, agent: &Agent) -> Vec<Process> {
        proc::running(&agent.state.join("agents").to_string_lossy())
    }

    /// Nothing of a task is left: no process, no directory.
    fn is_swept(&self, agent: &Agent) {
        wait::until("every task-agent's end", SOON, || self.task_agents(agent).is_empty().then_some(()));
        for directory in ["tasks", "work"] {
            let path = agent.state.join(directory);
            let left = || proc::names(&path).unwrap_or_default();
            wait::until(&format!("{} is empty", path.display()), SOON, || left().is_empty().then_some(()));
        }
    }
}

#[actix_rt::test]
async fn a_job_goes_on_while_its_launch_agent_is_killed_and_started_again() {
    let house = House::new().await;
    let mut agent = house.agent();
    let pipeline = house.server.job(CLASS, &count_to(300)).await;
    house.is_on_its_way(pipeline).await;
    agent.program().kill();
    assert_eq!(house.task_agents(&agent).len(), 1, "the job does not notice");
    let agent = house.agent();
    let view = house.server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(house.server.log(only_task(&view).id, STEP).await, numbers(300), "no byte lost, none doubled");
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_job_that_ends_while_its_launch_agent_is_gone_is_told_all_the_same() {
    let house = House::new().await;
    let mut agent = house.agent();
    let pipeline = house.server.job(CLASS, &count_to(60)).await;
    house.is_on_its_way(pipeline).await;
    let task_agent = house.task_agents(&agent)[0];
    agent.program().kill();
    wait::until("the job's end", SOON, || (!task_agent.is_alive()).then_some(()));
    let agent = house.agent();
    let view = house.server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(house.server.log(only_task(&view).id, STEP).await, numbers(60));
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_job_that_was_there_at_three_crashes_is_named_and_ended_and_a_newer_one_goes_on() {
    let house = House::new().await;
    let mut agent = house.agent();
    let culprit = house.server.job(CLASS, &count_to(100_000)).await;
    house.is_on_its_way(culprit).await;
    for times in 1..=2 {
        agent.program().kill();
        agent = house.agent();
        let adopted = || (agent.program().says("a task is adopted") == times).then_some(());
        wait::until("the adoption", SOON, adopted);
    }
    let newer = house.server.job(CLASS, &count_to(300)).await;
    house.is_on_its_way(newer).await;
    agent.program().kill();
    let agent = house.agent();
    let view = house.server.ended(culprit).await;
    let task = only_task(&view);
    assert_eq!(task.outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    let host_step = house.server.log(task.id, 0).await;
    assert!(host_step.contains("was present at 3 crashes of the launch-agent"), "{host_step}");
    let log = house.server.log(task.id, STEP).await;
    let whole = log.rfind('\n').map(|end| &log[..=end]).unwrap();
    assert_eq!(whole, numbers(whole.lines().count().try_into().unwrap()), "a beginning without a gap");
    let view = house.server.ended(newer).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(house.server.log(only_task(&view).id, STEP).await, numbers(300));
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_job_that_ended_while_its_launch_agent_was_gone_for_the_third_time_is_held_for_nothing() {
    let house = House::new().await;
    let mut agent = house.agent();
    let pipeline = house.server.job(CLASS, &count_to(60)).await;
    house.is_on_its_way(pipeline).await;
    let task_agent = house.task_agents(&agent)[0];
    agent.program().kill();
    note_crashes(&agent, 2);
    wait::until("the job's end", SOON, || (!task_agent.is_alive()).then_some(()));
    let agent = house.agent();
    let view = house.server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(house.server.log(only_task(&view).id, STEP).await, numbers(60));
    house.is_swept(&agent);
}

/// As if the only task had been present at so many before.
fn note_crashes(agent: &Agent, count: usize) {
    let tasks = agent.state.join("tasks");
    let task = proc::names(&tasks).unwrap().pop().unwrap();
    std::fs::write(tasks.join(task).join("crashes"), "earlier\n".repeat(count)).unwrap();
}

#[actix_rt::test]
async fn a_job_whose_very_end_crashes_the_launch_agent_is_cleared_away_without_a_word() {
    let house = House::new().await;
    let mut agent = house.agent();
    let culprit = house.server.job(CLASS, &count_to(100_000)).await;
    house.is_on_its_way(culprit).await;
    agent.program().kill();
    note_crashes(&agent, 5);
    let agent = house.agent();
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_killed_task_agent_fails_its_task_and_its_log_is_kept_to_the_last_byte() {
    let house = House::new().await;
    let agent = house.agent();
    let marker = &wait::marker("sleep 31415");
    let command = format!("{marker} & for number in $(seq 1 100000); do echo $number; sleep 0.01; done");
    let pipeline = house.server.job(CLASS, &command).await;
    house.is_on_its_way(pipeline).await;
    house.task_agents(&agent)[0].signal(Signal::KILL);
    let view = house.server.ended(pipeline).await;
    let task = only_task(&view);
    assert_eq!(task.outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    let log = house.server.log(task.id, STEP).await;
    let whole = log.rfind('\n').map(|end| &log[..=end]).unwrap();
    assert_eq!(whole, numbers(whole.lines().count().try_into().unwrap()), "a beginning without a gap");
    assert!(proc::running(marker).is_empty(), "its processes are gone before its end is told");
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_canceled_job_is_dead_within_a_second_after_the_grace_whatever_it_ignores() {
    let house = House::new().await;
    let agent = house.agent();
    let marker = &wait::marker("sleep 27182");
    let stubborn = format!(
        "setsid sh -c 'trap \"\" TERM; echo stubborn, very much so; while :; do {marker}; done' & wait"
    );
    let pipeline = house.server.job(CLASS, &stubborn).await;
    house.is_on_its_way(pipeline).await;
    wait::until("the stubborn process", SOON, || proc::running(marker).first().copied());
    house.server.operator().cancel(pipeline).await.unwrap();
    let canceled = Instant::now();
    wait::until("the stubborn process's end", SOON, || proc::running(marker).is_empty().then_some(()));
    let (took, grace) = (canceled.elapsed(), Duration::from_secs(1));
    assert!(took < grace + Duration::from_secs(1), "it took {took:?} where the grace is {grace:?}");
    let view = house.server.ended(pipeline).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Canceled), "{view:#?}");
    assert_eq!(view.workflows[0].status, WorkflowStatus::Canceled);
    house.is_swept(&agent);
}

#[actix_rt::test]
async fn a_killed_control_plane_loses_nothing_that_was_acknowledged() {
    let House { rig, mut server, token } = House::new().await;
    let agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let pipeline = server.job(CLASS, &count_to(300)).await;
    server.sees(pipeline, "some output", |view| (logged(view, STEP) > 20).then_some(())).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    server.program().kill();
    let server = rig.server_at("server", &address);
    let view = server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(server.log(only_task(&view).id, STEP).await, numbers(300));
    drop(agent);
}
