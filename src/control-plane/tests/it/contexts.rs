//! Contexts and variables: kept sealed, given to a task's holder alone, refused where they are not for a job.

use crate::{
    house::{House, OPERATOR, claim_one, data_dir, get, new_pipeline, post, request},
    people::person,
};
use protocol::{JobStatus, WorkflowStatus, api::GitValues, task::Variable};
use serde_json::Value;
use std::fs;

const CONFIG: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, environment: {OWN: job's}, steps: [run: make]}
workflows: {main: {jobs: [build: {context: [first, second]}]}}
";
const SECRET: &str = "s3cret-of-the-second-context";

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// Makes a context of the organization: its address.
async fn context(house: &House, name: &str) -> String {
    let body = format!(r#"{{"name": "{name}", "owner": {{"slug": "gh/acme", "type": "organization"}}}}"#);
    let (status, made) = post(house, "/api/v2/context", &body).await;
    assert_eq!(status, 200, "{made}");
    format!("/api/v2/context/{}", json(&made)["id"].as_str().unwrap())
}

async fn set(house: &House, context: &str, name: &str, value: &str) {
    let path = format!("{context}/environment-variable/{name}");
    let body = serde_json::json!({ "value": value }).to_string();
    let (status, told) = request(house, "PUT", &path, operator(), &body).await;
    assert!(status == 200 && !told.contains(value), "{told}");
}

async fn set_of_project(house: &House, name: &str, value: &str) -> (u16, String) {
    let body = serde_json::json!({ "name": name, "value": value }).to_string();
    post(house, "/api/v2/project/gh/acme/shop/envvar", &body).await
}

async fn restrict(house: &House, context: &str, kind: &str, value: &str) -> (u16, String) {
    let body = serde_json::json!({ "restriction_type": kind, "restriction_value": value }).to_string();
    post(house, &format!("{context}/restrictions"), &body).await
}

/// What of a name a shell would see, and whether all of it is masked.
fn value<'v>(variables: &'v [Variable], name: &str) -> Option<(&'v str, bool)> {
    let last = variables.iter().rfind(|variable| variable.name == name)?;
    Some((&last.value, last.secret))
}

#[actix_web::test]
async fn a_task_has_the_projects_variables_its_contexts_from_left_to_right_and_its_own_above_all() {
    let house = House::new().await;
    let (first, second) = (context(&house, "first").await, context(&house, "second").await);
    for name in ["A", "B", "C", "OWN", "CI"] {
        assert_eq!(set_of_project(&house, name, "of the project").await.0, 201);
    }
    for name in ["B", "C", "OWN"] {
        set(&house, &first, name, "of the first context").await;
    }
    set(&house, &second, "C", SECRET).await;
    house.pipeline(CONFIG).await;
    // One that is given after the start is there all the same, and one that is given anew is new.
    set(&house, &first, "B", "of the first context, anew").await;
    let (_, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    let environment = &spec.environment;
    assert_eq!(value(environment, "A"), Some(("of the project", true)));
    assert_eq!(value(environment, "B"), Some(("of the first context, anew", true)));
    assert_eq!(value(environment, "C"), Some((SECRET, true)));
    assert_eq!(value(environment, "OWN"), Some(("job's", false)));
    assert_eq!(value(environment, "CI"), Some(("true", false)));
    house.running.stop().await;
}

#[actix_web::test]
async fn no_answer_no_file_and_no_line_has_a_value_but_the_end_of_a_projects() {
    let house = House::new().await;
    let second = context(&house, "second").await;
    context(&house, "first").await;
    set(&house, &second, "KEY", SECRET).await;
    let (status, told) = set_of_project(&house, "TOKEN", SECRET).await;
    assert!(status == 201 && told == r#"{"name":"TOKEN","value":"xxxxtext"}"#, "{told}");
    let pipeline = house.pipeline(CONFIG).await.id;
    let (_, task) = claim_one(&house.runner().await).await;
    assert_eq!(value(&task.config().await.unwrap().environment, "TOKEN"), Some((SECRET, true)));
    for path in [
        "/api/v2/context?owner-slug=gh/acme".to_owned(),
        second.clone(),
        format!("{second}/environment-variable"),
        format!("{second}/restrictions"),
        "/api/v2/project/gh/acme/shop/envvar".to_owned(),
        "/api/v2/project/gh/acme/shop/envvar/TOKEN".to_owned(),
        format!("/api/v3/pipelines/{pipeline}"),
        "/api/v3/audit".to_owned(),
    ] {
        let (status, body) = get(&house, &path, operator()).await;
        assert!(status == 200 && !body.contains(SECRET), "{path}: {body}");
    }
    let (_, told) = get(&house, "/api/v3/audit?organization=gh/acme", operator()).await;
    for line in ["context.create", "variable.set", "the context second: KEY", "gh/acme/shop: TOKEN"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let folder = data_dir(&house.folder);
    for entry in
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = fs::read(&entry).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{entry:?}");
    }
    // Nothing of it is lost by a start.
    let house = house.again(|_| {}).await;
    let (_, shown) = get(&house, "/api/v2/project/github/acme/shop/envvar", operator()).await;
    assert_eq!(json(&shown)["items"], json(r#"[{"name": "TOKEN", "value": "xxxxtext"}]"#));
    house.running.stop().await;
}

const GUARDED: &str = "
version: 2.1
jobs:
  job: &job {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows:
  main:
    jobs:
      - job: {name: deploy, context: deploy}
      - job: {name: after, requires: [deploy]}
      - job: {name: told, requires: [deploy: unauthorized]}
";
const ONLY_MAIN: &str = r#"pipeline.git.branch == "main""#;

/// The context of that configuration, which only `main` may use.
async fn guarded(house: &House) -> String {
    let deploy = context(house, "deploy").await;
    let (status, restriction) = restrict(house, &deploy, "expression", ONLY_MAIN).await;
    assert_eq!(status, 201, "{restriction}");
    deploy
}

/// A pipeline of it on this branch.
async fn on(house: &House, branch: &str) -> protocol::PipelineId {
    let git = GitValues { branch: Some(branch.to_owned()), ..GitValues::default() };
    let new = protocol::api::NewPipeline { git, ..new_pipeline(GUARDED) };
    house.operator.create_pipeline(&new).await.expect("it is valid").id
}

#[actix_web::test]
async fn a_job_that_may_not_have_its_context_is_unauthorized_says_why_and_what_requires_that_runs() {
    let house = House::new().await;
    guarded(&house).await;
    let topic = on(&house, "topic").await;
    assert_eq!(
        house.statuses(topic).await,
        [("deploy", JobStatus::Unauthorized), ("after", JobStatus::NotRun), ("told", JobStatus::Queued)]
            .map(|(name, status)| (name.to_owned(), status))
    );
    let reason = house.view(topic).await.workflows[0].jobs[0].reason.clone().unwrap();
    assert!(
        reason.contains("the context `deploy` may not be used here") && reason.contains(ONLY_MAIN),
        "{reason}"
    );
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    crate::house::end(&claimed, &task, protocol::Outcome::Success).await;
    assert_eq!(house.view(topic).await.workflows[0].status, WorkflowStatus::Failed);
    let main = on(&house, "main").await;
    assert_eq!(house.statuses(main).await[0].1, JobStatus::Queued);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_context_that_is_taken_away_before_anybody_has_it_is_not_given_any_more() {
    let house = House::new().await;
    let deploy = guarded(&house).await;
    let main = on(&house, "main").await;
    let (_, project) = get(&house, "/api/v2/project/gh/acme/shop", operator()).await;
    let own = json(&project)["id"].as_str().unwrap().to_owned();
    assert_eq!(restrict(&house, &deploy, "project", &uuid::Uuid::nil().to_string()).await.0, 201);
    let runner = house.runner().await;
    assert!(runner.claim(&crate::house::claim(1, 0)).await.unwrap().is_empty());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let job = loop {
        let job = house.view(main).await.workflows[0].jobs[0].clone();
        if job.status.is_terminal() {
            break job;
        }
        assert!(std::time::Instant::now() < deadline, "{job:?}");
    };
    assert!(job.status == JobStatus::Canceled && job.reason.unwrap().contains("other projects"));
    assert_eq!(restrict(&house, &deploy, "project", &own).await.0, 201);
    assert_eq!(house.statuses(on(&house, "main").await).await[0].1, JobStatus::Queued);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_context_of_another_organization_is_not_meant_and_not_seen() {
    let house = House::new().await;
    let body = r#"{"name": "first", "owner": {"slug": "gh/other"}}"#;
    let (_, made) = post(&house, "/api/v2/context", body).await;
    let other = format!("/api/v2/context/{}", json(&made)["id"].as_str().unwrap());
    set(&house, &other, "KEY", SECRET).await;
    let created = house.pipeline(CONFIG).await;
    assert!(created.warnings.iter().any(|warning| warning.contains("`first`")), "{:?}", created.warnings);
    let (_, task) = claim_one(&house.runner().await).await;
    assert_eq!(value(&task.config().await.unwrap().environment, "KEY"), None);
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let (status, told) = get(&house, &other, Some(("Circle-Token", &ada))).await;
    assert!(status == 404 && !told.contains("other"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_a_context_a_variable_or_a_restriction_is_refused_by_name() {
    let house = House::new().await;
    let first = context(&house, "first").await;
    let (status, twice) =
        post(&house, "/api/v2/context", r#"{"name":"first","owner":{"slug":"github/acme"}}"#).await;
    assert!(status == 409 && twice.contains("has a context `first` already"), "{twice}");
    for (kind, value, named) in [
        ("owner", "ada", "`owner` are not offered"),
        ("role", "owner", "no role"),
        ("group", "", "on one line"),
        ("project", "gh/acme/shop", "no id of a project"),
        ("expression", "pipeline.git.branch ==", "cannot be read"),
        ("expression", "<< pipeline.git.branch >> == 1", "without `<<`"),
        ("expression", "'}} ]}, x: {jobs: [", "cannot be read"),
    ] {
        let (status, told) = restrict(&house, &first, kind, value).await;
        assert!(status == 400 && told.contains(named), "{kind} {value}: {told}");
    }
    let long = "x".repeat(32 * 1024 + 1);
    for (name, value) in [("1A", "x"), ("A-B", "x"), ("A", long.as_str())] {
        let (status, told) = set_of_project(&house, name, value).await;
        assert!(status == 400 && !told.contains(&long), "{name}: {status}");
    }
    let delete = async |path: String| request(&house, "DELETE", &path, operator(), "").await.0;
    assert_eq!(delete(format!("{first}/environment-variable/NONE")).await, 404);
    assert_eq!(delete(format!("{first}/restrictions/{}", uuid::Uuid::nil())).await, 404);
    assert_eq!((delete(first.clone()).await, delete(first).await), (200, 404));
    house.running.stop().await;
}
