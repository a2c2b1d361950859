//! Jobs as version 1.1 of the public API has them: builds with steps, their output, retry and cancel.

use crate::{
    house::{House, ONE_JOB, OPERATOR, ask, end, finish, get},
    people::person,
    stream::{begun, body, log, records},
};
use protocol::Outcome;
use serde_json::{Value, json};

const TOKEN: Option<(&str, &str)> = Some(("Circle-Token", OPERATOR));
const BUILD: &str = "/api/v1.1/project/gh/acme/shop/1";

async fn build(house: &House, path: &str) -> Value {
    let (status, body) = get(house, path, TOKEN).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[actix_web::test]
async fn a_build_leads_to_the_output_of_its_steps() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let waiting = build(&house, BUILD).await;
    let told = ["build_num", "username", "reponame", "lifecycle", "status", "outcome", "steps"];
    let wanted = json!([1, "acme", "shop", "queued", "queued", null, []]);
    assert_eq!(json!(told.map(|key| &waiting[key])), wanted);
    let (claimed, task) = begun(&house).await;
    let [started, over, ended] = <[_; 3]>::try_from(records()).unwrap();
    task.stream(claimed.epoch, body(&[started, log(0, "hello "), log(6, "w☺rld"), over, ended]))
        .await
        .unwrap();
    end(&claimed, &task, Outcome::Success).await;

    let done = build(&house, BUILD).await;
    assert_eq!((&done["lifecycle"], &done["outcome"]), (&json!("finished"), &json!("success")));
    let workflow = house.view(pipeline).await.workflows[0].id;
    assert_eq!(done["workflows"]["workflow_id"], json!(workflow));
    let host = &done["steps"][0]["actions"][0];
    assert_eq!(
        (&host["type"], &host["has_output"], &host["output_url"]),
        (&json!("infrastructure"), &json!(false), &Value::Null)
    );
    let action = &done["steps"][1]["actions"][0];
    let told = ["index", "step", "name", "status", "exit_code", "bash_command", "has_output", "failed"];
    assert_eq!(json!(told.map(|key| &action[key])), json!([0, 1, "make", "success", 0, "make", true, null]));
    let address = action["output_url"].as_str().unwrap();
    assert_eq!(address, format!("http://x{BUILD}/output/1/0"));
    let answer = crate::page::get(
        &house,
        address.trim_start_matches("http://x"),
        "Circle-Token: operator's token\r\n",
    )
    .await;
    let messages: Value = serde_json::from_str(&answer.text()).unwrap();
    let wanted = json!([{ "type": "out", "time": "1970-01-01T00:00:00.007Z", "message": "hello w☺rld" }]);
    assert_eq!((answer.status, messages), (200, wanted));
    for path in ["output/2/0", "output/1/1", "output/0/99999999999"] {
        assert_eq!(get(&house, &format!("{BUILD}/{path}"), TOKEN).await.0, 404, "{path}");
    }
    let none = crate::page::get(&house, address.trim_start_matches("http://x"), "").await;
    assert_eq!(none.status, 401, "the address opens nothing by itself");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_build_is_retried_as_another_and_canceled() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (status, body) = ask(&house, "POST", &format!("{BUILD}/retry"), TOKEN).await;
    assert_eq!(status, 409, "it still runs: {body}");
    finish(&house.runner().await, Outcome::Failed).await;
    let (status, body) = ask(&house, "POST", &format!("{BUILD}/retry"), TOKEN).await;
    let again: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &again["build_num"], &again["status"]), (201, &json!(2), &json!("queued")));
    let viewer = person(&house, "eve", &[("gh/acme", "viewer")]).await;
    let cancel = "/api/v1.1/project/gh/acme/shop/2/cancel";
    assert_eq!(ask(&house, "POST", cancel, Some(("Circle-Token", &viewer))).await.0, 403);
    let (status, body) = ask(&house, "POST", cancel, TOKEN).await;
    let canceled: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &canceled["outcome"]), (200, &json!("canceled")));
    for path in [
        "/api/v1.1/project/gh/acme/shop/9",
        "/api/v1.1/project/gh/other/shop/1",
        "/api/v1.1/project/gh/acme/shop",
    ] {
        assert_eq!(get(&house, path, TOKEN).await.0, 404, "{path}");
    }
    house.running.stop().await;
}
