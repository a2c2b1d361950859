//! Pipelines made by a call of the public API, of a branch or tag as it is then, and what they were made of.

use crate::{
    actors::{GUARDED, context_for, last, member_and_admin},
    house::{OPERATOR, claim_one, get, request, with_body},
    webhooks::{PROJECT, Place, git},
};
use protocol::{JobStatus, webhook::Provider};
use serde_json::{Value, json};
use std::fs;

const CONFIG: &str = "
version: 2.1
parameters: {deep: {type: boolean, default: false}}
jobs:
  build:
    machine: true
    resource_class: acme/linux
    environment:
      WHAT: << pipeline.trigger_source >>|<< pipeline.parameters.deep >>|<< pipeline.git.branch >>|<< pipeline.git.tag >>
    steps: [run: make]
workflows: {all: {jobs: [build: {filters: {tags: {only: /.*/}}}]}}
";

async fn called(place: &Place, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v2/project/{PROJECT}/{path}");
    let (status, text) = with_body(&place.house, "POST", &path, &body.to_string()).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn read(place: &Place, path: &str) -> (u16, Value) {
    let (status, text) = get(&place.house, path, Some(("Circle-Token", OPERATOR))).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

/// A repository with a tag, and a branch that has another configuration.
async fn place() -> Place {
    let place = Place::new(Provider::Github, Some(CONFIG)).await;
    let folder = place.house.folder.path().join("app");
    git(&folder, &["tag", "v1"]);
    git(&folder, &["checkout", "-q", "-b", "later"]);
    fs::write(folder.join(".circleci/config.yml"), CONFIG.replace("run: make", "run: make later")).unwrap();
    git(&folder, &["commit", "-qam", "Teach it more"]);
    git(&folder, &["checkout", "-q", "main"]);
    place
}

/// What the next job is told, and its last step.
async fn next_job(place: &Place) -> (String, String) {
    let (_, task) = claim_one(&place.house.runner().await).await;
    let spec = task.config().await.unwrap();
    let what = spec.environment.iter().find(|one| one.name == "WHAT").unwrap().value.clone();
    (what, spec.steps.last().unwrap().name.clone())
}

#[actix_web::test]
async fn a_call_makes_a_pipeline_of_the_default_branch_or_of_what_it_names_as_it_is_now() {
    let place = place().await;
    for (body, told, step) in [
        (json!({}), "api|false|main|", "make"),
        (json!({"branch": "later", "parameters": {"deep": true}}), "api|true|later|", "make later"),
        (json!({"tag": "v1"}), "api|false||v1", "make"),
    ] {
        let (status, made) = called(&place, "pipeline", body).await;
        assert_eq!((status, &made["state"]), (201, &json!("created")), "{made}");
        assert_eq!(next_job(&place).await, (told.to_owned(), step.to_owned()));
    }
    let body = json!({"config": {"branch": "later"}, "checkout": {"tag": "v1"}});
    let (status, made) = called(&place, "pipeline/run", body).await;
    assert_eq!((status, &made["number"]), (201, &json!(4)));
    assert_eq!(next_job(&place).await, ("api|false||v1".to_owned(), "make later".to_owned()));
    let (_, shown) = read(&place, &format!("/api/v2/pipeline/{}", made["id"].as_str().unwrap())).await;
    assert_eq!((&shown["vcs"]["tag"], &shown["trigger"]["type"]), (&json!("v1"), &json!("api")));
    place.house.running.stop().await;
}

#[actix_web::test]
async fn a_configuration_of_another_commit_than_what_is_checked_out_opens_nothing_for_who_is_no_admin() {
    let place = place().await;
    let house = &place.house;
    let folder = house.folder.path().join("app");
    git(&folder, &["checkout", "-q", "later"]);
    fs::write(folder.join(".circleci/config.yml"), GUARDED).unwrap();
    git(&folder, &["commit", "-qam", "Read what is main's"]);
    git(&folder, &["checkout", "-q", "main"]);
    assert_eq!(context_for(house, "expression", "pipeline.git.branch == \"main\"").await.0, 201);
    let [ada, eve] = member_and_admin(house).await;
    let run = async |token: &str, body: Value| {
        let path = format!("/api/v2/project/{PROJECT}/pipeline/run");
        let made = request(house, "POST", &path, Some(("Circle-Token", token)), &body.to_string()).await;
        let made: Value = serde_json::from_str(&made.1).unwrap();
        last(&house.view(made["id"].as_str().unwrap().parse().unwrap()).await)
    };
    let of_another = json!({"config": {"branch": "later"}, "checkout": {"branch": "main"}});
    let (status, why) = run(&ada, of_another.clone()).await;
    assert!(status == JobStatus::Unauthorized && why.contains("only what its maker says"), "{why}");
    let (status, why) = run(&eve, of_another).await;
    assert_eq!(status, JobStatus::Queued, "{why}");
    place.house.running.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_made_is_refused_by_name_and_what_is_not_valid_is_a_pipeline_in_error() {
    let place = place().await;
    for (path, body, why) in [
        ("pipeline", json!({"branch": "gone"}), "no `refs/heads/gone`"),
        ("pipeline", json!({"branch": "a..b"}), "`a..b` is no name of a branch"),
        ("pipeline", json!({"branch": "main", "tag": "v1"}), "not of both"),
        ("pipeline", json!({"parameters": {"deep": 1.5}}), "`deep` is neither a text"),
        ("pipeline/run", json!({"definition_id": "x"}), "leave `definition_id` out"),
    ] {
        let (status, said) = called(&place, path, body).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["message"].as_str().unwrap().contains(why), "{said}");
    }
    let (status, made) = called(&place, "pipeline", json!({"parameters": {"depp": true}})).await;
    assert_eq!((status, &made["state"]), (201, &json!("errored")));
    let one = format!("/api/v2/pipeline/{}", made["id"].as_str().unwrap());
    let (_, shown) = read(&place, &one).await;
    assert!(shown["errors"][0]["message"].as_str().unwrap().contains("depp"), "{shown}");
    let (_, texts) = read(&place, &format!("{one}/config")).await;
    assert_eq!(texts, json!({"source": CONFIG, "compiled": ""}));
    place.house.running.stop().await;
}

#[actix_web::test]
async fn a_pipeline_tells_what_it_was_made_of_also_after_a_restart() {
    let place = place().await;
    let (_, made) = called(&place, "pipeline", json!({"parameters": {"deep": true}})).await;
    let one = format!("/api/v2/pipeline/{}", made["id"].as_str().unwrap());
    let Place { house, revision } = place;
    let place = Place { house: house.again(|settings| settings.insecure_fetch = true).await, revision };
    let (status, texts) = read(&place, &format!("{one}/config")).await;
    assert_eq!((status, &texts["source"]), (200, &json!(CONFIG)));
    // The original stands behind it as a comment.
    let compiled = texts["compiled"].as_str().unwrap().split("# Original").next().unwrap();
    assert!(compiled.contains("WHAT: api|true|main|") && !compiled.contains("<<"), "{compiled}");
    let (_, values) = read(&place, &format!("{one}/values")).await;
    assert_eq!((&values["pipeline.git.branch"], &values["pipeline.number"]), (&json!("main"), &json!("1")));
    assert_eq!(
        (&values["pipeline.trigger_source"], &values["pipeline.git.tag"]),
        (&json!("api"), &Value::Null)
    );
    assert_eq!(read(&place, &format!("/api/v2/pipeline/{}/config", "0".repeat(32))).await.0, 404);
    place.house.running.stop().await;
}
