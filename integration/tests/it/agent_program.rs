//! The task-agent that a claim names: one that is not what its digest says is never started.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::only_task,
    rig::{Rig, Server},
};
use protocol::status::Outcome;
use std::{fs, io::Write, path::PathBuf};

const CONFIG: &str = "version: 2.1
jobs:
  hello:
    machine: true
    resource_class: rig/linux
    steps: [{run: echo hello}]
workflows: {all: {jobs: [hello]}}
";

/// The published program among the server's contents: the largest.
fn published(server: &Server) -> PathBuf {
    let mut found = Vec::new();
    collect(server.data.clone(), &mut found);
    found.into_iter().max_by_key(|path| fs::metadata(path).map_or(0, |metadata| metadata.len())).unwrap()
}

fn collect(directory: PathBuf, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect(entry.path(), found);
        } else if !entry.file_name().to_string_lossy().contains("sqlite") {
            found.push(entry.path());
        }
    }
}

#[actix_rt::test]
async fn a_wrong_digest_is_refused_and_the_task_given_back() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let program = published(&server);
    let length = fs::metadata(&program).unwrap().len();
    let mut permissions = fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(&program, permissions).unwrap();
    fs::File::options().write(true).open(&program).unwrap().write_all(b"#!/bin/sh\n").unwrap();
    assert_eq!(fs::metadata(&program).unwrap().len(), length, "only the digest is wrong");
    let agent = rig.agent("agent", &server, &[("rig/linux", &token)], 1);
    let pipeline = server.pipeline(CONFIG, "rig/linux").await;
    let view = server.ended(pipeline).await;
    let task = only_task(&view);
    assert_eq!(task.outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    let log = fs::read_to_string(rig.path("agent.log")).unwrap();
    assert!(log.contains("SHA-256"), "the reason is told: {log}");
    let started = integration::proc::running(&agent.state.join("agents").to_string_lossy());
    assert!(started.is_empty(), "it was never started");
}
