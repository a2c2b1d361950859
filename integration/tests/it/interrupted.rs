//! `roundhouse run` that is interrupted or killed: no process outlives it, and the next run is as good as the first.

use integration::{
    proc,
    rig::{Rig, Running},
    wait,
};
use protocol::exit;
use rustix::process::Signal;
use std::{io::PipeReader, path::Path, time::Duration};

const SOON: Duration = Duration::from_secs(20);

/// A job that leaves a process of this command line behind, in a session of its own, deaf to TERM.
fn stubborn(marker: &str) -> String {
    format!(
        "version: 2.1
jobs:
  stubborn:
    machine: true
    steps:
      - run: |
          setsid sh -c 'trap \"\" TERM; while :; do {marker}; done' &
          wait
workflows: {{all: {{jobs: [stubborn]}}}}
"
    )
}

fn start(rig: &Rig, project: &Path, marker: &str) -> Running {
    let mut command = rig.roundhouse();
    command.arg("run").arg(project).arg("--state-dir").arg(rig.path("state"));
    let running = rig.start("run", command);
    wait::until("the job's process", SOON, || proc::running(marker).first().copied());
    running
}

#[test]
fn every_process_of_every_job_is_gone_before_the_prompt_returns() {
    let rig = Rig::new();
    let marker = &wait::marker("sleep 16180");
    let project = rig.project("project", &stubborn(marker));
    let mut running = start(&rig, &project, marker);
    running.process().signal(Signal::INT);
    assert_eq!(running.ended(SOON), i32::from(exit::INTERRUPTED));
    assert!(proc::running(marker).is_empty() && rig.leftovers().is_empty());
}

/// Two processes deaf to TERM: one that was forked twice in a session of its own, one with another user's rights.
const HIDES: &str = "version: 2.1
jobs:
  hides:
    machine: true
    steps:
      - run: |
          setsid sh -c '(trap \"\" TERM; while :; do FORKED; done) & exit 0'
          if [ $(id -u) = 0 ]; then
            setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'trap \"\" TERM; while :; do CHANGED; done' &
          fi
          sleep 1000
workflows: {all: {jobs: [hides]}}
";

#[test]
fn what_forks_twice_or_changes_its_user_is_gone_with_its_job_too() {
    let rig = Rig::new();
    let [forked, changed] = ["sleep 26457", "sleep 28284"].map(wait::marker);
    let project = rig.project("project", &HIDES.replace("FORKED", &forked).replace("CHANGED", &changed));
    let is_root = rustix::process::geteuid().is_root();
    let mut command = rig.roundhouse();
    command.arg("run").arg(&project).arg("--state-dir").arg(rig.path("state"));
    // Only root's jobs can become somebody else.
    command.args(is_root.then_some(["--user", "root"]).into_iter().flatten());
    let mut running = rig.start("run", command);
    let markers = if is_root { vec![&forked, &changed] } else { vec![&forked] };
    for marker in markers {
        wait::until("the job's process", SOON, || proc::running(marker).first().copied());
    }
    running.process().signal(Signal::INT);
    assert_eq!(running.ended(SOON), i32::from(exit::INTERRUPTED));
    assert!(proc::running(&forked).is_empty() && proc::running(&changed).is_empty());
    assert!(rig.leftovers().is_empty());
}

#[test]
fn a_second_interrupt_does_not_wait_for_the_grace() {
    let rig = Rig::new();
    let marker = &wait::marker("sleep 14142");
    let heard = rig.write("heard", "");
    std::fs::set_permissions(&heard, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let trap = format!("- run: |\n          trap 'echo TERM > {}' TERM", heard.display());
    let project = rig.project("project", &stubborn(marker).replace("- run: |", &trap));
    let mut running = start(&rig, &project, marker);
    running.process().signal(Signal::INT);
    let was_told = || (!std::fs::read(&heard).unwrap().is_empty()).then_some(());
    wait::until("the job's TERM", SOON, was_told);
    running.process().signal(Signal::INT);
    assert_eq!(running.ended(Duration::from_secs(5)), i32::from(exit::INTERRUPTED));
    assert!(proc::running(marker).is_empty() && rig.leftovers().is_empty());
}

/// Starts a run whose output nobody reads.
fn start_unread(rig: &Rig, project: &Path, more: &[&str]) -> (Running, PipeReader) {
    let (unread, output) = std::io::pipe().expect("a pipe");
    let mut command = rig.roundhouse();
    command.arg("run").arg(project).arg("--state-dir").arg(rig.path("state")).args(more);
    (rig.start_into("run", command, output.into()), unread)
}

/// Waits until a pipe takes no more.
fn until_full(pipe: &PipeReader) {
    let size = rustix::pipe::fcntl_getpipe_size(pipe).expect("it is a pipe") as u64;
    wait::until("a full pipe", SOON, || {
        (rustix::io::ioctl_fionread(pipe).expect("it is a pipe") >= size / 2).then_some(())
    });
}

#[test]
fn an_interrupt_is_heard_although_nobody_reads_the_output() {
    let rig = Rig::new();
    let marker = &wait::marker("sleep 17724");
    let config =
        stubborn(marker).replace("- run: |", "- run: head -c 30000000 /dev/zero | base64\n      - run: |");
    let project = rig.project("project", &config);
    let (mut running, unread) = start_unread(&rig, &project, &[]);
    wait::until("the job's process", SOON, || proc::running(marker).first().copied());
    until_full(&unread);
    running.process().signal(Signal::INT);
    wait::until("the end of the job", SOON, || proc::running(marker).is_empty().then_some(()));
    running.process().signal(Signal::INT);
    assert_eq!(running.ended(SOON), i32::from(exit::INTERRUPTED));
    assert!(rig.leftovers().is_empty());
}

#[test]
fn what_is_told_at_the_end_can_be_interrupted() {
    let rig = Rig::new();
    let project = rig.project(
        "project",
        "version: 2.1
jobs: {loud: {machine: true, steps: [run: head -c 3000000 /dev/zero | base64]}}
workflows: {all: {jobs: [loud]}}
",
    );
    let (mut running, unread) = start_unread(&rig, &project, &["--output", "json"]);
    until_full(&unread);
    running.process().signal(Signal::TERM);
    assert_eq!(running.ended(SOON), i32::from(exit::INTERRUPTED));
    assert!(rig.leftovers().is_empty());
}

#[test]
fn what_a_killed_run_leaves_ends_by_itself_and_the_next_run_is_a_whole_one() {
    let rig = Rig::new();
    let marker = &wait::marker("sleep 17320");
    let project = rig.project("project", &stubborn(marker));
    let mut running = start(&rig, &project, marker);
    running.kill();
    wait::until("the end of the orphaned job", SOON, || proc::running(marker).is_empty().then_some(()));
    rig.project("project", &stubborn(marker).replace("setsid", "echo"));
    let again = rig.run(&project, &[]);
    assert_eq!(again.status, 0, "{}", again.errors);
    assert!(rig.leftovers().is_empty());
}

#[test]
fn two_runs_of_one_project_do_not_meet() {
    let rig = Rig::new();
    let marker = &wait::marker("sleep 22360");
    let project = rig.project("project", &stubborn(marker));
    let first = start(&rig, &project, marker);
    let second = rig.run(&project, &[]);
    assert_eq!(second.status, i32::from(exit::MACHINERY), "{}", second.errors);
    assert!(second.errors.contains(&first.process().0.to_string()), "the other is named: {}", second.errors);
}
