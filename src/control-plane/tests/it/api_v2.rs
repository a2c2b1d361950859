//! What the public API v2 reads, and the little of v1.1 beside it: projects, pipelines, jobs by number, their artifacts and tests.

use crate::house::{House, ONE_JOB, OPERATOR, ask, claim_one, end, finish, get, new_pipeline};
use crate::transfers::store;
use client::TaskClient;
use protocol::{
    Epoch, JobStatus, Outcome,
    api::{CommitValues, GitValues},
    http::{Artifacts, Tests},
    transfer::{Artifact, TestCase, TestResult},
};
use serde_json::{Value, json};

const TOKEN: Option<(&str, &str)> = Some(("Circle-Token", OPERATOR));

/// What an operator's `GET` is answered, as JSON.
async fn read(house: &House, path: &str) -> Value {
    let (status, body) = get(house, path, TOKEN).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// A pipeline of this project on a branch.
async fn pipeline_of(house: &House, project: &str, branch: &str) -> String {
    let mut new = new_pipeline(ONE_JOB);
    new.project = project.to_owned();
    new.git = GitValues {
        revision: Some("f00".to_owned()),
        branch: Some(branch.to_owned()),
        url: Some("https://me:pw@github.com/acme/app.git".to_owned()),
        default_branch: Some("main".to_owned()),
        commit: CommitValues { subject: "Teach".to_owned(), ..CommitValues::default() },
        ..GitValues::default()
    };
    house.operator.create_pipeline(&new).await.unwrap().id.to_string()
}

#[actix_web::test]
async fn the_operator_is_told_who_they_are_and_which_organizations_there_are() {
    let house = House::new().await;
    for project in ["github.com/acme/app", "github.com/acme/lib", "local/notes"] {
        pipeline_of(&house, project, "main").await;
    }
    let me = read(&house, "/api/v2/me").await;
    assert_eq!((&me["login"], &read(&house, "/api/v1.1/me").await), (&json!("operator"), &me));
    assert_eq!(read(&house, &format!("/api/v2/user/{}", me["id"].as_str().unwrap())).await, me);
    let organizations = read(&house, "/api/v2/me/collaborations").await;
    let slugs: Vec<_> = organizations.as_array().unwrap().iter().map(|one| &one["slug"]).collect();
    assert_eq!(slugs, ["github.com/acme", "local"]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_project_and_its_pipelines_are_found_by_each_name_of_its_host() {
    let house = House::new().await;
    let id = pipeline_of(&house, "github.com/acme/app", "main").await;
    for slug in ["github.com/acme/app", "gh/acme/app", "github/acme/app", "gh%2Facme%2Fapp"] {
        let project = read(&house, &format!("/api/v2/project/{slug}")).await;
        assert_eq!(project["slug"], "github.com/acme/app", "{slug}");
        assert_eq!(project["vcs_info"]["vcs_url"], "https://github.com/acme/app.git", "without its password");
        for path in ["pipeline", "pipeline/mine", "pipeline?branch=main"] {
            let listed = read(&house, &format!("/api/v2/project/{slug}/{path}")).await;
            assert_eq!(listed["items"][0]["id"], id, "{slug}/{path}");
        }
        let one = read(&house, &format!("/api/v2/project/{slug}/pipeline/1")).await;
        assert_eq!(one, read(&house, &format!("/api/v2/pipeline/{id}")).await);
        assert_eq!(one["vcs"]["commit"]["subject"], "Teach");
        assert!(!one.to_string().contains("pw@"), "{one}");
    }
    let other = read(&house, "/api/v2/project/gh/acme/app/pipeline?branch=other").await;
    assert_eq!(other, json!({ "items": [], "next_page_token": null }));
    let listed = read(&house, "/api/v2/pipeline?org-slug=gh/acme&mine=true").await;
    assert_eq!(listed["items"][0]["id"], id);
    house.running.stop().await;
}

#[actix_web::test]
async fn pages_of_pipelines_follow_each_other_from_the_newest_on_and_miss_none() {
    let house = House::new().await;
    for _ in 0..45 {
        house.pipeline(ONE_JOB).await;
    }
    let (mut numbers, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = read(&house, &format!("/api/v2/project/gh/acme/shop/pipeline{token}")).await;
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        numbers.extend(items.iter().map(|item| item["number"].as_u64().unwrap()));
        let Some(next) = page["next_page_token"].as_str() else { break };
        token = format!("?page-token={next}");
    }
    assert_eq!((sizes, numbers), (vec![20, 20, 5], (1..=45).rev().collect()));
    house.running.stop().await;
}

fn case(name: usize) -> TestCase {
    TestCase {
        classname: "c".to_owned(),
        name: name.to_string(),
        file: None,
        result: TestResult::Success,
        run_time: Some(0.5),
        message: None,
    }
}

async fn tested(task: &TaskClient, epoch: Epoch, request: u64, names: std::ops::Range<usize>) {
    task.tests(&Tests { epoch, request, cases: names.map(case).collect() }).await.unwrap();
}

#[actix_web::test]
async fn a_job_is_read_by_its_number_with_artifacts_and_tests() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    tested(&task, claimed.epoch, 1, 0..100).await;
    tested(&task, claimed.epoch, 2, 100..130).await;
    let content = store(&task, b"bytes").await;
    let artifacts = vec![Artifact { path: "out/a b.txt".to_owned(), content }];
    task.artifacts(&Artifacts { epoch: claimed.epoch, artifacts }).await.unwrap();
    end(&claimed, &task, Outcome::Success).await;

    let base = "/api/v2/project/gh/acme/shop";
    let job = read(&house, &format!("{base}/job/1")).await;
    let told = ["name", "number", "status", "executor", "parallel_runs"].map(|key| job[key].clone());
    let executor = json!({ "type": "machine", "resource_class": "acme/linux" });
    let runs = json!([{ "index": 0, "status": "success" }]);
    assert_eq!(told, [json!("build"), json!(1), json!("success"), executor, runs]);
    assert_eq!((&job["pipeline"]["id"], &job["organization"]["name"]), (&json!(pipeline), &json!("acme")));
    assert!(job["queued_at"].as_str() <= job["started_at"].as_str(), "{job}");

    let artifacts = read(&house, &format!("{base}/1/artifacts")).await;
    let address = artifacts["items"][0]["url"].as_str().unwrap();
    assert_eq!(artifacts["items"][0]["path"], "out/a b.txt");
    assert_eq!(get(&house, address.trim_start_matches("http://x"), TOKEN).await, (200, "bytes".to_owned()));
    let older = read(&house, "/api/v1.1/project/gh/acme/shop/1/artifacts").await;
    assert_eq!((&older[0]["pretty_path"], &older[0]["url"]), (&json!("out/a b.txt"), &json!(address)));

    let first = read(&house, &format!("{base}/1/tests")).await;
    let next = first["next_page_token"].as_str().unwrap();
    let second = read(&house, &format!("{base}/1/tests?page-token={next}")).await;
    let pages = [&first, &second].map(|page| page["items"].as_array().unwrap());
    let names: Vec<_> = pages.into_iter().flatten().map(|test| test["name"].as_str().unwrap()).collect();
    assert_eq!(names, (0..130).map(|name| name.to_string()).collect::<Vec<_>>());
    assert_eq!(second["next_page_token"], Value::Null);
    let older = read(&house, "/api/v1.1/project/gh/acme/shop/1/tests").await;
    assert_eq!(older["tests"].as_array().unwrap().len(), 130);
    house.running.stop().await;
}

const PAIR: &str = "
version: 2.1
jobs:
  a: &job {machine: true, resource_class: acme/linux, steps: [run: make]}
  b: *job
  c: *job
workflows:
  all:
    jobs: [a, b: {requires: [a]}, c]
";

#[actix_web::test]
async fn one_job_is_canceled_and_the_others_go_on() {
    use JobStatus::{Blocked, Canceled, NotRun, Queued};
    let house = House::new().await;
    let pipeline = house.pipeline(PAIR).await.id;
    let path = |number: u32| format!("/api/v2/project/gh/acme/shop/job/{number}/cancel");
    let (status, body) = ask(&house, "POST", &path(2), TOKEN).await;
    assert!(status == 409 && body.contains("`b` has not begun"), "{status} {body}");
    let standing =
        async || -> Vec<_> { house.statuses(pipeline).await.into_iter().map(|(_, status)| status).collect() };
    assert_eq!(standing().await, [Queued, Blocked, Queued]);
    for _ in 0..2 {
        assert_eq!(ask(&house, "POST", &path(1), TOKEN).await.0, 202);
        assert_eq!(standing().await, [Canceled, NotRun, Queued]);
    }
    let id = house.view(pipeline).await.workflows[0].jobs[2].id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    assert_eq!(ask(&house, "POST", &format!("/api/v2/jobs/{id}/cancel"), TOKEN).await.0, 202);
    end(&claimed, &task, Outcome::Canceled).await;
    assert_eq!(standing().await, [Canceled, NotRun, Canceled]);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_answered_is_refused_with_a_status_and_a_message() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let nobody = "00000000-0000-0000-0000-000000000000";
    let check = async |status: u16, path: &str, token| {
        let (found, body) = get(&house, path, token).await;
        assert_eq!(found, status, "{path}: {body}");
        let told: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}: {body}");
    };
    check(401, "/api/v2/me", None).await;
    check(401, "/api/v2/pipeline", Some(("Circle-Token", "another"))).await;
    check(401, "/api/v2/project/gh/acme/shop/pipeline", Some(("Authorization", "Bearer another"))).await;
    check(401, "/metrics", None).await;
    for path in [
        format!("user/{nobody}"),
        "pipeline/nothing".to_owned(),
        format!("pipeline/{nobody}"),
        format!("pipeline/{nobody}/workflow"),
        "pipeline?org-slug=gh/nobody".to_owned(),
        "project/gh/acme/other".to_owned(),
        "project/gh/acme/other/pipeline".to_owned(),
        "project/gh/acme/shop/pipeline/2".to_owned(),
        "project/gh/acme/shop/pipeline/99999999999999999999".to_owned(),
        "project/gh/acme/shop/job/2".to_owned(),
        "project/gh/acme/shop/2/artifacts".to_owned(),
        "project/gh/acme/shop/2/tests".to_owned(),
        "project/..%2f..%2fetc/pipeline".to_owned(),
    ] {
        check(404, &format!("/api/v2/{path}"), TOKEN).await;
    }
    for path in ["pipeline", "project/gh/acme/shop/pipeline", "project/gh/acme/shop/1/tests"] {
        check(400, &format!("/api/v2/{path}?page-token=x"), TOKEN).await;
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn who_has_an_answer_already_is_not_sent_it_again() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let path = format!("/api/v2/pipeline/{pipeline}/workflow");
    let token = format!("Circle-Token: {OPERATOR}\r\n");
    let first = crate::page::get(&house, &path, &token).await;
    let tag = first.header("ETag").unwrap().to_owned();
    let again = crate::page::get(&house, &path, &format!("{token}If-None-Match: \"x\", {tag}\r\n")).await;
    assert_eq!((again.status, again.header("ETag"), again.text().as_str()), (304, Some(tag.as_str()), ""));
    let workflow = house.view(pipeline).await.workflows[0].id;
    for path in [
        "me".to_owned(),
        "me/collaborations".to_owned(),
        "pipeline".to_owned(),
        format!("pipeline/{pipeline}"),
        format!("workflow/{workflow}"),
        format!("workflow/{workflow}/job"),
        "project/gh/acme/shop".to_owned(),
        "project/gh/acme/shop/job/1".to_owned(),
        "project/gh/acme/shop/1/tests".to_owned(),
        "project/gh/acme/shop/checkout-key".to_owned(),
    ] {
        let any =
            crate::page::get(&house, &format!("/api/v2/{path}"), &format!("{token}If-None-Match: *\r\n"))
                .await;
        assert!(any.status == 304 && any.header("ETag").is_some(), "{path}: {}", any.status);
    }
    finish(&house.runner().await, Outcome::Success).await;
    let changed = crate::page::get(&house, &path, &format!("{token}If-None-Match: {tag}\r\n")).await;
    assert!(changed.status == 200 && changed.header("ETag") != Some(&tag), "{}", changed.text());
    house.running.stop().await;
}
