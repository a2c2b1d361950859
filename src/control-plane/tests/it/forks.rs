//! Pull requests of forks, in the shape of each provider: whether they make pipelines, and what these are not given.

use crate::{
    house::claim_one,
    webhooks::{Place, git},
};
use client::TaskClient;
use protocol::{
    JobStatus, PipelineState, WorkflowStatus,
    http::{Claimed, End, FindCache, Mint, SaveCache, Store},
    status::Outcome,
    task::{Source, TaskSpec},
    transfer::Content,
    webhook::{Forks, NewRepository, Provider},
};
use serde_json::{Value, json};
use std::fs;

/// What strangers may write: jobs that want keys, contexts and a turn, and one that runs where another never does.
const PROPOSED: &str = "
version: 2.1
jobs:
  steals: {machine: true, resource_class: acme/linux, steps: [checkout, add_ssh_keys, run: make]}
  sneaks: {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows:
  all:
    jobs:
      - steals: {context: [deploy], serial-group: deploy}
      - sneaks: {requires: [steals: [canceled, not_run, failed]]}
";

const PROVIDERS: [Provider; 3] = [Provider::Github, Provider::Gitea, Provider::Gitlab];

/// A project with this policy, and a commit of a fork under the number that its provider gives it.
async fn proposed(provider: Provider, forks: Forks) -> (Place, String) {
    let place =
        Place::with(provider, Some(crate::house::ONE_JOB), |new: &mut NewRepository| new.forks = forks).await;
    let folder = place.house.folder.path().join("app");
    git(&folder, &["checkout", "-q", "-b", "theirs"]);
    fs::write(folder.join(".circleci/config.yml"), PROPOSED).unwrap();
    git(&folder, &["commit", "-qam", "Propose"]);
    let revision = git(&folder, &["rev-parse", "HEAD"]);
    let reference =
        if provider == Provider::Gitlab { "refs/merge-requests/7/head" } else { "refs/pull/7/head" };
    git(&folder, &["update-ref", reference, "HEAD"]);
    git(&folder, &["checkout", "-q", "main"]);
    git(&folder, &["branch", "-qD", "theirs"]);
    let key = client_key();
    place.house.operator.create_ssh_key("gh/acme/app", &key).await.unwrap();
    (place, revision)
}

fn client_key() -> protocol::api::NewSshKey {
    protocol::api::NewSshKey { private_key: None, hostname: None, checkout: false }
}

/// As the provider tells of it.
fn told(provider: Provider, revision: &str) -> (&'static str, Value) {
    if provider == Provider::Gitlab {
        let attributes = json!({
            "iid": 7, "action": "open", "source_branch": "main", "source_project_id": 2, "target_project_id": 1,
            "source": {"path_with_namespace": "eve/app"}, "url": "https://gitlab.example/acme/app/-/merge_requests/7",
            "last_commit": {"id": revision, "message": "Propose"}, "title": "Propose",
        });
        let body = json!({"project": {"default_branch": "main"}, "object_attributes": attributes});
        return ("Merge Request Hook", body);
    }
    let body = json!({"action": "opened", "number": 7, "pull_request": {
        "number": 7, "title": "Propose", "html_url": "https://git.example/acme/app/pull/7",
        "head": {"ref": "main", "sha": revision, "repo": {"full_name": "eve/app"}},
        "base": {"ref": "main", "repo": {"full_name": "acme/app"}},
    }});
    ("pull_request", body)
}

#[actix_web::test]
async fn a_forks_pull_request_is_a_pipeline_where_that_is_wanted_and_is_given_no_secret() {
    for provider in PROVIDERS {
        let (place, revision) = proposed(provider, Forks::WithoutSecrets).await;
        let (event, body) = told(provider, &revision);
        let received = place.received(provider, event, &body).await;
        assert_eq!(received.pipelines[0].errors, Vec::<String>::new(), "{provider:?}");
        let (_, task) = claim_one(&place.house.runner().await).await;
        let spec = task.config().await.unwrap();
        is_given_nothing(&spec, provider, &revision);
        let minted =
            task.token(&Mint { epoch: spec.epoch, audience: Vec::new() }).await.unwrap_err().to_string();
        assert!(minted.contains("token"), "{minted}");
        place.house.running.stop().await;
    }
}

fn is_given_nothing(spec: &TaskSpec, provider: Provider, revision: &str) {
    let value = |name: &str| {
        let found = spec.environment.iter().find(|variable| variable.name == name);
        found.map(|variable| variable.value.as_str())
    };
    let branch = if provider == Provider::Gitlab { "merge-requests/7" } else { "pull/7" };
    assert_eq!((value("CIRCLE_BRANCH"), value("CIRCLE_PR_NUMBER")), (Some(branch), Some("7")));
    assert_eq!((value("CIRCLE_PR_USERNAME"), value("CIRCLE_PR_REPONAME")), (Some("eve"), Some("app")));
    assert_eq!((value("CIRCLE_SHA1"), value("CIRCLE_OIDC_TOKEN")), (Some(revision), None));
    assert!(spec.environment.iter().all(|variable| !variable.secret), "{:?}", spec.environment);
    assert!(spec.ssh.keys.is_empty(), "the project's key is not a fork's");
    assert_eq!(spec.mirror, None);
    let Source::Git { branch: fetched, .. } = &spec.source else { panic!("{:?}", spec.source) };
    assert_eq!(fetched.as_deref(), Some(branch));
}

#[actix_web::test]
async fn nothing_of_a_forks_pull_request_runs_before_somebody_has_approved_it() {
    for provider in PROVIDERS {
        let (place, revision) = proposed(provider, Forks::AfterApproval).await;
        let (event, body) = told(provider, &revision);
        let received = place.received(provider, event, &body).await;
        let view = place.view(&received).await;
        assert_eq!((view.state, view.workflows[0].status), (PipelineState::Created, WorkflowStatus::OnHold));
        let waiting = place.house.operator.on_hold().await.unwrap();
        assert_eq!((waiting.len(), waiting[0].name.as_str()), (1, "approve-fork"));
        let statuses = |view: &protocol::api::PipelineView| {
            view.workflows[0].jobs.iter().map(|job| (job.name.clone(), job.status)).collect::<Vec<_>>()
        };
        let blocked = |name: &str| (name.to_owned(), JobStatus::Blocked);
        assert_eq!(statuses(&view)[1..], [blocked("steals"), blocked("sneaks")]);
        place.house.operator.approve(waiting[0].workflow, waiting[0].job, "ada").await.unwrap();
        let (_, task) = claim_one(&place.house.runner().await).await;
        is_given_nothing(&task.config().await.unwrap(), provider, &revision);
        place.house.running.stop().await;
    }
}

#[actix_web::test]
async fn a_canceled_approval_lets_nothing_of_a_fork_run() {
    let (place, revision) = proposed(Provider::Github, Forks::AfterApproval).await;
    let (event, body) = told(Provider::Github, &revision);
    let received = place.received(Provider::Github, event, &body).await;
    place.house.operator.cancel(received.pipelines[0].id).await.unwrap();
    let view = place.view(&received).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Canceled, "{view:#?}");
    assert!(view.workflows[0].jobs.iter().all(|job| job.tasks.is_empty()), "{view:#?}");
    place.house.running.stop().await;
}

async fn save(held: &Claimed, task: &TaskClient, key: &str, bytes: &[u8]) {
    task.begin(held.epoch).await.unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let digest = protocol::Digest::of_bytes(hash.as_ref().try_into().unwrap());
    let content = Content { digest, size: bytes.len() as u64 };
    let store = Store { epoch: held.epoch, contents: vec![content.clone()] };
    let place = task.store(&store).await.unwrap().remove(0);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    task.put(&place.url.unwrap(), &content, &file).await.unwrap();
    task.save_cache(&SaveCache { epoch: held.epoch, key: key.to_owned(), content }).await.unwrap();
}

async fn found(task: &TaskClient, key: &str) -> Option<String> {
    let find = FindCache { keys: vec![key.to_owned()], exact: false };
    task.find_cache(&find).await.unwrap().map(|found| found.name)
}

#[actix_web::test]
async fn what_a_fork_saves_no_other_finds_and_it_finds_nothing_of_the_project() {
    let (place, revision) = proposed(Provider::Github, Forks::WithoutSecrets).await;
    let runner = place.house.runner().await;
    let push = json!({
        "ref": "refs/heads/main", "after": place.revision, "repository": {"default_branch": "main"},
    });
    place.received(Provider::Github, "push", &push).await;
    let (held, of_project) = claim_one(&runner).await;
    save(&held, &of_project, "v1-own", b"of the project").await;
    let (event, body) = told(Provider::Github, &revision);
    place.received(Provider::Github, event, &body).await;
    let (held, of_fork) = claim_one(&runner).await;
    assert_eq!(found(&of_fork, "v1-").await, None);
    save(&held, &of_fork, "v1-theirs", b"of the fork").await;
    assert_eq!(found(&of_fork, "v1-").await.as_deref(), Some("v1-theirs"));
    assert_eq!(found(&of_project, "v1-").await.as_deref(), Some("v1-own"));
    for key in ["v1-theirs", ""] {
        assert_ne!(found(&of_project, key).await.as_deref(), Some("v1-theirs"), "{key}");
    }
    of_fork.end(&End { epoch: held.epoch, outcome: Outcome::Success, message: None }).await.unwrap();
    place.house.running.stop().await;
}
