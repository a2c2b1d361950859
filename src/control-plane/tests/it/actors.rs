//! Who had something run: shown as it was, and of whom a context may be for some only.

use crate::{
    house::{House, OPERATOR, claim_one, end, get, new_pipeline, post, request},
    people::{person, project_token},
    provider::Provider as Identities,
    sign_in,
    webhooks::Place,
};
use protocol::{
    Actor, JobStatus, Outcome, PipelineId,
    api::{PipelineView, Rerun},
    webhook::Provider,
};
use serde_json::{Value, json};

pub(crate) const GUARDED: &str = "
version: 2.1
jobs: {deploy: {machine: true, resource_class: acme/linux, steps: [run: make]}}
workflows: {main: {jobs: [deploy: {context: deploy}]}}
";
const GATED: &str = "
version: 2.1
jobs: {job: {machine: true, resource_class: acme/linux, steps: [run: make]}}
workflows:
  main:
    jobs:
      - hold: {type: approval}
      - job: {name: between, requires: [hold]}
      - job: {name: deploy, requires: [between], context: deploy}
";

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A context of the organization that is for some of its people.
pub(crate) async fn context_for(house: &House, kind: &str, value: &str) -> (u16, String) {
    let (_, made) =
        post(house, "/api/v2/context", r#"{"name": "deploy", "owner": {"slug": "gh/acme"}}"#).await;
    restrict(house, read(&made)["id"].as_str().unwrap(), kind, value).await
}

async fn restrict(house: &House, context: &str, kind: &str, value: &str) -> (u16, String) {
    let body = json!({ "restriction_type": kind, "restriction_value": value }).to_string();
    post(house, &format!("/api/v2/context/{context}/restrictions"), &body).await
}

/// Makes a pipeline with somebody's token.
pub(crate) async fn made_by(house: &House, token: &str, config: &str) -> PipelineId {
    house.transport.operator(token).create_pipeline(&new_pipeline(config)).await.unwrap().id
}

/// How the last job of the last workflow stands, and why.
pub(crate) fn last(view: &PipelineView) -> (JobStatus, String) {
    let job = view.workflows.last().unwrap().jobs.last().unwrap();
    (job.status, job.reason.clone().unwrap_or_default())
}

/// Somebody who may start and approve, and somebody who may do everything.
pub(crate) async fn member_and_admin(house: &House) -> [String; 2] {
    let ada = person(house, "ada", &[("gh/acme", "member")]).await;
    [ada, person(house, "eve", &[("gh/acme", "admin")]).await]
}

#[actix_web::test]
async fn a_context_for_a_role_is_for_pipelines_that_somebody_with_it_has_made() {
    let house = House::new().await;
    let [ada, eve] = member_and_admin(&house).await;
    assert_eq!(context_for(&house, "role", "admin").await.0, 201);
    let program = project_token(&house, "gh/acme/shop", "all").await;
    for (token, status, login) in [
        (ada.as_str(), JobStatus::Unauthorized, "ada"),
        (&program, JobStatus::Unauthorized, "a token of gh/acme/shop: all"),
        (&eve, JobStatus::Queued, "eve"),
        (OPERATOR, JobStatus::Queued, "operator"),
    ] {
        let view = house.view(made_by(&house, token, GUARDED).await).await;
        let (found, why) = last(&view);
        assert_eq!((found, view.actor.login()), (status, login), "{why}");
        let told = format!("whoever has the role `admin` in gh/acme, and that {login} is not");
        assert_eq!(why.contains(&told), status == JobStatus::Unauthorized, "{why}");
        let (_, shown) = get(&house, &format!("/api/v2/pipeline/{}", view.id), operator()).await;
        assert_eq!(read(&shown)["trigger"]["actor"]["login"], login);
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn behind_an_approval_whoever_approved_answers_also_after_a_start_and_not_for_a_rerun_of_others() {
    let house = House::new().await;
    let [ada, eve] = member_and_admin(&house).await;
    context_for(&house, "role", "admin").await;
    let (first, second) = (made_by(&house, &ada, GATED).await, made_by(&house, &eve, GATED).await);
    let house = house.again(|_| {}).await;
    for (pipeline, token) in [(first, &eve), (second, &ada)] {
        let held = house.operator.on_hold().await.unwrap();
        let held = held.into_iter().find(|one| one.pipeline == pipeline).unwrap();
        let path = format!("/api/v2/workflow/{}/approve/{}", held.workflow, held.job);
        assert_eq!(request(&house, "POST", &path, Some(("Circle-Token", token)), "").await.0, 202);
    }
    // Between the answer and the job that asks for it too.
    let house = house.again(|_| {}).await;
    let runner = house.runner().await;
    for _ in 0..2 {
        crate::house::finish(&runner, Outcome::Success).await;
    }
    assert_eq!(last(&house.view(first).await).0, JobStatus::Queued, "eve approved");
    let (status, why) = last(&house.view(second).await);
    assert!(status == JobStatus::Unauthorized && why.contains("that ada is not"), "{why}");
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    end(&claimed, &task, Outcome::Failed).await;
    // What eve approved once is not approved for what ada has run again.
    let from_failed = Rerun { is_from_failed: true, ..Rerun::default() };
    let workflow = house.view(first).await.workflows.last().unwrap().id;
    let refused = house.transport.operator(&ada).rerun(workflow, &from_failed).await.unwrap_err();
    assert!(refused.to_string().contains("that ada is not"), "{refused}");
    house.transport.operator(&eve).rerun(workflow, &from_failed).await.unwrap();
    let view = house.view(first).await;
    assert_eq!(last(&view).0, JobStatus::Queued);
    assert_eq!(view.workflows.last().unwrap().actor.as_ref().map(Actor::login), Some("eve"));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_context_for_a_group_is_for_whom_the_provider_named_in_it_when_they_came_last() {
    let provider = Identities::new();
    let house = sign_in::house(&provider).await;
    let ada = person(&house, "anna", &[("gh/acme", "member")]).await;
    let (_, people) = get(&house, "/api/v3/people", operator()).await;
    assert!(people.contains("anna"), "{people}");
    sign_in::link(&house, "anna", r#"{"subject": "anna-1"}"#).await;
    assert_eq!(context_for(&house, "group", "deployers").await.0, 201);
    let stands = async || last(&house.view(made_by(&house, &ada, GUARDED).await).await);
    let (status, why) = stands().await;
    assert!(status == JobStatus::Unauthorized && why.contains("the group `deployers`"), "{why}");
    for (groups, expected) in
        [(json!(["deployers", "all"]), JobStatus::Queued), (json!(["all"]), JobStatus::Unauthorized)]
    {
        provider.says().claims = json!({ "sub": "anna-1", "groups": groups });
        sign_in::signed_in(&house, &provider).await;
        assert_eq!(stands().await.0, expected);
    }
    // All who have a role in the organization are the group of its id.
    let (_, project) = get(&house, "/api/v2/project/gh/acme/shop", operator()).await;
    let (_, contexts) = get(&house, "/api/v2/context?owner-slug=gh/acme", operator()).await;
    let context = read(&contexts)["items"][0]["id"].as_str().unwrap().to_owned();
    let organization = read(&project)["organization_id"].as_str().unwrap().to_owned();
    assert_eq!(restrict(&house, &context, "group", &organization).await.0, 201);
    assert_eq!(stands().await.0, JobStatus::Queued);
    house.running.stop().await;
}

async fn account(house: &House, method: &str, login: &str, account: &str) -> (u16, String) {
    request(house, method, &format!("/api/v3/people/{login}/accounts/{account}"), operator(), "").await
}

#[actix_web::test]
async fn what_an_account_pushes_is_its_persons_and_otherwise_the_accounts() {
    let place = Place::new(Provider::Github, Some(GUARDED)).await;
    let house = &place.house;
    let ada = person(house, "ada", &[("gh/acme", "member")]).await;
    person(house, "eve", &[]).await;
    context_for(house, "role", "member").await;
    let push = async |branch: &str| {
        let body = json!({
            "ref": format!("refs/heads/{branch}"), "after": place.revision,
            "repository": {"default_branch": "main"}, "sender": {"login": "Ada-L"},
        });
        place.view(&place.received(Provider::Github, "push", &body).await).await
    };
    let before = push("one").await;
    assert_eq!(before.actor, Actor::Account { login: "Ada-L".to_owned() });
    assert!(last(&before).0 == JobStatus::Unauthorized && last(&before).1.contains("that Ada-L is not"));
    let (status, told) = account(house, "PUT", "ada", "github.com/ada-l").await;
    assert!(status == 200 && read(&told)["accounts"] == json!(["gh/ada-l"]), "{told}");
    assert_eq!(
        account(house, "PUT", "ada", "gh/ada-l").await,
        (200, told),
        "to say it again changes nothing"
    );
    let after = push("two").await;
    assert!(after.actor.login() == "ada" && last(&after).0 == JobStatus::Queued, "{:?}", last(&after));
    let (_, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    assert!(spec.environment.iter().any(|one| one.name == "CIRCLE_USERNAME" && one.value == "ada"));
    // Hers alone are hers.
    let (_, own) =
        get(house, "/api/v2/project/gh/acme/app/pipeline/mine", Some(("Circle-Token", &ada))).await;
    assert_eq!(read(&own)["items"].as_array().unwrap().len(), 1, "{own}");
    for (method, login, name, expected) in [
        ("PUT", "eve", "gh/ADA-L", 409),
        ("PUT", "eve", "gh/a/b", 400),
        ("PUT", "nobody", "gh/x", 404),
        ("DELETE", "eve", "gh/ada-l", 404),
        ("DELETE", "ada", "gh/Ada-L", 200),
    ] {
        let (status, told) = account(house, method, login, name).await;
        assert_eq!(status, expected, "{method} {login} {name}: {told}");
    }
    assert!(matches!(push("three").await.actor, Actor::Account { .. }));
    place.house.running.stop().await;
}
