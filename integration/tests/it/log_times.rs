//! When lines of a log were written: told by whoever saw it, whatever became of who carries it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{logged, only_task},
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{ids::TaskId, marks::LogTimes};
use std::time::{Duration, Instant, SystemTime};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(30);
const STEP: u32 = 1;
/// Marks are at least so far apart, so a line may be so much later than its time says.
const SPACING: u128 = 100;

fn agent(rig: &Rig, server: &Server, token: &str) -> Agent {
    rig.agent_with("agent", &server.url, &[(CLASS, token)], &[])
}

fn times(server: &Server, task: TaskId) -> LogTimes {
    let answered = server.get(&format!("/api/v3/tasks/{task}/steps/{STEP}/times"));
    assert_eq!(answered.status, 200, "{}", answered.body);
    serde_json::from_str(&answered.body).unwrap()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

#[actix_rt::test]
async fn lines_have_the_times_at_which_they_were_written_though_the_launch_agent_was_killed_in_between() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let mut first_life = agent(&rig, &server, &token);
    let gates = ["one", "two"].map(|name| rig.path(name));
    let [one, two] =
        [&gates[0], &gates[1]].map(|gate| format!("until [ -e {} ]; do sleep 0.01; done", gate.display()));
    let pipeline = server.job(CLASS, &format!("echo first; {one}; echo second; {two}; echo third")).await;
    server.sees(pipeline, "the first line", |view| (logged(view, STEP) >= 6).then_some(())).await;
    let seen_first = Instant::now();

    first_life.program().kill();
    let mut second_life = agent(&rig, &server, &token);
    wait::until("the adoption", SOON, || {
        (second_life.program().says("a task is adopted") == 1).then_some(())
    });
    let first_gap = seen_first.elapsed().as_millis();
    rig.write("one", "");
    server.sees(pipeline, "the second line", |view| (logged(view, STEP) >= 13).then_some(())).await;
    let seen_second = Instant::now();

    let task_agent = proc::running(&second_life.state.join("agents").to_string_lossy()).remove(0);
    second_life.program().kill();
    let second_gap = seen_second.elapsed().as_millis();
    rig.write("two", "");
    wait::until("the job's end", SOON, || (!task_agent.is_alive()).then_some(()));
    let ended_ms = now_ms();
    let _third_life = agent(&rig, &server, &token);
    let view = server.ended(pipeline).await;
    let task = only_task(&view).id;
    assert_eq!(server.log(task, STEP).await, "first\nsecond\nthird\n");

    let times = times(&server, task);
    let [first, second, third] = [0, 6, 13].map(|offset| u128::from(times.of(offset).unwrap()));
    assert!(
        second + SPACING >= first + first_gap,
        "{second} after {first} is less than {first_gap}: {times:?}"
    );
    assert!(third + SPACING >= second + second_gap, "{third} after {second} is less than {second_gap}");
    let third_ms = times.started_ms.unwrap() + i64::try_from(third).unwrap();
    assert!(
        third_ms <= ended_ms,
        "{third_ms} is when it was written, not when it was sent, after {ended_ms}"
    );
}
