//! What nobody gets by another's name: by a rerun, a continuation, a release, or what they say of a commit.

use crate::{
    actors::{GUARDED, context_for, last, made_by, member_and_admin},
    house::{House, OPERATOR, claim, claim_one, end, finish, new_pipeline, request},
};
use client::TaskClient;
use control_plane::KeySource;
use protocol::{
    JobStatus, Outcome, WorkflowStatus,
    api::{GitValues, NewPipeline, ReleaseStatus, Released, Rerun, Variables},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

const SETUP: &str = "
version: 2.1
setup: true
jobs: {decide: {machine: true, resource_class: acme/linux, steps: [run: decide]}}
workflows: {setup: {jobs: [decide]}}
";
const RELEASED: &str = "
version: 2.1
jobs:
  ship: {type: release, plan_name: shop}
  deploy: {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows: {main: {jobs: [ship, deploy: {requires: [ship], context: deploy}]}}
";

/// Begins the job that waits, and tells the key that it has.
async fn with_key(house: &House) -> (protocol::http::Claimed, TaskClient, String) {
    let (claimed, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    let key = spec.environment.into_iter().find(|one| one.name == "CIRCLE_CONTINUATION_KEY").unwrap();
    task.begin(claimed.epoch).await.unwrap();
    (claimed, task, key.value)
}

async fn continued(task: &TaskClient, key: &str) -> u16 {
    let call = json!({"continuation-key": key, "configuration": GUARDED, "parameters": {}});
    task.continue_pipeline(call.to_string().into()).await.unwrap().0
}

/// Somebody is not more than a member any more.
async fn as_member(house: &House, login: &str) {
    let role = json!({"login": login, "role": "member"}).to_string();
    let operator = Some(("Circle-Token", OPERATOR));
    let (status, told) = request(house, "PUT", "/api/v3/members/gh/acme", operator, &role).await;
    assert_eq!(status, 200, "{told}");
}

#[actix_web::test]
async fn whoever_runs_a_setup_workflow_again_answers_for_what_continues_the_pipeline() {
    let house = House::new().await;
    let [ada, eve] = member_and_admin(&house).await;
    context_for(&house, "role", "admin").await;
    for (again, status) in [(&ada, JobStatus::Unauthorized), (&eve, JobStatus::Queued)] {
        let pipeline = made_by(&house, &eve, SETUP).await;
        let (claimed, task, first) = with_key(&house).await;
        end(&claimed, &task, Outcome::Failed).await;
        let workflow = house.view(pipeline).await.workflows[0].id;
        house.transport.operator(again).rerun(workflow, &Rerun::default()).await.unwrap();
        let (_, task, key) = with_key(&house).await;
        assert_eq!(continued(&task, &first).await, 404, "the key of the first run opens nothing more");
        assert_eq!(continued(&task, &key).await, 200);
        let view = house.view(pipeline).await;
        assert_eq!(last(&view).0, status, "{}", last(&view).1);
        // The second round is to find its own only.
        house.operator.cancel(pipeline).await.unwrap();
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn nobody_but_an_admin_gives_a_rerun_variables_and_only_where_they_are_gone() {
    let in_memory =
        |byte| move |settings: &mut control_plane::Settings| settings.key = KeySource::Memory([byte; 32]);
    let house = House::with(in_memory(1)).await;
    let [ada, eve] = member_and_admin(&house).await;
    let pipeline = house.pipeline(crate::house::ONE_JOB).await.id;
    finish(&house.runner().await, Outcome::Failed).await;
    let workflow = house.view(pipeline).await.workflows[0].id;
    let given = Rerun { variables: Some(Variables::default()), ..Rerun::default() };
    let refused = house.transport.operator(&eve).rerun(workflow, &given).await.unwrap_err().to_string();
    assert!(refused.contains("are kept: run it again without `variables`"), "{refused}");
    let house = house.again(in_memory(2)).await;
    let refused = house.transport.operator(&ada).rerun(workflow, &given).await.unwrap_err().to_string();
    assert!(refused.contains("needs the role `admin`"), "{refused}");
    house.transport.operator(&eve).rerun(workflow, &given).await.unwrap();
    house.running.stop().await;
}

/// A pipeline of a commit of `main`, as its maker says.
async fn of_main(house: &House, token: &str) -> (JobStatus, String) {
    let git = GitValues {
        branch: Some("main".to_owned()),
        url: Some("https://github.com/acme/shop".to_owned()),
        ..GitValues::default()
    };
    let asked = NewPipeline { git, ..new_pipeline(GUARDED) };
    let id = house.transport.operator(token).create_pipeline(&asked).await.unwrap().id;
    last(&house.view(id).await)
}

#[actix_web::test]
async fn no_context_opens_to_a_branch_that_only_its_maker_names() {
    let house = House::new().await;
    let [ada, eve] = member_and_admin(&house).await;
    assert_eq!(context_for(&house, "expression", "pipeline.git.branch == \"main\"").await.0, 201);
    let (status, why) = of_main(&house, &ada).await;
    assert!(status == JobStatus::Unauthorized && why.contains("only what its maker says"), "{why}");
    for token in [eve.as_str(), OPERATOR] {
        let (status, why) = of_main(&house, token).await;
        assert_eq!(status, JobStatus::Queued, "{why}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_role_that_is_gone_by_the_time_a_task_is_given_out_opens_nothing() {
    let house = House::new().await;
    let [_, eve] = member_and_admin(&house).await;
    context_for(&house, "role", "admin").await;
    let pipeline = made_by(&house, &eve, GUARDED).await;
    assert_eq!(last(&house.view(pipeline).await).0, JobStatus::Queued);
    as_member(&house, "eve").await;
    let none = house.runner().await.claim(&claim(1, 0)).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let view = house.view(pipeline).await;
    assert_eq!(last(&view).0, JobStatus::Canceled, "{}", last(&view).1);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_that_may_not_run_again_by_itself_has_failed() {
    let house = House::new().await;
    let [_, eve] = member_and_admin(&house).await;
    context_for(&house, "role", "admin").await;
    let again = GUARDED.replace("{jobs: [deploy", "{max_auto_reruns: 2, jobs: [deploy");
    let pipeline = made_by(&house, &eve, &again).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    as_member(&house, "eve").await;
    end(&claimed, &task, Outcome::Failed).await;
    let until = async {
        let mut after = 0;
        while !house.view(pipeline).await.workflows[0].status.is_terminal() {
            after = house.operator.feed(pipeline, after, 5_000).await.unwrap().next;
        }
    };
    timeout(Duration::from_secs(20), until).await.unwrap();
    let view = house.view(pipeline).await;
    assert_eq!((view.workflows.len(), view.workflows[0].status), (1, WorkflowStatus::Failed));
    house.running.stop().await;
}

#[actix_web::test]
async fn whoever_says_how_a_release_ended_approves_of_nothing() {
    let house = House::new().await;
    let [ada, eve] = member_and_admin(&house).await;
    context_for(&house, "role", "admin").await;
    for (maker, teller, status) in [(&ada, &eve, JobStatus::Unauthorized), (&eve, &ada, JobStatus::Queued)] {
        let pipeline = made_by(&house, maker, RELEASED).await;
        let held = house.operator.on_hold().await.unwrap();
        let held = held.into_iter().find(|one| one.pipeline == pipeline).unwrap();
        let ended = Released { status: ReleaseStatus::Success, reason: None, by: None };
        house.transport.operator(teller).release(held.workflow, held.job, &ended).await.unwrap();
        let view = house.view(pipeline).await;
        assert_eq!(last(&view).0, status, "{}", last(&view).1);
    }
    house.running.stop().await;
}
