//! A control plane, a launch-agent and a place for both, for one test.

use fakes::ControlPlane;
use launch_agent::{
    Handle,
    config::{ClassSettings, Secret, Settings},
    start,
};
use protocol::{
    Epoch, TaskId,
    task::{Action, Run, Source, Step, TaskSpec, When},
};
use slog::{Drain, Logger, o};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use uuid::Uuid;

/// Everything one test needs. Dropping it ends the control plane and removes the files.
pub(crate) struct Rig {
    pub(crate) plane: ControlPlane,
    pub(crate) dir: TempDir,
}

/// How long anything of a test may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Jobs may have accounts of their own: they must come through.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        let plane = ControlPlane::start();
        let program = std::fs::read(fakes::agent::program()).unwrap();
        plane.with(|state| state.publish_agent(&program));
        Self { plane, dir }
    }

    /// A file that every job may make.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.dir.path().join("shared").join(name)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn settings(&self) -> Settings {
        let token = Secret::new(fakes::control_plane::CLASS_TOKEN);
        let class = ClassSettings { class: Some("local/fake".parse().unwrap()), token, concurrency: None };
        let mut settings = Settings::new("test", self.plane.url(), self.state_dir(), vec![class]);
        settings.concurrency = 16;
        settings.user = Some(own_account());
        settings.grace = Duration::from_millis(300);
        settings.min_free = 0;
        settings
    }

    pub(crate) fn start(&self) -> Handle {
        start(self.settings(), log()).unwrap()
    }

    /// Queues a task of these scripts, one a step.
    pub(crate) fn enqueue(&self, scripts: &[&str]) -> TaskId {
        self.plane.enqueue(spec(scripts))
    }

    /// Nothing of any task is left on disk.
    pub(crate) fn assert_clean(&self) {
        for folder in ["tasks", "work"] {
            let left: Vec<_> = std::fs::read_dir(self.state_dir().join(folder)).unwrap().collect();
            assert!(left.is_empty(), "left in {folder}: {left:?}");
        }
    }
}

/// Drains it and waits for its end.
pub(crate) async fn drained(agent: &Handle) {
    agent.drain();
    let end = tokio::time::timeout(DEADLINE, agent.finished()).await.expect("it ends when it is empty");
    assert_eq!(end.failure, None);
}

/// Waits until a file is there.
pub(crate) async fn appears(path: &Path) {
    let there = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, there).await.unwrap_or_else(|_| panic!("{} never came", path.display()));
}

pub(crate) fn spec(scripts: &[&str]) -> TaskSpec {
    TaskSpec {
        task: TaskId(Uuid::new_v4()),
        epoch: Epoch(0),
        job: "job".to_owned(),
        job_number: 1,
        node_index: 0,
        node_total: 1,
        environment: Vec::new(),
        masks: Vec::new(),
        working_directory: "~/project".to_owned(),
        source: Source::None,
        steps: scripts.iter().map(|script| step(script)).collect(),
        max_run_time_ms: 3_600_000,
        containers: None,
        is_setup: false,
        ssh: protocol::repository::Ssh::default(),
        login: protocol::repository::Login::None,
        mirror: None,
    }
}

fn step(script: &str) -> Step {
    let run = Run {
        command: script.to_owned(),
        shell: None,
        environment: Vec::new(),
        background: false,
        working_directory: None,
        no_output_timeout_ms: 600_000,
        max_auto_reruns: 0,
        auto_rerun_delay_ms: 0,
    };
    Step { name: "step".to_owned(), when: When::OnSuccess, action: Action::Run(run) }
}

fn own_account() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields[2] == uid).map_or("root".to_owned(), |fields| fields[0].to_owned())
}

/// To the test's own output, so that a failure shows what happened.
pub(crate) fn log() -> Logger {
    let decorator = slog_term::PlainSyncDecorator::new(slog_term::TestStdoutWriter);
    Logger::root(slog_term::FullFormat::new(decorator).build().fuse(), o!())
}
