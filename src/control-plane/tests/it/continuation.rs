//! Setup pipelines: the key of their jobs, the configuration that continues them, and what is refused.

use crate::{
    house::{House, claim_one, end, finish, new_pipeline},
    page,
};
use client::TaskClient;
use compiler::orb::{Missing, Orb, Orbs, Reference};
use protocol::{
    JobStatus, Outcome, PipelineState, WorkflowStatus,
    api::{Created, GivenOrb, NewPipeline},
    feed::News,
    http::Claimed,
    task::{TaskSpec, Variable},
};
use serde_json::{Value, json};

const SETUP: &str = "
version: 2.1
setup: true
parameters: {who: {type: string, default: nobody}}
jobs: {decide: {machine: true, resource_class: acme/linux, steps: [run: decide]}}
workflows: {setup: {jobs: [decide]}}
";

const CONTINUED: &str = "
version: 2.1
parameters: {who: {type: string, default: nobody}, full: {type: boolean, default: false}}
orbs: {tool: acme/tool@1}
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [tool/greet]}
  test: {machine: true, resource_class: acme/linux, steps: [run: make << pipeline.parameters.who >>]}
workflows:
  all: {jobs: [build, test: {requires: [build]}]}
  full: {when: << pipeline.parameters.full >>, jobs: [test]}
";

fn setup() -> NewPipeline {
    let token = Variable { name: "T".to_owned(), value: "hunter2".to_owned(), secret: true };
    let orb = GivenOrb {
        reference: "acme/tool@1".to_owned(),
        version: "1.0.0".to_owned(),
        source: "version: 2.1\ncommands: {greet: {steps: [run: hello]}}\n".to_owned(),
    };
    let who = ("who".to_owned(), "me".to_owned());
    let parameters = [who].into();
    NewPipeline { parameters, environment: vec![token], orbs: vec![orb], ..new_pipeline(SETUP) }
}

fn key(spec: &TaskSpec) -> Option<String> {
    let key = spec.environment.iter().find(|variable| variable.name == "CIRCLE_CONTINUATION_KEY")?;
    assert!(key.secret, "no log shows it");
    Some(key.value.clone())
}

/// A setup pipeline whose one job runs.
async fn begun(house: &House) -> (Created, Claimed, TaskClient, String) {
    let created = house.operator.create_pipeline(&setup()).await.unwrap();
    let (claimed, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    assert!(spec.is_setup);
    task.begin(claimed.epoch).await.unwrap();
    (created, claimed, task, key(&spec).unwrap())
}

async fn call(task: &TaskClient, key: &str, configuration: &str, parameters: Value) -> (u16, String) {
    let call = json!({"continuation-key": key, "configuration": configuration, "parameters": parameters});
    let (status, body) = task.continue_pipeline(call.to_string().into()).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[actix_web::test]
async fn the_workflows_of_the_continued_configuration_join_the_pipeline() {
    let house = House::new().await;
    let (created, claimed, task, key) = begun(&house).await;
    assert_eq!(house.view(created.id).await.state, PipelineState::Setup);
    let (status, body) = call(&task, &key, CONTINUED, json!({"full": true})).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"message\""), "{body}");
    end(&claimed, &task, Outcome::Success).await;
    let runner = house.runner().await;
    for _ in 0..3 {
        let (claimed, task) = claim_one(&runner).await;
        let spec = task.config().await.unwrap();
        assert!(!spec.is_setup && self::key(&spec).is_none(), "{spec:?}");
        let of = |name: &str| spec.environment.iter().any(|variable| variable.name == name);
        assert!(of("T") && of("CIRCLE_PIPELINE_ID"));
        assert!(spec.job == "build" || format!("{:?}", spec.steps).contains("make me"), "{spec:?}");
        task.begin(claimed.epoch).await.unwrap();
        end(&claimed, &task, Outcome::Success).await;
    }
    let view = house.view(created.id).await;
    let names: Vec<_> = view.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    assert_eq!((view.state, names), (PipelineState::Created, vec!["setup", "all", "full"]));
    assert!(view.workflows.iter().all(|workflow| workflow.status == WorkflowStatus::Success), "{view:#?}");
    let numbers = view.workflows.iter().flat_map(|workflow| &workflow.jobs).map(|job| job.number);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
    house.running.stop().await;
}

#[actix_web::test]
async fn whoever_follows_a_pipeline_begins_again_when_workflows_join_it() {
    let house = House::new().await;
    let (created, _, task, key) = begun(&house).await;
    let before = house.operator.feed(created.id, 0, 0).await.unwrap();
    let waits = house.operator.feed(created.id, before.next, 20_000);
    let continued = call(&task, &key, CONTINUED, json!({}));
    let (news, (status, body)) = futures_util::future::join(waits, continued).await;
    assert_eq!(status, 200, "{body}");
    assert_ne!(news.unwrap().life, before.life);
    let again = house.operator.feed(created.id, 0, 0).await.unwrap().news;
    let queued = |news: &News| matches!(news, News::Job { workflow: 1, status: JobStatus::Queued, .. });
    assert!(again.iter().any(queued), "what joined is told to none but those who began again: {again:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_key_opens_once_for_its_own_pipeline_and_without_conflicts() {
    let house = House::new().await;
    let (created, claimed, task, key) = begun(&house).await;
    let (id, secret) = key.split_once('.').unwrap();
    for wrong in [id.to_owned(), format!("{id}.{}", secret.replace(&secret[..1], "x")), "x".to_owned()] {
        assert_eq!(call(&task, &wrong, CONTINUED, json!({})).await.0, 404);
    }
    let (status, body) = call(&task, &key, CONTINUED, json!({"who": "you"})).await;
    assert_eq!(status, 400);
    assert!(body.contains("Conflicting pipeline parameters"), "{body}");
    assert_eq!(call(&task, &key, CONTINUED, json!({"full": [1]})).await.0, 400);
    assert_eq!(house.view(created.id).await.state, PipelineState::Setup, "none of them used the key");
    for _ in 0..2 {
        assert_eq!(call(&task, &key, CONTINUED, json!({})).await.0, 200, "a repeat is answered again");
    }
    let (status, body) = call(&task, &key, CONTINUED, json!({"full": true})).await;
    assert_eq!(status, 409);
    assert!(body.contains("valid once"), "{body}");
    assert_eq!(house.view(created.id).await.workflows.len(), 2);
    end(&claimed, &task, Outcome::Success).await;
    house.running.stop().await;
}

#[actix_web::test]
async fn a_wrong_configuration_errors_the_pipeline_and_says_why_without_secrets() {
    let house = House::new().await;
    let (created, claimed, task, key) = begun(&house).await;
    let wrong = "version: 2.1\nsetup: true\njobs: {build: {machine: true, steps: [hunter2]}}\n";
    for _ in 0..2 {
        let (status, body) = call(&task, &key, wrong, json!({})).await;
        assert_eq!(status, 400);
        assert!(body.contains("cannot be a setup configuration itself"), "{body}");
    }
    let view = house.view(created.id).await;
    assert_eq!(view.state, PipelineState::Errored);
    assert!(view.errors[0].contains("continued configuration:2:1: error:"), "{:?}", view.errors);
    assert!(view.errors.iter().any(|error| error.contains("****")), "{:?}", view.errors);
    assert!(!view.errors.concat().contains("hunter2"), "{:?}", view.errors);
    assert_eq!(call(&task, &key, CONTINUED, json!({})).await.0, 409);
    end(&claimed, &task, Outcome::Failed).await;
    let page = page::read(&house, &format!("/pipelines/{}", created.id)).await;
    assert!(page.contains("it was continued with a configuration that is not valid"), "{page}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_key_is_worth_nothing_once_its_setup_workflow_is_over() {
    let house = House::new().await;
    let (created, claimed, task, key) = begun(&house).await;
    end(&claimed, &task, Outcome::Success).await;
    assert_eq!(call(&task, &key, CONTINUED, json!({})).await.0, 404);
    assert_eq!(house.view(created.id).await.state, PipelineState::Setup);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_restart_between_setup_and_continuation_loses_nothing() {
    let house = House::new().await;
    let (created, claimed, _, key) = begun(&house).await;
    let house = house.again(|_| {}).await;
    let task = house.transport.task(&claimed.task_token);
    let (status, body) = call(&task, &key, CONTINUED, json!({})).await;
    assert_eq!(status, 200, "{body}");
    let house = house.again(|_| {}).await;
    let task = house.transport.task(&claimed.task_token);
    assert_eq!(call(&task, &key, CONTINUED, json!({})).await.0, 200, "it is the call that was answered");
    end(&claimed, &task, Outcome::Success).await;
    finish(&house.runner().await, Outcome::Success).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    assert!(self::key(&task.config().await.unwrap()).is_none());
    task.begin(claimed.epoch).await.unwrap();
    end(&claimed, &task, Outcome::Success).await;
    let view = house.view(created.id).await;
    assert_eq!(view.workflows[1].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(view.workflows[1].jobs[1].status, JobStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_orb_that_did_not_come_along_is_looked_for_where_the_control_plane_has_orbs() {
    #[derive(Debug)]
    struct Shelf;
    impl Orbs for Shelf {
        fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
            self.at(&reference.to_string())
        }

        fn at(&self, reference: &str) -> Result<Orb, Missing> {
            assert_eq!(reference, "acme/later@2");
            let source = "version: 2.1\ncommands: {greet: {steps: [run: hello]}}\n".to_owned();
            Ok(Orb { version: "2.0.0".to_owned(), source })
        }
    }
    let house = House::with(|settings| settings.orbs = Some(std::sync::Arc::new(Shelf))).await;
    let (_, claimed, task, key) = begun(&house).await;
    let later = CONTINUED.replace("acme/tool@1", "acme/later@2");
    let (status, body) = call(&task, &key, &later, json!({})).await;
    assert_eq!(status, 200, "{body}");
    end(&claimed, &task, Outcome::Success).await;
    house.running.stop().await;
}
