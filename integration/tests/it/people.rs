//! People of a control plane with the real programs: known, given roles, calling by tokens of their own, and told of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    fleet::{CLASS, Fleet},
    local::Ended,
    rig::pipeline,
};
use protocol::WorkflowStatus;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

const CONFIG: &str = "version: 2.1
jobs:
  build: {machine: true, steps: [run: echo built]}
";

/// A command of somebody with this token.
fn by(fleet: &Fleet, token: &str, arguments: &[&str]) -> Ended {
    let mut command = fleet.rig.roundhouse();
    command.args(arguments).args(["--host", &fleet.server.url, "--token", token]);
    fleet.rig.finish(command)
}

/// Opens the link for the first admin as a browser does: their token.
fn first_admin(fleet: &Fleet) -> String {
    let log = std::fs::read_to_string(fleet.rig.path("server.log")).unwrap();
    let link = log.split("\"link\":\"").nth(1).expect("the server prints a link").split('"').next().unwrap();
    let host = fleet.server.url.strip_prefix("http://").unwrap();
    let path = link.strip_prefix(&fleet.server.url).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\
         Connection: close\r\n\r\nlogin=ada"
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page.split("<code>").nth(1).expect("the page shows a token").split("</code>").next().unwrap().to_owned()
}

#[actix_rt::test]
async fn the_first_admin_gives_roles_and_each_does_as_much_as_theirs_allows_and_is_told_of() {
    let fleet = Fleet::start(&[]).await;
    let ada = first_admin(&fleet);
    let made = by(&fleet, &ada, &["user", "create", "bob", "--role", "member", "--organization", "local"]);
    assert_eq!(made.status, 0, "{made:#?}");
    let bob = made.output.trim().to_owned();
    assert!(bob.starts_with("RHPAT_"), "{made:#?}");
    let viewer = by(&fleet, &ada, &["user", "create", "eve", "--role", "viewer", "--organization", "local"]);
    let eve = viewer.output.trim().to_owned();
    let badge = by(&fleet, &ada, &["token", "create", "--project", "local/rig", "--scope", "view-builds"]);
    let badge = badge.output.trim().to_owned();
    let new = pipeline(CONFIG, CLASS);
    let started = fleet.server.transport.operator(&bob).create_pipeline(&new).await.unwrap();
    let view = fleet.server.ended(started.id).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success);
    for reader in [&eve, &badge] {
        let reader = fleet.server.transport.operator(reader);
        assert_eq!(reader.pipeline(started.id).await.unwrap().number, 1);
        let refused = reader.create_pipeline(&new).await.unwrap_err().to_string();
        assert!(refused.contains("role `member`") || refused.contains("`view-builds`"), "{refused}");
    }
    let rerun = by(&fleet, &bob, &["rerun", &started.id.to_string()]);
    assert_eq!(rerun.status, 0, "{rerun:#?}");
    let listed = by(&fleet, &bob, &["token", "list", "--user", "me"]);
    assert!(listed.output.contains("first") && !listed.output.contains("never"), "{listed:#?}");
    let not_his = by(&fleet, &bob, &["user", "list"]);
    assert!(not_his.status != 0 && not_his.errors.contains("role `viewer` of everything"), "{not_his:#?}");
    assert_eq!(by(&fleet, &ada, &["user", "delete", "bob"]).status, 0);
    let gone = by(&fleet, &bob, &["token", "list", "--user", "me"]);
    assert!(gone.status != 0 && gone.errors.contains("refuses the token"), "{gone:#?}");
    let told = by(&fleet, &ada, &["audit"]);
    for line in ["user.create", "role.give", "rerun", "user.delete"] {
        assert!(told.output.contains(line), "{line}: {told:#?}");
    }
    assert!([&ada, &bob, &eve, &badge].iter().all(|token| !told.output.contains(*token)));
    assert!(
        by(&fleet, &ada, &["audit", "--organization", "local", "--json"])
            .output
            .contains("\"actor\":\"bob\"")
    );
}
