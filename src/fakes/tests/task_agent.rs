//! The fake task-agent against a launch-agent's side of the socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::{
    VERSION,
    frame::{Answer, CancelReason, Invitation, ToLaunchAgent, ToTaskAgent, Wanted, decode, encode},
    ids::{Epoch, StepNumber, TaskId},
    journal::{self, TaskEvent},
    status::Outcome,
    task::{Action, Run, Source, Step, TaskSpec, When},
};
use sandbox::packet::{Connection, Listener};
use std::{
    fs::{File, OpenOptions},
    io::{Seek, Write},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    process::{Child, Command, Stdio},
};

struct Host {
    directory: tempfile::TempDir,
    listener: Listener,
    agent: Child,
}

fn step(script: &str) -> Step {
    let run = Run {
        command: script.to_owned(),
        shell: None,
        environment: vec![],
        background: false,
        working_directory: None,
        no_output_timeout_ms: 1000,
        max_auto_reruns: 0,
        auto_rerun_delay_ms: 0,
    };
    Step { name: "step".to_owned(), when: When::OnSuccess, action: Action::Run(run) }
}

fn spec(scripts: &[&str]) -> TaskSpec {
    TaskSpec {
        task: TaskId(uuid::Uuid::new_v4()),
        epoch: Epoch(1),
        job: "job".to_owned(),
        job_number: 1,
        node_index: 0,
        node_total: 1,
        environment: vec![],
        masks: vec![],
        working_directory: "~/project".to_owned(),
        source: Source::None,
        steps: scripts.iter().map(|script| step(script)).collect(),
        max_run_time_ms: 1000,
        containers: None,
        is_setup: false,
        ssh: protocol::repository::Ssh::default(),
        login: protocol::repository::Login::None,
        mirror: None,
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

impl Host {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = Listener::bind(&socket).unwrap();
        let mut agent =
            Command::new(env!("CARGO_BIN_EXE_fake-task-agent")).stdin(Stdio::piped()).spawn().unwrap();
        let invitation = Invitation {
            version: VERSION,
            socket,
            key: protocol::frame::Key("key".to_owned()),
            root: directory.path().to_owned(),
            working_directory: None,
            outlive_ms: None,
            max_spool: 1,
            spool_wait_ms: 1,
            terminal: false,
        };
        let mut stdin = agent.stdin.take().unwrap();
        writeln!(stdin, "{}", serde_json::to_string(&invitation).unwrap()).unwrap();
        Self { directory, listener, agent }
    }

    fn hello(&self) -> (Connection, bool) {
        let connection = self.listener.accept().unwrap();
        match hear(&connection) {
            ToLaunchAgent::Hello { key, holds_task, .. } if key.0 == "key" => (connection, holds_task),
            other => panic!("{other:?}"),
        }
    }

    fn give(&self, connection: &Connection, spec: &TaskSpec) {
        let mut file = tempfile::tempfile().unwrap();
        serde_json::to_writer(&file, spec).unwrap();
        file.rewind().unwrap();
        let journal = append(&self.directory.path().join("agent.jsonl"));
        say(connection, &ToTaskAgent::Task { version: VERSION }, &[file.as_fd(), journal.as_fd()]);
        let names = (1..=spec.steps.len() as u32).map(|number| StepNumber(number).spool_name());
        let spools: Vec<_> = names.map(|name| append(&self.directory.path().join(name))).collect();
        let spools: Vec<_> = spools.iter().map(AsFd::as_fd).collect();
        say(connection, &ToTaskAgent::StepLogs { first: StepNumber(1) }, &spools);
        say(connection, &ToTaskAgent::Begin, &[]);
    }

    fn finish(mut self) -> (Outcome, String) {
        assert!(self.agent.wait().unwrap().success());
        let (records, _) = journal::read(&std::fs::read(self.directory.path().join("agent.jsonl")).unwrap());
        protocol::invariants::journal_is_sound(&records).unwrap();
        let log = std::fs::read_to_string(self.directory.path().join("001.log")).unwrap();
        match records.last().map(|record| &record.event) {
            Some(TaskEvent::Ended { outcome }) => (*outcome, log),
            other => panic!("{other:?}"),
        }
    }
}

fn say(connection: &Connection, frame: &ToTaskAgent, descriptors: &[BorrowedFd<'_>]) {
    connection.send(&encode(frame).unwrap(), descriptors).unwrap();
}

fn hear(connection: &Connection) -> ToLaunchAgent {
    decode(&connection.receive().unwrap().unwrap().bytes).unwrap()
}

fn request(connection: &Connection) -> (u64, Wanted) {
    loop {
        if let ToLaunchAgent::Request { request, wanted } = hear(connection) {
            return (request, wanted);
        }
    }
}

#[test]
fn it_runs_its_words_and_journals_the_outcome() {
    let host = Host::start();
    let (connection, _) = host.hello();
    host.give(&connection, &spec(&["say hello\ncount 3 0", "fail 7", "say never"]));
    assert_eq!(host.finish(), (Outcome::Failed, "hello\n0\n1\n2\n".to_owned()));
}

#[test]
fn it_asks_again_after_a_reconnect() {
    let host = Host::start();
    let (connection, _) = host.hello();
    host.give(&connection, &spec(&["artifact a/b text"]));
    let first = request(&connection);
    drop(connection);
    let (connection, holds_task) = host.hello();
    assert!(holds_task);
    assert_eq!(request(&connection), first);
    say(&connection, &ToTaskAgent::Answer { request: first.0, answer: Answer::Stored { size: 4 } }, &[]);
    assert_eq!(host.finish().0, Outcome::Success);
}

#[test]
fn a_cancel_ends_it() {
    let host = Host::start();
    let (connection, _) = host.hello();
    host.give(&connection, &spec(&["wait /no/such/file"]));
    say(&connection, &ToTaskAgent::Cancel { why: CancelReason::MaxRunTime, grace_ms: 10 }, &[]);
    assert_eq!(host.finish().0, Outcome::Timedout);
}
