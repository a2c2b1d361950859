//! A task whose task-agent is a script: it says what it found, and does what it is told.

use crate::podman::Podman;
use containers::{Engine, Heard, Limits, Marks, Order, Primary, Running, Side, State, Wish};
use futures_util::{StreamExt, pin_mut};
use protocol::TaskId;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::Duration,
};
use tokio::time::timeout;

/// Long enough for a loaded machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Stands in for a task-agent: reads its invitation, says what it is in, leaves a file in the door, and waits for another.
const AGENT: &str = "#!/bin/sh\nread -r invitation\necho \"invited: $invitation\"\necho \"as $(id -u) in $PWD\"\n\
                     echo \"told: $*\"\necho \"GREETING=$GREETING files=$(ulimit -n)\"\n: >/.roundhouse/door/here\n\
                     until [ -e /.roundhouse/door/end ]; do sleep 0.02; done\nexit \"$(cat /.roundhouse/door/end)\"\n";

pub(crate) struct Task {
    pub(crate) engine: Engine,
    pub(crate) order: Order,
}

pub(crate) async fn engine(podman: &Podman) -> Engine {
    let wish = Wish { socket: Some(podman.socket()), ..Wish::default() };
    Engine::find(&wish).await.unwrap()
}

impl Task {
    pub(crate) async fn new(podman: &Podman, image: &str) -> Self {
        Self::at(engine(podman).await, podman.path(), image)
    }

    pub(crate) fn at(engine: Engine, dir: &std::path::Path, image: &str) -> Self {
        let task = TaskId(uuid::Uuid::new_v4());
        let (program, door) = (dir.join(format!("{task}.agent")), dir.join(format!("{task}.door")));
        fs::write(&program, AGENT).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(&door).unwrap();
        fs::set_permissions(&door, Permissions::from_mode(0o777)).unwrap();
        let order = Order {
            marks: Marks { host: dir.display().to_string(), task, lease: format!("{task}/1") },
            primary: Primary {
                image: image.to_owned(),
                working_directory: "~/project".to_owned(),
                environment: vec![("GREETING".to_owned(), "a b=c".to_owned())],
                ..Primary::default()
            },
            services: Vec::new(),
            limits: Limits::default(),
            network: Some("none".to_owned()),
            program,
            door,
            lent_engine: None,
            invitation: b"{\"come\":1}\n".to_vec(),
        };
        Self { engine, order }
    }

    pub(crate) fn serving(mut self, name: &str, image: &str, script: &str) -> Self {
        self.order.services.push(Side {
            name: name.to_owned(),
            is_named: true,
            image: image.to_owned(),
            command: Some(["/bin/sh", "-c", script].map(str::to_owned).into()),
            ..Side::default()
        });
        self
    }

    pub(crate) async fn start(&self) -> Running {
        self.engine.start(&self.order).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn lease(&self) -> &str {
        &self.order.marks.lease
    }

    /// Has the stand-in end.
    pub(crate) fn end(&self, code: i32) {
        let unfinished = self.order.door.join("ending");
        fs::write(&unfinished, code.to_string()).unwrap();
        fs::rename(unfinished, self.order.door.join("end")).unwrap();
    }

    /// What is in the door, once it is there.
    pub(crate) async fn found(&self, name: &str) -> PathBuf {
        let path = self.order.door.join(name);
        let there = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, there).await.unwrap_or_else(|_| panic!("{} is never there", path.display()));
        path
    }

    /// All that a container prints until it ends.
    pub(crate) async fn heard(&self, id: &str) -> (Vec<String>, State) {
        let heard = self.engine.attend(id, 0);
        pin_mut!(heard);
        let mut lines = Vec::new();
        loop {
            match timeout(LONG, heard.next()).await.expect("it ends").expect("the end is the last") {
                Heard::Line(line) => lines.push(line),
                Heard::Ended(state) => return (lines, state),
                Heard::Lost(error) => panic!("{error}"),
            }
        }
    }

    /// What is heard of a primary that ends by itself, before its start is over or after.
    pub(crate) async fn why_it_ended(&self) -> String {
        match self.engine.start(&self.order).await {
            Ok(running) => {
                let (lines, state) = self.heard(&running.id).await;
                format!("{state}; {}", lines.join("\n"))
            }
            Err(error) => error.to_string(),
        }
    }

    pub(crate) async fn kill(&self) {
        self.engine.kill(self.lease(), LONG).await.unwrap();
    }
}
