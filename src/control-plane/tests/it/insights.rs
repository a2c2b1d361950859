//! What many runs come to, over the API and on the page.

use crate::{
    house::{House, ONE_JOB, OPERATOR, claim_one, end, get, new_pipeline},
    page::read,
};
use protocol::{
    Outcome,
    api::GitValues,
    http::Tests,
    transfer::{TestCase, TestResult},
};
use serde_json::{Value, json};

async fn asked(house: &House, path: &str) -> Value {
    let path = format!("/api/v2/insights/github/acme/app/{path}");
    let (status, body) = get(house, &path, Some(("Circle-Token", OPERATOR))).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

fn case(name: &str, result: TestResult, run_time: f64) -> TestCase {
    let message = (result == TestResult::Failure).then(|| "expected <b>one</b>".to_owned());
    TestCase {
        classname: "suite".to_owned(),
        name: name.to_owned(),
        file: Some("spec/cart.rb".to_owned()),
        result,
        run_time: Some(run_time),
        message,
    }
}

/// A pipeline of one job on this branch and revision that stores these results.
async fn run(house: &House, branch: &str, revision: &str, cases: &[TestCase]) {
    let mut new = new_pipeline(ONE_JOB);
    new.project = "gh/acme/app".to_owned();
    new.git = GitValues {
        branch: Some(branch.to_owned()),
        revision: Some(revision.to_owned()),
        ..GitValues::default()
    };
    house.operator.create_pipeline(&new).await.expect("it is valid");
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.expect("the lease is good");
    task.tests(&Tests { epoch: claimed.epoch, request: 1, cases: cases.to_vec() })
        .await
        .expect("they are stored");
    let failed = cases.iter().any(|case| case.result == TestResult::Failure);
    end(&claimed, &task, if failed { Outcome::Failed } else { Outcome::Success }).await;
}

/// A flaky test, one that is broken, and one that is slow.
async fn past(house: &House) {
    use TestResult::{Failure, Success};
    run(house, "main", "a1", &[case("slow", Success, 9.5), case("flaky", Failure, 0.1)]).await;
    run(house, "main", "a1", &[case("slow", Success, 9.5), case("flaky", Success, 0.1)]).await;
    run(house, "main", "b2", &[case("broken", Failure, 0.2), case("flaky", Success, 0.1)]).await;
    run(house, "side", "c3", &[case("broken", Success, 0.2)]).await;
}

#[actix_web::test]
async fn runs_of_workflows_and_jobs_come_to_rates_and_durations() {
    let house = House::new().await;
    past(&house).await;
    let all = asked(&house, "workflows").await;
    let metrics = &all["items"][0]["metrics"];
    assert_eq!((&all["items"][0]["name"], &metrics["total_runs"]), (&json!("workflow"), &json!(4)));
    assert_eq!((&metrics["success_rate"], &metrics["total_recoveries"]), (&json!(0.5), &json!(2)));
    let main = asked(&house, "workflows?branch=main&reporting-window=last-7-days").await;
    assert_eq!(main["items"][0]["metrics"]["failed_runs"], 2);
    let runs = asked(&house, "workflows/workflow").await;
    let statuses: Vec<_> = runs["items"].as_array().unwrap().iter().map(|run| &run["status"]).collect();
    assert_eq!(statuses, ["success", "failed", "success", "failed"]);
    assert_eq!(asked(&house, "workflows/workflow/jobs").await["items"][0]["name"], "build");
    let jobs = asked(&house, "workflows/workflow/jobs/build?branch=side").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
    assert_eq!(asked(&house, "workflows/workflow/summary").await["workflow_names"], json!(["workflow"]));
    let tests = asked(&house, "workflows/workflow/test-metrics").await;
    assert_eq!((&tests["total_test_runs"], &tests["average_test_count"]), (&json!(4), &json!(1)));
    assert_eq!(asked(&house, "branches").await["branches"], json!(["main", "side"]));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_test_that_fails_and_passes_on_one_revision_is_flaky_and_one_that_breaks_is_not() {
    let house = House::new().await;
    past(&house).await;
    let found = asked(&house, "flaky-tests").await;
    let names: Vec<_> =
        found["flaky_tests"].as_array().unwrap().iter().map(|one| &one["test_name"]).collect();
    assert_eq!((names, &found["total_flaky_tests"]), (vec![&json!("flaky")], &json!(1)));
    assert_eq!(found["flaky_tests"][0]["times_flaked"], 1);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_nobody_ran_and_what_no_window_names_is_refused() {
    let house = House::new().await;
    past(&house).await;
    let token = Some(("Circle-Token", OPERATOR));
    for (path, status) in [
        ("gh/acme/app/workflows/none", 404),
        ("gh/acme/none/workflows", 404),
        ("gh/acme/app/workflows?reporting-window=last-year", 400),
        ("gh/acme/app/workflows?page-token=x", 400),
    ] {
        assert_eq!(get(&house, &format!("/api/v2/insights/{path}"), token).await.0, status, "{path}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn the_page_plots_the_runs_of_a_project_and_names_its_flaky_tests() {
    let house = House::new().await;
    past(&house).await;
    let page = read(&house, "/insights/gh/acme/app?workflow=workflow").await;
    assert_eq!(page.matches("<rect class=\"success\"").count(), 2, "{page}");
    assert_eq!(page.matches("<rect class=\"failed\"").count(), 2, "{page}");
    assert!(page.contains("50 %") && page.contains(">flaky<") && !page.contains(">broken<"), "{page}");
    let side = read(&house, "/insights/gh/acme/app?branch=side").await;
    assert_eq!(side.matches("<rect class=\"success\"").count(), 1, "{side}");
    house.running.stop().await;
}

#[actix_web::test]
async fn the_page_of_a_jobs_tests_has_failures_first_and_marks_flaky_ones() {
    let house = House::new().await;
    past(&house).await;
    let runs = asked(&house, "workflows/workflow/jobs/build").await;
    let first = runs["items"][3]["id"].as_str().unwrap();
    let page = read(&house, &format!("/jobs/{first}/tests")).await;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(at(">flaky<") < at(">slow<"), "{page}");
    assert!(page.contains("failed and passed on this revision") && page.contains("9.5s"), "{page}");
    assert!(page.contains("expected &#60;b&#62;one") && !page.contains("<b>one</b>"), "{page}");
    house.running.stop().await;
}

#[actix_web::test]
async fn runs_are_told_by_the_day_and_over_a_project_and_an_organization_beside_the_time_before() {
    let house = House::new().await;
    past(&house).await;
    let told = async |path: &str| {
        let (status, body) =
            get(&house, &format!("/api/v2/insights/{path}"), Some(("Circle-Token", OPERATOR))).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (_, days) = told("time-series/gh/acme/app/workflows/workflow/jobs").await;
    let day = &days["items"][0];
    assert_eq!((&day["name"], &day["metrics"]["total_runs"]), (&json!("build"), &json!(4)));
    assert!(day["timestamp"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{day}");
    let (_, hours) = told("time-series/gh/acme/app/workflows?granularity=hourly&branch=side").await;
    assert_eq!(hours["items"][0]["metrics"]["successful_runs"], 1);
    let (_, none) = told("time-series/gh/acme/app/workflows?end-date=2020-01-01").await;
    assert_eq!(none["items"], json!([]));
    let (status, said) = told("time-series/gh/acme/app/workflows?start-date=yesterday").await;
    assert!(status == 400 && said["message"].as_str().unwrap().contains("`yesterday` is no time"), "{said}");
    let (_, project) = told("pages/gh/acme/app/summary?reporting-window=last-7-days").await;
    assert_eq!(project["project_data"]["metrics"]["success_rate"], 0.5);
    assert_eq!(project["project_data"]["trends"]["total_runs"], 0.0, "there was nothing before");
    assert_eq!(project["project_workflow_branch_data"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&project["all_branches"], &project["all_workflows"]),
        (&json!(["main", "side"]), &json!(["workflow"]))
    );
    let (_, side) = told("pages/gh/acme/app/summary?branches=side,other").await;
    assert_eq!(side["project_data"]["metrics"]["total_runs"], 1);
    let (_, all) = told("gh/acme/summary").await;
    assert_eq!(
        (&all["org_data"]["metrics"]["total_runs"], &all["all_projects"]),
        (&json!(4), &json!(["app"]))
    );
    let (status, _) = told("gh/nobody/summary").await;
    assert_eq!(status, 404);
    house.running.stop().await;
}
