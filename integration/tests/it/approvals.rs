//! The real programs with workflows that wait for approvals and releases, go on after failures, and have jobs and groups without tasks.

use integration::{
    local::Ended,
    rig::{Rig, Running},
    wait,
};
use protocol::{
    exit,
    pipeline::Kind,
    run::RunReport,
    status::{JobStatus, WorkflowStatus},
};
use std::{path::Path, time::Duration};

const SOON: Duration = Duration::from_secs(30);

const GATED: &str = "version: 2.1
jobs:
  build: {machine: true, steps: [run: echo built]}
  deploy: {machine: true, steps: [run: echo deployed]}
workflows:
  main:
    jobs: [build, hold: {type: approval, requires: [build]}, deploy: {requires: [hold]}]
";

/// `roundhouse approve` for the runs of this rig.
fn approve(rig: &Rig, arguments: &[&str]) -> Ended {
    let mut command = rig.roundhouse();
    command.arg("approve").arg("--state-dir").arg(rig.path("state")).args(arguments);
    rig.finish(command)
}

/// A run whose output goes to a file, once it says that the job waits.
fn on_hold(rig: &Rig, project: &Path, output: &Path) -> Running {
    let mut command = rig.roundhouse();
    command.arg("run").arg(project).args(["--output", "json", "--state-dir"]).arg(rig.path("state"));
    let file = std::fs::File::create(output).expect("it is ours");
    let running = rig.start_into("run", command, file.into());
    wait::until("the job that waits", SOON, || {
        (running.says("hold | on hold: approve it") > 0).then_some(())
    });
    running
}

#[test]
fn a_run_goes_on_once_somebody_approves_it_from_another_terminal() {
    let rig = Rig::new();
    let (project, output) = (rig.project("project", GATED), rig.path("report"));
    let mut running = on_hold(&rig, &project, &output);
    let listed = approve(&rig, &[]);
    assert!(listed.status == 0 && listed.output.contains("hold  main"), "{listed:#?}");
    let unknown = approve(&rig, &["nope"]);
    assert_eq!(unknown.status, i32::from(exit::USAGE));
    assert!(
        unknown.errors.contains("no job `nope` waits") && unknown.errors.contains("`hold`"),
        "{unknown:#?}"
    );
    let early = approve(&rig, &["deploy"]);
    assert!(early.status == 2 && early.errors.contains("no job `deploy` waits"), "{early:#?}");
    let approved = approve(&rig, &["main/hold", "--by", "ada"]);
    assert!(approved.status == 0 && approved.errors.contains("approved hold"), "{approved:#?}");
    let again = approve(&rig, &["hold"]);
    assert!(again.status == 2 && again.errors.contains("was approved already"), "{again:#?}");
    assert_eq!(running.ended(SOON), 0);
    let report: RunReport = serde_json::from_slice(&std::fs::read(&output).expect("it is there")).unwrap();
    let hold = &report.workflows[0].jobs[1];
    assert_eq!(
        (hold.kind, hold.status, hold.approved_by.as_deref()),
        (Kind::Approval, JobStatus::Success, Some("ada"))
    );
    assert_eq!(report.workflows[0].jobs[2].status, JobStatus::Success);
    let nothing = approve(&rig, &["--all"]);
    assert_eq!((nothing.status, approve(&rig, &[]).output.as_str()), (0, "no job waits for an approval\n"));
}

const RELEASED: &str = "version: 2.1
jobs:
  deploy: {machine: true, steps: [run: echo deployed]}
  ship: {type: release, plan_name: shop}
  announce: {machine: true, steps: [run: echo announced]}
workflows:
  east: {jobs: [deploy, ship: {requires: [deploy]}, announce: {requires: [ship]}]}
  west: {jobs: [ship, announce: {requires: [ship]}, announce: {name: mend, requires: [ship: failed]}]}
";

#[test]
fn a_run_waits_until_somebody_says_how_its_releases_ended() {
    let rig = Rig::new();
    let (project, output) = (rig.project("project", RELEASED), rig.path("report"));
    let mut command = rig.roundhouse();
    command.arg("run").arg(&project).args(["--output", "json", "--approve", "all", "--state-dir"]);
    command.arg(rig.path("state"));
    let file = std::fs::File::create(&output).expect("it is ours");
    let mut running = rig.start_into("run", command, file.into());
    for job in ["east/ship", "west/ship"] {
        wait::until("the releases", SOON, || {
            (running.says(&format!("{job} | on hold: once the release shop is over, say so")) > 0)
                .then_some(())
        });
    }
    assert!(running.says("roundhouse release --state-dir") > 0, "it says with which command");
    let release = |arguments: &[&str]| {
        let mut command = rig.roundhouse();
        command.arg("release").arg("--state-dir").arg(rig.path("state")).args(arguments);
        rig.finish(command)
    };
    let listed = approve(&rig, &["--list"]);
    assert!(listed.output.contains("the release shop"), "{listed:#?}");
    let wrong = approve(&rig, &["east/ship"]);
    assert!(wrong.status == 2 && wrong.errors.contains("roundhouse release"), "{wrong:#?}");
    let several = release(&["shop"]);
    assert!(several.status == 2 && several.errors.contains("in several places"), "{several:#?}");
    let ended = release(&["east/ship", "--by", "ada"]);
    assert!(ended.errors.contains("the release shop is over: ship of the workflow east"), "{ended:#?}");
    let failed = release(&["shop", "--failed", "--reason", "5xx everywhere", "--by", "ada"]);
    assert!(failed.errors.contains("the release shop failed"), "{failed:#?}");
    assert_eq!(running.ended(SOON), i32::from(exit::JOB_FAILED));
    let report: RunReport = serde_json::from_slice(&std::fs::read(&output).expect("it is there")).unwrap();
    let [east, west] = &report.workflows[..] else { panic!("{report:#?}") };
    assert_eq!((east.status, west.status), (WorkflowStatus::Success, WorkflowStatus::Failed));
    let statuses: Vec<JobStatus> = west.jobs.iter().map(|job| job.status).collect();
    assert_eq!(statuses, [JobStatus::Failed, JobStatus::NotRun, JobStatus::Success]);
    assert_eq!(west.jobs[0].reason.as_deref(), Some("the release `shop` failed: 5xx everywhere"));
    assert_eq!(east.jobs[1].approved_by.as_deref(), Some("ada"));
    assert_eq!(release(&[]).output, "no job waits for a release\n");
}

#[test]
fn a_run_on_hold_is_canceled_by_an_interrupt() {
    let rig = Rig::new();
    let (project, output) = (rig.project("project", GATED), rig.path("report"));
    let mut running = on_hold(&rig, &project, &output);
    running.process().signal(rustix::process::Signal::INT);
    assert_eq!(running.ended(SOON), i32::from(exit::INTERRUPTED));
    assert_eq!(approve(&rig, &["hold"]).status, i32::from(exit::USAGE));
}

#[test]
fn what_is_approved_ahead_waits_for_nobody() {
    let rig = Rig::new();
    let project = rig.project("project", GATED);
    let ended = rig.run(&project, &["--approve", "hold", "--approve", "hodl"]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(ended.errors.contains("--approve hodl: no job of that name"), "{}", ended.errors);
    let by = ended.job("hold").approved_by.expect("it was approved");
    assert!(by.ends_with(", ahead"), "{by}");
}

const BY_ENDING: &str = "version: 2.1
jobs:
  build: {machine: true, steps: [run: echo built > out, persist_to_workspace: {root: ., paths: [out]}]}
  broken: {machine: true, steps: [run: exit 3]}
  clean: {machine: true, steps: [run: echo cleaned]}
  see: {machine: true, steps: [attach_workspace: {at: .}, run: cat out]}
  gate: {type: no-op}
job-groups:
  both: {jobs: [build, see: {requires: [build]}]}
workflows:
  main:
    jobs:
      - broken
      - clean: {requires: [broken: [failed, canceled]]}
      - build: {name: shipped, requires: [broken]}
      - gate: {requires: [shipped: not_run]}
      - both: {requires: [gate, clean: terminal]}
      - hold: {type: approval, requires: [both: success]}
      - see: {name: seen, requires: [hold]}
";

#[test]
fn jobs_run_by_how_others_ended_through_jobs_and_groups_without_tasks() {
    let rig = Rig::new();
    let ended = rig.run(&rig.project("project", BY_ENDING), &["--approve", "all"]);
    assert_eq!(ended.status, i32::from(exit::JOB_FAILED), "{ended:#?}");
    let report = ended.report();
    assert_eq!(report.status, WorkflowStatus::Failed);
    let status = |name: &str| ended.job(name).status;
    assert_eq!((status("broken"), status("clean")), (JobStatus::Failed, JobStatus::Success));
    assert_eq!((status("shipped"), status("gate")), (JobStatus::NotRun, JobStatus::Success));
    for name in ["both/start", "both/build", "both/see", "both/end", "hold", "seen"] {
        assert_eq!(status(name), JobStatus::Success, "{name}");
    }
    assert_eq!(ended.job("both/start").kind, Kind::NoOp);
    assert!(ended.job("gate").tasks.is_empty());
    assert_eq!(ended.step("seen", "cat out"), "built\n", "a workspace comes through jobs without tasks");
}

#[actix_rt::test]
async fn a_workflow_on_a_control_plane_is_approved_after_a_restart_of_it() {
    const CLASS: &str = "rig/linux";
    let rig = Rig::new();
    let mut server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 1);
    let config = GATED.replace("machine: true", &format!("machine: true, resource_class: {CLASS}"));
    let pipeline = server.pipeline(&config, CLASS).await;
    let is_held = |view: &protocol::api::PipelineView| {
        (view.workflows[0].status == WorkflowStatus::OnHold).then_some(())
    };
    server.sees(pipeline, "the job that waits", is_held).await;
    server.program().kill();
    let address = server.url.trim_start_matches("http://").to_owned();
    let server = rig.server_at("server", &address);
    let mut command = rig.roundhouse();
    command.args(["approve", "--host", &server.url, "--pipeline", &pipeline.to_string(), "hold"]);
    command.env("ROUNDHOUSE_TOKEN", &server.token);
    let approved = rig.finish(command);
    assert_eq!(approved.status, 0, "{approved:#?}");
    let view = server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
}
