//! Serial groups over the real API: one job at a time of all pipelines, in turn, also across a restart.

use crate::house::{House, claim, claim_one, end, finish, new_pipeline};
use protocol::{
    JobStatus, Outcome, PipelineId, WorkflowStatus,
    api::{JobView, NewPipeline},
};
use std::time::{Duration, Instant};

const DEPLOY: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows:
  main:
    jobs:
      - build: {name: deploy, serial-group: acme/<< pipeline.git.branch >>}
      - build: {name: after, requires: [deploy: [success, not_run]]}
";

/// A pipeline of a project of its own.
async fn of(house: &House, project: &str, config: &str) -> PipelineId {
    let mut new = NewPipeline { project: project.to_owned(), ..new_pipeline(config) };
    new.git.branch = Some("main".to_owned());
    house.operator.create_pipeline(&new).await.unwrap().id
}

async fn job(house: &House, pipeline: PipelineId, name: &str) -> JobView {
    let view = house.view(pipeline).await;
    view.workflows[0].jobs.iter().find(|job| job.name == name).unwrap().clone()
}

/// Waits until a job stands so.
async fn until(
    house: &House,
    pipeline: PipelineId,
    name: &str,
    wanted: impl Fn(&JobView) -> bool,
) -> JobView {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let job = job(house, pipeline, name).await;
        if wanted(&job) {
            return job;
        }
        assert!(Instant::now() < deadline, "{job:?}");
        tokio::task::yield_now().await;
    }
}

async fn has_turn(house: &House, pipeline: PipelineId, name: &str) {
    until(house, pipeline, name, |job| !job.tasks.is_empty()).await;
}

async fn waits(house: &House, pipeline: PipelineId, name: &str) -> String {
    until(house, pipeline, name, |job| job.status == JobStatus::Queued && job.reason.is_some())
        .await
        .reason
        .unwrap()
}

#[actix_web::test]
async fn one_job_of_a_group_runs_at_a_time_over_all_projects_and_restarts() {
    let house = House::new().await;
    let first = of(&house, "gh/acme/one", DEPLOY).await;
    has_turn(&house, first, "deploy").await;
    let second = of(&house, "gh/acme/two", DEPLOY).await;
    assert_eq!(waits(&house, second, "deploy").await, "waits for its turn in the serial group `acme/main`");
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let house = house.again(|_| {}).await;
    let runner = house.runner().await;
    assert!(runner.claim(&claim(1, 100)).await.unwrap().is_empty(), "the one that runs has its turn still");
    waits(&house, second, "deploy").await;
    end(&claimed, &house.transport.task(&claimed.task_token), Outcome::Failed).await;
    has_turn(&house, second, "deploy").await;
    let deploy = job(&house, second, "deploy").await;
    assert_eq!((deploy.status, deploy.reason), (JobStatus::Queued, None));
    assert_eq!(finish(&runner, Outcome::Success).await.task_id, deploy.tasks[0].id);
    assert_eq!(house.view(first).await.workflows[0].status, WorkflowStatus::Failed);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_older_pipeline_of_the_same_project_is_skipped_with_the_reason() {
    let house = House::new().await;
    let first = of(&house, "gh/acme/one", DEPLOY).await;
    has_turn(&house, first, "deploy").await;
    let older = of(&house, "gh/acme/one", DEPLOY).await;
    waits(&house, older, "deploy").await;
    let newer = of(&house, "gh/acme/one", DEPLOY).await;
    let skipped = until(&house, older, "deploy", |job| job.status.is_terminal()).await;
    let why = "skipped: the newer pipeline 3 has or awaits the serial group `acme/main`";
    assert_eq!((skipped.status, skipped.reason.as_deref()), (JobStatus::NotRun, Some(why)));
    has_turn(&house, older, "after").await;
    house.operator.cancel(first).await.unwrap();
    has_turn(&house, newer, "deploy").await;
    assert_eq!(house.view(first).await.workflows[0].status, WorkflowStatus::Canceled);
    house.running.stop().await;
}

const LOCKED: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
  lock: {type: lock, key: acme/main}
workflows:
  main:
    jobs:
      - lock
      - build: {name: one, requires: [lock]}
      - build: {name: two, serial-group: acme/main, requires: [one]}
      - unlock: {type: unlock, key: acme/main, requires: [two: terminal]}
      - build: {name: last, requires: [unlock]}
";

#[actix_web::test]
async fn a_lock_is_kept_until_its_unlock_and_whatever_waits_inside_of_it_goes_on() {
    let house = House::new().await;
    let locked = of(&house, "gh/acme/one", LOCKED).await;
    has_turn(&house, locked, "one").await;
    let other = of(&house, "gh/acme/two", DEPLOY).await;
    waits(&house, other, "deploy").await;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    has_turn(&house, locked, "two").await;
    waits(&house, other, "deploy").await;
    let house = house.again(|_| {}).await;
    waits(&house, other, "deploy").await;
    let runner = house.runner().await;
    finish(&runner, Outcome::Failed).await;
    has_turn(&house, other, "deploy").await;
    has_turn(&house, locked, "last").await;
    assert_eq!(job(&house, locked, "unlock").await.status, JobStatus::Success);
    house.running.stop().await;
}

const GROUPED: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
job-groups:
  both: {jobs: [build: {name: one}, build: {name: two}]}
workflows:
  main: {jobs: [both: {serial-group: acme/main}]}
";

#[actix_web::test]
async fn a_group_of_jobs_has_its_turn_until_the_last_of_them_is_over() {
    let house = House::new().await;
    let group = of(&house, "gh/acme/one", GROUPED).await;
    has_turn(&house, group, "both/two").await;
    let other = of(&house, "gh/acme/two", DEPLOY).await;
    waits(&house, other, "deploy").await;
    let runner = house.runner().await;
    // That one fails decides of the end already, and the other one still runs.
    finish(&runner, Outcome::Failed).await;
    assert_eq!(job(&house, group, "both/end").await.status, JobStatus::NotRun);
    waits(&house, other, "deploy").await;
    finish(&runner, Outcome::Success).await;
    has_turn(&house, other, "deploy").await;
    house.running.stop().await;
}
