//! Serial groups with the real programs: one job of all pipelines at a time, also across a killed control plane, and in a
//! local run.

use integration::{
    pipelines::job,
    rig::{Rig, Server},
};
use protocol::{
    api::PipelineView,
    ids::PipelineId,
    status::{JobStatus, WorkflowStatus},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const CLASS: &str = "rig/linux";

/// Two jobs between a lock and its unlock that must be alone: each makes a folder that is not there, waits for its sign,
/// and removes the folder.
fn config(folder: &Path, name: &str) -> String {
    let alone = |job: &str| {
        let folder = folder.display();
        format!(
            "mkdir {folder}/held && echo {name}-{job} >> {folder}/order && until [ -e {folder}/{name}-{job} ]; do \
             sleep 0.05; done; rmdir {folder}/held"
        )
    };
    let job = |job: &str| {
        format!(
            "  {job}:
    machine: true
    resource_class: {CLASS}
    steps: [run: {{name: it, command: '{}'}}]
",
            alone(job)
        )
    };
    format!(
        "version: 2.1
jobs:
{}{}job-groups:
  both: {{jobs: [one, two: {{requires: [one]}}]}}
workflows:
  all:
    jobs: [both: {{serial-group: rig/<< pipeline.project.slug >>}}]
",
        job("one"),
        job("two")
    )
}

/// A folder that jobs of other accounts write to, and the file in it.
fn open_folder(rig: &Rig) -> std::path::PathBuf {
    let folder = rig.path("open");
    fs::create_dir(&folder).expect("it is ours");
    fs::write(folder.join("order"), "").expect("it is ours");
    for (path, mode) in [(&folder, 0o777), (&folder.join("order"), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    folder
}

async fn runs(server: &Server, pipeline: PipelineId, name: &str) {
    let running = |view: &PipelineView| (job(view, name).status == JobStatus::Running).then_some(());
    server.sees(pipeline, "a job that runs", running).await;
}

async fn waits(server: &Server, pipeline: PipelineId) -> String {
    let waiting = |view: &PipelineView| job(view, "both/start").reason.clone();
    server.sees(pipeline, "a job that waits for its turn", waiting).await
}

#[actix_rt::test]
async fn two_pipelines_of_one_group_run_one_after_the_other_although_the_control_plane_is_killed() {
    let rig = Rig::new();
    let folder = open_folder(&rig);
    let mut server = rig.server("server");
    let token = server.class(CLASS).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let first = server.pipeline(&config(&folder, "first"), CLASS).await;
    runs(&server, first, "both/one").await;
    let second = server.pipeline(&config(&folder, "second"), CLASS).await;
    assert!(waits(&server, second).await.starts_with("waits for its turn in the serial group `rig/"));
    server.program().kill();
    let mut server = rig.server_at("server", &address);
    waits(&server, second).await;
    rig.write("open/first-one", "");
    runs(&server, first, "both/two").await;
    waits(&server, second).await;
    server.program().kill();
    // It ends while nobody hears of it.
    rig.write("open/first-two", "");
    rig.write("open/second-one", "");
    rig.write("open/second-two", "");
    let server = rig.server_at("server", &address);
    for pipeline in [first, second] {
        let view = server.ended(pipeline).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    }
    let order = fs::read_to_string(folder.join("order")).expect("jobs wrote it");
    assert_eq!(order, "first-one\nfirst-two\nsecond-one\nsecond-two\n");
}

#[actix_rt::test]
async fn an_older_pipeline_is_skipped_and_a_canceled_one_gives_its_turn_on() {
    let rig = Rig::new();
    let folder = open_folder(&rig);
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let first = server.pipeline(&config(&folder, "first"), CLASS).await;
    runs(&server, first, "both/one").await;
    let older = server.pipeline(&config(&folder, "older"), CLASS).await;
    waits(&server, older).await;
    let newer = server.pipeline(&config(&folder, "newer"), CLASS).await;
    let skipped = server.ended(older).await;
    let reason = job(&skipped, "both/start").reason.clone().unwrap_or_default();
    assert!(reason.starts_with("skipped: the newer pipeline 3"), "{reason}");
    assert_eq!(job(&skipped, "both/one").status, JobStatus::NotRun);
    // Whoever is killed leaves its folder.
    rig.write("open/newer-one", "");
    rig.write("open/newer-two", "");
    server.operator().cancel(first).await.expect("it runs");
    assert_eq!(server.ended(first).await.workflows[0].status, WorkflowStatus::Canceled);
    let view = server.ended(newer).await;
    assert_eq!(view.workflows[0].jobs[0].status, JobStatus::Success, "its turn came: {view:#?}");
}

const LOCAL: &str = "version: 2.1
jobs:
  alone: {machine: true, steps: [run: 'mkdir $DIR/held && sleep 0.3 && rmdir $DIR/held']}
  lock: {type: lock, key: local/x}
  unlock: {type: unlock, key: local/x}
workflows:
  main:
    jobs:
      - lock
      - alone: {name: locked, requires: [lock]}
      - unlock: {requires: [locked]}
      - alone: {name: first, serial-group: local/x}
      - alone: {name: second, serial-group: local/x}
  other:
    jobs: [alone: {name: third, serial-group: local/x}]
";

#[test]
fn jobs_of_one_group_run_one_after_the_other_in_a_local_run() {
    let rig = Rig::new();
    let folder = open_folder(&rig);
    let project = rig.project("project", &LOCAL.replace("$DIR", &folder.display().to_string()));
    let ended = rig.run(&project, &[]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    for name in ["locked", "first", "second", "third", "unlock"] {
        assert_eq!(ended.job(name).status, JobStatus::Success, "{name}");
    }
    assert!(ended.errors.contains("queued: waits for its turn in the serial group `local/x`"), "{ended:#?}");
}
