//! Many tasks at once, and several launch-agents: everything succeeds, every log is whole, nothing stays behind.

use integration::{
    local::Ended,
    pipelines::job,
    proc,
    rig::{Rig, pipeline},
    wait,
};
use protocol::status::{JobStatus, Outcome, StepStatus, WorkflowStatus};
use std::{collections::BTreeSet, path::Path, time::Duration};

/// So many one-step jobs in one workflow.
fn fleet(size: u32) -> String {
    let jobs: String = (0..size).map(|n| format!("      - one: {{name: job-{n}, n: {n}}}\n")).collect();
    format!(
        "version: 2.1
jobs:
  one:
    parameters: {{n: {{type: integer}}}}
    machine: true
    resource_class: rig/linux
    steps:
      - run: {{name: say, command: 'for i in 1 2 3 4 5; do echo \"<< parameters.n >> says $i\"; done'}}
workflows:
  all:
    jobs:
{jobs}"
    )
}

fn said(n: u32) -> String {
    (1..=5).map(|i| format!("{n} says {i}\n")).collect()
}

/// No process has anything of this place in its command line, no directory below has what tasks leave.
fn nothing_is_left(rig: &Rig, state: &Path) {
    let ended = || rig.leftovers().is_empty().then_some(());
    wait::until("the end of every process", Duration::from_secs(10), ended);
    let left =
        directories(state).into_iter().filter(|path| path.ends_with("tasks") || path.ends_with("work"));
    for directory in left {
        let names = proc::names(&directory).unwrap_or_default();
        assert!(names.is_empty(), "{} still has {names:?}", directory.display());
    }
}

fn directories(root: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = entries.filter(|path| path.is_dir() && !path.is_symlink());
    below.flat_map(|path| [vec![path.clone()], directories(&path)].concat()).collect()
}

#[test]
fn two_hundred_jobs_run_64_at_once_and_leave_nothing_behind() {
    let rig = Rig::new();
    let project = rig.project("fleet", &fleet(200));
    let ended: Ended = rig.run(&project, &["--concurrency", "64"]);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    let report = ended.report();
    assert_eq!((report.status, report.workflows[0].jobs.len()), (WorkflowStatus::Success, 200));
    for (n, job) in (0..).zip(&report.workflows[0].jobs) {
        assert_eq!((job.name.clone(), job.status), (format!("job-{n}"), JobStatus::Success));
        let task = &job.tasks[0];
        let step = task.steps.iter().find(|step| step.name == "say").expect("its own step");
        assert_eq!(
            (task.status, step.status, step.exit_code),
            (Outcome::Success, StepStatus::Success, Some(0))
        );
        assert_eq!(step.output, said(n));
    }
    nothing_is_left(&rig, &rig.path("state"));
}

#[actix_rt::test]
async fn two_launch_agents_share_the_work_of_one_control_plane() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let class = [("rig/linux", token.as_str())];
    let agents = [rig.agent("first", &server, &class, 8), rig.agent("second", &server, &class, 8)];
    let created = server.operator().create_pipeline(&pipeline(&fleet(40), "rig/linux")).await;
    let id = created.unwrap_or_else(|error| panic!("{error}")).id;
    let view = server.ended(id).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    let mut runners = BTreeSet::new();
    for n in 0..40 {
        let task = &job(&view, &format!("job-{n}")).tasks[0];
        assert_eq!(server.log(task.id, 1).await, said(n));
        runners.extend(task.runner.clone());
    }
    assert_eq!(runners, ["first", "second"].map(str::to_owned).into());
    for mut agent in agents {
        agent.process().signal(rustix::process::Signal::TERM);
        assert_eq!(agent.program().ended(Duration::from_secs(20)), 0, "a drained launch-agent ends well");
    }
}
