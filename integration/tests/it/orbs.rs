//! Orbs of a team: published once on a control plane, used by everybody's configurations and pipelines.

use integration::{
    local::Ended,
    rig::{Rig, Server},
};
use std::{fs, process::Command};

const COMMAND: &str = "parameters: {to: {type: string}}\nsteps: [run: {command: << include(say.sh) >>, environment: {TO: << parameters.to >>}}]\n";

const CONFIG: &str = "version: 2.1
orbs: {tools: acme/tools@1}
jobs: {hello: {machine: true, resource_class: acme/linux, steps: [tools/say: {to: you}]}}
workflows: {all: {jobs: [hello]}}
";

/// A command about one control plane, with the right to operate it, and with no orbs of this machine.
fn about(rig: &Rig, server: &Server, arguments: &[&str]) -> Command {
    let mut command = rig.roundhouse();
    command.args(arguments).args(["--host", &server.url]).env("ROUNDHOUSE_TOKEN", &server.token);
    command.env("ROUNDHOUSE_ORBS", rig.path("none")).env_remove("ROUNDHOUSE_ORB_URLS");
    command
}

#[track_caller]
fn ends(rig: &Rig, command: Command, status: i32) -> Ended {
    let ended = rig.finish(command);
    assert_eq!(ended.status, status, "{ended:#?}");
    ended
}

#[test]
fn an_orb_is_published_once_and_used_by_everybody() {
    let rig = Rig::new();
    let server = rig.server("server");
    rig.write("orb/@orb.yml", "description: Says.\n");
    rig.write("orb/commands/say.yml", COMMAND);
    rig.write("orb/say.sh", "cat <<EOF\n$TO\nEOF\n");
    let project = rig.project("project", CONFIG);
    let config = project.join(".circleci/config.yml").display().to_string();
    let missing = ends(&rig, about(&rig, &server, &["config", "validate", &config]), 1);
    assert!(
        missing.errors.contains(&format!("orb import acme/tools@1 --host {}", server.url)),
        "{missing:#?}"
    );

    let publish = ["orb", "publish", "acme/tools@1.0.0", "orb"];
    let published = ends(&rig, about(&rig, &server, &publish), 0);
    assert_eq!(published.output, format!("Orb acme/tools@1.0.0 is published on {}.\n", server.url));
    ends(&rig, about(&rig, &server, &publish), 0);
    rig.write("orb/say.sh", "echo $TO\n");
    let refused = ends(&rig, about(&rig, &server, &publish), 2);
    assert!(refused.errors.contains("published already with another source"), "{refused:#?}");
    ends(&rig, about(&rig, &server, &["orb", "publish", "acme/tools@dev:next", "orb"]), 0);

    let listed = ends(&rig, about(&rig, &server, &["orb", "list"]), 0);
    assert_eq!(listed.output, "acme/tools@1.0.0\nacme/tools@dev:next\n");
    let source = ends(&rig, about(&rig, &server, &["orb", "source", "acme/tools@1"]), 0);
    assert!(source.output.contains("cat \\<<EOF"), "{source:#?}");
    let processed = ends(&rig, about(&rig, &server, &["config", "process", &config]), 0);
    assert!(
        processed.output.starts_with("# Orb 'acme/tools@1' resolved to 'acme/tools@1.0.0'\n"),
        "{processed:#?}"
    );

    ends(&rig, about(&rig, &server, &["resource-class", "create", "acme/linux"]), 0);
    ends(&rig, about(&rig, &server, &["pipeline", "run", &project.display().to_string()]), 0);
    assert!(!rig.path("none").exists(), "nothing was published here");
}

#[test]
fn an_address_that_is_not_allowed_is_not_asked() {
    let rig = Rig::new();
    let config =
        rig.write("config.yml", &CONFIG.replace("acme/tools@1", "https://127.0.0.1:9/orbs/tools.yml"));
    let validate = |prefixes: &str| {
        let mut command = rig.roundhouse();
        command.args(["config", "validate"]).arg(&config).env("ROUNDHOUSE_ORB_URLS", prefixes);
        for proxy in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        ends(&rig, command, 1).errors
    };
    let refused = validate("https://orbs.acme.example/");
    assert!(refused.contains("`--orb-url https://127.0.0.1:9/orbs/`"), "{refused}");
    let asked = validate("https://orbs.acme.example/,https://127.0.0.1:9/orbs/");
    assert!(asked.contains("cannot reach GET https://127.0.0.1:9/orbs/tools.yml"), "{asked}");
    fs::write(&config, CONFIG.replace("acme/tools@1", "http://127.0.0.1:9/orbs/tools.yml")).unwrap();
    assert!(validate("https://127.0.0.1:9/").contains("names no orb"));
}
