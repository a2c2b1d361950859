//! Jobs that wait for an approval, jobs without tasks, and requirements with statuses, over the real API.

use crate::house::{House, OPERATOR, ask, finish, get};
use client::ClientError;
use protocol::{JobId, JobStatus, Outcome, WorkflowId, WorkflowStatus, api::OnHold};
use serde_json::{Value, json};

const GATED: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
  gate: {type: no-op}
workflows:
  main:
    jobs:
      - build
      - hold: {type: approval, requires: [build]}
      - gate: {requires: [hold]}
      - build: {name: deploy, requires: [gate]}
";

const OPERATORS: Option<(&str, &str)> = Some(("Circle-Token", OPERATOR));

/// The gated pipeline, its first job done.
async fn on_hold(house: &House) -> OnHold {
    house.pipeline(GATED).await;
    finish(&house.runner().await, Outcome::Success).await;
    house.operator.on_hold().await.unwrap().remove(0)
}

fn approve_path(workflow: WorkflowId, job: JobId) -> String {
    format!("/api/v2/workflow/{workflow}/approve/{job}")
}

fn message(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["message"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_job_holds_what_requires_it_until_somebody_approves_it() {
    use JobStatus::{Blocked, Queued, Success};
    let house = House::new().await;
    let held = on_hold(&house).await;
    assert_eq!((held.name.as_str(), held.workflow_name.as_str(), held.number), ("hold", "main", 1));
    let view = house.view(held.pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::OnHold);
    let statuses = |words: [JobStatus; 4]| {
        ["build", "hold", "gate", "deploy"].map(str::to_owned).into_iter().zip(words).collect::<Vec<_>>()
    };
    assert_eq!(house.statuses(held.pipeline).await, statuses([Success, JobStatus::OnHold, Blocked, Blocked]));
    house.operator.approve(held.workflow, held.job, "ada@host").await.unwrap();
    assert_eq!(house.statuses(held.pipeline).await, statuses([Success, Success, Success, Queued]));
    assert!(house.operator.on_hold().await.unwrap().is_empty());
    let job = house.view(held.pipeline).await.workflows[0].jobs[1].clone();
    assert_eq!(job.approved_by.as_deref(), Some("ada@host"));
    assert!(job.ended_ms >= job.started_ms && job.started_ms == Some(held.since_ms));
    finish(&house.runner().await, Outcome::Success).await;
    assert_eq!(house.view(held.pipeline).await.workflows[0].status, WorkflowStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_is_shown_and_approved_in_the_public_shapes() {
    let house = House::new().await;
    let held = on_hold(&house).await;
    let workflow = format!("/api/v2/workflow/{}", held.workflow);
    let (status, body) = get(&house, &workflow, OPERATORS).await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &shown["status"], &shown["name"]), (200, &json!("on_hold"), &json!("main")));
    assert_eq!((&shown["pipeline_number"], &shown["stopped_at"]), (&json!(1), &Value::Null));
    let (_, body) = get(&house, &format!("{workflow}/job"), OPERATORS).await;
    let jobs: Value = serde_json::from_str(&body).unwrap();
    let [build, hold, gate] = [0, 1, 2].map(|place| &jobs["items"][place]);
    assert_eq!((&build["type"], &build["job_number"]), (&json!("build"), &json!(1)));
    assert_eq!((&hold["type"], &hold["status"]), (&json!("approval"), &json!("on_hold")));
    assert_eq!(hold["dependencies"], json!([build["id"]]));
    assert_eq!(hold["requires"], json!({ build["id"].as_str().unwrap(): ["success"] }));
    assert_eq!((&gate["type"], &gate["status"]), (&json!("no-op"), &json!("blocked")));
    let request: JobId = hold["approval_request_id"].as_str().unwrap().parse().unwrap();
    let (status, body) = ask(&house, "POST", &approve_path(held.workflow, request), OPERATORS).await;
    assert_eq!((status, body.as_str()), (202, r#"{"message":"Accepted."}"#));
    let job = house.view(held.pipeline).await.workflows[0].jobs[1].clone();
    assert_eq!((job.status, job.approved_by.as_deref()), (JobStatus::Success, Some("the operator")));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_does_not_wait_is_not_approved_and_why_is_said() {
    let house = House::new().await;
    let pipeline = house.pipeline(GATED).await.id;
    let workflow = &house.view(pipeline).await.workflows[0];
    let refused = async |workflow: WorkflowId, job: JobId, status: u16, words: &str| {
        let (code, body) = ask(&house, "POST", &approve_path(workflow, job), OPERATORS).await;
        assert_eq!(code, status, "{body}");
        assert!(message(&body).contains(words), "{body}");
    };
    let [build, hold] = [0, 1].map(|place| workflow.jobs[place].id);
    refused(workflow.id, hold, 409, "does not wait for an approval yet").await;
    refused(workflow.id, build, 409, "`build` is none that waits").await;
    refused(workflow.id, JobId(workflow.id.0), 404, "has no job").await;
    refused(WorkflowId(build.0), hold, 404, "has no job").await;
    finish(&house.runner().await, Outcome::Success).await;
    house.operator.approve(workflow.id, hold, "ada").await.unwrap();
    let again = house.operator.approve(workflow.id, hold, "bob").await.unwrap_err();
    assert!(matches!(&again, ClientError::Conflict(why) if why.contains("already, by ada")), "{again:?}");
    house.operator.cancel(pipeline).await.unwrap();
    refused(workflow.id, hold, 409, "already, by ada").await;
    house.running.stop().await;
}

#[actix_web::test]
async fn an_approvers_token_sees_what_waits_and_approves_it_and_opens_nothing_else() {
    let house = House::with(|settings| settings.approver_token = Some("approver".to_owned())).await;
    let held = on_hold(&house).await;
    let (approver, path) = (Some(("Circle-Token", "approver")), approve_path(held.workflow, held.job));
    for token in [None, Some(("Circle-Token", "other"))] {
        assert_eq!(get(&house, "/api/v3/approvals", token).await.0, 401);
        assert_eq!(ask(&house, "POST", &path, token).await.0, 401);
    }
    let workflow = format!("/api/v2/workflow/{}", held.workflow);
    for path in [&workflow, &format!("{workflow}/job"), &format!("/api/v3/pipelines/{}", held.pipeline)] {
        assert_eq!(get(&house, path, approver).await.0, 401, "{path}");
    }
    assert_eq!(ask(&house, "POST", &format!("{workflow}/cancel"), approver).await.0, 401);
    let (status, body) = get(&house, "/api/v3/approvals", approver).await;
    assert!(status == 200 && body.contains(&held.job.to_string()), "{body}");
    assert_eq!(ask(&house, "POST", &path, approver).await.0, 202);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_on_hold_outlives_its_control_plane() {
    let house = House::new().await;
    let held = on_hold(&house).await;
    let house = house.again(|_| {}).await;
    assert_eq!(house.operator.on_hold().await.unwrap(), std::slice::from_ref(&held));
    house.operator.approve(held.workflow, held.job, "ada").await.unwrap();
    let house = house.again(|_| {}).await;
    finish(&house.runner().await, Outcome::Success).await;
    let workflow = house.view(held.pipeline).await.workflows.remove(0);
    assert_eq!(
        (workflow.status, workflow.jobs[1].approved_by.as_deref()),
        (WorkflowStatus::Success, Some("ada"))
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_on_hold_is_canceled_at_once() {
    let house = House::new().await;
    let held = on_hold(&house).await;
    let path = format!("/api/v2/workflow/{}/cancel", held.workflow);
    assert_eq!(ask(&house, "POST", &path, OPERATORS).await, (202, r#"{"message":"Accepted."}"#.to_owned()));
    let workflow = house.view(held.pipeline).await.workflows.remove(0);
    assert_eq!(workflow.status, WorkflowStatus::Canceled);
    assert!(workflow.jobs[1..].iter().all(|job| job.status == JobStatus::Canceled), "{workflow:?}");
    let late = house.operator.approve(held.workflow, held.job, "ada").await.unwrap_err();
    assert!(late.to_string().contains("it is canceled"), "{late}");
    assert_eq!(ask(&house, "POST", &path, OPERATORS).await.0, 202);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_of_jobs_without_tasks_is_over_as_it_starts() {
    let house = House::new().await;
    let config = "
version: 2.1
jobs: {first: {type: no-op}, last: {type: no-op}}
workflows: {main: {jobs: [first, last: {requires: [first]}]}}
";
    let pipeline = house.pipeline(config).await.id;
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn jobs_run_by_how_what_they_require_ended() {
    use JobStatus::{Failed, NotRun, Queued, Success};
    let house = House::new().await;
    let config = "
version: 2.1
jobs: {build: &job {machine: true, resource_class: acme/linux, steps: [run: make]}, clean: *job, ship: *job}
workflows:
  main:
    jobs:
      - build
      - clean: {requires: [build: [failed, canceled]]}
      - ship: {requires: [build]}
      - ship: {name: instead, requires: [ship: not_run]}
      - ship: {name: at last, requires: [build: terminal, clean: terminal, ship: terminal]}
";
    let pipeline = house.pipeline(config).await.id;
    let runner = house.runner().await;
    finish(&runner, Outcome::Failed).await;
    let house = house.again(|_| {}).await;
    let statuses =
        |all: Vec<(String, JobStatus)>| all.into_iter().map(|(_, status)| status).collect::<Vec<_>>();
    let now = statuses(house.statuses(pipeline).await);
    assert_eq!(now, [Failed, Queued, NotRun, Queued, JobStatus::Blocked]);
    let runner = house.runner().await;
    for _ in 0..3 {
        finish(&runner, Outcome::Success).await;
    }
    assert_eq!(statuses(house.statuses(pipeline).await), [Failed, Success, NotRun, Success, Success]);
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Failed);
    house.running.stop().await;
}
