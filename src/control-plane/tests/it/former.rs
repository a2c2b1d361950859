//! What jobs are told of their former runs: times by branch, frozen for all tasks, and failed tests of a rerun of those.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::{
    house::{House, claim_one, end, new_pipeline},
    page,
};
use client::{Runner, TaskClient};
use protocol::{
    JobStatus, Outcome, PipelineId,
    api::{GitValues, Rerun},
    former::Former,
    http::{Claimed, Tests},
    transfer::{TestCase, TestResult},
};

const TWO_TASKS: &str = "
version: 2.1
jobs:
  test: {machine: true, resource_class: acme/linux, parallelism: 2, steps: [run: make]}
workflows: {all: {jobs: [test]}}
";

async fn pipeline(house: &House, branch: Option<&str>) -> PipelineId {
    let mut new = new_pipeline(TWO_TASKS);
    let default_branch = Some("trunk".to_owned());
    new.git = GitValues { branch: branch.map(str::to_owned), default_branch, ..GitValues::default() };
    house.operator.create_pipeline(&new).await.unwrap().id
}

async fn begun(runner: &Runner) -> (Claimed, TaskClient) {
    let (claimed, task) = claim_one(runner).await;
    task.begin(claimed.epoch).await.unwrap();
    (claimed, task)
}

fn case(file: &str, seconds: f64, result: TestResult) -> TestCase {
    TestCase {
        classname: file.to_uppercase(),
        name: "works".to_owned(),
        file: Some(file.to_owned()),
        result,
        run_time: Some(seconds),
        message: (result == TestResult::Failure).then(|| format!("{file} <is> broken")),
    }
}

async fn store(claimed: &Claimed, task: &TaskClient, cases: Vec<TestCase>) {
    task.tests(&Tests { epoch: claimed.epoch, request: 1, cases }).await.unwrap();
}

/// A run of both tasks: in each these tests, and an end that fits them.
async fn run(runner: &Runner, cases: [Vec<TestCase>; 2]) {
    for cases in cases {
        let (claimed, task) = begun(runner).await;
        let failed = cases.iter().any(|case| case.result == TestResult::Failure);
        store(&claimed, &task, cases).await;
        end(&claimed, &task, if failed { Outcome::Failed } else { Outcome::Success }).await;
    }
}

fn passed(files: &[(&str, f64)]) -> Vec<TestCase> {
    files.iter().map(|(file, seconds)| case(file, *seconds, TestResult::Success)).collect()
}

async fn former(task: &TaskClient) -> Former {
    serde_json::from_slice(&task.former_tests().await.unwrap()).unwrap()
}

fn files(former: &Former) -> Vec<(&str, f64)> {
    former.timings.files.iter().map(|(file, seconds)| (file.as_str(), *seconds)).collect()
}

#[actix_web::test]
async fn a_job_is_told_the_times_of_its_branch_and_of_the_default_one_where_that_knows_more() {
    let house = House::new().await;
    let runner = house.runner().await;
    for (branch, files) in [
        ("trunk", [&[("a", 1.0), ("old", 7.0)][..], &[("a", 2.0)]]),
        ("topic", [&[("a", 9.0)], &[("b", 4.0)]]),
        ("other", [&[("foreign", 1.0)], &[]]),
    ] {
        pipeline(&house, Some(branch)).await;
        run(&runner, files.map(passed)).await;
    }
    pipeline(&house, Some("topic")).await;
    let (_, task) = begun(&runner).await;
    let told = former(&task).await;
    assert_eq!(files(&told), [("a", 9.0), ("b", 4.0), ("old", 7.0)]);
    assert_eq!((told.timings.classes["A"], told.timings.names["works"], told.failed), (9.0, 13.0, None));
    house.running.stop().await;
}

#[actix_web::test]
async fn all_tasks_of_a_job_are_told_the_same_whatever_ends_or_is_forgotten_meanwhile() {
    let house = House::new().await;
    let runner = house.runner().await;
    pipeline(&house, None).await;
    let unfinished = [begun(&runner).await, begun(&runner).await];
    pipeline(&house, None).await;
    run(&runner, [passed(&[("a", 1.0)]), passed(&[])]).await;
    pipeline(&house, None).await;
    let (one, other) = (begun(&runner).await, begun(&runner).await);
    // A run that began before and ends only now, when this one is there already.
    for (claimed, task) in &unfinished {
        store(claimed, task, passed(&[("late", 1.0)])).await;
        end(claimed, task, Outcome::Success).await;
    }
    let first = task_told(&one.1).await;
    pipeline(&house, None).await;
    end(&one.0, &one.1, Outcome::Success).await;
    assert_eq!(first, task_told(&other.1).await);
    assert_eq!(files(&former(&other.1).await), [("a", 1.0)]);
    end(&other.0, &other.1, Outcome::Success).await;
    house.running.stop().await;
}

async fn task_told(task: &TaskClient) -> String {
    String::from_utf8(task.former_tests().await.unwrap().to_vec()).unwrap()
}

#[actix_web::test]
async fn a_rerun_of_failed_tests_is_told_which_they_are_and_the_page_shows_them() {
    let house = House::new().await;
    let runner = house.runner().await;
    let id = pipeline(&house, Some("trunk")).await;
    let broken = vec![case("a", 1.0, TestResult::Failure), case("b", 1.0, TestResult::Success)];
    run(&runner, [broken, passed(&[("c", 1.0)])]).await;
    let job = house.view(id).await.workflows[0].jobs[0].clone();
    assert_eq!(job.status, JobStatus::Failed);
    let shown: Vec<_> =
        job.failures.iter().map(|test| (test.file.as_deref(), test.message.as_deref())).collect();
    assert_eq!(shown, [(Some("a"), Some("a <is> broken"))]);
    let cookie = page::signed_in(&house).await;
    let text = page::get(&house, &format!("/jobs/{}", job.id), &cookie).await.text();
    assert!(text.contains("<h2>Failed tests</h2>") && text.contains("a &#60;is&#62; broken"), "{text}");
    let failed_tests = Rerun { is_failed_tests: true, ..Rerun::default() };
    house.operator.rerun(house.view(id).await.workflows[0].id, &failed_tests).await.unwrap();
    let (claimed, task) = begun(&runner).await;
    let failed = former(&task).await.failed.unwrap();
    assert_eq!(failed.iter().map(|test| test.file.as_deref()).collect::<Vec<_>>(), [Some("a")]);
    end(&claimed, &task, Outcome::Success).await;
    house.running.stop().await;
}

#[actix_web::test]
async fn a_job_that_failed_of_something_else_is_not_run_again_for_its_failed_tests() {
    let house = House::new().await;
    let runner = house.runner().await;
    let id = pipeline(&house, Some("trunk")).await;
    let (claimed, task) = begun(&runner).await;
    store(&claimed, &task, vec![case("a", 1.0, TestResult::Failure)]).await;
    end(&claimed, &task, Outcome::Failed).await;
    // Its tests were never stored: nobody knows which of them would have failed.
    let (claimed, task) = begun(&runner).await;
    end(&claimed, &task, Outcome::Failed).await;
    let failed_tests = Rerun { is_failed_tests: true, ..Rerun::default() };
    let workflow = house.view(id).await.workflows[0].id;
    let refused = house.operator.rerun(workflow, &failed_tests).await.unwrap_err().to_string();
    assert!(refused.contains("failed of tests alone"), "{refused}");
    house.running.stop().await;
}
