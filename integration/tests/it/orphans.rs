//! What killed programs left, and what was planted: the next start removes all of it, says so, and touches nothing of a
//! neighbor's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{only_task, task},
    proc,
    rig::{Agent, Rig, Running, Server},
    wait,
};
use protocol::{
    ids::{PipelineId, TaskId},
    status::Outcome,
};
use rustix::process::Signal;
use std::{fs, io::Write, net::TcpStream, path::Path, process::Command, time::Duration};

const CLASS: &str = "rig/linux";
const BESIDE: &str = "rig/beside";
const SOON: Duration = Duration::from_secs(30);
/// A task that nobody knows.
const UNKNOWN: &str = "01890000-0000-7000-8000-000000000001";

/// A job that leaves a process in a session of its own and waits, once that process is there.
async fn running(server: &Server, class: &str, marker: &str) -> (PipelineId, TaskId) {
    let pipeline = server.job(class, &format!("setsid {marker} & wait")).await;
    wait::until("the job's process", SOON, || proc::running(marker).first().copied());
    let task = server.sees(pipeline, "its task", |view| task(view).map(|task| task.id)).await;
    (pipeline, task)
}

/// What may lie about after kills at other moments.
fn plant(agent: &Agent) {
    for directory in ["tasks", "work"] {
        let path = agent.state.join(directory).join(UNKNOWN);
        fs::create_dir_all(path.join("steps/deep")).unwrap();
        fs::write(path.join("claim.json.new"), "{\"half\": ").unwrap();
    }
    for probe in [".writable-1", "tasks/.writable-2", "work/.writable-3"] {
        fs::write(agent.state.join(probe), "").unwrap();
    }
    fs::write(agent.state.join("agents/half.part"), "half").unwrap();
    fs::write(agent.state.join("cache/half.part"), "half").unwrap();
}

/// A file system with a file in it, mounted where a job might have; none where this user may not.
fn mounted(at: &Path) -> bool {
    fs::create_dir_all(at).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "small"]).arg(at).status();
    let is_mounted = mount.is_ok_and(|status| status.success());
    fs::write(at.join("file"), "").unwrap();
    is_mounted
}

/// How many of this kind the start said it removed.
fn told(program: &Running, kind: &str) -> u64 {
    let log = fs::read_to_string(&program.log).unwrap();
    let message = format!("left by an earlier life and removed: {kind}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let counts =
        lines.filter(|line| line["msg"] == message.as_str()).map(|line| line["count"].as_u64().unwrap());
    counts.sum()
}

fn nothing_is_left(agent: &Agent, tasks: &[TaskId]) {
    for directory in ["tasks", "work"] {
        let path = agent.state.join(directory);
        let empty = || proc::names(&path).unwrap().is_empty().then_some(());
        wait::until(&format!("{} is empty", path.display()), SOON, empty);
    }
    for directory in ["", "agents", "cache"] {
        let names = proc::names(&agent.state.join(directory)).unwrap();
        let left = names.iter().any(|name| name.starts_with(".writable") || name.ends_with(".part"));
        assert!(!left, "{directory}: {names:?}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*agent.state.to_string_lossy()), "{mounts}");
    for task in tasks {
        let gone = || proc::groups(&task.to_string()).is_empty().then_some(());
        wait::until("the end of a task's group", SOON, gone);
    }
}

#[actix_rt::test]
async fn what_killed_programs_left_is_removed_and_told_and_a_neighbor_is_let_alone() {
    let rig = Rig::new();
    let server = rig.server("server");
    let (token, beside) = (server.class(CLASS).await, server.class(BESIDE).await);
    let start = || rig.agent_with("agent", &server.url, &[(CLASS, &token)], &[("concurrency", "4")]);
    let mut agent = start();
    let neighbor = rig.agent_with("neighbor", &server.url, &[(BESIDE, &beside)], &[("grace", "100ms")]);
    let markers = ["11", "12", "13", "14"].map(|number| wait::marker(&format!("sleep 777{number}")));
    let (killed, first) = running(&server, CLASS, &markers[0]).await;
    let (_, second) = running(&server, CLASS, &markers[1]).await;
    let (_, third) = running(&server, CLASS, &markers[2]).await;
    let (neighbors, _) = running(&server, BESIDE, &markers[3]).await;

    agent.program().kill();
    // The first task's agent is killed as well; of the second one the directory is lost, of the third one everything.
    let programs = agent.state.join("agents").to_string_lossy().into_owned();
    let of_first = |process: &proc::Process| {
        proc::trees(vec![*process]).iter().any(|below| below.command_line().contains(&markers[0]))
    };
    proc::running(&programs).into_iter().find(of_first).unwrap().signal(Signal::KILL);
    for lost in [agent.state.join(format!("tasks/{second}")), agent.state.join(format!("tasks/{third}"))] {
        fs::remove_dir_all(lost).unwrap();
    }
    fs::remove_dir_all(agent.state.join(format!("work/{third}"))).unwrap();
    plant(&agent);
    let is_mounted = mounted(&agent.state.join("work").join(UNKNOWN).join("mounted"));

    let mut agent = start();
    let view = server.ended(killed).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    for marker in &markers[..3] {
        wait::until("the end of what ran", SOON, || proc::running(marker).is_empty().then_some(()));
    }
    nothing_is_left(&agent, &[first, second, third]);
    let planted = [("tasks", 2), ("mounts", u64::from(is_mounted)), ("parts of contents", 2), ("probes", 3)];
    for (kind, count) in planted {
        // Its log is written beside what it does.
        let is_told = || (told(agent.program(), kind) == count).then_some(());
        wait::until(&format!("{count} {kind} in its log"), SOON, is_told);
    }
    let processes = || (told(agent.program(), "processes") >= 3).then_some(());
    wait::until("the third task's agent, its shell and what that started in its log", SOON, processes);

    assert_eq!(proc::running(&markers[3]).len(), 1, "the neighbor's job goes on");
    server.operator().cancel(neighbors).await.unwrap();
    let view = server.ended(neighbors).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Canceled), "its launch-agent holds it still");
    drop(neighbor);
}

#[test]
fn an_upload_that_a_control_plane_died_of_is_removed_and_told() {
    let rig = Rig::new();
    let mut server = rig.server("server");
    let mut upload = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "PUT /api/v3/source/local/rig/{} HTTP/1.1\r\nHost: rig\r\nAuthorization: Bearer {}\r\nContent-Length: 9000000\r\n\r\n",
        "0".repeat(64),
        server.token
    );
    upload.write_all(head.as_bytes()).unwrap();
    upload.write_all(&vec![7; 3_000_000]).unwrap();
    let incoming = server.data.join("blobs/incoming");
    let size =
        || fs::read_dir(&incoming).unwrap().flatten().map(|part| part.metadata().unwrap().len()).sum::<u64>();
    wait::until("a part of it on disk", SOON, || (size() > 1_000_000).then_some(()));
    server.program().kill();
    assert!(size() > 1_000_000);
    fs::write(server.data.join("operator-token.new"), "half").unwrap();
    let mut server = rig.server("server");
    let kinds =
        ["uploads that were broken off", "files half-written"].map(|kind| told(server.program(), kind));
    assert_eq!(kinds, [1, 1]);
    assert_eq!(proc::names(&incoming).unwrap(), [""; 0]);
    assert!(!server.data.join("operator-token.new").exists());
}
