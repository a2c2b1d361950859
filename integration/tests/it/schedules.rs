//! Schedules with the real programs: workflows of a pushed configuration and schedules that people make start at real
//! minutes, and not twice where the control plane dies meanwhile.

use integration::{
    fleet::{CLASS, Fleet},
    git::{Http, Repository},
};
use protocol::{PipelineId, webhook::Received};
use ring::hmac;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const PROJECT: &str = "github.com/acme/app";
/// Two minutes begin within it, and their pipelines.
const PATIENCE: Duration = Duration::from_secs(200);

fn config() -> String {
    format!(
        "version: 2.1
jobs:
  say: {{machine: true, resource_class: {CLASS}, steps: [run: {{name: say, command: echo \"<< pipeline.trigger_source >> << pipeline.schedule.name >>\"}}]}}
workflows:
  pushed: {{when: pipeline.trigger.type != \"schedule\", jobs: [say]}}
  asked: {{when: pipeline.schedule.name == \"ours\", jobs: [say]}}
  minutely: {{triggers: [schedule: {{cron: \"* * * * *\", filters: {{branches: {{only: main}}}}}}], jobs: [say]}}
"
    )
}

/// A push of the revision, as GitHub tells of it.
fn push(fleet: &Fleet, secret: &str, revision: &str) -> PipelineId {
    let body = format!(
        "{{\"ref\": \"refs/heads/main\", \"after\": \"{revision}\", \"repository\": {{\"default_branch\": \"main\"}}}}"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed: String =
        hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let header = format!("X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signed}");
    let answered = fleet.server.call("POST", &format!("/api/v3/webhooks/{PROJECT}"), &header, &body);
    assert_eq!(answered.status, 200, "{}", answered.body);
    let received: Received = serde_json::from_str(&answered.body).expect("it is in the shape");
    received.pipelines[0].id
}

/// All pipelines of the project, as the public API lists them.
fn pipelines(fleet: &Fleet) -> Vec<Value> {
    let header = format!("Circle-Token: {}", fleet.server.token);
    let answered = fleet.server.call("GET", &format!("/api/v2/project/{PROJECT}/pipeline"), &header, "");
    let listed: Value = serde_json::from_str(&answered.body).expect("it is in the shape");
    listed["items"].as_array().expect("it is a list").clone()
}

/// The minutes in which pipelines of a workflow of this name were made.
async fn minutes(fleet: &Fleet, workflow: &str) -> Vec<String> {
    let mut minutes = Vec::new();
    for pipeline in pipelines(fleet) {
        let id = pipeline["id"].as_str().expect("it has an id").parse().expect("it is one");
        let view = fleet.server.operator().pipeline(id).await.expect("it is there");
        assert!(view.errors.is_empty(), "{:?}", view.errors);
        if view.workflows.iter().any(|one| one.name == workflow) {
            minutes.push(pipeline["created_at"].as_str().expect("it has a time")[..16].to_owned());
        }
    }
    minutes
}

async fn until(fleet: &Fleet, pushed: PipelineId, workflow: &str, many: usize) {
    let begun = Instant::now();
    while minutes(fleet, workflow).await.len() < many {
        assert!(begun.elapsed() < PATIENCE, "not {many} of {workflow}: {:#?}", pipelines(fleet));
        // Held open for a second, for nothing happens to that one any more.
        let _ = fleet.server.operator().feed(pushed, u64::MAX, 1000).await;
    }
}

#[actix_rt::test]
async fn workflows_and_schedules_start_each_minute_and_none_twice_although_the_control_plane_is_killed() {
    let mut fleet = Fleet::start(&["--allow-insecure-fetch"]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let http = Http::serve(&fleet.rig.path("git"));
    let url = format!("{}/app.git", http.url);
    let secret = fleet.roundhouse(&["project", "create", PROJECT, "--url", &url, "--provider", "github"]);
    assert_eq!(secret.status, 0, "{}", secret.errors);
    let revision = repository.commit(".circleci/config.yml", &config(), "refs/heads/main");
    let pushed = push(&fleet, secret.output.trim(), &revision);
    let hours = (0..24).map(|hour| hour.to_string()).collect::<Vec<_>>().join(",");
    let arguments = ["schedule", "create", PROJECT, "--name", "ours", "--branch", "main", "--per-hour", "60"];
    let made = fleet.roundhouse(&[&arguments[..], &["--hours", &hours]].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    let listed = fleet.roundhouse(&["schedule", "list", PROJECT]);
    assert!(
        listed.output.contains("ours  branch main") && listed.output.contains(made.output.trim()),
        "{listed:#?}"
    );
    for workflow in ["minutely", "asked"] {
        until(&fleet, pushed, workflow, 1).await;
    }
    fleet.server.program().kill();
    let address = fleet.server.url.trim_start_matches("http://").to_owned();
    fleet.server = fleet.rig.server_with("server", &address, &["--allow-insecure-fetch"]);
    for workflow in ["minutely", "asked"] {
        until(&fleet, pushed, workflow, 2).await;
        let minutes = minutes(&fleet, workflow).await;
        let once: BTreeSet<&String> = minutes.iter().collect();
        assert_eq!(once.len(), minutes.len(), "{workflow} started twice in a minute: {minutes:?}");
    }
    assert_eq!(minutes(&fleet, "pushed").await.len(), 1);
    assert_eq!(fleet.roundhouse(&["schedule", "delete", made.output.trim()]).status, 0);
    assert_eq!(fleet.roundhouse(&["schedule", "delete", made.output.trim()]).status, 2);
    for pipeline in pipelines(&fleet) {
        let id = pipeline["id"].as_str().expect("it has an id").parse().expect("it is one");
        let view = fleet.server.ended(id).await;
        let said = fleet.log(&view, "say", "say").await;
        let expected = match view.workflows[0].name.as_str() {
            "minutely" => "schedule minutely\n",
            "asked" => "scheduled_pipeline ours\n",
            _ => "webhook \n",
        };
        assert_eq!(said, expected);
    }
}
