//! Webhooks that projects have sent: made in the public shape, told of what ended, and shown without their secrets.

use crate::{
    house::{House, ONE_JOB, OPERATOR, claim_one, data_dir, end, finish, get, new_pipeline, post, request},
    people::person,
};
use control_plane::{Answering, KeySource, Outbound, Post, Reply, Settings};
use protocol::{Outcome, PipelineId, WorkflowStatus};
use ring::hmac;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SECRET: &str = "s3cret-that-signs";
/// A webhook of the project that every house has, `gh/acme/shop`.
pub(crate) const WEBHOOK: &str = r#"{"name": "chat", "events": ["workflow-completed", "job-completed"], "verify-tls": true,
    "url": "https://chat.example/hooks/1", "signing-secret": "s3cret-that-signs",
    "scope": {"id": "9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d", "type": "project"}}"#;

/// Others, who hear what they are told.
#[derive(Debug)]
pub(crate) struct Receiver {
    heard: Mutex<Vec<(Post, u16)>>,
    status: Mutex<u16>,
}

impl Receiver {
    pub(crate) fn answering(status: u16) -> Arc<Self> {
        Arc::new(Self { heard: Mutex::default(), status: Mutex::new(status) })
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// What came so far and was answered like this: the post, and its body.
    fn heard(&self, status: u16) -> Vec<(Post, Value)> {
        let heard = self.heard.lock().unwrap();
        let with = heard.iter().filter(|(_, answered)| *answered == status);
        with.map(|(post, _)| (post.clone(), serde_json::from_slice(&post.body).unwrap())).collect()
    }

    /// Waits until so many were answered like this.
    async fn until_heard(&self, status: u16, count: usize) -> Vec<(Post, Value)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let heard = self.heard(status);
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < deadline, "not {count}: {heard:#?}");
            tokio::task::yield_now().await;
        }
    }
}

impl Outbound for Receiver {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        let status = *self.status.lock().unwrap();
        self.heard.lock().unwrap().push((post.clone(), status));
        let reply = match status {
            0 => Err(format!("cannot reach POST {}: nobody there", post.url)),
            status => Ok(Reply { status, pause: None, body: String::new() }),
        };
        Box::pin(async move { reply })
    }

    fn ask<'a>(&'a self, ask: &'a control_plane::Ask) -> Answering<'a> {
        unreachable!("webhooks ask nothing: {}", ask.url)
    }
}

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A house whose project has run something, and who is told by it.
async fn house(change: impl FnOnce(&mut Settings)) -> (House, Arc<Receiver>) {
    let receiver = Receiver::answering(200);
    let outbound = receiver.clone();
    let house = House::with(|settings| {
        settings.outbound = Some(outbound);
        change(settings);
    })
    .await;
    house.pipeline(ONE_JOB).await;
    finish(&house.runner().await, Outcome::Success).await;
    (house, receiver)
}

/// The same with a webhook: its address.
async fn with_webhook() -> (House, Arc<Receiver>, String) {
    let (house, receiver) = house(|_| {}).await;
    let path = made(&house, WEBHOOK).await;
    (house, receiver, path)
}

async fn made(house: &House, body: &str) -> String {
    let (status, made) = post(house, "/api/v2/webhook", body).await;
    assert_eq!(status, 201, "{made}");
    format!("/api/v2/webhook/{}", json(&made)["id"].as_str().unwrap())
}

/// The header of this name.
fn header<'p>(post: &'p Post, name: &str) -> Option<&'p str> {
    post.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn is_signed(post: &Post, secret: &str) -> bool {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &post.body);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    header(post, "circleci-signature") == Some(&format!("v1={hex}"))
}

async fn run(house: &House, config: &str, outcome: Outcome) -> PipelineId {
    let id = house.pipeline(config).await.id;
    finish(&house.runner().await, outcome).await;
    id
}

#[actix_web::test]
async fn a_webhook_is_made_listed_changed_and_deleted_in_the_public_shape_without_its_secret() {
    let (house, _, path) = with_webhook().await;
    let (_, project) = get(&house, "/api/v2/project/gh/acme/shop", operator()).await;
    let scope = json(&project)["id"].clone();
    let (status, shown) = get(&house, &path, operator()).await;
    let shown = json(&shown);
    assert_eq!((status, &shown["signing-secret"], &shown["scope"]["id"]), (200, &json!("****"), &scope));
    assert_eq!(shown["events"], json!(["workflow-completed", "job-completed"]));
    let all = format!("/api/v2/webhook?scope-id={}&scope-type=project", scope.as_str().unwrap());
    assert_eq!(
        json(&get(&house, &all, operator()).await.1),
        json!({"items": [shown], "next_page_token": null})
    );
    // As whoever sends back what they read.
    let change =
        json!({"name": "room", "signing-secret": "****", "verify-tls": false, "scope": shown["scope"]});
    let (status, changed) = request(&house, "PUT", &path, operator(), &change.to_string()).await;
    let changed = json(&changed);
    assert_eq!(
        (status, &changed["name"], &changed["url"], &changed["verify-tls"], &changed["signing-secret"]),
        (200, &json!("room"), &shown["url"], &json!(false), &json!("****"))
    );
    let (_, told) = get(&house, "/api/v3/audit?organization=gh/acme", operator()).await;
    for deed in ["webhook.create", "webhook.change"] {
        assert!(told.contains(deed) && !told.contains("chat.example"), "{told}");
    }
    let bytes = fs::read(data_dir(&house.folder).join("store.db-wal")).unwrap();
    assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    let (status, unsigned) = request(&house, "PUT", &path, operator(), r#"{"signing-secret": ""}"#).await;
    assert_eq!((status, &json(&unsigned)["signing-secret"]), (200, &json!("")));
    assert_eq!(request(&house, "DELETE", &path, operator(), "").await.0, 200);
    assert_eq!(get(&house, &path, operator()).await.0, 404);
    assert_eq!(json(&get(&house, &all, operator()).await.1)["items"], json!([]));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_no_webhook_is_refused_with_what_is_wrong() {
    let (house, _, path) = with_webhook().await;
    let with = |key: &str, value: Value| {
        let mut new = json(WEBHOOK);
        new[key] = value;
        new.to_string()
    };
    let nowhere = json!({"id": "9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7e", "type": "project"});
    for (body, status, named) in [
        (with("url", json!("ftp://a.example")), 400, "https://"),
        (with("url", json!("https://me:s3@a.example")), 400, "password"),
        (with("events", json!([])), 400, "at least one"),
        (with("events", json!(["job-completed", "job-completed"])), 400, "each once"),
        (with("events", json!(["job-started"])), 400, "job-started"),
        (with("name", json!(" ")), 400, "`name`"),
        (with("signing-secret", json!("****")), 400, "the secret itself"),
        (with("signing-secret", json!("x".repeat(5000))), 400, "4096"),
        (with("more", json!(1)), 400, "more"),
        (with("scope", json!({"id": "x", "type": "project"})), 400, "UUID"),
        (with("scope", json!({"id": nowhere["id"], "type": "organization"})), 400, "organization"),
        (with("scope", nowhere.clone()), 404, "no project"),
    ] {
        let (got, told) = post(&house, "/api/v2/webhook", &body).await;
        assert!(got == status && told.contains(named), "{body}: {got} {told}");
    }
    for change in [json!({"scope": nowhere}), json!({"events": []}), json!({"url": "x"})] {
        assert_eq!(request(&house, "PUT", &path, operator(), &change.to_string()).await.0, 400, "{change}");
    }
    for _ in 1..protocol::outgoing::MOST_WEBHOOKS {
        made(&house, WEBHOOK).await;
    }
    let (status, told) = post(&house, "/api/v2/webhook", WEBHOOK).await;
    assert!(status == 409 && told.contains("20 webhooks"), "{told}");
    house.running.stop().await;
    let silent = House::new().await;
    silent.pipeline(ONE_JOB).await;
    let (status, told) = post(&silent, "/api/v2/webhook", WEBHOOK).await;
    assert!(status == 400 && told.contains("calls nobody"), "{told}");
    silent.running.stop().await;
}

#[actix_web::test]
async fn webhooks_are_their_organizations_admins_and_nobody_elses_to_see() {
    let (house, _, path) = with_webhook().await;
    let all = "/api/v2/webhook?scope-id=9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d";
    for (login, roles, status) in [
        ("ada", [("gh/acme", "admin")], 200),
        ("bob", [("gh/acme", "member")], 403),
        ("mallory", [("gh/other", "admin")], 404),
    ] {
        let token = person(&house, login, &roles).await;
        for path in [all, &path] {
            let (got, told) = get(&house, path, Some(("Circle-Token", &token))).await;
            assert_eq!(got, status, "{login}: {told}");
            assert!(got == 200 || !told.contains("chat") && !told.contains("shop"), "{told}");
        }
        let (got, _) =
            request(&house, "POST", "/api/v2/webhook", Some(("Circle-Token", &token)), WEBHOOK).await;
        assert_eq!(got, if status == 200 { 201 } else { status }, "{login}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_jobs_and_a_workflows_end_are_told_signed_and_once() {
    let (house, receiver, _) = with_webhook().await;
    let id = run(&house, ONE_JOB, Outcome::Failed).await;
    let heard = receiver.until_heard(200, 2).await;
    let mut events: Vec<_> =
        heard.iter().map(|(post, body)| (header(post, "circleci-event-type").unwrap(), body)).collect();
    events.sort_by_key(|(event, _)| *event);
    let view = house.view(id).await;
    let (workflow, job) = (&view.workflows[0], &view.workflows[0].jobs[0]);
    let [("job-completed", first), ("workflow-completed", second)] = events[..] else {
        panic!("{events:#?}")
    };
    assert_eq!((&first["type"], &first["job"]["id"]), (&json!("job-completed"), &json!(job.id)));
    assert_eq!((&first["job"]["status"], &first["job"]["number"]), (&json!("failed"), &json!(2)));
    assert!(first["job"]["started_at"].is_string() && first["job"]["stopped_at"].is_string(), "{first}");
    assert_eq!(
        (&second["workflow"]["id"], &second["workflow"]["status"]),
        (&json!(workflow.id), &json!("failed"))
    );
    let page = format!("http://{}/pipelines/{id}", house.running.address);
    assert_eq!((&second["workflow"]["url"], &second["pipeline"]["number"]), (&json!(page), &json!(2)));
    assert_ne!(first["id"], second["id"]);
    for (post, _) in &heard {
        assert!(
            is_signed(post, SECRET) && post.verify_tls && post.url == "https://chat.example/hooks/1",
            "{post:?}"
        );
        assert_eq!(header(post, "user-agent"), Some("CircleCI-Webhook/1.0"));
        assert_eq!(header(post, "content-type"), Some("application/json"));
    }
    run(&house, ONE_JOB, Outcome::Success).await;
    let heard = receiver.until_heard(200, 4).await;
    assert_eq!((heard.len(), &heard[2].1["pipeline"]["number"]), (4, &json!(3)), "each once");
    let (_, metrics) = get(&house, "/metrics", operator()).await;
    assert!(metrics.contains("roundhouse_webhooks_total{outcome=\"failed\"} 0"), "{metrics}");
    house.running.stop().await;
}

#[actix_web::test]
async fn more_than_are_told_at_once_are_told_one_after_the_other() {
    let (house, receiver) = house(|_| {}).await;
    for _ in 0..protocol::outgoing::MOST_WEBHOOKS {
        made(&house, WEBHOOK).await;
    }
    run(&house, ONE_JOB, Outcome::Success).await;
    run(&house, ONE_JOB, Outcome::Success).await;
    let heard = receiver.until_heard(200, 80).await;
    let once: HashSet<_> =
        heard.iter().map(|(_, body)| format!("{} {}", body["id"], body["webhook"]["id"])).collect();
    assert_eq!((heard.len(), once.len()), (80, 80));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_was_not_heard_is_told_again_as_the_same_event_also_by_the_next_life() {
    let (house, receiver) = house(|settings| settings.key = KeySource::File).await;
    let path = made(&house, &WEBHOOK.replace(", \"job-completed\"", "")).await;
    receiver.answer(0);
    run(&house, ONE_JOB, Outcome::Success).await;
    let first = receiver.until_heard(0, 1).await.remove(0).1;
    receiver.answer(500);
    receiver.until_heard(500, 1).await;
    // With another key, another address, and in another life.
    assert_eq!(post(&house, "/api/v3/server/rotate-key", "").await.0, 200);
    let elsewhere = r#"{"url": "https://elsewhere.example/"}"#;
    assert_eq!(request(&house, "PUT", &path, operator(), elsewhere).await.0, 200);
    let outbound = receiver.clone();
    let house = house
        .again(|settings| {
            settings.key = KeySource::File;
            settings.outbound = Some(outbound);
        })
        .await;
    receiver.answer(204);
    let (last, body) = receiver.until_heard(204, 1).await.remove(0);
    assert_eq!((&body["id"], &body["happened_at"]), (&first["id"], &first["happened_at"]));
    assert!(is_signed(&last, SECRET) && last.url == "https://elsewhere.example/", "{last:?}");
    run(&house, ONE_JOB, Outcome::Success).await;
    assert_eq!(receiver.until_heard(204, 2).await.len(), 2, "that one was told once");
    house.running.stop().await;
}

const FOUR: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows:
  all: {jobs: [build, hold: {type: approval}, after: {type: no-op, requires: [hold]}, build: {name: last, requires: [hold]}]}
";

#[actix_web::test]
async fn a_job_that_never_ran_and_one_that_runs_nothing_are_told_by_nobody() {
    let (house, receiver, _) = with_webhook().await;
    let id = house.pipeline(FOUR).await.id;
    finish(&house.runner().await, Outcome::Success).await;
    assert_eq!(post(&house, &format!("/api/v2/pipeline/{id}/cancel"), "").await.0, 202);
    let heard = receiver.until_heard(200, 2).await;
    let told: Vec<_> =
        heard.iter().map(|(_, body)| (&body["job"]["name"], &body["workflow"]["status"])).collect();
    assert!(told.contains(&(&json!("build"), &Value::Null)), "{told:?}");
    assert!(told.contains(&(&Value::Null, &json!("canceled"))), "{told:?}");
    run(&house, ONE_JOB, Outcome::Success).await;
    let heard = receiver.until_heard(200, 4).await;
    assert_eq!(heard.len(), 4, "nothing of `hold`, `after` and `last`: {heard:#?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_that_runs_again_by_itself_is_told_of_each_time_once() {
    let (house, receiver, _) = with_webhook().await;
    let config = format!("{ONE_JOB}workflows: {{all: {{max_auto_reruns: 1, jobs: [build]}}}}\n");
    let id = run(&house, &config, Outcome::Failed).await;
    finish(&house.runner().await, Outcome::Failed).await;
    let heard = receiver.until_heard(200, 4).await;
    let ids = |name: &str| {
        let of = heard.iter().filter(|(_, body)| body["type"] == "workflow-completed");
        of.map(|(_, body)| body[name].clone()).collect::<Vec<_>>()
    };
    assert!(ids("workflow").iter().all(|workflow| workflow["status"] == "failed"), "{heard:#?}");
    assert!(ids("id").len() == 2 && ids("id")[0] != ids("id")[1], "{heard:#?}");
    assert!(house.view(id).await.workflows.iter().all(|one| one.status == WorkflowStatus::Failed));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_webhook_that_is_deleted_tells_nothing_any_more_and_another_projects_nothing_of_it() {
    let (house, receiver, path) = with_webhook().await;
    let mut other = new_pipeline(ONE_JOB);
    other.project = "gh/acme/other".to_owned();
    house.operator.create_pipeline(&other).await.unwrap();
    finish(&house.runner().await, Outcome::Success).await;
    receiver.answer(500);
    run(&house, ONE_JOB, Outcome::Success).await;
    receiver.until_heard(500, 2).await;
    let (claimed, task) = {
        house.pipeline(ONE_JOB).await;
        claim_one(&house.runner().await).await
    };
    task.begin(claimed.epoch).await.unwrap();
    assert_eq!(request(&house, "DELETE", &path, operator(), "").await.0, 200);
    receiver.answer(200);
    end(&claimed, &task, Outcome::Success).await;
    // Whatever is told comes before what the next webhook tells, for it was due before.
    made(&house, &WEBHOOK.replace("hooks/1", "hooks/2")).await;
    run(&house, ONE_JOB, Outcome::Success).await;
    let heard = receiver.until_heard(200, 2).await;
    assert!(heard.iter().all(|(post, _)| post.url.ends_with("hooks/2")), "{heard:#?}");
    house.running.stop().await;
}
