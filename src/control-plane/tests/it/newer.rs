//! Workflows, jobs and users as the newer command line asks for them.

use crate::{
    house::{CHAIN, House, ONE_JOB, ask, claim_one, end, finish, get, new_pipeline, request},
    page,
    people::person,
    stream::{begun, body, log, records},
    transfers::store,
};
use protocol::{
    Outcome,
    http::{Artifacts, Tests},
    transfer::{Artifact, TestCase, TestResult},
};
use serde_json::{Value, json};
use std::time::SystemTime;

const TOKEN: Option<(&str, &str)> = Some(("Authorization", "Bearer operator's token"));

/// What an operator's `GET` is answered, as JSON.
pub(crate) async fn read(house: &House, path: &str) -> Value {
    let (status, body) = get(house, path, TOKEN).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// What is refused, as the command line reads it.
pub(crate) async fn refused(house: &House, path: &str, status: u16) -> String {
    let (found, body) = get(house, path, TOKEN).await;
    assert_eq!(found, status, "{path}: {body}");
    let told: Value = serde_json::from_str(&body).unwrap();
    let detail = told["error"]["detail"].as_str().unwrap_or_else(|| panic!("{path}: {body}"));
    assert!(
        told["message"] == detail && told["error"]["title"].as_str().is_some_and(|title| !title.is_empty())
    );
    detail.to_owned()
}

fn told<'v>(list: &'v Value, keys: &[&str]) -> Vec<Vec<&'v Value>> {
    let items = list["data"].as_array().unwrap().iter();
    items.map(|item| keys.iter().map(|key| &item["attributes"][*key]).collect()).collect()
}

#[actix_web::test]
async fn a_run_is_followed_from_its_queue_to_its_end() {
    let house = House::new().await;
    let id = house.pipeline(CHAIN).await.id;
    let run = format!("/api/v3/runs/{id}");
    let standing = async || {
        let workflows = read(&house, &format!("/api/v3/workflows?filter[run_id]={id}")).await;
        let workflow = workflows["data"][0]["id"].as_str().unwrap().to_owned();
        let one = read(&house, &format!("/api/v3/workflows/{workflow}")).await;
        assert_eq!(one["data"], workflows["data"][0]);
        assert_eq!(one["data"]["references"]["run"]["id"], json!(id));
        let jobs = read(&house, &format!("/api/v3/jobs?filter%5Bworkflow_id%5D={workflow}")).await;
        let jobs = told(&jobs, &["name", "phase", "outcome"]);
        let run = read(&house, &run).await["data"]["attributes"].clone();
        let workflow = one["data"]["attributes"].clone();
        let ended = workflow["ended_at"].is_string();
        json!([run["phase"], run["current_outcome"], workflow["phase"], workflow["outcome"], ended, jobs])
    };
    let job = |name: &str, phase: &str, outcome: Option<&str>| json!([name, phase, outcome]);
    let blocked = [job("b", "created", None), job("c", "created", None)];
    let [b, c] = &blocked;
    let wanted = json!(["queued", null, "queued", null, false, [job("a", "queued", None), b, c]]);
    assert_eq!(standing().await, wanted);
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let wanted = json!(["started", null, "started", null, false, [job("a", "started", None), b, c]]);
    assert_eq!(standing().await, wanted);
    end(&claimed, &task, Outcome::Success).await;
    finish(&runner, Outcome::Failed).await;
    let jobs = [
        job("a", "ended", Some("succeeded")),
        job("b", "ended", Some("failed")),
        job("c", "ended", Some("not_run")),
    ];
    assert_eq!(standing().await, json!(["ended", "failed", "ended", "failed", true, jobs]));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_job_is_read_with_its_steps_artifacts_and_tests() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let view = house.view(pipeline).await;
    let (workflow, job) = (view.workflows[0].id, view.workflows[0].jobs[0].id);
    let path = format!("/api/v3/jobs/{job}");
    let waiting = read(&house, &path).await;
    let attributes =
        json!({ "name": "build", "type": "build", "phase": "queued", "parallel_executions": [] });
    assert_eq!(waiting["data"]["attributes"], attributes);

    let (claimed, task) = begun(&house).await;
    task.stream(claimed.epoch, body(&[&records()[..1], &[log(0, "hello world")]].concat())).await.unwrap();
    let cases = vec![TestCase {
        classname: "c".to_owned(),
        name: "n".to_owned(),
        file: None,
        result: TestResult::Failure,
        run_time: None,
        message: Some("no\nhow".to_owned()),
    }];
    task.tests(&Tests { epoch: claimed.epoch, request: 1, cases }).await.unwrap();
    let content = store(&task, b"bytes").await;
    let artifacts = vec![Artifact { path: "out/a b.txt".to_owned(), content }];
    task.artifacts(&Artifacts { epoch: claimed.epoch, artifacts }).await.unwrap();
    task.stream(claimed.epoch, body(&records()[1..])).await.unwrap();
    end(&claimed, &task, Outcome::Success).await;

    let found = read(&house, &path).await;
    let ids = ["pipeline", "workflow"].map(|kind| found["data"]["references"][kind]["id"].clone());
    assert_eq!(ids, [json!(pipeline), json!(workflow)]);
    assert_eq!(found["data"]["attributes"]["outcome"], "succeeded");
    let mut steps = found["data"]["attributes"]["parallel_executions"][0]["steps"].clone();
    let host = steps[0].take();
    assert_eq!(
        (&host["type"], &host["num"], &host["outcome"]),
        (&json!("spinup_environment"), &json!(0), &json!("succeeded"))
    );
    let step = json!({ "name": "make", "type": "run", "num": 1, "phase": "ended", "outcome": "succeeded", "exit_code": 0,
        "started_at": "1970-01-01T00:00:00.007Z", "ended_at": "1970-01-01T00:00:00.012Z", "command": "make" });
    assert_eq!(steps[1], step);

    has_artifacts_and_tests(&house, &path).await;
    house.running.stop().await;
}

/// Of that job, at its address.
async fn has_artifacts_and_tests(house: &House, path: &str) {
    let artifacts = read(house, &format!("{path}/artifacts")).await;
    let artifact = &artifacts["data"][0]["attributes"];
    assert_eq!((&artifact["path"], &artifact["execution"]), (&json!("out/a b.txt"), &json!(0)));
    let address = artifact["url"].as_str().unwrap().trim_start_matches("http://x");
    assert_eq!(get(house, address, TOKEN).await, (200, "bytes".to_owned()));
    let tests = page::get(house, &format!("{path}/tests"), "Circle-Token: operator's token\r\n").await;
    let test =
        json!({ "classname": "c", "name": "n", "result": "failure", "run_time": 0.0, "message": "no\nhow" });
    assert_eq!(tests.text(), format!("{test}\n"));
    let told = refused(house, &format!("{path}/resource-usage"), 404).await;
    assert!(told.contains("is not measured here"), "{told}");
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

#[actix_web::test]
async fn a_workflow_is_canceled_and_run_again_and_what_cannot_be_is_told_as_the_command_line_reads_it() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let first = house.view(pipeline).await.workflows[0].id;
    let rerun = format!("/api/v3/workflows/{first}/rerun");
    let answer = request(&house, "POST", &rerun, TOKEN, r#"{"is_from_failed": false}"#).await;
    assert_eq!(answer.0, 409, "{}", answer.1);
    let told: Value = serde_json::from_str(&answer.1).unwrap();
    assert!(told["error"]["title"] == "Conflict" && told["error"]["detail"] == told["message"], "{told}");

    let answer = ask(&house, "POST", &format!("/api/v3/workflows/{first}/cancel"), TOKEN).await;
    assert_eq!(answer, (202, json!({ "data": { "id": first } }).to_string()));
    let listed = read(&house, &format!("/api/v3/workflows?filter[run_id]={pipeline}")).await;
    assert_eq!(told_outcomes(&listed), ["canceled"]);

    // Times are told in milliseconds: the next is another one.
    let before = now_ms();
    while now_ms() == before {
        tokio::task::yield_now().await;
    }
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let bob = Some(("Circle-Token", bob.as_str()));
    let (status, body) = request(&house, "POST", &rerun, bob, r#"{"is_from_failed": true}"#).await;
    let again: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 202, "{body}");
    let listed = read(&house, &format!("/api/v3/workflows?filter[run_id]={pipeline}")).await;
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(first), &again["data"]["id"]]);
    let (_, bob) = get(&house, "/api/v3/users?filter[user_id]=me", bob).await;
    let bob: Value = serde_json::from_str(&bob).unwrap();
    let user = |place: usize| listed["data"][place]["references"]["user"]["id"].clone();
    assert!(user(1) == bob["data"][0]["id"] && user(0) != user(1), "who had it run again: {listed}");
    let made = |place: usize| listed["data"][place]["attributes"]["created_at"].as_str().unwrap();
    assert!(made(0) < made(1), "the rerun was made later than the pipeline: {listed}");
    finish(&house.runner().await, Outcome::Success).await;
    let run = read(&house, &format!("/api/v3/runs/{pipeline}")).await;
    assert_eq!(run["data"]["attributes"]["current_outcome"], "succeeded", "the rerun counts");
    house.running.stop().await;
}

fn told_outcomes(list: &Value) -> Vec<&str> {
    told(list, &["outcome"]).into_iter().map(|words| words[0].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn users_are_whoever_calls_and_others_by_their_ids() {
    let house = House::new().await;
    let ada = format!("Bearer {}", person(&house, "ada", &[("gh/acme", "viewer")]).await);
    let (_, body) = get(&house, "/api/v3/users?filter[user_id]=me", Some(("Authorization", &ada))).await;
    let me: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(me["data"][0]["attributes"]["login"], "ada");
    let id = me["data"][0]["id"].as_str().unwrap();
    assert_eq!(read(&house, &format!("/api/v3/users?filter[user_id]={id}")).await, me);
    let operator = read(&house, "/api/v3/users?filter[user_id]=me").await;
    assert_eq!(operator["data"][0]["attributes"]["login"], "operator");
    let nobody =
        refused(&house, "/api/v3/users?filter[user_id]=00000000-0000-0000-0000-000000000000", 404).await;
    assert!(nobody.starts_with("there is no user"), "{nobody}");
    assert!(refused(&house, "/api/v3/users", 400).await.starts_with("say who"));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_somebody_may_not_see_is_not_there_for_them() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let view = house.view(pipeline).await;
    let (workflow, job) = (view.workflows[0].id, view.workflows[0].jobs[0].id);
    let viewer = format!("Bearer {}", person(&house, "eve", &[("github.com/acme", "viewer")]).await);
    let stranger = format!("Bearer {}", person(&house, "mallory", &[("gh/other", "admin")]).await);
    for path in [
        format!("runs/{pipeline}"),
        format!("workflows?filter[run_id]={pipeline}"),
        format!("workflows/{workflow}"),
        format!("jobs?filter[workflow_id]={workflow}"),
        format!("jobs/{job}"),
        format!("jobs/{job}/artifacts"),
        format!("jobs/{job}/tests"),
    ] {
        let path = format!("/api/v3/{path}");
        assert_eq!(get(&house, &path, Some(("Authorization", &viewer))).await.0, 200, "{path}");
        let (status, body) = get(&house, &path, Some(("Authorization", &stranger))).await;
        assert!(status == 404 && body.contains(r#""error":{"#), "{path}: {status} {body}");
        let (status, body) = get(&house, &path, None).await;
        assert!(status == 401 && body.contains(r#""message":"Unauthorized"#), "{path}: {status} {body}");
    }
    let cancel = format!("/api/v3/workflows/{workflow}/cancel");
    assert_eq!(ask(&house, "POST", &cancel, Some(("Authorization", &viewer))).await.0, 403);
    for path in
        ["workflows", "jobs", "jobs?filter[workflow_id]=x", "workflows?filter[run_id]=x&page[limit]=2"]
    {
        refused(&house, &format!("/api/v3/{path}"), 400).await;
    }
    let nobody = "00000000-0000-0000-0000-000000000000";
    for path in [
        format!("workflows?filter[run_id]={nobody}"),
        format!("jobs?filter[workflow_id]={nobody}"),
        "jobs/x".to_owned(),
    ] {
        refused(&house, &format!("/api/v3/{path}"), 404).await;
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_job_of_which_one_task_failed_is_failing_while_the_other_runs() {
    let house = House::new().await;
    let config = ONE_JOB.replace("machine: true", "machine: true\n    parallelism: 2");
    let pipeline = house.operator.create_pipeline(&new_pipeline(&config)).await.unwrap().id;
    let view = house.view(pipeline).await;
    let runner = house.runner().await;
    finish(&runner, Outcome::Failed).await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let path = format!("/api/v3/jobs?filter[workflow_id]={}", view.workflows[0].id);
    let list = read(&house, &path).await;
    assert_eq!(told(&list, &["phase", "current_outcome"]), [[&json!("started"), &json!("failed")]]);
    let one = read(&house, &format!("/api/v3/jobs/{}", view.workflows[0].jobs[0].id)).await;
    assert_eq!(one["data"]["attributes"]["parallel_executions"].as_array().unwrap().len(), 2);
    house.running.stop().await;
}
