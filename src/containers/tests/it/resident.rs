//! The real task-agent as the first process of real containers, with these tests in the place of the launch-agent.

use crate::{
    podman::{BOX, CIMG, ENTRY, Podman},
    task::{LONG, Task},
};
use containers::holds;
use protocol::{
    StepNumber, VERSION,
    container::DOOR,
    frame::{Invitation, Key, ToLaunchAgent, ToTaskAgent, decode, encode},
    journal::{TaskEvent, read},
    status::Outcome,
    task::{Action, Run, Source, Step, TaskSpec, When},
};
use sandbox::packet::{Connection, Listener, readable};
use std::{
    env,
    fs::{self, File},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// What a step says about where it is.
const WHERE: &str = "eval \"$BEFORE\"; echo \"$(id -u):$(id -G)\"; pwd; echo \"$HOME\"; touch made; stat -c %u made; \
                     grep Uid /proc/1/status; echo \"$TMPDIR $GREETING\"";

fn program() -> Option<PathBuf> {
    let program = PathBuf::from(env::var_os("ROUNDHOUSE_PROGRAMS")?).join("roundhouse-task-agent");
    program.exists().then_some(program)
}

/// A task with one step, whose task-agent is the real one.
async fn task(podman: &Podman, image: &str) -> Option<(Task, Listener)> {
    let Some(program) = program() else {
        eprintln!(
            "skipped: ROUNDHOUSE_PROGRAMS names no directory with the programs; scripts/test builds them"
        );
        return None;
    };
    let mut task = Task::new(podman, image).await;
    let invitation = Invitation {
        version: VERSION,
        socket: Path::new(DOOR).join("socket"),
        key: Key("one-time".to_owned()),
        root: "/".into(),
        working_directory: None,
        outlive_ms: None,
        max_spool: 1 << 20,
        spool_wait_ms: 1000,
        terminal: false,
    };
    task.order.invitation = (serde_json::to_string(&invitation).unwrap() + "\n").into_bytes();
    task.order.program = program;
    let listener = Listener::bind(&task.order.door.join("socket")).unwrap();
    Some((task, listener))
}

fn spec(task: &Task) -> TaskSpec {
    let run = Run {
        command: WHERE.to_owned(),
        shell: Some("/bin/sh -e".to_owned()),
        environment: Vec::new(),
        background: false,
        working_directory: None,
        no_output_timeout_ms: 60_000,
        max_auto_reruns: 0,
        auto_rerun_delay_ms: 0,
    };
    TaskSpec {
        task: task.order.marks.task,
        epoch: protocol::Epoch(1),
        job: "build".to_owned(),
        job_number: 7,
        is_setup: false,
        ssh: protocol::repository::Ssh::default(),
        login: protocol::repository::Login::None,
        mirror: None,
        node_index: 0,
        node_total: 1,
        environment: Vec::new(),
        masks: Vec::new(),
        working_directory: task.order.primary.working_directory.clone(),
        source: Source::None,
        steps: vec![Step { name: "where".to_owned(), when: When::OnSuccess, action: Action::Run(run) }],
        max_run_time_ms: 600_000,
        containers: None,
    }
}

/// Starts it, hands over its task and lets it begin. What the step said, and what the container printed.
async fn ran(task: &Task, listener: &Listener) -> (Vec<String>, Vec<String>) {
    let (outcome, said, printed) = ended(task, listener).await;
    assert_eq!(outcome, Outcome::Success, "{said:?}");
    (said, printed)
}

async fn ended(task: &Task, listener: &Listener) -> (Outcome, Vec<String>, Vec<String>) {
    let running = task.start().await;
    assert!(readable(&[listener.as_fd()], Some(LONG)).unwrap()[0], "nobody connects");
    let connection = listener.accept().unwrap();
    let peer = connection.peer().unwrap().pid;
    assert!(holds(&running.id, running.first, peer), "{peer}");
    let hello: ToLaunchAgent = decode(&connection.receive().unwrap().unwrap().bytes).unwrap();
    assert!(matches!(hello, ToLaunchAgent::Hello { key, .. } if key.0 == "one-time"));
    let append =
        |name: &str| File::options().create(true).append(true).open(task.order.door.join(name)).unwrap();
    let memory = sandbox::memory::sealed("spec", &serde_json::to_vec(&spec(task)).unwrap()).unwrap();
    let (journal, spool) = (append("journal"), append("spool"));
    let say = |connection: &Connection, frame: ToTaskAgent, files: &[_]| {
        connection.send(&encode(&frame).unwrap(), files).unwrap();
    };
    say(&connection, ToTaskAgent::Task { version: VERSION }, &[memory.as_fd(), journal.as_fd()]);
    say(&connection, ToTaskAgent::StepLogs { first: StepNumber(1) }, &[spool.as_fd()]);
    say(&connection, ToTaskAgent::Begin, &[]);
    let (printed, state) = task.heard(&running.id).await;
    assert!(state.to_string().starts_with("ended with exit code 0"), "{state}: {printed:?}");
    let written = |name: &str| fs::read(task.order.door.join(name)).unwrap();
    let last = read(&written("journal")).0.pop().unwrap().event;
    let said = String::from_utf8(written("spool")).unwrap();
    let TaskEvent::Ended { outcome } = last else { panic!("{last:?}: {said}") };
    task.kill().await;
    (outcome, said.lines().map(str::to_owned).collect(), printed)
}

#[tokio::test]
async fn steps_run_as_the_images_user_in_a_directory_of_its_own() {
    let Some(podman) = Podman::start() else { return };
    let Some((task, listener)) = task(&podman, CIMG).await else { return };
    let (said, _) = ran(&task, &listener).await;
    let expected = [
        "3434:3434 50",
        "/home/circleci/project",
        "/home/circleci",
        "3434",
        "Uid:\t3434\t3434\t3434\t3434",
        "/home/circleci/tmp a b=c",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_user_without_a_home_gets_what_it_needs_made() {
    let Some(podman) = Podman::start() else { return };
    let Some((mut task, listener)) = task(&podman, BOX).await else { return };
    task.order.primary.user = Some("nobody".to_owned());
    task.order.primary.working_directory = "/go/src/app".to_owned();
    let (said, _) = ran(&task, &listener).await;
    let expected = ["65534:65534", "/go/src/app", "/nonexistent", "65534"];
    assert_eq!(said[..4], expected);
}

#[tokio::test]
async fn an_entrypoint_that_is_kept_runs_beside_the_steps() {
    let Some(podman) = Podman::start() else { return };
    let Some((mut task, listener)) = task(&podman, ENTRY).await else { return };
    let wait = "until [ -e /tmp/entered ]; do sleep 0.02; done".to_owned();
    task.order.primary.environment.push(("BEFORE".to_owned(), wait));
    task.order.primary.user = Some("circleci".to_owned());
    let (said, printed) = ran(&task, &listener).await;
    assert_eq!(said[0], "3434:3434 50");
    assert_eq!(printed, ["entry serve as 3434 in /"]);
}

#[tokio::test]
async fn a_step_that_takes_too_much_memory_says_so() {
    let Some(podman) = Podman::start() else { return };
    let Some((mut task, listener)) = task(&podman, BOX).await else { return };
    if !task.engine.about().limits {
        return eprintln!("skipped: {}", task.engine.about());
    }
    task.order.limits.memory = Some(48 << 20);
    let greedy = "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null".to_owned();
    task.order.primary.environment.push(("BEFORE".to_owned(), greedy));
    let (outcome, said, _) = ended(&task, &listener).await;
    assert_eq!(outcome, Outcome::Failed);
    let told = said.iter().any(|line| line.starts_with("Out of memory: ") && line.contains("48 MiB"));
    assert!(told, "{said:?}");
}

#[tokio::test]
async fn a_user_whom_the_image_does_not_have_is_named() {
    let Some(podman) = Podman::start() else { return };
    let Some((mut task, _listener)) = task(&podman, BOX).await else { return };
    task.order.primary.user = Some("somebody".to_owned());
    let words = task.why_it_ended().await;
    assert!(words.contains("the image has no account somebody"), "{words}");
    task.kill().await;
}
