//! Policies of an organization: pushed and read in the shapes of CircleCI's clients, and deciding about its pipelines.

use crate::{
    house::{House, OPERATOR, claim_one, data_dir, end, finish, get, new_pipeline, request},
    people::person,
    webhooks::{self, PROJECT, Place},
};
use client::ClientError;
use control_plane::{Judge, Retention, Settings};
use protocol::{Outcome, PipelineState, api::GitValues, webhook::Provider};
use serde_json::{Value, json};
use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

/// What the processes of these tests are started as.
const AS_A_JUDGE: &str = "nothing-but-a-judge";
const ITSELF: &str = "policies::this_program_judges_where_it_is_started_to";
/// Of `gh/acme`, by its id.
const OWNER: &str = "/api/v2/owner/19c611f4-f43d-847f-bc67-721e7c76b7be/context/config";

fn judge() -> Judge {
    Judge::new(&env::current_exe().unwrap(), [ITSELF, "--exact", "--skip", AS_A_JUDGE])
}

async fn house() -> House {
    let house = House::with(|settings| settings.judge = Some(judge())).await;
    person(&house, "ada", &[("gh/acme", "viewer")]).await;
    house
}

async fn call(house: &House, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let token = Some(("Circle-Token", OPERATOR));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, text) = request(house, method, &format!("{OWNER}{path}"), token, &body).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

async fn push(house: &House, policies: &[(&str, &str)]) -> (u16, Value) {
    let policies: serde_json::Map<_, _> =
        policies.iter().map(|(file, text)| ((*file).to_owned(), json!(text))).collect();
    call(house, "POST", "/policy-bundle", &json!({ "policies": policies })).await
}

async fn enforce(house: &House, policies: &[(&str, &str)]) {
    let (status, told) = push(house, policies).await;
    assert_eq!(status, 201, "{told}");
    let told = call(house, "PATCH", "/decision/settings", &json!({"enabled": true})).await;
    assert_eq!(told, (200, json!({"enabled": true})));
}

/// What the clients list.
async fn decisions(house: &House, query: &str) -> Vec<Value> {
    let (status, all) = call(house, "GET", &format!("/decision{query}"), &Value::Null).await;
    assert_eq!(status, 200, "{all}");
    all.as_array().unwrap().clone()
}

const NO_SLEEP: &str = "package org
import future.keywords
policy_name[\"no_sleep\"]
enable_hard[\"no_sleep\"]
no_sleep[job] = reason {
    some job, definition in input._compiled_.jobs
    some step in definition.steps
    contains(step.run.command, \"sleep\")
    reason := sprintf(\"the job %s sleeps\", [job])
}
";
const ON_MAIN: &str = "package org
policy_name[\"on_main\"]
enable_rule[\"on_main\"]
on_main = \"not on main\" { data.meta.vcs.branch != \"main\" }
";

fn config(command: &str) -> String {
    format!(
        "version: 2.1\nparameters: {{what: {{type: string, default: {command}}}}}\njobs:\n  build: {{machine: true, \
         resource_class: acme/linux, steps: [run: << pipeline.parameters.what >> 5]}}\nworkflows: {{all: {{jobs: [build]}}}}\n"
    )
}

/// Only where it is started as one is this program a judge; and by this it is seen to be one.
#[actix_web::test]
async fn this_program_judges_where_it_is_started_to() {
    if env::args().any(|argument| argument == AS_A_JUDGE) {
        return ::policies::judge().unwrap();
    }
    let house = house().await;
    let (status, told) = push(&house, &[("a.rego", NO_SLEEP)]).await;
    assert_eq!((status, &told["created"]), (201, &json!(["no_sleep"])), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn policies_are_pushed_compared_and_fetched_as_clients_do() {
    let house = house().await;
    assert_eq!(call(&house, "GET", "/policy-bundle", &Value::Null).await, (200, json!({})));
    let first = push(&house, &[("x/a.rego", NO_SLEEP), ("b.rego", ON_MAIN)]).await;
    assert_eq!(first, (201, json!({"created": ["no_sleep", "on_main"], "deleted": [], "modified": []})));
    let changed = ON_MAIN.replace("not on main", "elsewhere");
    let files = json!({"policies": {"b.rego": changed, "c.rego": "package org\npolicy_name[\"c\"]\n"}});
    let wanted = json!({"created": ["c"], "deleted": ["no_sleep"], "modified": ["on_main"]});
    assert_eq!(call(&house, "POST", "/policy-bundle?dry=true", &files).await, (200, wanted.clone()));
    let (_, all) = call(&house, "GET", "/policy-bundle", &Value::Null).await;
    assert_eq!(all["no_sleep"]["content"], NO_SLEEP, "nothing was changed");
    assert_eq!(call(&house, "POST", "/policy-bundle", &files).await, (201, wanted));
    let (status, one) = call(&house, "GET", "/policy-bundle/on_main", &Value::Null).await;
    assert_eq!((status, &one["content"], &one["created_by"]), (200, &json!(changed), &json!("operator")));
    let (_, all) = call(&house, "GET", "/policy-bundle/", &Value::Null).await;
    assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["c", "on_main"]);
    let (status, told) = call(&house, "GET", "/policy-bundle/no_sleep", &Value::Null).await;
    assert_eq!((status, &told["error"]), (404, &json!("there is no policy no_sleep")));
    // A new life knows them, and the audit log who did it.
    let house = house.again(|settings| settings.judge = Some(judge())).await;
    let (_, again) = call(&house, "GET", "/policy-bundle", &Value::Null).await;
    assert_eq!(again, all);
    let (_, told) = get(&house, "/api/v3/audit?organization=gh/acme", Some(("Circle-Token", OPERATOR))).await;
    assert!(told.contains("policy.push") && told.contains("deleted: no_sleep"), "{told}");
    house.running.stop().await;
}

/// The upload that holds, as it is on disk, and the control plane in a new life.
async fn kept(house: House) -> (Option<uuid::Uuid>, House) {
    house.running.stop().await;
    let store = store::Store::open(&data_dir(&house.folder).join("store.db")).await.unwrap();
    let rules = store.policy_rules("gh/acme").await.unwrap();
    drop(store);
    (rules.bundle, House::over(house.folder, |settings| settings.judge = Some(judge())).await)
}

#[actix_web::test]
async fn policies_that_are_given_as_they_were_are_kept_once() {
    let house = house().await;
    push(&house, &[("a.rego", NO_SLEEP)]).await;
    let (first, house) = kept(house).await;
    let again = push(&house, &[("by/another/name.rego", NO_SLEEP)]).await;
    assert_eq!(again, (201, json!({"created": [], "deleted": [], "modified": []})));
    let (_, told) = get(&house, "/api/v3/audit?organization=gh/acme", Some(("Circle-Token", OPERATOR))).await;
    assert_eq!(told.matches("policy.push").count(), 2, "each upload was somebody's deed: {told}");
    let (second, house) = kept(house).await;
    assert!(first.is_some() && first == second, "{first:?} {second:?}");
    push(&house, &[("a.rego", ON_MAIN)]).await;
    let (third, house) = kept(house).await;
    assert_ne!(third, second);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_policy_may_be_written_as_json_writes_any_letter() {
    let house = house().await;
    let line = format!("#{}\\n", "\\u0078".repeat(1000));
    let policy = format!("package org\\npolicy_name[\\\"a\\\"]\\n{}", line.repeat(900));
    let body = format!(r#"{{"policies": {{"a.rego": "{policy}"}}}}"#);
    assert!(body.len() > 2 * protocol::policies::LONGEST_BUNDLE);
    let token = Some(("Circle-Token", OPERATOR));
    let (status, told) = request(&house, "POST", &format!("{OWNER}/policy-bundle"), token, &body).await;
    assert_eq!(status, 201, "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_no_policy_no_context_and_no_organization_is_refused_by_name() {
    let house = house().await;
    let broken = "package org\npolicy_name[\"a\"]\nr { http.send({}) }\n";
    let (status, told) = push(&house, &[("a.rego", broken)]).await;
    let message = told["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("a.rego:3:") && message.contains("undefined function http.send")
    );
    assert_eq!(told["error"], told["message"], "older clients look there");
    assert_eq!(call(&house, "GET", "/policy-bundle", &Value::Null).await, (200, json!({})));
    let token = Some(("Circle-Token", OPERATOR));
    let (status, told) = get(&house, &OWNER.replace("/config", "/other/decision"), token).await;
    assert!(status == 400 && told.contains("no context `other`"), "{told}");
    let nobodys = "/api/v2/owner/00000000-0000-0000-0000-000000000000/context/config/decision/settings";
    assert_eq!(get(&house, nobodys, token).await.0, 404);
    for (query, why) in [("?status=MAYBE", "unknown variant"), ("?after=yesterday", "no time of RFC 3339")] {
        let (status, told) = call(&house, "GET", &format!("/decision{query}"), &Value::Null).await;
        assert!(status == 400 && told["message"].as_str().unwrap().contains(why), "{told}");
    }
    let (status, told) = call(&house, "POST", "/decision", &json!({"input": "", "metadata": 7})).await;
    assert!(status == 400 && told["message"].as_str().unwrap().contains("is a map"), "{told}");
    // One without a judge has none.
    let house = house.again(|_| {}).await;
    let (status, told) = call(&house, "GET", "/decision/settings", &Value::Null).await;
    assert!(status == 404 && told["message"].as_str().unwrap().contains("roundhouse server"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_configuration_is_decided_on_without_a_pipeline_by_members() {
    let house = house().await;
    push(&house, &[("a.rego", NO_SLEEP), ("b.rego", ON_MAIN)]).await;
    let sleeps = json!({"input": config("sleep"), "metadata": {"vcs": {"branch": "dev"}}});
    let (status, decision) = call(&house, "POST", "/decision", &sleeps).await;
    assert_eq!(status, 200, "{decision}");
    assert_eq!(decision["status"], "HARD_FAIL", "{decision}");
    assert_eq!(decision["hard_failures"][0]["reason"], "the job build sleeps");
    assert_eq!(decision["soft_failures"][0]["rule"], "on_main");
    // What a client compiled already is what it says.
    let given = json!({"input": "_compiled_: {jobs: {}}", "metadata": {"vcs": {"branch": "main"}}});
    assert_eq!(call(&house, "POST", "/decision", &given).await.1["status"], "PASS");
    assert_eq!(decisions(&house, "").await, Vec::<Value>::new(), "no pipeline was decided on");
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let path = format!("{OWNER}/decision");
    let (status, _) = request(&house, "POST", &path, Some(("Circle-Token", &bob)), &given.to_string()).await;
    assert_eq!(status, 200);
    let settings = format!("{OWNER}/decision/settings");
    let (status, _) =
        request(&house, "PATCH", &settings, Some(("Circle-Token", &bob)), r#"{"enabled": false}"#).await;
    assert_eq!(status, 403);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_pipeline_is_refused_until_its_configuration_is_mended_and_each_decision_is_kept() {
    let house = house().await;
    enforce(&house, &[("a.rego", NO_SLEEP), ("b.rego", ON_MAIN)]).await;
    let of = |command: &str| {
        let git = GitValues { branch: Some("dev".to_owned()), ..GitValues::default() };
        protocol::api::NewPipeline { git, ..new_pipeline(&config(command)) }
    };
    let Err(ClientError::Diagnosed(refused)) = house.operator.create_pipeline(&of("sleep")).await else {
        panic!("it sleeps")
    };
    assert_eq!(refused.message, "the organization's policies refuse .circleci/config.yml");
    let said = refused.diagnostics.join("");
    assert!(said.contains("error: policy rule `no_sleep`: the job build sleeps"), "{said}");
    let made = house.operator.create_pipeline(&of("make")).await.unwrap();
    assert_eq!(made.number, 1, "one that is refused takes no number");
    let said = made.warnings.join("");
    assert!(said.contains("warning: policy rule `on_main`: not on main"), "{said}");
    finish(&house.runner().await, Outcome::Success).await;
    let all = decisions(&house, "").await;
    let status = |one: &Value| one["decision"]["status"].as_str().unwrap().to_owned();
    assert_eq!(all.iter().map(status).collect::<Vec<_>>(), ["SOFT_FAIL", "HARD_FAIL"]);
    let first = &all[1];
    assert_eq!(first["metadata"]["vcs"]["branch"], "dev");
    assert_eq!(first["metadata"]["project_id"], "9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d");
    assert_eq!(first["policies"]["no_sleep"].as_str().unwrap().len(), 128, "{first}");
    let path = format!("/decision/{}", first["id"].as_str().unwrap());
    assert_eq!(&call(&house, "GET", &path, &Value::Null).await.1, first);
    push(&house, &[]).await;
    let (_, bundle) = call(&house, "GET", &format!("{path}/policy-bundle"), &Value::Null).await;
    assert_eq!(bundle["no_sleep"]["content"], NO_SLEEP, "as it was when it decided");
    for (query, wanted) in [
        ("?status=HARD_FAIL", 1),
        ("?branch=dev", 2),
        ("?branch=main", 0),
        ("?offset=1", 1),
        ("?offset=2", 0),
        ("?project_id=9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d&after=2020-01-01T00:00:00Z", 2),
        ("?before=2020-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(decisions(&house, query).await.len(), wanted, "{query}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn where_they_do_not_decide_or_are_anothers_nothing_is_asked() {
    let house = house().await;
    push(&house, &[("a.rego", NO_SLEEP)]).await;
    house.pipeline(&config("sleep")).await;
    enforce(&house, &[("a.rego", NO_SLEEP)]).await;
    let other =
        protocol::api::NewPipeline { project: "gh/other/app".to_owned(), ..new_pipeline(&config("sleep")) };
    house.operator.create_pipeline(&other).await.unwrap();
    // By every name of the host it is the same organization.
    let same = protocol::api::NewPipeline {
        project: "github.com/acme/new".to_owned(),
        ..new_pipeline(&config("sleep"))
    };
    assert!(matches!(house.operator.create_pipeline(&same).await, Err(ClientError::Diagnosed(_))));
    call(&house, "PATCH", "/decision/settings", &json!({"enabled": false})).await;
    house.operator.create_pipeline(&same).await.unwrap();
    assert_eq!(decisions(&house, "").await.len(), 1);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_the_policies_cannot_say_does_not_run() {
    let house = house().await;
    let conflict = "package org\npolicy_name[\"a\"]\nr = 1\nr = 2 { input.version == 2.1 }\n";
    enforce(&house, &[("a.rego", conflict)]).await;
    let Err(ClientError::Diagnosed(refused)) =
        house.operator.create_pipeline(&new_pipeline(&config("make"))).await
    else {
        panic!("it cannot be decided")
    };
    assert!(refused.message.contains("cannot decide, so nothing runs"), "{refused:?}");
    let all = decisions(&house, "?status=ERROR").await;
    assert!(all[0]["decision"]["reason"].as_str().unwrap().contains("conflict"), "{all:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn policies_without_end_hold_up_their_own_pipelines_alone() {
    let house = house().await;
    let endless = "package org\nimport future.keywords\npolicy_name[\"a\"]\nenable_hard[\"r\"]\n\
                   r = \"x\" { some a in s; some b in s; some c in s; a + b + c < 0 }\ns := numbers.range(1, 100000)\n";
    enforce(&house, &[("a.rego", endless)]).await;
    let began = Instant::now();
    let own = new_pipeline(&config("make"));
    let other =
        protocol::api::NewPipeline { project: "gh/other/app".to_owned(), ..new_pipeline(&config("make")) };
    let timed = async |new| (house.operator.create_pipeline(new).await, began.elapsed());
    let ((refused, endless), (made, other)) = tokio::join!(timed(&own), timed(&other));
    made.unwrap();
    let Err(ClientError::Diagnosed(refused)) = refused else { panic!("it never ends: {refused:?}") };
    assert!(refused.diagnostics[0].contains("time limit"), "{refused:?}");
    assert!(other < endless && endless < Duration::from_secs(60), "{other:?} {endless:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_setup_pipeline_is_decided_on_and_so_is_what_continues_it() {
    let house = house().await;
    enforce(&house, &[("a.rego", NO_SLEEP)]).await;
    let setup = "version: 2.1\nsetup: true\njobs: {decide: {machine: true, resource_class: acme/linux, steps: [run: make]}}\n\
                 workflows: {setup: {jobs: [decide]}}\n";
    let made = house.pipeline(setup).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let spec = task.config().await.unwrap();
    let key = spec.environment.iter().find(|one| one.name == "CIRCLE_CONTINUATION_KEY").unwrap();
    let body = json!({"continuation-key": key.value, "configuration": config("sleep")}).to_string();
    let token = Some(("Circle-Token", OPERATOR));
    let (status, told) = request(&house, "POST", "/api/v2/pipeline/continue", token, &body).await;
    assert!(status == 400 && told.contains("policies refuse"), "{told}");
    end(&claimed, &task, Outcome::Success).await;
    let view = house.view(made.id).await;
    assert_eq!(view.state, PipelineState::Errored);
    assert!(view.errors[0].contains("the job build sleeps"), "{:?}", view.errors);
    assert_eq!(decisions(&house, "").await.len(), 2);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_push_that_policies_refuse_is_a_pipeline_in_error_with_the_reasons() {
    let place = Place::new(Provider::Github, Some(&config("sleep"))).await;
    let house = place.house.again(|settings| {
        settings.judge = Some(judge());
        settings.insecure_fetch = true;
    });
    let house = house.await;
    enforce(&house, &[("a.rego", NO_SLEEP)]).await;
    let path = format!("/api/v2/project/{PROJECT}/pipeline");
    let (status, made) = request(&house, "POST", &path, Some(("Circle-Token", OPERATOR)), "{}").await;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((status, &made["state"]), (201, &json!("errored")), "{made}");
    let path = format!("/api/v2/pipeline/{}", made["id"].as_str().unwrap());
    let (_, shown) = get(&house, &path, Some(("Circle-Token", OPERATOR))).await;
    assert!(shown.contains("the job build sleeps"), "{shown}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_push_whose_policies_cannot_be_asked_is_a_pipeline_in_error_and_a_call_is_to_come_again() {
    let with = |judge: Judge| {
        |settings: &mut Settings| {
            settings.judge = Some(judge);
            settings.insecure_fetch = true;
        }
    };
    let Place { house, revision } = Place::new(Provider::Github, Some(&config("make"))).await;
    let house = house.again(with(judge())).await;
    enforce(&house, &[("a.rego", NO_SLEEP)]).await;
    let house = house.again(with(Judge::new(Path::new("/nowhere/at/all"), [""; 0]))).await;
    let place = Place { house, revision };
    let body = webhooks::push("refs/heads/main", &place.revision, "Teach it");
    let view = place.view(&place.received(Provider::Github, "push", &body).await).await;
    assert_eq!(view.state, PipelineState::Errored);
    assert!(view.errors[0].contains("cannot start /nowhere/at/all"), "{:?}", view.errors);
    let path = format!("/api/v2/project/{PROJECT}/pipeline");
    let (status, told) = request(&place.house, "POST", &path, Some(("Circle-Token", OPERATOR)), "{}").await;
    assert_eq!(status, 503, "{told}");
    place.house.running.stop().await;
}

#[actix_web::test]
async fn decisions_go_with_their_age() {
    let house = house().await;
    enforce(&house, &[("b.rego", ON_MAIN)]).await;
    house.pipeline(&config("make")).await;
    assert_eq!(decisions(&house, "").await.len(), 1);
    let house = house
        .again(|settings| {
            settings.judge = Some(judge());
            let (audit_for, every) = (Duration::ZERO, Duration::from_millis(10));
            settings.retention = Retention { audit_for, every, ..Retention::SERVER };
        })
        .await;
    house.until_swept().await;
    assert_eq!(decisions(&house, "").await.len(), 0);
    let (_, all) = call(&house, "GET", "/policy-bundle", &Value::Null).await;
    assert_eq!(all["on_main"]["content"], ON_MAIN, "what holds stays");
    house.running.stop().await;
}
