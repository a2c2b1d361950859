//! Jobs that wait for the end of a release, over the real API.

use crate::house::{House, OPERATOR, ask, get, post_with};
use client::ClientError;
use protocol::{
    JobStatus, WorkflowStatus,
    api::{OnHold, ReleaseStatus, Released},
};
use serde_json::{Value, json};

const RELEASED: &str = "
version: 2.1
jobs: {ship: {type: release, plan_name: shop}, gate: {type: no-op}}
workflows:
  good: {jobs: [ship, gate: {requires: [ship]}]}
  bad: {jobs: [ship, gate: {requires: [ship]}, gate: {name: mend, requires: [ship: failed]}]}
  other: {jobs: [hold: {type: approval}]}
";

/// What waits of a workflow.
async fn held(house: &House, workflow: &str) -> OnHold {
    let all = house.operator.on_hold().await.unwrap();
    all.into_iter().find(|one| one.workflow_name == workflow).unwrap()
}

fn ended(status: ReleaseStatus, reason: Option<&str>) -> Released {
    Released { status, reason: reason.map(str::to_owned), by: Some("ada@host".to_owned()) }
}

#[actix_web::test]
async fn a_release_that_failed_fails_its_workflow_and_one_that_succeeded_lets_it_go_on() {
    let house = House::new().await;
    let pipeline = house.pipeline(RELEASED).await.id;
    let (good, bad) = (held(&house, "good").await, held(&house, "bad").await);
    assert_eq!(good.plan.as_deref(), Some("shop"));
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::OnHold);
    let house = house.again(|_| {}).await;
    assert_eq!(held(&house, "good").await, good, "it outlives its control plane");
    house.operator.release(good.workflow, good.job, &ended(ReleaseStatus::Success, None)).await.unwrap();
    let failed = ended(ReleaseStatus::Failed, Some("5xx\neverywhere"));
    house.operator.release(bad.workflow, bad.job, &failed).await.unwrap();
    let house = house.again(|_| {}).await;
    let view = house.view(pipeline).await;
    let (good, bad) = (&view.workflows[0], &view.workflows[1]);
    assert_eq!(good.status, WorkflowStatus::Success);
    assert_eq!(good.jobs[0].answer().as_deref(), Some("released by ada@host"));
    assert_eq!(bad.status, WorkflowStatus::Failed);
    let statuses: Vec<JobStatus> = bad.jobs.iter().map(|job| job.status).collect();
    assert_eq!(statuses, [JobStatus::Failed, JobStatus::NotRun, JobStatus::Success]);
    assert_eq!(
        bad.jobs[0].answer().as_deref(),
        Some("the release `shop` failed: 5xxeverywhere (says ada@host)")
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn an_approval_is_no_release_and_a_release_no_approval() {
    let house = House::new().await;
    house.pipeline(RELEASED).await;
    let (ship, hold) = (held(&house, "good").await, held(&house, "other").await);
    let conflict = |result: Result<(), ClientError>, words: &str| match result.unwrap_err() {
        ClientError::Conflict(why) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    };
    let success = ended(ReleaseStatus::Success, None);
    conflict(house.operator.approve(ship.workflow, ship.job, "ada").await, "waits for that and no approval");
    conflict(house.operator.release(hold.workflow, hold.job, &success).await, "`hold` is no release");
    house.operator.release(ship.workflow, ship.job, &success).await.unwrap();
    let again = house.operator.release(ship.workflow, ship.job, &success).await;
    conflict(again, "over already, says ada@host: it is success");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_release_is_shown_in_the_public_shape_and_its_end_said_with_an_approvers_token() {
    let house = House::with(|settings| settings.approver_token = Some("approver".to_owned())).await;
    house.pipeline(RELEASED).await;
    let ship = held(&house, "bad").await;
    let jobs = format!("/api/v2/workflow/{}/job", ship.workflow);
    let operator = Some(("Circle-Token", OPERATOR));
    let shown = async || -> Value {
        let (_, body) = get(&house, &jobs, operator).await;
        serde_json::from_str::<Value>(&body).unwrap()["items"][0].clone()
    };
    let before = shown().await;
    assert_eq!((&before["type"], &before["plan_name"]), (&json!("release"), &json!("shop")));
    assert_eq!((&before["status"], &before["released_by"]), (&json!("on_hold"), &Value::Null));
    let path = format!("/api/v3/workflows/{}/release/{}", ship.workflow, ship.job);
    let approver = ("Circle-Token", "approver");
    for wrong in ["{}", r#"{"status":"perhaps"}"#, r#"{"status":"success","more":1}"#] {
        assert_eq!(post_with(&house, &path, &[approver], wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(ask(&house, "POST", &path, None).await.0, 401);
    assert_eq!(post_with(&house, &path, &[approver], r#"{"status":"failed"}"#).await.0, 202);
    let after = shown().await;
    assert_eq!((&after["status"], &after["released_by"]), (&json!("failed"), &json!("the operator")));
    house.running.stop().await;
}
