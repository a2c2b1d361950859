//! Webhooks that the control plane sends, with the real programs: made by the command line, told of what ended, signed, and
//! also where the control plane was killed in between.

use integration::{
    fleet::{CLASS, Fleet},
    recorder::{Call, Recorder},
    rig::pipeline,
    wait,
};
use ring::hmac;
use serde_json::Value;
use std::time::Duration;

/// As every pipeline of a rig is called.
const PROJECT: &str = "local/rig";
const SECRET: &str = "a-secret-that-signs";

fn config() -> String {
    format!(
        "version: 2.1\njobs: {{build: {{machine: true, resource_class: {CLASS}, steps: [run: echo said]}}}}\n"
    )
}

struct House {
    fleet: Fleet,
    recorder: Recorder,
    webhook: String,
}

impl House {
    /// Its project is told of these events.
    async fn new(events: &[&str]) -> Self {
        let fleet = Fleet::start(&[]).await;
        let recorder = Recorder::answering(200);
        // A project is known once it has run something.
        let house = Self { fleet, recorder, webhook: String::new() };
        house.run().await;
        let secret = house.fleet.rig.write("secret", &format!("{SECRET}\n")).display().to_string();
        let url = format!("{}/hooks/7?key=of-the-receiver", house.recorder.url);
        let mut arguments =
            vec!["webhook", "create", PROJECT, "--name", "chat", "--url", &url, "--secret-file", &secret];
        events.iter().for_each(|event| arguments.extend(["--event", event]));
        let made = house.fleet.roundhouse(&arguments);
        assert_eq!(made.status, 0, "{}", made.errors);
        Self { webhook: made.output.trim().to_owned(), ..house }
    }

    /// Runs a pipeline to its end; the id of its workflow.
    async fn run(&self) -> String {
        let new = pipeline(&config(), CLASS);
        let created = self.fleet.server.operator().create_pipeline(&new).await.expect("it is taken");
        self.fleet.server.ended(created.id).await.workflows[0].id.to_string()
    }

    /// Kills the control plane, and starts it again where it was.
    fn kill(&mut self) {
        self.fleet.server.program().kill();
        let address = self.fleet.server.url.trim_start_matches("http://").to_owned();
        self.fleet.server = self.fleet.rig.server_at("server", &address);
    }
}

/// What a call tells, which is signed.
fn told(call: &Call) -> Value {
    assert_eq!(call.line, "POST /hooks/7?key=of-the-receiver");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, call.body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let body: Value = serde_json::from_str(&call.body).expect("it is JSON");
    let event = body["type"].as_str().unwrap_or_default();
    for header in [
        format!("circleci-signature: v1={hex}"),
        format!("circleci-event-type: {event}"),
        "user-agent: CircleCI-Webhook/1.0".to_owned(),
        "content-type: application/json".to_owned(),
    ] {
        assert!(call.headers.contains(&header), "no {header}: {:?}", call.headers);
    }
    body
}

#[actix_rt::test]
async fn a_workflows_end_arrives_once_and_signed_also_where_the_control_plane_is_killed_before_it_is_told() {
    let mut house = House::new(&["workflow-completed"]).await;
    let first = house.run().await;
    let body = told(&house.recorder.until_answered(200, 1)[0]);
    assert_eq!(
        (body["workflow"]["id"].as_str(), body["workflow"]["status"].as_str()),
        (Some(&*first), Some("success"))
    );
    house.recorder.answer(503);
    let second = house.run().await;
    let refused = told(&house.recorder.until_answered(503, 1)[0]);
    house.kill();
    house.recorder.answer(200);
    let body = told(&house.recorder.until_answered(200, 2)[1]);
    assert_eq!((body["workflow"]["id"].as_str(), &body["id"]), (Some(&*second), &refused["id"]));
    let page = body["workflow"]["url"].as_str().unwrap_or_default();
    assert!(page.starts_with(&format!("{}/pipelines/", house.fleet.server.url)), "{page}");
    // What is due is told in the order of its ends: nothing came twice once the next one is there.
    let third = house.run().await;
    let all: Vec<Value> = house.recorder.until_answered(200, 3).iter().map(told).collect();
    let workflows: Vec<_> =
        all.iter().map(|body| body["workflow"]["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(workflows, [first, second, third]);
    let log = std::fs::read_to_string(house.fleet.rig.path("server.log")).expect("it is there");
    assert!(!log.contains("of-the-receiver") && !log.contains(SECRET), "{log}");
}

#[actix_rt::test]
async fn jobs_are_told_of_too_and_a_webhook_is_listed_without_its_secret_and_deleted() {
    let house = House::new(&["workflow-completed", "job-completed"]).await;
    house.run().await;
    let mut types: Vec<_> =
        house.recorder.until_answered(200, 2).iter().map(|call| told(call)["type"].to_string()).collect();
    types.sort();
    assert_eq!(types, ["\"job-completed\"", "\"workflow-completed\""]);
    let listed = house.fleet.roundhouse(&["webhook", "list", PROJECT]);
    assert!(
        listed.output.contains("workflow-completed, job-completed  yes")
            && listed.output.contains(&house.webhook),
        "{listed:#?}"
    );
    let shape = house.fleet.roundhouse(&["webhook", "list", PROJECT, "--json"]).output;
    assert!(shape.contains("\"signing-secret\": \"****\"") && !shape.contains(SECRET), "{shape}");
    assert_eq!(house.fleet.roundhouse(&["webhook", "delete", &house.webhook]).status, 0);
    assert_eq!(house.fleet.roundhouse(&["webhook", "delete", &house.webhook]).status, 2);
    let refused =
        house.fleet.roundhouse(&["webhook", "create", PROJECT, "--name", "x", "--url", "ftp://a.example"]);
    assert!(refused.status == 2 && refused.errors.contains("https://"), "{refused:#?}");
    let counted = "roundhouse_webhooks_total{outcome=\"told\"} 2";
    wait::until("both are counted", Duration::from_secs(20), || {
        house.fleet.server.get("/metrics").body.contains(counted).then_some(())
    });
}
