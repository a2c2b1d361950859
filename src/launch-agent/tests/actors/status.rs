//! What the local socket says of a launch-agent, to its own client and to any other.

use crate::rig::{DEADLINE, Rig, appears, drained, log};
use launch_agent::{
    start,
    status::{ActorStatus, AskError, Status, ask, socket_path},
};
use std::{
    fs::Permissions,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// One request as any client of HTTP would send it: the head and the body of its answer.
fn requested(socket: &Path, method: &str, path: &str) -> (String, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn asked(state: PathBuf) -> Result<Status, AskError> {
    spawn_blocking(move || ask(&state)).await.unwrap()
}

/// Asks until it is so.
async fn until(rig: &Rig, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let so = async {
        loop {
            match asked(rig.state_dir()).await {
                Ok(status) if is_so(&status) => return status,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, so).await.unwrap_or_else(|_| panic!("{what}: never"))
}

fn children<'s>(actor: &'s ActorStatus, kind: &str) -> Vec<&'s ActorStatus> {
    actor.children.iter().filter(|child| child.actor == kind).collect()
}

#[actix_rt::test]
async fn every_actor_is_shown_while_tasks_run_and_what_was_done_is_counted_after() {
    let rig = Rig::new();
    // Heartbeats are held open for a third of it.
    rig.plane.with(|state| state.lease_ms = 600);
    let agent = rig.start();
    let (up, go) = (rig.shared("up"), rig.shared("go"));
    let work = format!("artifact a alpha\ntouch {}\nwait {}", up.display(), go.display());
    let task = rig.enqueue(&[&work]);
    appears(&up).await;
    let is_shown = |status: &Status| {
        let tasks = children(&status.tree, "TaskActor");
        let beats = status.pollers[0].heartbeats.answered > 0;
        beats && tasks.first().is_some_and(|task| task.state == "Running" && task.children.len() == 2)
    };
    let status = until(&rig, "a running task with its actors", is_shown).await;
    assert_eq!((status.host.as_str(), status.slots, status.taken, status.hung), ("Serving", 16, 1, false));
    assert_eq!(status.tasks[0].task, task);
    let tree = &status.tree;
    assert_eq!((tree.actor.as_str(), tree.state.as_str()), ("Supervisor", "Serving"));
    assert_eq!(children(tree, "Poller")[0].name, "local/fake");
    assert_eq!(children(tree, "LeaseKeeper")[0].state, "Keeping 1");
    let shown = children(tree, "TaskActor")[0];
    assert_eq!(shown.name, task.to_string());
    assert_eq!(children(shown, "LogStreamer").len() + children(shown, "ArtifactUploader").len(), 2);
    assert!(status.pollers[0].heartbeats.age_ms.is_some(), "{:?}", status.pollers[0]);

    std::fs::write(&go, "").unwrap();
    rig.plane.ended(task).await;
    // It is counted when it is over, and its slot is free a moment later.
    let is_over = |status: &Status| {
        let is_gone = status.taken == 0 && children(&status.tree, "TaskActor").is_empty();
        is_gone && status.counts.tasks.get("success") == Some(&1)
    };
    let status = until(&rig, "its end", is_over).await;
    assert_eq!((status.counts.claims, status.counts.uploads, status.counts.upload_bytes), (1, 1, 5));
    let logged: usize = rig.plane.task(task).logs.values().map(Vec::len).sum();
    assert_eq!(usize::try_from(status.counts.log_bytes).unwrap(), logged);
    drained(&agent).await;
}

#[actix_rt::test]
async fn metrics_are_in_the_form_that_prometheus_reads() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.min_free = u64::MAX;
    std::fs::create_dir_all(rig.state_dir().join(format!("tasks/{}", Uuid::now_v7()))).unwrap();
    let agent = start(settings, log()).unwrap();
    until(&rig, "a pause", |status| status.paused.is_some()).await;
    let socket = socket_path(&rig.state_dir());
    let (head, text) = spawn_blocking(move || requested(&socket, "GET", "/metrics")).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let family = name.split('{').next().unwrap();
        assert!(value.parse::<f64>().is_ok() && family.starts_with("roundhouse_"), "{line}");
        for about in ["HELP", "TYPE"] {
            assert!(text.contains(&format!("# {about} {family} ")), "{line} has no {about}");
        }
    }
    for wanted in [
        "roundhouse_orphans_removed{kind=\"tasks\"} 1\n",
        "roundhouse_orphans_removed{kind=\"mounts\"} 0\n",
        "roundhouse_actors{actor=\"HealthKeeper\"} 1\n",
        "roundhouse_host_state{state=\"Serving\"} 1\n",
        "roundhouse_slots 16\n",
        "roundhouse_actors{actor=\"Poller\"} 1\n",
        "roundhouse_supervisor_hung 0\n",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(text.contains("roundhouse_paused{reason=\"/"), "{text}");
    drained(&agent).await;
}

#[actix_rt::test]
async fn the_socket_is_its_owners_alone_refuses_what_it_does_not_know_and_goes_with_its_launch_agent() {
    let rig = Rig::new();
    let socket = socket_path(&rig.state_dir());
    assert!(matches!(asked(rig.state_dir()).await, Err(AskError::Nobody(_))), "before the first");
    let agent = rig.start();
    let mode = std::fs::metadata(&socket).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, Permissions::from_mode(0o600).mode());
    let at = socket.clone();
    let heads = spawn_blocking(move || {
        [("POST", "/status"), ("GET", "/"), ("GET", "/status")]
            .map(|(method, path)| requested(&at, method, path).0)
    });
    let heads = heads.await.unwrap();
    assert!(heads[0].starts_with("HTTP/1.1 405 ") && heads[0].to_lowercase().contains("allow: get"));
    assert!(heads[1].starts_with("HTTP/1.1 404 "), "{}", heads[1]);
    assert!(heads[2].contains("application/json"), "{}", heads[2]);
    // Whoever holds connections open without a word holds up nobody.
    let _silent: Vec<_> = (0..4).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    assert!(asked(rig.state_dir()).await.is_ok());
    drained(&agent).await;
    assert!(!socket.exists());
    std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let refused = asked(rig.state_dir()).await.unwrap_err().to_string();
    assert!(
        refused.contains("no launch-agent runs with the state directory"),
        "of one that was killed: {refused}"
    );
    let agent = rig.start();
    assert!(asked(rig.state_dir()).await.is_ok(), "what it left is replaced");
    drained(&agent).await;
}

#[actix_rt::test]
async fn a_state_directory_with_a_path_too_long_for_an_address_has_its_socket_all_the_same() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.state_dir = rig.dir.path().join("deep".repeat(40));
    settings.work_dir = settings.state_dir.join("work");
    settings.cache_dir = settings.state_dir.join("cache");
    let state = settings.state_dir.clone();
    let agent = start(settings, log()).unwrap();
    assert_eq!(asked(state).await.unwrap().host, "Serving");
    drained(&agent).await;
}
