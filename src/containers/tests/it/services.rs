//! Services beside a primary.

use crate::{
    podman::{BOX, Podman},
    task::Task,
};
use containers::State;
use std::fs;

/// Asks a service on this port, by localhost and by its name, and writes down what it answers.
const ASKING: &str = "#!/bin/sh\nfor host in localhost web; do\n\
                      until nc $host 8080 </dev/null >/tmp/said && [ -s /tmp/said ]; do sleep 0.05; done\n\
                      cat /tmp/said >>/.roundhouse/door/all\ndone\nmv /.roundhouse/door/all /.roundhouse/door/here\nsleep 1000\n";

#[tokio::test]
async fn services_are_reached_on_localhost_and_by_name() {
    let Some(podman) = Podman::start() else { return };
    let greet = "echo up; while :; do echo hello from $WHO | nc -l -p 8080; done";
    let mut task = Task::new(&podman, BOX).await.serving("web", BOX, greet);
    task.order.services[0].environment = vec![("WHO".to_owned(), "the service".to_owned())];
    fs::write(&task.order.program, ASKING).unwrap();
    let running = task.start().await;
    let services = task.engine.serve(&task.order, &running).await.unwrap();
    assert_eq!(services[0].name, "web");
    let said = task.found("here").await;
    assert_eq!(fs::read_to_string(said).unwrap(), "hello from the service\n".repeat(2));
    task.kill().await;
    assert_eq!(task.engine.inspect(&services[0].id).await.unwrap(), State::Gone);
}

#[tokio::test]
async fn a_service_is_heard_until_it_ends_and_the_task_goes_on() {
    let Some(podman) = Podman::start() else { return };
    let task = Task::new(&podman, BOX).await.serving("db", BOX, "echo out; echo err >&2; echo last; exit 5");
    let running = task.start().await;
    let services = task.engine.serve(&task.order, &running).await.unwrap();
    let (mut lines, state) = task.heard(&services[0].id).await;
    lines.sort_unstable();
    assert_eq!(lines, ["err", "last", "out"]);
    assert_eq!(state.to_string(), "ended with exit code 5");
    assert!(running.first.is_alive());
    task.kill().await;
}

#[tokio::test]
async fn a_service_that_cannot_start_is_named() {
    let Some(podman) = Podman::start() else { return };
    let mut task = Task::new(&podman, BOX).await.serving("db", BOX, "true");
    task.order.services[0].entrypoint = Some(vec!["/not/there".to_owned()]);
    let running = task.start().await;
    let error = task.engine.serve(&task.order, &running).await.unwrap_err().to_string();
    assert!(error.starts_with("service db: ") && error.contains("/not/there"), "{error}");
    task.kill().await;
}
