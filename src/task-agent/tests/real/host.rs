//! A launch-agent as far as one task-agent sees it: starts it, hands over a task, reads what it left.

use protocol::{
    VERSION,
    frame::{Answer, Invitation, Key, MAX_DESCRIPTORS, ToLaunchAgent, ToTaskAgent, Wanted, decode, encode},
    ids::StepNumber,
    invariants::journal_is_sound,
    journal::{Record, TaskEvent},
    status::{Outcome, StepStatus},
    task::{Action, Run, Source, Step, TaskSpec, Variable, When},
};
use sandbox::packet::{Connection, Listener, Packet, readable};
use std::{
    fs::{self, File},
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);
const KEY: &str = "one-time";

/// A launch-agent's side of one task.
pub(crate) struct Host {
    directory: tempfile::TempDir,
    pub(crate) spec: TaskSpec,
    pub(crate) invitation: Invitation,
    pub(crate) tree: Option<OwnedFd>,
    /// Whether it is told where to note times.
    pub(crate) wants_times: bool,
    listener: Option<Listener>,
    connection: Option<Connection>,
    child: Option<Child>,
}

/// What a task-agent left behind.
pub(crate) struct Left {
    pub(crate) records: Vec<Record>,
    pub(crate) status: ExitStatus,
    logs: Vec<String>,
}

impl Left {
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.records.last()?.event {
            TaskEvent::Ended { outcome } => Some(outcome),
            _ => None,
        }
    }

    /// Of the step of this number, from 1: how it ended and with which exit code.
    pub(crate) fn step(&self, number: u32) -> Option<(StepStatus, Option<i32>)> {
        self.records.iter().find_map(|record| match record.event {
            TaskEvent::StepEnded { step: StepNumber(step), status, exit_code, .. } if step == number => {
                Some((status, exit_code))
            }
            _ => None,
        })
    }

    pub(crate) fn log(&self, number: usize) -> &str {
        &self.logs[number - 1]
    }
}

pub(crate) fn run(command: &str) -> Step {
    let run = Run {
        command: command.to_owned(),
        shell: None,
        environment: Vec::new(),
        background: false,
        working_directory: None,
        no_output_timeout_ms: 60_000,
        max_auto_reruns: 0,
        auto_rerun_delay_ms: 0,
    };
    Step { name: command.to_owned(), when: When::OnSuccess, action: Action::Run(run) }
}

pub(crate) fn run_with(command: &str, change: impl FnOnce(&mut Run)) -> Step {
    let mut step = run(command);
    if let Action::Run(run) = &mut step.action {
        change(run);
    }
    step
}

pub(crate) fn when(when: When, command: &str) -> Step {
    Step { when, ..run(command) }
}

pub(crate) fn built_in(action: Action) -> Step {
    Step { name: "built in".to_owned(), when: When::OnSuccess, action }
}

impl Host {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        for path in [&root, &directory.path().join("spools")] {
            fs::create_dir(path).unwrap();
        }
        let invitation = Invitation {
            version: VERSION,
            socket: directory.path().join("socket"),
            key: Key(KEY.to_owned()),
            root,
            working_directory: None,
            outlive_ms: None,
            max_spool: 64 << 20,
            spool_wait_ms: 60_000,
            terminal: false,
        };
        let listener = Some(Listener::bind(&invitation.socket).unwrap());
        let spec = spec(steps);
        Self {
            directory,
            spec,
            invitation,
            tree: None,
            wants_times: false,
            listener,
            connection: None,
            child: None,
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.invitation.root.clone()
    }

    pub(crate) fn variable(mut self, name: &str, value: &str, secret: bool) -> Self {
        self.spec.environment.push(Variable { name: name.to_owned(), value: value.to_owned(), secret });
        self
    }

    /// Starts the program, hands the task over and lets it begin.
    pub(crate) fn begun(mut self) -> Self {
        self.start();
        self.hand_over();
        self.send(&ToTaskAgent::Begin, &[]);
        self
    }

    /// All of it, for a task that asks for nothing.
    pub(crate) fn left(self) -> Left {
        self.begun().finish()
    }

    /// Starts the program and meets it.
    pub(crate) fn start(&mut self) {
        let errors = File::create(self.directory.path().join("errors")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_roundhouse-task-agent"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        let mut child = command.stdin(Stdio::piped()).stderr(errors).spawn().unwrap();
        let line = serde_json::to_string(&self.invitation).unwrap() + "\n";
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        self.child = Some(child);
        if self.invitation.version == VERSION {
            assert_eq!(self.meet(), (false, false));
        }
    }

    /// The next connection's Hello: whether it holds its task, and whether it began.
    pub(crate) fn meet(&mut self) -> (bool, bool) {
        let listener = self.listener.as_ref().unwrap();
        assert!(readable(&[listener.as_fd()], Some(LONG)).unwrap()[0], "nobody connects");
        self.connection = Some(listener.accept().unwrap());
        match self.receive_any().0 {
            ToLaunchAgent::Hello { version: VERSION, key, holds_task, begun, .. } if key.0 == KEY => {
                (holds_task, begun)
            }
            other => panic!("no hello: {other:?}"),
        }
    }

    pub(crate) fn hand_over(&mut self) {
        let spec = sandbox::memory::sealed("spec", &serde_json::to_vec(&self.spec).unwrap()).unwrap();
        let journal = append_only(&self.directory.path().join("agent.jsonl"));
        let descriptors: Vec<BorrowedFd<'_>> =
            [spec.as_fd(), journal.as_fd()].into_iter().chain(self.tree.as_ref().map(AsFd::as_fd)).collect();
        self.send(&ToTaskAgent::Task { version: VERSION }, &descriptors);
        if self.wants_times {
            self.send(&ToTaskAgent::Times, &[append_only(&self.times()).as_fd()]);
        }
        let steps: Vec<_> = (1..).map(StepNumber).take(self.spec.steps.len()).collect();
        for chunk in steps.chunks(MAX_DESCRIPTORS) {
            let spools: Vec<_> = chunk.iter().map(|step| append_only(&self.spool(*step))).collect();
            let spools: Vec<_> = spools.iter().map(AsFd::as_fd).collect();
            self.send(&ToTaskAgent::StepLogs { first: chunk[0] }, &spools);
        }
    }

    pub(crate) fn times(&self) -> PathBuf {
        self.directory.path().join("times")
    }

    pub(crate) fn spools(&self) -> PathBuf {
        self.directory.path().join("spools")
    }

    fn spool(&self, step: StepNumber) -> PathBuf {
        self.spools().join(step.spool_name())
    }

    pub(crate) fn send(&self, frame: &ToTaskAgent, descriptors: &[BorrowedFd<'_>]) {
        self.connection.as_ref().unwrap().send(&encode(frame).unwrap(), descriptors).unwrap();
    }

    /// The next frame that is no hint.
    pub(crate) fn receive(&self) -> (ToLaunchAgent, Vec<OwnedFd>) {
        loop {
            match self.receive_any() {
                (ToLaunchAgent::Progress, _) => {}
                other => return other,
            }
        }
    }

    fn receive_any(&self) -> (ToLaunchAgent, Vec<OwnedFd>) {
        let connection = self.connection.as_ref().unwrap();
        assert!(readable(&[connection.as_fd()], Some(LONG)).unwrap()[0], "nothing comes");
        let Packet { bytes, descriptors } = connection.receive().unwrap().expect("it is connected");
        (decode(&bytes).unwrap(), descriptors)
    }

    pub(crate) fn request(&self) -> (u64, Wanted, Option<File>) {
        match self.receive() {
            (ToLaunchAgent::Request { request, wanted }, descriptors) => {
                (request, wanted, descriptors.into_iter().next().map(File::from))
            }
            other => panic!("no request: {other:?}"),
        }
    }

    pub(crate) fn answer(&self, request: u64, answer: Answer, file: Option<&File>) {
        let descriptors: Vec<_> = file.map(AsFd::as_fd).into_iter().collect();
        self.send(&ToTaskAgent::Answer { request, answer }, &descriptors);
    }

    /// As if the launch-agent were killed.
    pub(crate) fn die(&mut self) {
        self.connection = None;
        self.listener = None;
    }

    /// As if it were started again.
    pub(crate) fn rise(&mut self) {
        self.listener = Some(Listener::bind(&self.invitation.socket).unwrap());
    }

    pub(crate) fn log_so_far(&self, step: u32) -> String {
        let bytes = fs::read(self.spool(StepNumber(step))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn wait_for_log(&self, step: u32, text: &str) {
        until(text, || self.log_so_far(step).contains(text));
    }

    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("errors")).unwrap()
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        let mut status = None;
        until("the task-agent ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits for its end, and reads what it left.
    pub(crate) fn finish(mut self) -> Left {
        let status = self.exit();
        let journal = fs::read(self.directory.path().join("agent.jsonl")).unwrap_or_default();
        let (records, used) = protocol::journal::read(&journal);
        assert_eq!(used, journal.len(), "{}", self.errors());
        journal_is_sound(&records).unwrap();
        let logs = (1..).take(self.spec.steps.len()).map(|step| self.log_so_far(step)).collect::<Vec<_>>();
        for record in &records {
            if let TaskEvent::StepEnded { step, log_bytes, .. } = record.event {
                let length = fs::metadata(self.spool(step)).unwrap().len();
                assert_eq!(log_bytes, length, "step {}", step.0);
            }
        }
        Left { records, status, logs }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn append_only(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

fn spec(steps: Vec<Step>) -> TaskSpec {
    TaskSpec {
        task: "0190a000-0000-7000-8000-000000000001".parse().unwrap(),
        epoch: protocol::Epoch(1),
        job: "build".to_owned(),
        job_number: 7,
        node_index: 0,
        node_total: 1,
        environment: Vec::new(),
        masks: Vec::new(),
        working_directory: "~/project".to_owned(),
        source: Source::None,
        steps,
        max_run_time_ms: 600_000,
        containers: None,
        is_setup: false,
        ssh: protocol::repository::Ssh::default(),
        login: protocol::repository::Login::None,
        mirror: None,
    }
}
