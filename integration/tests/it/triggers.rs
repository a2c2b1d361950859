//! Pushes that become pipelines, with the real programs: a bare repository that git serves, a signed webhook, and a
//! launch-agent that runs what comes of it.

use integration::{
    fleet::{CLASS, Fleet, checkouts},
    git::{Http, Repository, Sshd},
    pipelines::job,
    pushes::Sender,
    rig::Rig,
};
use protocol::{
    api::PipelineView,
    status::{JobStatus, WorkflowStatus},
    webhook::{Provider, Received},
};

const PROJECT: &str = "github.com/acme/app";

fn sender(secret: &str) -> Sender {
    Sender { project: PROJECT.to_owned(), provider: Provider::Github, secret: secret.to_owned() }
}

/// Pushes have no author but the provider: the configuration is that of the revision, and so are the files.
async fn pushed(fleet: &Fleet, repository: &Repository, secret: &str) {
    let look = "cat f; git rev-parse HEAD; echo \"$CIRCLE_BRANCH $CIRCLE_SHA1 [$CIRCLE_TAG]\"";
    repository.commit("f", "one", "refs/heads/main");
    let config =
        checkouts(&[("only", "", look)]).replace("[only]", "[only: {filters: {tags: {only: /v.*/}}}]");
    let revision = repository.commit(".circleci/config.yml", &config, "refs/heads/main");
    repository.commit(".circleci/config.yml", "version: 2.1\njobs: {}\n", "refs/heads/main");
    let forged = sender("other").send(&fleet.server, "push", "{}");
    assert_eq!(forged.status, 401);
    let received = sender(secret).push(&fleet.server, "refs/heads/main", &revision);
    assert_eq!(received.pipelines.len(), 1, "{received:?}");
    let view = fleet.server.ended(received.pipelines[0].id).await;
    assert!(view.errors.is_empty(), "{:?}", view.errors);
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{log}");
    let expected = format!("one{revision}\nmain {revision} []\n");
    assert_eq!(fleet.log(&view, "only", "it").await, expected);
    let again = sender(secret).push(&fleet.server, "refs/heads/main", &revision);
    assert!(again.message.contains("came before"), "{again:?}");
    tagged(fleet, repository, secret, &revision).await;
}

/// A tag of that revision: its job runs, and knows it.
async fn tagged(fleet: &Fleet, repository: &Repository, secret: &str, revision: &str) {
    repository.git(&["push", "-q", "origin", &format!("{revision}:refs/tags/v1.0")]);
    let received = sender(secret).push(&fleet.server, "refs/tags/v1.0", revision);
    let view = fleet.server.ended(received.pipelines[0].id).await;
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{view:#?}");
    assert_eq!(fleet.log(&view, "only", "it").await, format!("one{revision}\n {revision} [v1.0]\n"));
}

#[actix_rt::test]
async fn a_push_to_a_repository_served_over_http_runs_green_on_a_launch_agent() {
    let fleet = Fleet::start(&["--allow-insecure-fetch"]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let http = Http::serve(&fleet.rig.path("git"));
    let url = format!("{}/app.git", http.url);
    let made = fleet.roundhouse(&["project", "create", PROJECT, "--url", &url, "--provider", "github"]);
    assert_eq!(made.status, 0, "{}", made.errors);
    pushed(&fleet, &repository, made.output.trim()).await;
    let listed = fleet.roundhouse(&["project", "list"]).output;
    assert!(
        listed.contains(PROJECT) && listed.contains(&url) && !listed.contains(made.output.trim()),
        "{listed}"
    );
    assert_eq!(fleet.roundhouse(&["project", "delete", PROJECT]).status, 0);
    assert_eq!(sender("gone").send(&fleet.server, "push", "{}").status, 404);
}

#[actix_rt::test]
async fn a_push_to_a_private_repository_is_fetched_with_the_projects_key_and_from_a_known_host_alone() {
    let rig = Rig::new();
    let Some(sshd) = Sshd::start(&rig.path("sshd")) else { return };
    let hosts = rig.write("hosts", &sshd.known_host).display().to_string();
    let fleet = Fleet::start(&["--known-hosts", &hosts]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let url = format!("{}{}", sshd.url, repository.bare.display());
    let arguments =
        ["project", "create", PROJECT, "--url", &url, "--provider", "github", "--resource-class", CLASS];
    let made = fleet.roundhouse(&arguments);
    assert_eq!(made.status, 0, "{}", made.errors);
    let secret = made.output.trim();
    let strange = sender(secret).push(&fleet.server, "refs/heads/main", &"1".repeat(40));
    let told = strange.pipelines[0].errors.concat();
    assert!(told.contains("cannot fetch 1111") && told.contains("denied"), "{told}");
    let key = fleet.roundhouse(&["ssh-key", "create", PROJECT, "--checkout"]);
    assert_eq!(key.status, 0, "{}", key.errors);
    sshd.admit(&key.output);
    pushed(&fleet, &repository, secret).await;
    let left = std::fs::read_dir(fleet.server.data.join("fetches")).expect("it is there").count();
    assert_eq!(left, 0, "a key lies in a fetch's own directory, and goes with it");
}

#[actix_rt::test]
async fn a_pull_request_of_a_fork_runs_once_somebody_approved_it_and_knows_no_secret() {
    let fleet = Fleet::start(&["--allow-insecure-fetch"]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let http = Http::serve(&fleet.rig.path("git"));
    let url = format!("{}/app.git", http.url);
    let policy = ["--provider", "github", "--forks", "after-approval"];
    let made = fleet.roundhouse(&[&["project", "create", PROJECT, "--url", &url][..], &policy].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    repository.commit("f", "ours", "refs/heads/main");
    let look = "cat f; echo \"$CIRCLE_BRANCH $CIRCLE_PR_NUMBER $CIRCLE_PR_USERNAME [$CIRCLE_OIDC_TOKEN]\"; circleci run oidc get || true";
    let config = checkouts(&[("only", "", look)]);
    repository.commit("f", "theirs", "refs/pull/7/head");
    let revision = repository.commit(".circleci/config.yml", &config, "refs/pull/7/head");
    let body = serde_json::json!({"action": "opened", "number": 7, "pull_request": {
        "number": 7, "title": "Propose", "html_url": "https://github.com/acme/app/pull/7",
        "head": {"ref": "main", "sha": revision, "repo": {"full_name": "eve/app"}},
        "base": {"ref": "main", "repo": {"full_name": "acme/app"}},
    }});
    let answered = sender(made.output.trim()).send(&fleet.server, "pull_request", &body.to_string());
    let received: Received = serde_json::from_str(&answered.body).expect("it is in the shape");
    let id = received.pipelines[0].id;
    let waits = |view: &PipelineView| (view.workflows[0].status == WorkflowStatus::OnHold).then_some(());
    fleet.server.sees(id, "that it waits", waits).await;
    let approved = fleet.roundhouse(&["approve", "approve-fork"]);
    assert_eq!(approved.status, 0, "{}", approved.errors);
    let view = fleet.server.ended(id).await;
    let checkout = fleet.log(&view, "only", "Checkout code").await;
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{checkout}");
    let log = fleet.log(&view, "only", "it").await;
    assert!(log.starts_with("theirs") && log.contains("pull/7 7 eve []\n"), "{log}");
    assert!(log.contains("a pipeline of a fork's pull request gets no identity tokens"), "{log}");
}

/// `x-access-token:a-token` in base64.
const SHOWN: &str = "Basic eC1hY2Nlc3MtdG9rZW46YS10b2tlbg==";

#[actix_rt::test]
async fn a_configuration_behind_a_token_is_fetched_with_the_projects_and_the_job_has_none() {
    let fleet = Fleet::start(&["--allow-insecure-fetch"]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let http = Http::serve_to(&fleet.rig.path("git"), &[SHOWN]);
    let url = format!("{}/app.git", http.url);
    let config = format!(
        "version: 2.1\njobs: {{build: {{machine: true, resource_class: {CLASS}, steps: [run: {{name: it, command: env}}]}}}}\n"
    );
    let revision = repository.commit(".circleci/config.yml", &config, "refs/heads/main");
    let token = fleet.rig.write("token", "a-token\n").display().to_string();
    let create = ["project", "create", PROJECT, "--url", &url, "--provider", "github"];
    let without = fleet.roundhouse(&create);
    let strange = sender(without.output.trim()).push(&fleet.server, "refs/heads/main", &revision);
    assert!(strange.pipelines[0].errors.concat().contains("cannot fetch"), "{strange:?}");
    let made = fleet.roundhouse(&[&create[..], &["--token-file", &token]].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    // What came before makes nothing again.
    let revision = repository.commit("f", "next", "refs/heads/main");
    let received = sender(made.output.trim()).push(&fleet.server, "refs/heads/main", &revision);
    assert!(received.pipelines.len() == 1 && received.message.contains("made"), "{received:?}");
    let view = fleet.server.ended(received.pipelines[0].id).await;
    assert!(view.errors.is_empty(), "{:?}", view.errors);
    assert_eq!(job(&view, "build").status, JobStatus::Success);
    let log = fleet.log(&view, "build", "it").await;
    assert!(log.contains("CIRCLE_SHA1=") && !log.contains("a-token"), "{log}");
    let left = std::fs::read_dir(fleet.server.data.join("fetches")).expect("it is there").count();
    assert_eq!(left, 0, "a token lies in a fetch's own directory, and goes with it");
}
