//! Pipelines: refused with diagnostics, run as a graph, canceled, and their variables.

use crate::house::{CLASS, House, ONE_JOB, claim, claim_one, end, finish, new_pipeline};
use client::ClientError;
use protocol::{
    JobStatus, Outcome, WorkflowStatus,
    api::{GitValues, Refused},
    task::Variable,
};

const DIAMOND: &str = "
version: 2.1
jobs:
  a: &job {machine: true, resource_class: acme/linux, steps: [run: make]}
  b: *job
  c: *job
  d: *job
workflows:
  all:
    jobs:
      - a
      - b: {requires: [a]}
      - c: {requires: [a]}
      - d: {requires: [b, c]}
";

fn statuses(words: [(&str, JobStatus); 4]) -> Vec<(String, JobStatus)> {
    words.map(|(name, status)| (name.to_owned(), status)).to_vec()
}

async fn refused(house: &House, config: &str) -> Refused {
    match house.operator.create_pipeline(&new_pipeline(config)).await.unwrap_err() {
        ClientError::Diagnosed(refused) => refused,
        other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn a_wrong_configuration_is_refused_with_its_place_and_takes_no_number() {
    let house = House::new().await;
    let wrong = refused(&house, &ONE_JOB.replace("run: make", "run: {comand: make}")).await;
    assert!(wrong.diagnostics[0].contains(".circleci/config.yml"), "{wrong:?}");
    let created = house.pipeline(ONE_JOB).await;
    assert_eq!(created.number, 1);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_class_that_is_not_there_is_refused_by_name() {
    let house = House::new().await;
    let wrong = refused(&house, &ONE_JOB.replace(CLASS, "acme/mars")).await;
    assert!(wrong.diagnostics[0].contains("acme/mars"), "{wrong:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn every_job_goes_to_the_only_class_where_there_is_one() {
    let house = House::with(|settings| settings.only_class = Some(CLASS.parse().unwrap())).await;
    house.pipeline(&ONE_JOB.replace(CLASS, "acme/mars")).await;
    claim_one(&house.runner().await).await;
    house.running.stop().await;
}

#[actix_web::test]
async fn jobs_run_as_their_requirements_succeed() {
    let house = House::new().await;
    let pipeline = house.pipeline(DIAMOND).await.id;
    let runner = house.runner().await;
    use JobStatus::{Blocked, Queued, Success};
    assert_eq!(
        house.statuses(pipeline).await,
        statuses([("a", Queued), ("b", Blocked), ("c", Blocked), ("d", Blocked)])
    );
    finish(&runner, Outcome::Success).await;
    assert_eq!(
        house.statuses(pipeline).await,
        statuses([("a", Success), ("b", Queued), ("c", Queued), ("d", Blocked)])
    );
    for _ in 0..3 {
        finish(&runner, Outcome::Success).await;
    }
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_a_failed_job_was_required_for_never_runs() {
    let house = House::new().await;
    let pipeline = house.pipeline(DIAMOND).await.id;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    finish(&runner, Outcome::Failed).await;
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Failing);
    finish(&runner, Outcome::Success).await;
    use JobStatus::{Failed, NotRun, Success};
    assert_eq!(
        house.statuses(pipeline).await,
        statuses([("a", Success), ("b", Failed), ("c", Success), ("d", NotRun)])
    );
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Failed);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_canceled_pipeline_is_over_when_its_last_task_is() {
    let house = House::new().await;
    let pipeline = house.pipeline(DIAMOND).await.id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    house.operator.cancel(pipeline).await.unwrap();
    use JobStatus::{Canceled, Running};
    assert_eq!(
        house.statuses(pipeline).await,
        statuses([("a", Running), ("b", Canceled), ("c", Canceled), ("d", Canceled)])
    );
    end(&claimed, &task, Outcome::Canceled).await;
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Canceled);
    house.operator.cancel(pipeline).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn a_job_that_waits_is_canceled_at_once() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    house.operator.cancel(pipeline).await.unwrap();
    assert_eq!(house.statuses(pipeline).await[0].1, JobStatus::Canceled);
    assert!(house.runner().await.claim(&claim(1, 0)).await.unwrap().is_empty());
    house.running.stop().await;
}

#[actix_web::test]
async fn variables_come_in_the_documented_order() {
    let house = House::new().await;
    let mut new = new_pipeline(
        &ONE_JOB.replace("machine: true", "machine: true\n    parallelism: 2\n    environment: {NAME: job}"),
    );
    let variable =
        |name: &str, value: &str, secret| Variable { name: name.to_owned(), value: value.to_owned(), secret };
    new.environment = vec![variable("NAME", "project", true), variable("CIRCLE_JOB", "project", false)];
    new.git = GitValues {
        revision: Some("f00".to_owned()),
        branch: Some("main".to_owned()),
        tag: None,
        url: Some("git@x:acme/shop".to_owned()),
        ..GitValues::default()
    };
    house.operator.create_pipeline(&new).await.unwrap();
    let (_, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    let value = |name: &str| {
        let found = spec.environment.iter().rev().find(|variable| variable.name == name);
        found.map_or_else(|| "unset".to_owned(), |variable| variable.value.clone())
    };
    for (name, wanted) in [
        ("NAME", "job"),
        ("CIRCLE_JOB", "build"),
        ("CIRCLE_NODE_TOTAL", "2"),
        ("CIRCLE_BRANCH", "main"),
        ("CIRCLE_TAG", "unset"),
        ("CIRCLE_SHA1", "f00"),
        ("CIRCLE_PROJECT_USERNAME", "acme"),
        ("CIRCLE_PROJECT_REPONAME", "shop"),
        ("CIRCLE_BUILD_NUM", "1"),
        ("CI", "true"),
    ] {
        assert_eq!(value(name), wanted, "{name}");
    }
    assert!(spec.environment.iter().any(|variable| variable.secret && variable.value == "project"));
    house.running.stop().await;
}

#[actix_web::test]
async fn contexts_reach_the_jobs_that_name_them_and_a_missing_one_is_said() {
    let house = House::new().await;
    let mut new = new_pipeline(&DIAMOND.replace("      - a\n", "      - a: {context: [one, two]}\n"));
    let secret = Variable { name: "KEY".to_owned(), value: "hunter2".to_owned(), secret: true };
    new.contexts.insert("one".to_owned(), vec![secret]);
    let created = house.operator.create_pipeline(&new).await.unwrap();
    assert!(created.warnings.iter().any(|warning| warning.contains("`two`")), "{:?}", created.warnings);
    let (_, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    assert!(spec.environment.iter().any(|variable| variable.name == "KEY" && variable.secret));
    house.running.stop().await;
    let stored = std::fs::read(crate::house::data_dir(&house.folder).join("store.db")).unwrap();
    assert!(!stored.windows(7).any(|window| window == b"hunter2"), "secrets lie sealed");
}
