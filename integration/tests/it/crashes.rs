//! A crash before and after every write of a task's directory, and what the next life of the launch-agent makes of it.
//!
//! Each row runs a job of its own with programs that end themselves at the row's places, one after the other, and starts the
//! launch-agent again each time: the job ends as the design says, its log is whole, its steps ran once, nothing is left.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::{numbers, only_task},
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{ids::TaskId, status::Outcome};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Longer than a launch-agent is away here on the slowest host, and what a claim that is lost costs.
const LEASE: &str = "10s";
const SOON: Duration = Duration::from_secs(60);
/// So many rows at once.
const WORKERS: usize = 8;
/// The job's own step, behind the launch-agent's.
const STEP: u32 = 1;
/// Enough output that some of it is given back to the disk while the task still runs.
const LINES: u32 = 200_000;

/// What the launch-agent writes for a task that succeeds, in the order it does.
const LAUNCH_AGENTS: [&str; 21] = [
    "task:made",
    "claim.json:written",
    "claim.json:named",
    "root:made",
    "task.jsonl:limit",
    "000.log:line",
    "task.jsonl:launching",
    "task.jsonl:process",
    "task.jsonl:started",
    "socket:bound",
    "agent.jsonl:made",
    "task.jsonl:granted",
    "spool:punched",
    "task.jsonl:agent-gone",
    "task.jsonl:swept",
    "task.jsonl:logs-drained",
    "task.jsonl:uploads-drained",
    "task.jsonl:told",
    "root:removed",
    "claim.json:removed",
    "task:removed",
];

/// What two lives after each other write that meet a crash each.
const TWICE: [[&str; 2]; 6] = [
    ["claim.json:written:after", "tree:removed:half"],
    ["task.jsonl:launching:after", "task.jsonl:because:before"],
    ["task.jsonl:launching:after", "task.jsonl:because:after"],
    ["task.jsonl:process:before", "task.jsonl:not-launched:before"],
    ["task.jsonl:process:before", "task.jsonl:not-launched:after"],
    ["task.jsonl:granted:before", "task.jsonl:granted:after"],
];

/// What the task-agent writes, and whether the task's end is on disk by then.
const TASK_AGENTS: [(&str, bool); 10] = [
    ("agent.jsonl:step-started:before", false),
    ("agent.jsonl:step-started:after", false),
    ("spool:appended:before", false),
    ("spool:appended:after", false),
    ("agent.jsonl:step-ended:before", false),
    ("agent.jsonl:step-ended:after", false),
    ("agent.jsonl:ended:before", false),
    ("agent.jsonl:ended:after", true),
    ("agent.jsonl:synced:before", true),
    ("agent.jsonl:synced:after", true),
];

/// A job that meets its crashes.
struct Row {
    name: String,
    /// In which of the two programs.
    is_launch_agents: bool,
    places: Vec<&'static str>,
    outcome: Outcome,
}

fn rows() -> Vec<Row> {
    let launch_agents =
        LAUNCH_AGENTS.iter().flat_map(|write| [format!("{write}:before"), format!("{write}:after")]);
    let once = launch_agents.map(|place| vec![&*place.leak()]).chain([vec!["tree:removed:half"]]);
    let twice = TWICE.iter().map(|places| places.to_vec());
    let of_launch_agents = once.chain(twice).map(|places| (true, places, Outcome::Success));
    let of_task_agents = TASK_AGENTS.iter().map(|(place, is_told)| {
        (false, vec![*place], if *is_told { Outcome::Success } else { Outcome::InfrastructureFail })
    });
    let all = of_launch_agents.chain(of_task_agents).enumerate();
    all.map(|(number, (is_launch_agents, places, outcome))| Row {
        name: format!("row-{number}"),
        is_launch_agents,
        places,
        outcome,
    })
    .collect()
}

struct House {
    rig: Rig,
    server: Server,
}

#[test]
fn whatever_crashes_at_whichever_write_the_task_ends_as_it_should() {
    let rig = Rig::with_places_to_fail();
    let server = rig.server_with("server", "127.0.0.1:0", &["--lease", LEASE]);
    let (house, rows) = (House { rig, server }, rows());
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
            let lived = thread::scope(|scope| scope.spawn(|| house.lives_through(row)).join().is_ok());
            if !lived {
                failed.lock().unwrap().push(format!("{} ({})", row.places.join(", then "), row.name));
            }
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} rows: {failed:#?}", failed.len(), rows.len());
}

impl House {
    fn lives_through(&self, row: &Row) {
        actix_rt::System::new().block_on(self.run(row));
    }

    async fn run(&self, row: &Row) {
        let class = format!("rig/{}", row.name);
        let token = self.server.class(&class).await;
        let armed = self.rig.path(&format!("{}-places", row.name));
        fs::create_dir(&armed).unwrap();
        fs::set_permissions(&armed, fs::Permissions::from_mode(0o777)).unwrap();
        let runs = self.rig.write(&format!("{}-runs", row.name), "");
        fs::set_permissions(&runs, fs::Permissions::from_mode(0o666)).unwrap();
        let agent = |places: Option<&Path>| self.agent(row, &class, &token, places);
        let mut now = agent(Some(&arm(&armed, row.places[0])));
        let command = format!("echo run >> {}; seq 1 {LINES}; sleep 1", runs.display());
        let pipeline = self.server.job(&class, &command).await;
        if row.is_launch_agents {
            for place in &row.places[1..] {
                has_crashed(&mut now);
                now = agent(Some(&arm(&armed, place)));
            }
            has_crashed(&mut now);
            now = agent(None);
        }
        let view = self.server.ended(pipeline).await;
        assert_eq!(proc::names(&armed).unwrap(), Vec::<String>::new(), "the place was passed");
        let task = only_task(&view);
        assert_eq!(task.outcome, Some(row.outcome), "{view:#?}");
        let (log, whole) = (self.server.log(task.id, STEP).await, numbers(LINES));
        assert!(whole.starts_with(&log), "{} bytes that are not the job's", log.len());
        if row.outcome == Outcome::Success {
            assert_eq!(log.len(), whole.len(), "every byte once");
            assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n", "the steps ran once");
        }
        self.nothing_is_left(&now, task.id);
        now.process().signal(Signal::TERM);
        assert_eq!(now.program().ended(SOON), 0);
    }

    fn agent(&self, row: &Row, class: &str, token: &str, places: Option<&Path>) -> Agent {
        let runner = [("concurrency", "1"), ("environment", "[PATH, ROUNDHOUSE_FAILPOINTS]")];
        let variables: Vec<_> = places.map(|places| ("ROUNDHOUSE_FAILPOINTS", places)).into_iter().collect();
        self.rig.agent_within(&row.name, &self.server.url, &[(class, token)], &runner, &variables)
    }

    fn nothing_is_left(&self, agent: &Agent, task: TaskId) {
        let programs = agent.state.join("agents");
        let ended = || proc::running(&programs.to_string_lossy()).is_empty().then_some(());
        wait::until("every task-agent's end", SOON, ended);
        for directory in ["tasks", "work"] {
            let path = agent.state.join(directory);
            let left = || proc::names(&path).unwrap_or_default();
            wait::until(&format!("{} is empty", path.display()), SOON, || left().is_empty().then_some(()));
        }
        let groups = proc::groups(&task.to_string());
        assert!(groups.is_empty(), "{groups:?}");
    }
}

/// Has one program end itself where it says so, once.
fn arm(armed: &Path, place: &str) -> PathBuf {
    fs::write(armed.join(place), "").unwrap();
    armed.to_owned()
}

fn has_crashed(agent: &mut Agent) {
    assert_eq!(agent.program().ended(SOON), -1, "it was killed");
}
