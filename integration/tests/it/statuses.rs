//! How commits stand, as their providers are told, with the real programs: from a push to green, over kills and refusals.

use integration::{
    fleet::{CLASS, Fleet, checkouts},
    git::{Http, Repository},
    pushes::{PUSHER, Sender},
    recorder::{Call, Recorder},
    rig::Server,
};
use protocol::webhook::Provider;
use serde_json::Value;

const PROJECT: &str = "git.example/acme/app";
const TOKEN: &str = "a-token-of-the-provider";
const OPTIONS: [&str; 1] = ["--allow-insecure-fetch"];

/// A project of a provider, its repository, and who is told of its commits.
struct House {
    fleet: Fleet,
    repository: Repository,
    sender: Sender,
    recorder: Recorder,
}

impl House {
    /// Told of workflows or of jobs; or of nothing, where no word says it.
    async fn new(provider: Provider, of: &str) -> Self {
        let fleet = Fleet::start(&OPTIONS).await;
        let repository = Repository::new(&fleet.rig.path("git/acme"));
        let http = Http::serve(&fleet.rig.path("git"));
        let recorder = Recorder::answering(201);
        let (url, api) = (format!("{}/acme/app.git", http.url), format!("{}/api", recorder.url));
        let token = fleet.rig.write("token", &format!("{TOKEN}\n")).display().to_string();
        let mut arguments = vec!["project", "create", PROJECT, "--url", &url, "--provider", provider.name()];
        let told = ["--token-file", &token, "--statuses", of, "--api", &api];
        arguments.extend(told.iter().filter(|_| !of.is_empty()));
        let made = fleet.roundhouse(&arguments);
        assert_eq!(made.status, 0, "{}", made.errors);
        let secret = made.output.trim().to_owned();
        let sender = Sender { project: PROJECT.to_owned(), provider, secret };
        Self { fleet, repository, sender, recorder }
    }

    /// Commits this configuration and tells of it; the commit.
    fn push(&self, config: &str) -> String {
        let revision = self.repository.commit(".circleci/config.yml", config, "refs/heads/main");
        self.sender.push(&self.fleet.server, "refs/heads/main", &revision);
        revision
    }

    /// Kills the control plane, and starts it again where it was.
    fn kill(&mut self) {
        self.fleet.server.program().kill();
        let address = self.fleet.server.url.trim_start_matches("http://").to_owned();
        self.fleet.server = self.fleet.rig.server_with("server", &address, &OPTIONS);
    }
}

/// State, context, and the page as it is behind the control plane's address.
fn told(server: &str, calls: &[Call]) -> Vec<(String, String, String)> {
    let read = |call: &Call| {
        let body: Value = serde_json::from_str(&call.body).expect("it is JSON");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let page = text("target_url");
        let page = page.strip_prefix(server).unwrap_or_else(|| panic!("{page} is no page of {server}"));
        let page = page.split('/').nth(1).unwrap_or_default().to_owned();
        (text("state"), text("context"), page)
    };
    calls.iter().map(read).collect()
}

fn expected(all: &[[&str; 3]]) -> Vec<(String, String, String)> {
    let owned = |[state, context, page]: &[&str; 3]| {
        ((*state).to_owned(), format!("ci/roundhouse: {context}"), (*page).to_owned())
    };
    all.iter().map(owned).collect()
}

#[actix_rt::test]
async fn each_provider_is_told_of_a_push_until_it_is_green_in_its_own_words() {
    for (provider, path, header, running) in [
        (
            Provider::Github,
            "/api/repos/acme/app/statuses/",
            format!("authorization: Bearer {TOKEN}"),
            "pending",
        ),
        (
            Provider::Gitlab,
            "/api/projects/acme%2Fapp/statuses/",
            format!("private-token: {TOKEN}"),
            "running",
        ),
        (
            Provider::Gitea,
            "/api/repos/acme/app/statuses/",
            format!("authorization: token {TOKEN}"),
            "pending",
        ),
    ] {
        let house = House::new(provider, "workflows").await;
        let revision = house.push(&checkouts(&[("only", "", "cat .circleci/config.yml")]));
        let calls = house.recorder.until_answered(201, 2);
        assert_eq!(
            told(&house.fleet.server.url, &calls),
            expected(&[[running, "all", "pipelines"], ["success", "all", "pipelines"]])
        );
        for call in &calls {
            assert_eq!(call.line, format!("POST {path}{revision}"));
            assert!(call.headers.contains(&header), "{:?}", call.headers);
        }
        let last: Value = serde_json::from_str(&calls[1].body).unwrap();
        let page = last["target_url"].as_str().unwrap().strip_prefix(&house.fleet.server.url).unwrap();
        shows_green(&house.fleet.server, page);
    }
}

/// The page has the pipeline as one that is over and good, and by whose push it was made.
fn shows_green(server: &Server, path: &str) {
    let page = server.page(path);
    assert!(page.contains(&format!("by <b>{PUSHER}</b>")), "{page}");
    assert!(page.contains("<span class=\"s success\">all</span>"), "{page}");
}

#[actix_rt::test]
async fn a_push_that_bitbucket_tells_of_runs_green_and_shows_on_the_page() {
    let house = House::new(Provider::Bitbucket, "").await;
    let config = checkouts(&[("only", "", "cat .circleci/config.yml")]);
    let revision = house.repository.commit(".circleci/config.yml", &config, "refs/heads/main");
    let received = house.sender.push(&house.fleet.server, "refs/heads/main", &revision);
    let view = house.fleet.server.ended(received.pipelines[0].id).await;
    shows_green(&house.fleet.server, &format!("/pipelines/{}", view.id));
}

#[actix_rt::test]
async fn what_was_not_told_yet_is_told_in_order_after_a_kill_of_the_control_plane() {
    let mut house = House::new(Provider::Github, "workflows").await;
    house.recorder.answer(503);
    let revision = house.repository.commit(
        ".circleci/config.yml",
        &checkouts(&[("only", "", "true")]),
        "refs/heads/main",
    );
    let made = house.sender.push(&house.fleet.server, "refs/heads/main", &revision);
    house.fleet.server.ended(made.pipelines[0].id).await;
    house.recorder.until_answered(503, 1);
    assert!(
        told(&house.fleet.server.url, &house.recorder.answered(503)).iter().all(|one| one.0 == "pending")
    );
    house.kill();
    house.recorder.answer(201);
    let calls = house.recorder.until_answered(201, 2);
    assert_eq!(
        told(&house.fleet.server.url, &calls),
        expected(&[["pending", "all", "pipelines"], ["success", "all", "pipelines"]])
    );
    let metrics = house.fleet.server.get("/metrics").body;
    assert!(metrics.contains("roundhouse_commit_statuses_total{outcome=\"told\"}"), "{metrics}");
}

/// Two jobs, the second of which fails where the first succeeded.
const TWO: &str = "version: 2.1
jobs:
  good: &job {machine: true, resource_class: CLASS, steps: [run: 'test $CIRCLE_JOB = good']}
  bad: *job
workflows: {all: {jobs: [good, bad: {requires: [good]}]}}
";

#[actix_rt::test]
async fn jobs_are_told_of_each_by_itself_and_so_is_a_configuration_that_cannot_be_used() {
    let house = House::new(Provider::Gitea, "jobs").await;
    house.push(&TWO.replace("CLASS", CLASS));
    let calls = house.recorder.until_answered(201, 4);
    let mut of_each = told(&house.fleet.server.url, &calls);
    // Each hears one after the other, and nobody waits for another.
    of_each.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(
        of_each,
        expected(&[
            ["pending", "bad", "jobs"],
            ["failure", "bad", "jobs"],
            ["pending", "good", "jobs"],
            ["success", "good", "jobs"],
        ])
    );
    house.push("version: 2.1\njobs: {a: {steps: 7}}\n");
    let calls = house.recorder.until_answered(201, 5);
    let last = told(&house.fleet.server.url, &calls[4..]);
    assert_eq!(last, expected(&[["error", "configuration", "pipelines"]]));
}

#[actix_rt::test]
async fn a_status_that_the_provider_refuses_is_given_up_with_a_word_and_no_token_in_it() {
    let house = House::new(Provider::Github, "workflows").await;
    house.recorder.answer(422);
    house.push(&checkouts(&[("only", "", "true")]));
    house.recorder.until_answered(422, 2);
    let counted = "roundhouse_commit_statuses_total{outcome=\"given_up\"} 2";
    integration::wait::until("both are counted", std::time::Duration::from_secs(20), || {
        house.fleet.server.get("/metrics").body.contains(counted).then_some(())
    });
    let log = std::fs::read_to_string(house.fleet.rig.path("server.log")).expect("it is there");
    assert_eq!(log.matches("a commit status is given up").count(), 2, "{log}");
    assert!(log.contains("status 422") && !log.contains(TOKEN), "{log}");
    let listed = house.fleet.roundhouse(&["project", "list"]).output;
    assert!(listed.contains("workflows") && !listed.contains(TOKEN), "{listed}");
}
