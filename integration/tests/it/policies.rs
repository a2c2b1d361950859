//! Config policies with the real programs: pushed from a folder, and deciding what runs.

use client::ClientError;
use integration::{
    fleet::{CLASS, Fleet},
    rig::pipeline,
};
use protocol::WorkflowStatus;
use std::fs;

const POLICY: &str = "package org
import future.keywords
policy_name[\"no_sleep\"]
enable_hard[\"no_sleep\"]
no_sleep[job] = reason {
    some job, definition in input._compiled_.jobs
    contains(definition.steps[_].run.command, \"sleep\")
    reason := sprintf(\"the job %s sleeps\", [job])
}
";

fn config(command: &str) -> String {
    format!(
        "version: 2.1\njobs: {{build: {{machine: true, steps: [run: {command}]}}}}\nworkflows: {{main: {{jobs: [build]}}}}\n"
    )
}

#[actix_rt::test]
async fn a_folder_of_policies_refuses_a_configuration_until_it_is_mended() {
    let fleet = Fleet::start(&[]).await;
    let operator = fleet.server.operator();
    let made = operator.create_pipeline(&pipeline(&config("sleep 0"), CLASS)).await.unwrap();
    assert_eq!(fleet.server.ended(made.id).await.workflows[0].status, WorkflowStatus::Success);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(path("sub")).unwrap();
    let endless = "package org\nimport future.keywords\npolicy_name[\"endless\"]\nenable_hard[\"r\"]\n\
                   r = \"x\" { some a in s; some b in s; some c in s; a + b + c < 0 }\ns := numbers.range(1, 100000)\n";
    for (name, text) in [("sub/a.rego", POLICY), ("b.rego", endless)] {
        fs::write(path(name), text).unwrap();
    }
    let root = folder.path().display().to_string();
    let of = ["--organization", "local"];
    let told = |arguments: &[&str], status: i32| {
        let ended = fleet.roundhouse(&[&["policy"], arguments, &of].concat());
        assert_eq!(ended.status, status, "{ended:#?}");
        ended.output + &ended.errors
    };
    assert!(told(&["push", &root, "--dry-run"], 0).contains("created endless, no_sleep"));
    assert!(told(&["fetch"], 0).lines().count() <= 1, "nothing is there yet");
    told(&["push", &root], 0);
    told(&["settings", "--enabled", "true"], 0);
    // In a process of its own, which the control plane outlives.
    let refused = operator.create_pipeline(&pipeline(&config("echo"), CLASS)).await;
    assert!(
        matches!(&refused, Err(ClientError::Diagnosed(why)) if why.diagnostics[0].contains("time limit"))
    );
    fs::remove_file(path("b.rego")).unwrap();
    assert!(told(&["push", &root], 0).contains("deleted endless"));
    fs::write(path("config.yml"), config("sleep 0")).unwrap();
    assert!(told(&["decide", &path("config.yml")], 1).contains("the job build sleeps"));
    let refused = operator.create_pipeline(&pipeline(&config("sleep 0"), CLASS)).await;
    assert!(
        matches!(&refused, Err(ClientError::Diagnosed(why)) if why.diagnostics[0].contains("the job build sleeps"))
    );
    let made = operator.create_pipeline(&pipeline(&config("echo"), CLASS)).await.unwrap();
    assert_eq!(fleet.server.ended(made.id).await.workflows[0].status, WorkflowStatus::Success);
    let logs = told(&["logs"], 0);
    let order = ["PASS", "HARD_FAIL", "ERROR"].map(|status| logs.find(status).unwrap());
    assert!(order.is_sorted(), "the newest first: {logs}");
    assert!(told(&["fetch", "no_sleep"], 0).contains(POLICY));
}
