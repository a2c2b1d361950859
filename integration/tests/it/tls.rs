//! A control plane that speaks TLS, with the real programs: who trusts its authority works with it, and nobody else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::only_task,
    rig::{Rig, SELF_SIGNED},
};
use protocol::Outcome;
use std::process::Command;

const CONFIG: &str = "
version: 2.1
jobs:
  hello:
    machine: true
    steps: [run: echo hello]
workflows: {main: {jobs: [hello]}}
";

/// The output of a command that is to succeed, or what it complained of.
fn said(mut command: Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[actix_rt::test]
async fn jobs_run_and_people_call_over_tls_for_whoever_trusts_the_control_planes_own_authority() {
    let rig = Rig::new();
    let server = rig.server_with("server", "127.0.0.1:0", &[SELF_SIGNED]);
    let authority = server.data.join("tls/authority.pem");
    let token = server.class("acme/linux").await;
    let trusts = [("ROUNDHOUSE_API_CA_FILE", authority.as_path())];
    let _agent =
        rig.agent_within("agent", &server.url, &[("acme/linux", &token)], &[("concurrency", "1")], &trusts);
    let pipeline = server.pipeline(CONFIG, "acme/linux").await;
    let view = server.ended(pipeline).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Success));
    let listed = |authority: Option<&std::path::Path>| {
        let mut command = rig.roundhouse();
        command.args(["resource-class", "list", "acme", "--host", &server.url]);
        command.env("ROUNDHOUSE_TOKEN", &server.token).env_remove("ROUNDHOUSE_CA_FILE");
        if let Some(path) = authority {
            command.arg("--ca-file").arg(path);
        }
        said(command)
    };
    assert!(listed(Some(&authority)).unwrap().contains("acme/linux"));
    let complaint = listed(None).unwrap_err();
    assert!(complaint.contains("certificate"), "{complaint}");
    let mut plain = Command::new("curl");
    plain.args(["-sS", "--max-time", "10", &server.url.replace("https", "http")]);
    assert!(said(plain).is_err(), "nothing is answered without TLS");
    let mut health = Command::new("curl");
    health
        .args(["-sSf", "--max-time", "10", "--cacert"])
        .arg(&authority)
        .arg(format!("{}/healthz", server.url));
    said(health).unwrap();
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let rig = Rig::new();
    let file = rig.write("nothing.pem", "nothing");
    let mut command = rig.roundhouse();
    command.args(["server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(rig.path("server"));
    command.arg("--tls-certificate").arg(&file).arg("--tls-key").arg(&file);
    let complaint = said(command).unwrap_err();
    assert!(complaint.contains("nothing.pem is no certificate in PEM"), "{complaint}");
}
