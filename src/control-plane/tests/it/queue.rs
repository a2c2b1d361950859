//! Whose tasks go first, how many run at once, what becomes of those that nobody takes and of pipelines that a newer one
//! makes redundant.

use crate::{
    house::{
        CLASS, House, ONE_JOB, OPERATOR, claim, claim_one, end, finish, get, new_pipeline, request, with_body,
    },
    people::person,
    webhooks::{PROJECT, Place, git, push},
};
use protocol::{JobStatus, Outcome, PipelineId, WorkflowStatus, webhook::Provider};
use serde_json::{Value, json};
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

async fn pipeline_of(house: &House, project: &str) -> PipelineId {
    let mut new = new_pipeline(ONE_JOB);
    new.project = project.to_owned();
    house.operator.create_pipeline(&new).await.unwrap().id
}

async fn called(house: &House, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, text) = with_body(house, method, path, &body.to_string()).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn ruled(house: &House, project: &str, rules: Value) {
    let path = format!("/api/v3/projects/{project}/queue");
    let (status, said) = called(house, "PUT", &path, rules).await;
    assert_eq!(status, 200, "{said}");
}

/// Claims this many tasks, one after the other, and ends none: whose they were.
async fn claimed(house: &House, number: usize) -> Vec<String> {
    let runner = house.runner().await;
    let mut projects = Vec::new();
    for _ in 0..number {
        let (_, task) = claim_one(&runner).await;
        let spec = task.config().await.unwrap();
        let slug = spec.environment.iter().find(|one| one.name == "CIRCLE_PROJECT_REPONAME");
        projects.push(slug.unwrap().value.clone());
    }
    projects
}

/// Waits until a pipeline's first job stands so; why it does, if that is said.
async fn until(house: &House, pipeline: PipelineId, status: JobStatus) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
        if job.status == status {
            return job.reason.or_else(|| job.tasks.into_iter().next()?.message);
        }
        assert!(Instant::now() < deadline, "{job:?}");
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn projects_take_turns_whoever_asked_first() {
    let house = House::new().await;
    for project in ["gh/acme/one", "gh/acme/one", "gh/acme/one", "gh/acme/two", "gh/acme/two"] {
        pipeline_of(&house, project).await;
    }
    assert_eq!(claimed(&house, 5).await, ["one", "two", "one", "two", "one"]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_higher_priority_goes_first_and_a_limit_holds_a_project_back_also_after_a_restart() {
    let house = House::new().await;
    for project in ["gh/acme/low", "gh/acme/high", "gh/acme/high"] {
        pipeline_of(&house, project).await;
    }
    ruled(&house, "gh/acme/high", json!({"priority": 3, "max_tasks": 1})).await;
    let house = house.again(|_| {}).await;
    let runner = house.runner().await;
    let (first, task) = claim_one(&runner).await;
    assert_eq!(claimed(&house, 1).await, ["low"]);
    assert_eq!(runner.claim(&claim(1, 0)).await.unwrap(), [], "the project has as many as it may");
    // Whoever waits for work hears of the place that becomes free.
    let waiting = async { runner.claim(&claim(1, 20_000)).await.unwrap() };
    let ending = async {
        task.begin(first.epoch).await.unwrap();
        end(&first, &task, Outcome::Success).await;
    };
    let (got, ()) = futures_util::future::join(waiting, ending).await;
    assert_eq!(got.len(), 1);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_class_runs_as_many_tasks_as_it_may_and_says_why_others_wait() {
    let house = House::new().await;
    let class = house.operator.resources("acme").await.unwrap().remove(0).id.unwrap();
    let path = format!("/api/v3/runner/resource/{class}/limit");
    assert_eq!(called(&house, "PUT", &path, json!({"max_tasks": 0})).await.0, 400);
    assert_eq!(called(&house, "PUT", &path, json!({"max_tasks": 1})).await.0, 200);
    assert_eq!(house.operator.resources("acme").await.unwrap()[0].max_tasks, Some(1));
    pipeline_of(&house, PROJECT).await;
    let second = pipeline_of(&house, PROJECT).await;
    let why = until(&house, second, JobStatus::Queued).await.unwrap();
    assert_eq!(why, format!("no live runner serves {CLASS}"));
    let runner = house.runner().await;
    assert_eq!(runner.claim(&claim(5, 0)).await.unwrap().len(), 1);
    let why = until(&house, second, JobStatus::Queued).await.unwrap();
    assert_eq!(why, format!("as many tasks of {CLASS} run as may run at once: 1"));
    assert_eq!(called(&house, "PUT", &path, json!({"max_tasks": null})).await.0, 200);
    assert_eq!(runner.claim(&claim(5, 0)).await.unwrap().len(), 1);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_class_that_gets_the_name_of_a_removed_one_has_not_its_limit() {
    let house = House::new().await;
    let class = house.operator.resources("acme").await.unwrap().remove(0);
    let path = format!("/api/v3/runner/resource/{}", class.id.clone().unwrap());
    assert_eq!(called(&house, "PUT", &format!("{path}/limit"), json!({"max_tasks": 1})).await.0, 200);
    assert_eq!(called(&house, "DELETE", &path, json!({})).await.0, 200);
    house.operator.create_resource(&class).await.unwrap();
    pipeline_of(&house, PROJECT).await;
    pipeline_of(&house, PROJECT).await;
    assert_eq!(house.runner().await.claim(&claim(5, 0)).await.unwrap().len(), 2);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_task_that_nobody_takes_fails_after_its_time_and_says_why_it_waited() {
    let house = House::with(|settings| {
        settings.queue_timeout = Some(Duration::from_secs(1));
        settings.lease = Duration::from_secs(1);
    })
    .await;
    let pipeline = pipeline_of(&house, PROJECT).await;
    let why = until(&house, pipeline, JobStatus::InfrastructureFail).await.unwrap();
    assert_eq!(why, format!("it waited for 1 s and nobody took it: no live runner serves {CLASS}"));
    let runner = house.runner().await;
    assert_eq!(runner.claim(&claim(1, 0)).await.unwrap(), []);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_push_cancels_earlier_pipelines_of_its_branch_where_the_project_says_so_but_not_of_the_default_one()
{
    let place = Place::new(Provider::Github, Some(ONE_JOB)).await;
    let path = format!("/api/v2/project/{PROJECT}/settings");
    let on = json!({"advanced": {"autocancel_builds": true, "oss": false}});
    let (status, settings) = called(&place.house, "PATCH", &path, on).await;
    assert_eq!((status, &settings["advanced"]["autocancel_builds"]), (200, &json!(true)));
    let (status, said) = called(&place.house, "PATCH", &path, json!({"advanced": {"oss": true}})).await;
    assert!(status == 400 && said["message"].as_str().unwrap().contains("`advanced.oss`"), "{said}");
    git(&place.house.folder.path().join("app"), &["branch", "topic"]);
    let mut ids = Vec::new();
    for reference in ["refs/heads/main", "refs/heads/topic", "refs/heads/main", "refs/heads/topic"] {
        // Every webhook counts once.
        let message = format!("Teach it {}", ids.len());
        let body = push(reference, &place.revision, &message);
        ids.push(place.received(Provider::Github, "push", &body).await.pipelines[0].id);
    }
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(place.house.view(id).await.workflows[0].status);
    }
    let running = WorkflowStatus::Running;
    assert_eq!(statuses, [running, WorkflowStatus::Canceled, running, running]);
    place.house.running.stop().await;
}

#[actix_web::test]
async fn a_token_that_calls_too_often_is_told_when_to_come_again_and_the_operators_is_not() {
    let house = House::with(|settings| settings.rate = NonZeroU32::new(1)).await;
    let ada = person(&house, "ada", &[("gh/acme", "viewer")]).await;
    let bearer = format!("Bearer {ada}");
    let mut refused = None;
    for _ in 0..20 {
        let (status, body) = get(&house, "/api/v2/me", Some(("Authorization", &bearer))).await;
        if status == 429 {
            refused = Some(body);
            break;
        }
        assert_eq!(status, 200);
        assert_eq!(get(&house, "/api/v2/me", Some(("Circle-Token", OPERATOR))).await.0, 200);
    }
    let refused = refused.expect("ten at once are many");
    assert!(refused.contains("too many calls with this token: try again in"), "{refused}");
    house.running.stop().await;
}

#[actix_web::test]
async fn whoever_may_not_administer_a_project_says_nothing_of_its_queue() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/acme", "member")]).await;
    pipeline_of(&house, PROJECT).await;
    finish(&house.runner().await, Outcome::Success).await;
    let path = format!("/api/v3/projects/{PROJECT}/queue");
    let bearer = format!("Bearer {ada}");
    let header = Some(("Authorization", bearer.as_str()));
    assert_eq!(request(&house, "PUT", &path, header, "{}").await.0, 403);
    let (status, rules) = get(&house, &path, header).await;
    assert_eq!(
        (status, rules.as_str()),
        (200, r#"{"priority":0,"max_tasks":null,"cancel_redundant":false}"#)
    );
    house.running.stop().await;
}
