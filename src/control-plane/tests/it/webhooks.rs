//! Webhooks of each provider: which become pipelines, which do not, and why.

use crate::house::{CLASS, House, ONE_JOB, OPERATOR, claim_one, get, post_with};
use client::ClientError;
use protocol::{
    PipelineState,
    api::PipelineView,
    task::Source,
    webhook::{NewRepository, Provider, Received},
};
use ring::hmac;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

pub(crate) const PROJECT: &str = "gh/acme/app";
const SECRET: &str = "a secret that nobody guesses";
const PATH: &str = "/api/v3/webhooks/gh/acme/app";

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A control plane that fetches from paths, and a repository.
pub(crate) struct Place {
    pub(crate) house: House,
    pub(crate) revision: String,
}

impl Place {
    pub(crate) async fn new(provider: Provider, config: Option<&str>) -> Self {
        Self::with(provider, config, |_| {}).await
    }

    pub(crate) async fn with(
        provider: Provider,
        config: Option<&str>,
        change: impl FnOnce(&mut NewRepository),
    ) -> Self {
        let house = House::with(|settings| settings.insecure_fetch = true).await;
        Self::within(house, provider, config, change).await
    }

    /// The same of a house that is there.
    pub(crate) async fn within(
        house: House,
        provider: Provider,
        config: Option<&str>,
        change: impl FnOnce(&mut NewRepository),
    ) -> Self {
        let folder = house.folder.path().join("app");
        fs::create_dir_all(folder.join(".circleci")).unwrap();
        git(&folder, &["init", "-q", "-b", "main"]);
        fs::write(folder.join("README"), "app").unwrap();
        if let Some(config) = config {
            fs::write(folder.join(".circleci/config.yml"), config).unwrap();
        }
        git(&folder, &["add", "-A"]);
        git(&folder, &["commit", "-qm", "Teach it\n\nall of it"]);
        let revision = git(&folder, &["rev-parse", "HEAD"]);
        let mut new = NewRepository {
            secret: Some(SECRET.to_owned()),
            ..NewRepository::of(format!("file://{}", folder.display()), provider)
        };
        change(&mut new);
        house.operator.name_repository(PROJECT, &new).await.unwrap();
        Self { house, revision }
    }

    /// Sends a body as its provider signs it.
    async fn send(&self, provider: Provider, event: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let signature = signature(SECRET, &body);
        post_with(&self.house, PATH, &headers(provider, event, &signature), &body).await
    }

    pub(crate) async fn received(&self, provider: Provider, event: &str, body: &Value) -> Received {
        let (status, body) = self.send(provider, event, body).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn view(&self, received: &Received) -> PipelineView {
        self.house.view(received.pipelines[0].id).await
    }
}

fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers of a body as its provider signs it.
pub(crate) fn signed(
    provider: Provider,
    event: &'static str,
    body: &str,
) -> Vec<(&'static str, &'static str)> {
    headers(provider, event, signature(SECRET, body).leak())
}

fn headers<'h>(provider: Provider, event: &'h str, signature: &'h str) -> Vec<(&'static str, &'h str)> {
    let prefixed = || &*format!("sha256={signature}").leak();
    match provider {
        Provider::Github => vec![("X-GitHub-Event", event), ("X-Hub-Signature-256", prefixed())],
        Provider::Gitea => vec![("X-Gitea-Event", event), ("X-Gitea-Signature", signature)],
        Provider::Bitbucket => vec![("X-Event-Key", event), ("X-Hub-Signature", prefixed())],
        Provider::Gitlab => vec![("X-Gitlab-Event", event), ("X-Gitlab-Token", SECRET)],
    }
}

pub(crate) fn push(reference: &str, revision: &str, message: &str) -> Value {
    json!({
        "ref": reference, "after": revision, "deleted": false,
        "head_commit": {"id": revision, "message": message, "author": {"name": "Ann", "email": "ann@example.org"}},
        "repository": {"default_branch": "main"},
    })
}

/// A push of each provider, of a branch or of a tag.
fn pushes(provider: Provider, revision: &str, tag: Option<&str>) -> (&'static str, Value) {
    let reference = tag.map_or("refs/heads/main".to_owned(), |tag| format!("refs/tags/{tag}"));
    match provider {
        Provider::Github | Provider::Gitea => ("push", push(&reference, revision, "Teach it")),
        Provider::Gitlab => {
            let event = if tag.is_some() { "Tag Push Hook" } else { "Push Hook" };
            let commits = json!([{"id": revision, "message": "Teach it"}]);
            let project = json!({"default_branch": "main"});
            // Of a tag with words, `after` is the tag itself.
            let after = if tag.is_some() { "2".repeat(40) } else { revision.to_owned() };
            let body = json!({"ref": reference, "after": after, "checkout_sha": revision, "commits": commits, "project": project});
            (event, body)
        }
        Provider::Bitbucket => {
            let kind = if tag.is_some() { "tag" } else { "branch" };
            let target = json!({"hash": revision, "message": "Teach it"});
            let new = json!({"type": kind, "name": tag.unwrap_or("main"), "target": target});
            let body = json!({"push": {"changes": [{"new": null, "closed": true}, {"new": new}]},
                              "repository": {"mainbranch": {"name": "main"}}});
            ("repo:push", body)
        }
    }
}

const ALL: [Provider; 4] = [Provider::Github, Provider::Gitlab, Provider::Bitbucket, Provider::Gitea];

const TELLING: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    environment:
      WHY: << pipeline.trigger_source >> << pipeline.event.name >> << pipeline.trigger_parameters.circleci.event_type >>
      WHAT: << pipeline.git.branch >>|<< pipeline.git.tag >>|<< pipeline.git.branch.is_default >>|<< pipeline.git.commit.subject >>
    steps: [run: make]
workflows:
  all: {jobs: [build: {context: [deploy], filters: {tags: {only: /.*/}}}]}
";

#[actix_web::test]
async fn a_push_in_the_shape_of_each_provider_is_a_pipeline_of_its_revision() {
    for provider in ALL {
        for tag in [None, Some("v1")] {
            let place = Place::new(provider, Some(TELLING)).await;
            let (event, body) = pushes(provider, &place.revision, tag);
            let received = place.received(provider, event, &body).await;
            assert_eq!(received.pipelines[0].errors, Vec::<String>::new(), "{provider:?}");
            assert_eq!(received.pipelines[0].number, 1);
            assert!(received.pipelines[0].warnings.concat().contains("`deploy`, which was not given"));
            let (_, task) = claim_one(&place.house.runner().await).await;
            let spec = task.config().await.unwrap();
            let value = |name: &str| {
                let found = spec.environment.iter().find(|variable| variable.name == name);
                found.map(|variable| variable.value.as_str())
            };
            assert_eq!(value("WHY"), Some("webhook push push"));
            let what = if tag.is_some() { "|v1|false|Teach it" } else { "main||true|Teach it" };
            assert_eq!(value("WHAT"), Some(what), "{provider:?}");
            let branch = if tag.is_some() { None } else { Some("main") };
            assert_eq!((value("CIRCLE_BRANCH"), value("CIRCLE_TAG")), (branch, tag));
            assert_eq!(value("CIRCLE_SHA1"), Some(place.revision.as_str()));
            assert_eq!(value("CIRCLE_PULL_REQUEST"), None);
            let Source::Git { revision, .. } = &spec.source else { panic!("{:?}", spec.source) };
            assert_eq!(*revision, place.revision);
            let left =
                fs::read_dir(crate::house::data_dir(&place.house.folder).join("fetches")).unwrap().count();
            assert_eq!(left, 0, "nothing of a fetch stays");
            place.house.running.stop().await;
        }
    }
}

#[actix_web::test]
async fn what_is_not_signed_with_the_secret_is_told_nothing() {
    for provider in ALL {
        let place = Place::new(provider, Some(ONE_JOB)).await;
        let (event, body) = pushes(provider, &place.revision, None);
        let body = body.to_string();
        let right = signature(SECRET, &body);
        let mut wrong: Vec<Vec<(&str, &str)>> = vec![vec![], vec![("X-GitHub-Event", event)]];
        for other in ALL.into_iter().filter(|other| *other != provider) {
            wrong.push(headers(other, event, &right));
        }
        let other_body = signature(SECRET, &format!("{body} "));
        let other_secret = signature("another secret that nobody guesses", &body);
        if provider == Provider::Gitlab {
            wrong.push(vec![("X-Gitlab-Event", event), ("X-Gitlab-Token", "a secret that nobody guesse")]);
        } else {
            let signatures = [other_body.as_str(), &other_secret, &right[..63], "", "sha1=0"];
            wrong.extend(signatures.map(|signature| headers(provider, event, signature)));
        }
        for headers in wrong {
            let told = post_with(&place.house, PATH, &headers, &body).await;
            assert_eq!(told, (401, r#"{"message":"the signature is not valid"}"#.to_owned()), "{headers:?}");
        }
        let unknown = post_with(&place.house, "/api/v3/webhooks/gh/acme/other", &[], &body).await;
        assert_eq!(unknown.0, 404, "{}", unknown.1);
        place.house.running.stop().await;
    }
}

#[actix_web::test]
async fn a_webhook_that_comes_again_makes_nothing_also_after_a_restart() {
    for provider in [Provider::Github, Provider::Gitlab] {
        let mut place = Place::new(provider, Some(ONE_JOB)).await;
        let (event, body) = pushes(provider, &place.revision, None);
        assert_eq!(place.received(provider, event, &body).await.pipelines.len(), 1);
        for _ in 0..2 {
            let again = place.received(provider, event, &body).await;
            assert!(again.pipelines.is_empty() && again.message.contains("came before"), "{again:?}");
            place.house = place.house.again(|settings| settings.insecure_fetch = true).await;
        }
        place.house.running.stop().await;
    }
}

#[actix_web::test]
async fn what_makes_no_pipeline_is_answered_with_the_reason() {
    let place = Place::new(Provider::Github, Some(ONE_JOB)).await;
    let revision = place.revision.clone();
    let mut deleted = push("refs/heads/main", &"0".repeat(40), "");
    deleted["deleted"] = json!(true);
    let proposal = |from: &str, action: &str| {
        json!({"action": action, "pull_request": {
            "number": 7, "title": "Teach", "html_url": "https://github.com/acme/app/pull/7",
            "head": {"ref": "topic", "sha": revision, "repo": {"full_name": from}},
            "base": {"ref": "main", "repo": {"full_name": "acme/app"}},
        }})
    };
    for (event, body, reason) in [
        ("push", push("refs/heads/main", &revision, "Teach [skip ci]"), "says to skip it"),
        ("push", push("refs/heads/main", &revision, "Teach\n\n[ci skip]"), "says to skip it"),
        ("push", deleted, "is deleted"),
        ("pull_request", proposal("eve/app", "opened"), "only where `roundhouse project create --forks`"),
        (
            "pull_request",
            proposal("acme/app", "opened"),
            "only where `roundhouse project create --pull-requests`",
        ),
        ("pull_request", proposal("acme/app", "labeled"), "`pull_request labeled`"),
        ("ping", json!({"zen": "x"}), "`ping`"),
        ("issues", json!({}), "`issues`"),
    ] {
        let received = place.received(Provider::Github, event, &body).await;
        assert!(received.message.contains(reason), "{event}: {received:?}");
        assert!(received.pipelines.is_empty());
    }
    let (_, pipelines) = get(&place.house, "/api/v2/pipeline", Some(("Circle-Token", OPERATOR))).await;
    assert!(pipelines.contains("\"items\":[]"), "{pipelines}");
    place.house.running.stop().await;
}

#[actix_web::test]
async fn a_pull_request_of_an_own_branch_is_a_pipeline_where_that_is_wanted_and_one_of_a_fork_is_not() {
    let place = Place::with(Provider::Gitea, Some(ONE_JOB), |new| new.pull_requests = true).await;
    let revision = place.revision.clone();
    let proposal = |from: &str| {
        json!({"action": "opened", "number": 7, "pull_request": {
            "title": "Teach", "html_url": "https://gitea.example/acme/app/pulls/7",
            "head": {"ref": "main", "sha": revision, "repo": {"full_name": from}},
            "base": {"ref": "main", "repo": {"full_name": "acme/app"}},
        }})
    };
    let fork = place.received(Provider::Gitea, "pull_request", &proposal("eve/app")).await;
    assert!(fork.pipelines.is_empty() && fork.message.contains("forks"), "{fork:?}");
    let own = place.received(Provider::Gitea, "pull_request", &proposal("acme/app")).await;
    assert_eq!(own.pipelines.len(), 1, "{own:?}");
    let (_, task) = claim_one(&place.house.runner().await).await;
    let environment = task.config().await.unwrap().environment;
    let address = environment.iter().find(|variable| variable.name == "CIRCLE_PULL_REQUEST").unwrap();
    assert_eq!(address.value, "https://gitea.example/acme/app/pulls/7");
    place.house.running.stop().await;
    let place = Place::with(Provider::Gitlab, Some(ONE_JOB), |new| new.pull_requests = true).await;
    let request = |source: u64, action: &str| {
        json!({"project": {"default_branch": "main"}, "object_attributes": {
            "iid": 7, "action": action, "source_branch": "main", "source_project_id": source, "target_project_id": 1,
            "last_commit": {"id": place.revision, "message": "Teach"}, "url": "https://gitlab.example/1", "title": "Teach",
        }})
    };
    for (source, action, made) in [(2, "open", 0), (1, "approved", 0), (1, "update", 0), (1, "open", 1)] {
        let received = place.received(Provider::Gitlab, "Merge Request Hook", &request(source, action)).await;
        assert_eq!(received.pipelines.len(), made, "{source} {action}: {received:?}");
    }
    place.house.running.stop().await;
}

#[actix_web::test]
async fn a_configuration_that_is_wrong_or_not_there_is_a_pipeline_in_error() {
    let github = Provider::Github;
    let gone = "1".repeat(40);
    let long = "#".repeat(5 * 1024 * 1024);
    for (config, revision, said) in [
        (Some("version: 2.1\njobs: {a: {steps: 7}}\n"), None, "config.yml:"),
        (
            Some("version: 2.1\njobs: {build: {machine: true, resource_class: acme/other, steps: []}}\n"),
            None,
            "acme/other",
        ),
        (Some(&long), None, "is no text of at most 4194304 bytes"),
        (None, None, "has no file .circleci/config.yml"),
        (Some(ONE_JOB), Some(gone.as_str()), "cannot fetch 1111"),
    ] {
        let place = Place::new(github, config).await;
        let revision = revision.unwrap_or(&place.revision);
        let received = place.received(github, "push", &push("refs/heads/main", revision, "Teach")).await;
        let view = place.view(&received).await;
        assert_eq!((view.state, view.number), (PipelineState::Errored, 1));
        assert_eq!(view.errors, received.pipelines[0].errors);
        assert!(view.errors.concat().contains(said), "{said}: {:?}", view.errors);
        let mut next = push("refs/heads/main", revision, "Teach");
        next["again"] = json!(1);
        assert_eq!(
            place.received(github, "push", &next).await.pipelines[0].number,
            2,
            "numbers have no gaps"
        );
        let page = format!("/api/v2/pipeline/{}", view.id);
        let (status, shown) = get(&place.house, &page, Some(("Circle-Token", OPERATOR))).await;
        assert!(status == 200 && shown.contains("errored"), "{shown}");
        place.house.running.stop().await;
    }
}

#[actix_web::test]
async fn a_body_that_no_provider_sends_is_refused_and_breaks_nothing() {
    for provider in ALL {
        let place = Place::with(provider, Some(ONE_JOB), |new| new.pull_requests = true).await;
        let (event, _) = pushes(provider, &place.revision, None);
        let deep = "[".repeat(100_000);
        for body in ["", "{", "payload=%7B%7D", &deep] {
            let signature = signature(SECRET, body);
            let (status, told) =
                post_with(&place.house, PATH, &headers(provider, event, &signature), body).await;
            assert!(status == 400 && told.contains("no JSON"), "{told}");
        }
        for reference in ["refs/heads/-x", "refs/heads/a..b", "refs/heads/", "refs/notes/x", "refs/tags/a b"]
        {
            let bitbucket = json!({"push": {"changes": [{"new": {"type": "branch", "name": &reference[5..].replace("heads/", ""),
                                   "target": {"hash": "--upload-pack=x"}}}]}});
            let other = push(reference, &place.revision, "Teach");
            let body = if provider == Provider::Bitbucket { bitbucket } else { other };
            assert_eq!(place.send(provider, event, &body).await.0, 400, "{reference}");
        }
        for revision in ["--upload-pack=x", "main", "", "abc"] {
            let mut body = push("refs/heads/main", revision, "Teach");
            body["push"] = json!({"changes": [{"new": {"type": "branch", "name": "main", "target": {"hash": revision}}}]});
            assert_eq!(place.send(provider, event, &body).await.0, 400, "{revision}");
        }
        place.house.running.stop().await;
    }
}

#[actix_web::test]
async fn a_repository_is_named_by_operators_alone_and_its_secret_is_shown_once() {
    let house = House::new().await;
    let new = |url: &str| NewRepository {
        default_class: Some(CLASS.parse().unwrap()),
        ..NewRepository::of(url.to_owned(), Provider::Github)
    };
    let made = house.operator.name_repository(PROJECT, &new("https://github.com/acme/app")).await.unwrap();
    assert_eq!(made.secret.as_ref().map(String::len), Some(64));
    assert_eq!(made.webhook, PATH);
    let listed = house.operator.repositories().await.unwrap();
    assert_eq!(listed, [protocol::webhook::Repository { secret: None, ..made }]);
    assert_eq!(get(&house, "/api/v3/repositories", None).await.0, 401);
    for (url, why) in [
        ("http://github.com/acme/app", "only https and ssh"),
        ("/srv/app.git", "only https and ssh"),
        ("git://example.org/app", "only https and ssh"),
        ("https://ann:pw@github.com/acme/app", "holds no password"),
        ("ext::sh -c true", "is no address of a repository"),
        ("--upload-pack=x", "is no address of a repository"),
    ] {
        let refused = house.operator.name_repository(PROJECT, &new(url)).await.unwrap_err().to_string();
        assert!(refused.contains(why) && !refused.contains("pw@"), "{url}: {refused}");
    }
    let short = NewRepository { secret: Some("short".to_owned()), ..new("https://github.com/acme/app") };
    let refused = house.operator.name_repository(PROJECT, &short).await.unwrap_err().to_string();
    assert!(refused.contains("16 to 1024 bytes"), "{refused}");
    house.operator.forget_repository(PROJECT).await.unwrap();
    assert_eq!(post_with(&house, PATH, &[], "{}").await.0, 404);
    let gone = house.operator.forget_repository(PROJECT).await.unwrap_err();
    assert!(!matches!(gone, ClientError::Unreachable { .. }), "{gone}");
    house.running.stop().await;
}
