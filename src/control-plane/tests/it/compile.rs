//! What the compiler makes of a configuration, asked for as both generations of the `circleci` command line do.

use crate::house::{House, ONE_JOB, get, post};
use protocol::api::NewOrb;
use serde_json::{Value, json};

const OLDER: &str = "/api/v2/compile-config-with-defaults";
const NEWER: &str = "/api/v3/configs/compile";

const GREETING: &str = "version: 2.1
parameters: {who: {type: string, default: you}, often: {type: boolean, default: false}}
jobs:
  hello:
    machine: true
    resource_class: acme/linux
    steps: [run: echo << pipeline.parameters.who >> on << pipeline.git.branch >>]
workflows:
  all:
    when: << pipeline.parameters.often >>
    jobs: [hello]
";

async fn answered(house: &House, path: &str, body: &Value) -> Value {
    let (status, answer) = post(house, path, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

#[actix_web::test]
async fn a_configuration_is_processed_with_parameters_and_values_in_both_shapes() {
    let house = House::new().await;
    let (parameters, values) =
        (json!({ "who": "world", "often": true }), json!({ "git.branch": "topic", "number": "3" }));
    let options = json!({ "pipeline_parameters": parameters, "pipeline_values": values, "owner_id": "x" });
    let older = answered(&house, OLDER, &json!({ "config_yaml": GREETING, "options": options })).await;
    assert_eq!((&older["valid"], &older["errors"]), (&json!(true), &json!([])));
    let output = older["output-yaml"].as_str().unwrap();
    assert!(output.contains("echo world on topic") && output.contains("# Original config.yml"), "{output}");

    let attributes =
        json!({ "config": GREETING, "pipeline_parameters": parameters, "pipeline_values": values });
    let newer = answered(&house, NEWER, &json!({ "data": { "attributes": attributes } })).await;
    let told = &newer["data"]["attributes"];
    assert_eq!((&told["outcome"], &told["compiled_config"]), (&json!("succeeded"), &json!(output)));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_configuration_is_an_answer_with_each_place_and_no_error() {
    let house = House::new().await;
    let wrong = ONE_JOB.replace("run: make", "run: {comand: make}");
    let older = answered(&house, OLDER, &json!({ "config_yaml": wrong })).await;
    let message = older["errors"][0]["message"].as_str().unwrap();
    assert!(older["valid"] == false && message.contains("config.yml:7:"), "{older}");
    let newer = answered(&house, NEWER, &json!({ "data": { "attributes": { "config": wrong } } })).await;
    assert_eq!(
        (&newer["data"]["attributes"]["outcome"], &newer["meta"]["messages"][0]["title"]),
        (&json!("failed"), &json!(message))
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn orbs_that_are_published_here_are_found() {
    let house = House::new().await;
    let source = "commands: {say: {steps: [run: echo said]}}\n".to_owned();
    let new = NewOrb { reference: "acme/tools@1.0.0".to_owned(), source, is_imported: false };
    house.operator.publish_orb(&new).await.unwrap();
    let config = "version: 2.1\norbs: {tools: acme/tools@1}\n\
                  jobs: {build: {machine: true, resource_class: acme/linux, steps: [tools/say]}}\n";
    let older = answered(&house, OLDER, &json!({ "config_yaml": config })).await;
    assert!(older["output-yaml"].as_str().unwrap().contains("echo said"), "{older}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_understood_is_refused() {
    let house = House::new().await;
    // The older command line asks with nothing first, whether the call is there at all.
    for (path, body, words) in [
        (OLDER, "", "the body"),
        (OLDER, "{}", "config_yaml"),
        (OLDER, r#"{"config_yaml": "", "options": {"pipeline_parameters": {"a": [1]}}}"#, "`a`"),
        (NEWER, r#"{"data": {"attributes": {"config": ""}, "more": 1}}"#, "unknown field `more`"),
        (NEWER, r#"{"data": {"attributes": {"config": "", "more": 1}}}"#, "unknown field `more`"),
    ] {
        let (status, answer) = post(&house, path, body).await;
        assert!(status == 400 && answer.contains(words), "{body}: {status} {answer}");
    }
    assert_eq!(get(&house, OLDER, None).await.0, 405);
    house.running.stop().await;
}
