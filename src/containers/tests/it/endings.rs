//! Kills, sweeps, adoptions, and an engine that goes away and comes back.

use crate::{
    podman::{BOX, Podman},
    task::{LONG, Task},
};
use containers::{Heard, KillError, State};
use futures_util::{StreamExt, pin_mut};
use std::time::Duration;

#[tokio::test]
async fn a_kill_leaves_neither_containers_nor_processes_nor_volumes() {
    let Some(podman) = Podman::start() else { return };
    let task = Task::new(&podman, BOX).await.serving("db", BOX, "trap '' TERM; sleep 1000");
    let other = Task::at(task.engine.clone(), podman.path(), BOX);
    let volumes = podman.printed(&["volume", "ls", "--quiet"]);
    let (running, others) = (task.start().await, other.start().await);
    task.engine.serve(&task.order, &running).await.unwrap();
    let removed = task.engine.kill(task.lease(), LONG).await.unwrap();
    assert_eq!(removed.len(), 2);
    assert!(!running.first.is_alive());
    assert!(others.first.is_alive(), "another lease's go on");
    let there = |label: String| podman.printed(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]);
    assert_eq!(there(format!("label=roundhouse.lease={}", task.lease())), "");
    assert_eq!(there(format!("label=roundhouse.lease={}", other.lease())), others.id);
    assert!(task.engine.kill(task.lease(), LONG).await.unwrap().is_empty(), "it may be killed again");
    other.kill().await;
    assert_eq!(podman.printed(&["volume", "ls", "--quiet"]), volumes);
}

#[tokio::test]
async fn containers_are_found_again_by_their_lease() {
    let Some(podman) = Podman::start() else { return };
    let task = Task::new(&podman, BOX).await.serving("db", BOX, "sleep 1000");
    assert_eq!(task.engine.adopt(task.lease()).await.unwrap(), None);
    let running = task.start().await;
    let services = task.engine.serve(&task.order, &running).await.unwrap();
    assert_eq!(task.engine.adopt(task.lease()).await.unwrap(), Some((running.clone(), services)));
    running.first.kill().unwrap();
    task.heard(&running.id).await;
    assert_eq!(task.engine.adopt(task.lease()).await.unwrap(), None, "what ended is not adopted");
    task.kill().await;
}

#[tokio::test]
async fn a_sweep_removes_what_no_held_lease_has() {
    let Some(podman) = Podman::start() else { return };
    let held = Task::new(&podman, BOX).await;
    let engine = &held.engine;
    let stray = Task::at(engine.clone(), podman.path(), BOX).serving("db", BOX, "sleep 1000");
    let mut foreign = Task::at(engine.clone(), podman.path(), BOX);
    foreign.order.marks.host = "another".to_owned();
    let (holds, strays, foreigns) = (held.start().await, stray.start().await, foreign.start().await);
    engine.serve(&stray.order, &strays).await.unwrap();
    let swept = engine.sweep(&held.order.marks.host, &[held.lease().to_owned()]).await.unwrap();
    assert_eq!((swept.removed.len(), swept.left.len()), (2, 0), "{swept:?}");
    assert!(swept.removed.iter().all(|left| left.lease == stray.lease()));
    assert!(holds.first.is_alive() && foreigns.first.is_alive() && !strays.first.is_alive());
    held.kill().await;
    foreign.kill().await;
}

#[tokio::test]
async fn an_engine_that_comes_back_is_waited_for_and_no_line_is_heard_twice() {
    let Some(mut podman) = Podman::start_own() else { return };
    let script = "echo one; until [ -e /tmp/go ]; do sleep 0.05; done; echo two; exit 4";
    let task = Task::new(&podman, BOX).await.serving("db", BOX, script);
    let running = task.start().await;
    let service = task.engine.serve(&task.order, &running).await.unwrap().remove(0);
    let heard = task.engine.attend(&service.id, 0);
    pin_mut!(heard);
    let Some(Heard::Line(first)) = heard.next().await else { panic!("a line") };
    assert_eq!(first, "one");
    podman.stop();
    let waiting = task.engine.inspect(&running.id);
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        podman.serve();
    };
    let (state, ()) = tokio::join!(waiting, back);
    assert!(matches!(state.unwrap(), State::Running { .. }), "containers outlive their engine");
    podman.printed(&["exec", &service.id, "touch", "/tmp/go"]);
    let second = heard.next().await.unwrap();
    assert!(matches!(&second, Heard::Line(line) if line == "two"), "{second:?}");
    let Some(Heard::Ended(state)) = heard.next().await else { panic!("its end") };
    assert_eq!(state.to_string(), "ended with exit code 4");
    task.kill().await;
}

#[tokio::test]
async fn whether_something_is_left_is_unknown_without_the_engine() {
    let Some(mut podman) = Podman::start_own() else { return };
    let task = Task::new(&podman, BOX).await;
    let running = task.start().await;
    podman.stop();
    let error = task.engine.kill(task.lease(), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, KillError::Unknown(_)), "{error}");
    assert!(error.to_string().contains("see whether it runs"), "{error}");
    assert!(running.first.is_alive());
    podman.serve();
    task.kill().await;
    assert!(!running.first.is_alive());
}
