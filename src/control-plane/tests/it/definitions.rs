//! The one definition of a project's pipelines, and what makes pipelines of it.

use crate::{
    house::{House, ONE_JOB, OPERATOR},
    named::{by, read, why},
    people::person,
    webhooks::{PROJECT, Place},
};
use protocol::webhook::Provider;
use serde_json::{Value, json};

const SCHEDULE: &str = r#"{"name": "nightly", "attribution-actor": "current", "parameters": {"branch": "main"},
    "timetable": {"per-hour": 1, "hours-of-day": [0], "days-of-week": ["MON"]}}"#;

async fn project_id(house: &House) -> String {
    let (_, project) = read(house, OPERATOR, &format!("/api/v2/project/{PROJECT}")).await;
    project["id"].as_str().unwrap_or_else(|| panic!("{project}")).to_owned()
}

#[actix_web::test]
async fn a_project_whose_repository_is_known_has_one_definition_in_both_shapes() {
    let place = Place::new(Provider::Github, Some(ONE_JOB)).await;
    let house = place.house;
    let eve = person(&house, "eve", &[("gh/acme", "viewer")]).await;
    let mallory = person(&house, "mallory", &[("gh/other", "admin")]).await;
    let id = project_id(&house).await;
    let (status, newer) = read(&house, &eve, &format!("/api/v3/pipelines?filter%5Bproject_id%5D={id}")).await;
    let data = newer["data"].as_array().unwrap();
    assert_eq!((status, data.len(), &data[0]["references"]["project"]["id"]), (200, 1, &json!(id)));
    let attributes = &data[0]["attributes"];
    assert_eq!(
        (&attributes["name"], &attributes["config"]["file_path"]),
        (&json!("app"), &json!(".circleci/config.yml"))
    );
    assert_eq!(attributes["config"]["vcs"]["provider"], "github");
    let definition = data[0]["id"].as_str().unwrap();

    let all = format!("/api/v2/projects/{id}/pipeline-definitions");
    let (_, older) = read(&house, &eve, &all).await;
    assert_eq!(
        (&older["items"][0]["id"], &older["items"][0]["checkout_source"]["provider"]),
        (&json!(definition), &json!("github"))
    );
    assert_eq!(read(&house, &eve, &format!("{all}/{definition}")).await.1, older["items"][0]);
    assert_eq!(read(&house, &eve, &format!("{all}/{id}")).await.0, 404);
    assert_eq!(read(&house, &mallory, &all).await.0, 404);
    let (status, told) =
        read(&house, &mallory, &format!("/api/v3/pipelines?filter%5Bproject_id%5D={id}")).await;
    assert_eq!((status, why(&told)), (404, format!("there is no project {id}").as_str()));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_project_without_a_repository_has_no_definition() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (_, project) = read(&house, OPERATOR, "/api/v2/project/gh/acme/shop").await;
    let id = project["id"].as_str().unwrap();
    for path in ["pipelines", "triggers"] {
        let (status, told) =
            read(&house, OPERATOR, &format!("/api/v3/{path}?filter%5Bproject_id%5D={id}")).await;
        assert_eq!((status, &told["data"]), (200, &json!([])));
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_projects_webhook_and_its_schedules_are_its_triggers() {
    let place = Place::new(Provider::Gitea, Some(ONE_JOB)).await;
    let house = place.house;
    let id = project_id(&house).await;
    let schedule: Value = serde_json::from_str(SCHEDULE).unwrap();
    let schedules = format!("/api/v2/project/{PROJECT}/schedule");
    let (status, made) = by(&house, OPERATOR, "POST", &schedules, &schedule).await;
    assert_eq!(status, 201, "{made}");
    let all = format!("/api/v2/projects/{id}/pipeline-definitions");
    let definition = read(&house, OPERATOR, &all).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let asked = format!("/api/v3/triggers?filter%5Bproject_id%5D={id}&filter%5Bpipeline_id%5D=");
    let (_, newer) = read(&house, OPERATOR, &format!("{asked}{definition}")).await;
    let events: Vec<_> =
        newer["data"].as_array().unwrap().iter().map(|one| &one["attributes"]["event"]).collect();
    assert_eq!((&events[0]["type"], &events[0]["filter"]["preset"]), (&json!("vcs"), &json!("all-pushes")));
    assert_eq!((&events[1]["type"], &events[1]["schedule"]["name"]), (&json!("schedule"), &json!("nightly")));
    assert_eq!(newer["data"][1]["id"], made["id"]);
    assert_eq!(read(&house, OPERATOR, &format!("{asked}{id}")).await.1["data"], json!([]));
    let (_, older) = read(&house, OPERATOR, &format!("{all}/{definition}/triggers")).await;
    assert_eq!(older["items"][0]["event_source"]["provider"], "gitea");
    assert_eq!(older["items"][1]["event_source"]["schedule"]["name"], "nightly");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_pipeline_is_made_of_the_definition_that_there_is_and_of_no_other() {
    let place = Place::new(Provider::Github, Some(ONE_JOB)).await;
    let house = place.house;
    let id = project_id(&house).await;
    let all = format!("/api/v2/projects/{id}/pipeline-definitions");
    let definition = read(&house, OPERATOR, &all).await.1["items"][0]["id"].clone();
    let run = format!("/api/v2/project/{PROJECT}/pipeline/run");
    let asked = async |body: Value| by(&house, OPERATOR, "POST", &run, &body).await;
    let (status, made) = asked(json!({"definition_id": definition, "checkout": {"branch": "main"}})).await;
    assert_eq!((status, &made["state"]), (201, &json!("created")));
    for other in [json!(id), json!(7)] {
        let (status, told) = asked(json!({"definition_id": other})).await;
        assert!(
            status == 400 && told["message"].as_str().unwrap().contains(definition.as_str().unwrap()),
            "{told}"
        );
    }
    let (status, told) = asked(json!({"config": {"content": "version: 2.1"}})).await;
    assert!(status == 400 && told["message"].as_str().unwrap().contains("`content`"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn definitions_are_not_made_by_a_call() {
    let house = House::new().await;
    let body = json!({"data": {"attributes": {"name": "a"}, "references": {"project": {"id": "x"}}}});
    let (status, told) = by(&house, OPERATOR, "POST", "/api/v3/pipelines", &body).await;
    assert!(status == 400 && why(&told).contains("one definition"), "{told}");
    let (status, told) = by(&house, OPERATOR, "POST", "/api/v3/pipelines", &json!({})).await;
    assert!(status == 400 && told["message"].as_str().unwrap().contains("missing field"), "{told}");
    house.running.stop().await;
}
