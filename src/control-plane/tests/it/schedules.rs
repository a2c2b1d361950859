//! What starts by the clock: workflows with schedules of their own, and schedules that people make.

use crate::{
    house::{House, OPERATOR, ask, claim_one, get, post_with, request},
    people::person,
    webhooks::{PROJECT, Place, git, push},
};
use control_plane::Wall;
use protocol::webhook::Provider;
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-11-30, a Monday, in UTC.
const MONDAY: i64 = 20_787 * DAY;

/// A clock that a test turns.
#[derive(Debug)]
struct Turned(AtomicI64);

impl Wall for Turned {
    fn ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

const NIGHTLY: &str = "
version: 2.1
parameters: {deep: {type: boolean, default: false}}
jobs:
  build:
    machine: true
    resource_class: acme/linux
    environment:
      WHY: << pipeline.trigger_source >>|<< pipeline.schedule.name >>|<< pipeline.trigger.type >>|<< pipeline.event.name >>
      WHAT: << pipeline.parameters.deep >>|<< pipeline.git.branch >>|<< pipeline.git.branch.is_default >>
      WHICH: << pipeline.schedule.id >>
    steps: [run: make]
workflows:
  all: {jobs: [build]}
  nightly:
    triggers: [schedule: {cron: \"0 12 * * *\", filters: {branches: {only: [main, /v.*/]}}}]
    jobs: [build]
  elsewhere:
    triggers: [schedule: {cron: \"* * * * *\", filters: {branches: {only: other}}}]
    jobs: [build]
";

struct Town {
    place: Place,
    clock: Arc<Turned>,
}

impl Town {
    async fn new() -> Self {
        let clock = Arc::new(Turned(AtomicI64::new(MONDAY + 11 * HOUR)));
        let wall = clock.clone();
        let house = House::with(|settings| {
            settings.insecure_fetch = true;
            settings.wall = wall;
        })
        .await;
        let place = Place::within(house, Provider::Github, Some(NIGHTLY), |_| {}).await;
        Self { place, clock }
    }

    /// The same after a stop and a start, at this time.
    async fn again(self, ms: i64) -> Self {
        self.turn(ms);
        let wall = self.clock.clone();
        let change = |settings: &mut control_plane::Settings| {
            settings.insecure_fetch = true;
            settings.wall = wall;
        };
        let Place { house, revision } = self.place;
        Self { place: Place { house: house.again(change).await, revision }, clock: self.clock }
    }

    fn turn(&self, ms: i64) {
        self.clock.0.store(ms, Ordering::SeqCst);
    }

    async fn pushed(&self, branch: &str) {
        let body = push(&format!("refs/heads/{branch}"), &self.place.revision, "Teach it");
        let received = self.place.received(Provider::Github, "push", &body).await;
        assert_eq!(received.pipelines[0].errors, Vec::<String>::new());
    }

    /// The project's pipelines, the newest first.
    async fn pipelines(&self) -> Vec<Value> {
        let path = format!("/api/v2/project/{PROJECT}/pipeline");
        let (_, body) = get(&self.place.house, &path, operator()).await;
        let listed: Value = serde_json::from_str(&body).unwrap();
        listed["items"].as_array().unwrap().clone()
    }

    /// Waits until there are so many pipelines; the newest.
    async fn until(&self, number: usize) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let all = self.pipelines().await;
            if all.len() >= number {
                assert_eq!(all.len(), number, "{all:#?}");
                return all[0].clone();
            }
            assert!(Instant::now() < deadline, "not {number} pipelines: {all:#?}");
            tokio::task::yield_now().await;
        }
    }

    /// The workflows of a pipeline.
    async fn workflows(&self, pipeline: &Value) -> Vec<String> {
        let id = pipeline["id"].as_str().unwrap().parse().unwrap();
        self.place.house.view(id).await.workflows.into_iter().map(|workflow| workflow.name).collect()
    }

    /// The values that the next job has.
    async fn values(&self) -> [String; 3] {
        let (_, task) = claim_one(&self.place.house.runner().await).await;
        let spec = task.config().await.unwrap();
        ["WHY", "WHAT", "WHICH"].map(|name| {
            spec.environment
                .iter()
                .find(|one| one.name == name)
                .map(|one| one.value.clone())
                .unwrap_or_default()
        })
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let house = &self.place.house;
        let (status, text) = match (method, body) {
            ("POST", Some(body)) => {
                post_with(house, path, &[("Circle-Token", OPERATOR)], &body.to_string()).await
            }
            (method, Some(body)) => crate::house::with_body(house, method, path, &body.to_string()).await,
            (method, None) => ask(house, method, path, operator()).await,
        };
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

#[actix_web::test]
async fn a_scheduled_workflow_starts_at_its_time_alone_and_once_and_a_missed_time_is_made_up_for_once() {
    let town = Town::new().await;
    town.pushed("main").await;
    let first = town.until(1).await;
    assert_eq!(town.workflows(&first).await, ["all"]);
    town.values().await;
    town.turn(MONDAY + 12 * HOUR + 5_000);
    let second = town.until(2).await;
    assert_eq!(town.workflows(&second).await, ["nightly"]);
    assert_eq!(second["vcs"]["branch"], "main");
    let [why, what, which] = town.values().await;
    assert_eq!(why, "schedule|nightly|schedule|schedule");
    assert_eq!((what.as_str(), which.as_str()), ("false|main|true", ""), "{what} {which}");
    let town = town.again(MONDAY + 12 * HOUR + 40_000).await;
    town.turn(MONDAY + DAY + 12 * HOUR);
    town.until(3).await;
    // Down for three noons: of these one is made up for, and the next comes at its own time.
    let town = town.again(MONDAY + 4 * DAY + 13 * HOUR).await;
    town.until(4).await;
    town.turn(MONDAY + 4 * DAY);
    town.turn(MONDAY + 5 * DAY + 12 * HOUR + 1);
    town.until(5).await;
    town.place.house.running.stop().await;
}

#[actix_web::test]
async fn a_schedule_fetches_the_newest_commit_and_what_is_wrong_with_it_is_a_pipeline_in_error() {
    let town = Town::new().await;
    town.pushed("main").await;
    let folder = town.place.house.folder.path().join("app");
    fs::write(folder.join(".circleci/config.yml"), "version: 2.1\njobs: {}\n").unwrap();
    git(&folder, &["commit", "-qam", "Break it"]);
    let newest = git(&folder, &["rev-parse", "HEAD"]);
    town.turn(MONDAY + 12 * HOUR);
    let second = town.until(2).await;
    assert_eq!((&second["state"], &second["vcs"]["revision"]), (&json!("errored"), &json!(newest)));
    town.place.house.running.stop().await;
}

#[actix_web::test]
async fn the_next_push_replaces_what_starts_on_its_branch_and_its_deletion_ends_it() {
    let town = Town::new().await;
    let folder = town.place.house.folder.path().join("app");
    for branch in ["v1", "v2"] {
        git(&folder, &["branch", branch]);
        town.pushed(branch).await;
    }
    town.pushed("main").await;
    town.until(3).await;
    // One branch is deleted, as its webhook says; of another the newest configuration has no schedule.
    let mut gone = push("refs/heads/v1", &"0".repeat(40), "");
    gone["deleted"] = json!(true);
    let received = town.place.received(Provider::Github, "push", &gone).await;
    assert!(received.message.contains("is deleted"), "{received:?}");
    git(&folder, &["checkout", "-q", "v2"]);
    fs::write(folder.join(".circleci/config.yml"), crate::house::ONE_JOB).unwrap();
    git(&folder, &["commit", "-qam", "Without"]);
    let body = push("refs/heads/v2", &git(&folder, &["rev-parse", "HEAD"]), "Without");
    town.place.received(Provider::Github, "push", &body).await;
    town.until(4).await;
    town.turn(MONDAY + 12 * HOUR);
    let fifth = town.until(5).await;
    assert_eq!(fifth["vcs"]["branch"], "main");
    town.turn(MONDAY + DAY + 12 * HOUR);
    town.until(6).await;
    town.place.house.running.stop().await;
}

fn schedule(parameters: Value) -> Value {
    json!({
        "name": "deep", "description": "all of it", "attribution-actor": "system", "parameters": parameters,
        "timetable": {"per-hour": 2, "hours-of-day": [15], "days-of-week": ["MON"]},
    })
}

#[actix_web::test]
async fn people_make_change_and_delete_schedules_in_the_public_shape_and_they_start_pipelines() {
    let town = Town::new().await;
    let all = format!("/api/v2/project/{PROJECT}/schedule");
    let (status, made) =
        town.call("POST", &all, Some(&schedule(json!({"branch": "main", "deep": true})))).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["actor"]["login"], &made["project-slug"]), (&json!("system-actor"), &json!(PROJECT)));
    assert_eq!(made["created-at"], "2026-11-30T11:00:00.000Z");
    let one = format!("/api/v2/schedule/{}", made["id"].as_str().unwrap());
    assert_eq!(town.call("GET", &one, None).await, (200, made.clone()));
    assert_eq!(town.call("GET", &all, None).await.1["items"], json!([made]));
    town.turn(MONDAY + 15 * HOUR);
    let first = town.until(1).await;
    assert_eq!(town.workflows(&first).await, ["all"]);
    let [why, what, which] = town.values().await;
    assert_eq!(why, "scheduled_pipeline|deep|schedule|schedule");
    assert_eq!((what.as_str(), Some(which.as_str())), ("true|main|true", made["id"].as_str()));
    let town = town.again(MONDAY + 15 * HOUR + 30 * MINUTE).await;
    town.until(2).await;
    let change = json!({"timetable": {"per-hour": 1, "hours-of-day": [16, 17], "days-of-month": [30], "months": ["NOV"]}, "name": "late"});
    let (status, changed) = town.call("PATCH", &one, Some(&change)).await;
    assert_eq!(
        (status, &changed["name"], &changed["description"]),
        (200, &json!("late"), &json!("all of it"))
    );
    town.turn(MONDAY + 16 * HOUR + 1);
    town.until(3).await;
    assert_eq!(town.call("PATCH", &one, Some(&json!({"parameters": {"branch": "gone"}}))).await.0, 200);
    town.turn(MONDAY + 17 * HOUR);
    let fourth = town.until(4).await;
    assert!(fourth["errors"][0]["message"].as_str().unwrap().contains("no `refs/heads/gone`"), "{fourth}");
    assert_eq!(town.call("DELETE", &one, None).await.0, 200);
    assert_eq!(town.call("GET", &one, None).await.0, 404);
    assert_eq!(town.call("GET", &all, None).await.1["items"], json!([]));
    town.place.house.running.stop().await;
}

#[actix_web::test]
async fn a_schedule_starts_as_whoever_said_last_what_it_starts_and_each_change_is_told() {
    let town = Town::new().await;
    let house = &town.place.house;
    let [ada, eve] = [
        person(house, "ada", &[("gh/acme", "member")]).await,
        person(house, "eve", &[("gh/acme", "member")]).await,
    ];
    let mut one = schedule(json!({"branch": "main"}));
    one["attribution-actor"] = json!("current");
    let as_them = async |method, path: &str, token: &str, body: &Value| {
        let (status, text) =
            request(house, method, path, Some(("Circle-Token", token)), &body.to_string()).await;
        assert!(status < 300, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let made = as_them("POST", &format!("/api/v2/project/{PROJECT}/schedule"), &ada, &one).await;
    let path = format!("/api/v2/schedule/{}", made["id"].as_str().unwrap());
    town.turn(MONDAY + 15 * HOUR);
    assert_eq!(town.until(1).await["trigger"]["actor"]["login"], "ada");
    as_them("PATCH", &path, &eve, &json!({"parameters": {"branch": "main", "deep": true}})).await;
    town.turn(MONDAY + 15 * HOUR + 30 * MINUTE);
    assert_eq!(town.until(2).await["trigger"]["actor"]["login"], "eve");
    // Who has the login of somebody who has left is another.
    request(house, "DELETE", "/api/v3/people/eve", operator(), "").await;
    let eve = person(house, "eve", &[("gh/acme", "admin")]).await;
    town.turn(MONDAY + 7 * 24 * HOUR + 15 * HOUR);
    assert_eq!(town.until(3).await["trigger"]["actor"]["login"], "system-actor");
    as_them("DELETE", &path, &eve, &json!({})).await;
    let (_, told) = get(house, "/api/v3/audit?organization=gh/acme", operator()).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    for (deed, login) in [("schedule.create", "ada"), ("schedule.change", "eve"), ("schedule.delete", "eve")]
    {
        let is_told = |line: &&Value| {
            line["action"] == deed && line.to_string().contains("gh/acme/app: the schedule deep")
        };
        let line = told["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(is_told)
            .unwrap_or_else(|| panic!("{deed}: {told}"));
        assert_eq!(line["actor"], login, "{line}");
    }
    town.place.house.running.stop().await;
}

#[actix_web::test]
async fn what_is_no_schedule_is_refused_with_what_is_wrong() {
    let town = Town::new().await;
    let all = format!("/api/v2/project/{PROJECT}/schedule");
    let mut wrong = Vec::new();
    for parameters in [
        json!({}),
        json!({"branch": "a", "tag": "b"}),
        json!({"branch": "-x"}),
        json!({"branch": "a", "x": [1]}),
    ] {
        wrong.push(schedule(parameters));
    }
    for (key, value) in [
        ("name", json!("")),
        ("timetable", json!({"per-hour": 61, "hours-of-day": [1], "days-of-week": ["MON"]})),
        ("timetable", json!({"per-hour": 1, "hours-of-day": [1]})),
        ("timetable", json!({"per-hour": 1, "hours-of-day": [1], "days-of-week": ["FUN"]})),
        ("attribution-actor", json!("me")),
        ("more", json!(1)),
    ] {
        let mut one = schedule(json!({"branch": "main"}));
        one[key] = value;
        wrong.push(one);
    }
    for one in wrong {
        assert_eq!(town.call("POST", &all, Some(&one)).await.0, 400, "{one}");
    }
    town.place.house.pipeline(crate::house::ONE_JOB).await;
    let one = schedule(json!({"branch": "main"}));
    let (status, said) = town.call("POST", "/api/v2/project/gh/acme/shop/schedule", Some(&one)).await;
    assert!(status == 400 && said["message"].as_str().unwrap().contains("no repository"), "{said}");
    assert_eq!(town.call("POST", "/api/v2/project/gh/acme/none/schedule", Some(&one)).await.0, 404);
    town.place.house.running.stop().await;
}
