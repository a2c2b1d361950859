//! Workflows that run again with the real programs: by the command, and by themselves across a killed control plane.

use integration::{
    local::Ended,
    pipelines::job,
    rig::{Rig, Server},
};
use protocol::{
    api::{PipelineView, WorkflowView},
    status::{JobStatus, WorkflowStatus},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const CLASS: &str = "rig/linux";

/// `first` succeeds and leaves a file in the workspace; `second` needs it, and a file on the host that is not there yet.
fn config(sign: &Path, more: &str) -> String {
    let sign = sign.display();
    format!(
        "version: 2.1
jobs:
  first:
    machine: true
    resource_class: {CLASS}
    steps:
      - run: echo from the first run > kept
      - persist_to_workspace: {{root: ., paths: [kept]}}
  second:
    machine: true
    resource_class: {CLASS}
    steps:
      - attach_workspace: {{at: .}}
      - run: {{name: it, command: cat kept && test -e {sign}}}
workflows:
  all:
{more}    jobs: [first, second: {{requires: [first]}}]
"
    )
}

fn statuses(view: &PipelineView) -> Vec<WorkflowStatus> {
    view.workflows.iter().map(|run| run.status).collect()
}

fn rerun(rig: &Rig, server: &Server, arguments: &[&str]) -> Ended {
    let mut command = rig.roundhouse();
    command.arg("rerun").args(arguments).args(["--host", &server.url, "--token", &server.token]);
    rig.finish(command)
}

fn kept(workflow: &WorkflowView) -> Vec<bool> {
    workflow.jobs.iter().map(|job| job.inherited).collect()
}

#[actix_rt::test]
async fn what_failed_runs_again_with_the_workspace_of_the_first_run_after_a_kill() {
    let rig = Rig::new();
    let sign = rig.path("sign");
    let mut server = rig.server("server");
    let token = server.class(CLASS).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let pipeline = server.pipeline(&config(&sign, ""), CLASS).await;
    let view = server.ended(pipeline).await;
    assert_eq!(statuses(&view), [WorkflowStatus::Failed]);
    server.program().kill();
    let server = rig.server_at("server", &address);
    rig.write("sign", "");
    let first = view.workflows[0].id.to_string();
    let ended = rerun(&rig, &server, &[&first, "--from-failed", "--follow", "--output", "json"]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(ended.report().workflows.len(), 1, "the last run alone is told");
    assert!(ended.step("second", "it").contains("from the first run"), "{ended:?}");
    let view = server.ended(pipeline).await;
    assert_eq!(statuses(&view), [WorkflowStatus::Failed, WorkflowStatus::Success]);
    assert_eq!(kept(&view.workflows[1]), [true, false]);
    let nothing = rerun(&rig, &server, &[&pipeline.to_string(), "--from-failed"]);
    assert!(nothing.status == 2 && nothing.errors.contains("has failed"), "{nothing:?}");
    let unknown = rerun(&rig, &server, &[&first, "--job", "third"]);
    assert!(unknown.status == 2 && unknown.errors.contains("its jobs are first, second"), "{unknown:?}");
    let stranger = rerun(&rig, &server, &["00000000-0000-0000-0000-000000000001"]);
    assert!(stranger.status == 2 && stranger.errors.contains("there is no pipeline"), "{stranger:?}");
    let single = rerun(&rig, &server, &[&first, "--job", "second", "--follow", "--output", "json"]);
    assert_eq!((single.status, single.job("second").status), (0, JobStatus::Success));
}

#[actix_rt::test]
async fn a_workflow_runs_again_by_itself_although_the_control_plane_is_killed_meanwhile() {
    let rig = Rig::new();
    let sign = rig.path("sign");
    let mut server = rig.server("server");
    let token = server.class(CLASS).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let pipeline = server.pipeline(&config(&sign, "    max_auto_reruns: 5\n"), CLASS).await;
    let again = |runs: usize| move |view: &PipelineView| (view.workflows.len() > runs).then_some(());
    for runs in 1..3 {
        server.sees(pipeline, "a rerun", again(runs)).await;
        server.program().kill();
        server = rig.server_at("server", &address);
    }
    rig.write("sign", "");
    let view = server.ended(pipeline).await;
    let (last, before) = view.workflows.split_last().expect("there are some");
    assert_eq!(last.status, WorkflowStatus::Success, "{view:#?}");
    assert!(before.iter().all(|run| run.status == WorkflowStatus::Failed), "{view:#?}");
    for (number, run) in view.workflows.iter().enumerate() {
        assert_eq!(run.reruns.automatic as usize, number, "each runs again once");
    }
    assert_eq!(job(&view, "first").status, JobStatus::Success);
}

#[test]
fn a_local_run_whose_workflow_failed_ends_as_its_last_run_did() {
    let rig = Rig::new();
    let open = rig.path("open");
    fs::create_dir(&open).expect("it is ours");
    // Jobs of other accounts write there too.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let config = format!(
        "version: 2.1
jobs:
  flaky: {{machine: true, steps: [run: {{name: it, command: 'test -e {0} || {{ touch {0}; exit 1; }}'}}]}}
workflows: {{all: {{max_auto_reruns: 2, jobs: [flaky]}}}}
",
        open.join("tried").display()
    );
    let project = rig.project("tour", &config);
    let ended = rig.run(&project, &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.errors.contains("failed and runs again by itself (1 of 2)"), "{ended:?}");
    assert_eq!(ended.job("flaky").status, JobStatus::Success);
}
