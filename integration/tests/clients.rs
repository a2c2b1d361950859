//! Clients that others have written for CircleCI, unmodified, with the real programs.

use integration::{
    python,
    rig::{Rig, Server, pipeline},
};
use protocol::api::GitValues;
use std::{path::Path, process::Command};

const CLASS: &str = "rig/linux";

/// The last job succeeds once a file is there.
fn gated(gate: &Path) -> String {
    format!(
        r#"version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: |
          mkdir out
          echo made > "out/a file.txt"
          echo '<testsuite><testcase classname="c" name="n" time="0.25"/></testsuite>' > results.xml
      - store_artifacts: {{path: out, destination: out}}
      - store_test_results: {{path: results.xml}}
  ship:
    machine: true
    steps: [run: {{name: Ship, command: test -e {gate}}}]
workflows:
  all:
    jobs:
      - build
      - hold: {{type: approval, requires: [build]}}
      - ship: {{requires: [hold]}}
"#,
        gate = gate.display()
    )
}

/// Goes on until somebody cancels it.
const ENDLESS: &str = "version: 2.1
jobs: {endless: {machine: true, steps: [run: sleep 10000]}}
workflows: {all: {jobs: [endless]}}
";

async fn begin(server: &Server, config: &str) {
    let mut new = pipeline(config, CLASS);
    new.project = "github.com/acme/app".to_owned();
    new.git = GitValues {
        revision: Some("0123456789012345678901234567890123456789".to_owned()),
        branch: Some("main".to_owned()),
        url: Some("https://github.com/acme/app.git".to_owned()),
        ..GitValues::default()
    };
    server.operator().create_pipeline(&new).await.unwrap_or_else(|error| panic!("{error}"));
}

/// An environment of Python that is kept for the next run of the tests.
fn python_with(name: &str, packages: &[&str]) -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    python::with(&folder, packages).inspect_err(|lacking| eprintln!("skipped: {lacking}")).ok()
}

#[actix_rt::test]
async fn pycircleci_reads_approves_reruns_and_cancels() {
    let Some(python) = python_with("pycircleci", &["pycircleci==0.7.0"]) else { return };
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 3);
    let gate = rig.path("gate");
    begin(&server, &gated(&gate)).await;
    for _ in 0..2 {
        begin(&server, ENDLESS).await;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/pycircleci_does.py");
    let mut command = Command::new(python);
    command.arg(script).args([&server.url, &server.token]).arg(&gate).arg(rig.path(""));
    let ended = rig.finish(command);
    assert_eq!((ended.status, ended.output.trim()), (0, "all is as it should be"), "{ended:#?}");
}
