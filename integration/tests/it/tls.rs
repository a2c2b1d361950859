//! A control plane that speaks TLS, with the real programs: who trusts its authority works with it, and nobody else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    pipelines::only_task,
    rig::{Rig, SELF_SIGNED},
    wait,
};
use protocol::Outcome;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

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

/// The directory of a certificate that is good for this host, and of the authority to trust for it.
fn made(rig: &Rig, name: &str) -> PathBuf {
    rig.server_with(name, "127.0.0.1:0", &[SELF_SIGNED]).data.join("tls")
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_one_that_is_none_is_not() {
    let rig = Rig::new();
    let (first, second) = (made(&rig, "first"), made(&rig, "second"));
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| rig.path(name));
    let put = |from: &Path| {
        fs::copy(from.join("certificate.pem"), &certificate).unwrap();
        fs::copy(from.join("key.pem"), &key).unwrap();
    };
    put(&first);
    let options = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let mut server = rig.server_with("server", "127.0.0.1:0", &options);
    let health = format!("{}/healthz", server.url.replace("http", "https"));
    let is_trusted = |by: &Path| {
        let mut asked = Command::new("curl");
        asked.args(["-sSf", "--max-time", "10", "--cacert"]).arg(by.join("authority.pem")).arg(&health);
        said(asked)
    };
    is_trusted(&first).unwrap();
    fs::write(&certificate, "nothing").unwrap();
    wait::until("the log tells of it", Duration::from_secs(60), || {
        (server.program().says("callers are shown the certificate before still") > 0).then_some(())
    });
    is_trusted(&first).unwrap();
    put(&second);
    wait::until("the new one is shown", Duration::from_secs(60), || is_trusted(&second).ok());
    is_trusted(&first).unwrap_err();
}
