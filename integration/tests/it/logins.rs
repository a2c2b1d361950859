//! Private repositories behind https, with the real programs and git's own server: a job is let in with its project's login,
//! in every step, at that repository alone, and nothing of it stays.

use integration::{
    fleet::{Fleet, checkouts, source},
    git::{Http, Repository, git},
    pipelines::job,
    pushes::Sender,
    recorder::Recorder,
};
use protocol::{
    api::PipelineView,
    status::{JobStatus, WorkflowStatus},
    webhook::{Provider, Received},
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
};

const PROJECT: &str = "local/rig";
pub(crate) const TOKEN: &str = "hush-a-token-of-the-project";
/// `x-access-token:` and the token in base64.
const SHOWN: &str = "Basic eC1hY2Nlc3MtdG9rZW46aHVzaC1hLXRva2VuLW9mLXRoZS1wcm9qZWN0";
pub(crate) const OPTIONS: [&str; 1] = ["--allow-insecure-fetch"];

/// A project and its repository, which only who shows the token may read.
struct House {
    fleet: Fleet,
    repository: Repository,
    http: Http,
}

impl House {
    async fn new() -> Self {
        let fleet = Fleet::start(&OPTIONS).await;
        let repository = Repository::new(&fleet.rig.path("git/acme"));
        let http = Http::serve_to(&fleet.rig.path("git"), &[SHOWN]);
        Self { fleet, repository, http }
    }

    fn url(&self) -> String {
        format!("{}/acme/app.git", self.http.url)
    }

    /// Names the project's repository.
    fn named(&self, url: &str, beside: &[&str]) {
        let token = self.fleet.rig.write("token", &format!("{TOKEN}\n")).display().to_string();
        let create =
            ["project", "create", PROJECT, "--url", url, "--provider", "github", "--token-file", &token];
        let made = self.fleet.roundhouse(&[&create[..], beside].concat());
        assert_eq!(made.status, 0, "{}", made.errors);
    }

    async fn run(&self, url: &str, revision: &str, how: &str, look: &str) -> (PipelineView, String) {
        let config = checkouts(&[("only", how, look)]);
        let view = self.fleet.run(&config, source(url, revision, Some("main"), None)).await;
        let log = self.fleet.log(&view, "only", "Checkout code").await;
        (view, log)
    }
}

/// What later steps do there: each line that says something is looked at.
fn look(elsewhere: &str) -> String {
    format!(
        "git rev-list --objects --missing=print HEAD | grep -c '^?' ; cat f; git show HEAD~3:f; \
         git fetch -q origin && echo fetched; HOME=/nowhere git fetch -q origin && echo fetched elsewhere; \
         git push -q origin HEAD:refs/heads/built && echo pushed; \
         git submodule --quiet update --init && cat sub/f; stat -c %a ~/.roundhouse ~/.roundhouse/login; \
         cat ~/.roundhouse/login; git remote -v; cat .git/config ~/.gitconfig ~/.roundhouse/gitconfig; env; \
         git ls-remote {elsewhere}/acme/app.git || echo not there; \
         git ls-remote $(git remote get-url origin | sed s/app/other/) || echo nor there"
    )
}

/// A commit whose submodule `sub` is the first commit of the same repository.
fn with_submodule(repository: &Repository, first: &str) -> String {
    repository.commit(
        ".gitmodules",
        "[submodule \"sub\"]\n\tpath = sub\n\turl = ../app.git\n",
        "refs/heads/main",
    );
    repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{first},sub")]);
    repository.git(&["commit", "-qm", "sub"]);
    repository.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]);
    repository.git(&["rev-parse", "HEAD"])
}

#[actix_rt::test]
async fn a_private_repository_is_checked_out_fetched_from_and_pushed_to_with_the_projects_token_and_no_other_is_shown_it()
 {
    let house = House::new().await;
    git(&house.repository.bare, &["config", "http.receivepack", "true"]);
    let first = house.repository.commit("f", "one\n", "refs/heads/main");
    house.repository.commit("f", "two\n", "refs/heads/main");
    let revision = with_submodule(&house.repository, &first);
    house.named(&house.url(), &["--jobs-check-out-with", "token"]);
    let elsewhere = Recorder::answering(401);
    let (view, log) = house.run(&house.url(), &revision, "", &look(&elsewhere.url)).await;
    assert!(
        log.contains("Using a token of the project for the checkout.") && log.contains("HEAD is now at"),
        "{log}"
    );
    assert!(log.contains("This host keeps a copy of the repository ("), "{log}");
    let it = house.fleet.log(&view, "only", "it").await;
    assert!(it.starts_with("1\ntwo\n"), "a file's earlier content is not there: {it}");
    for line in [
        "one\nfetched\n",
        "fetched elsewhere\npushed\none\n700\n600\nusername=x-access-token\npassword=****\n",
    ] {
        assert!(it.contains(line), "{line}: {it}");
    }
    assert!(it.contains("not there\n") && it.contains("nor there\n"), "{it}");
    assert_eq!(git(&house.repository.bare, &["rev-parse", "refs/heads/built"]), revision);
    let asked = elsewhere.answered(401);
    assert!(!asked.is_empty() && asked.iter().all(|call| !has(&call.headers, "authorization")), "{asked:?}");
    assert_eq!(house.http.shown_at("/acme/other.git"), Vec::<String>::new());
    for log in [&log, &it] {
        assert!(!log.contains(TOKEN) && !log.contains(&SHOWN[6..]), "{log}");
    }
    let (_, log) = house.run(&house.url(), &revision, "", "true").await;
    assert!(log.contains("Using this host's copy of the repository ("), "{log}");
    nowhere_in(&house.fleet.rig.path("agent"));
    nowhere_in(&house.fleet.server.data);
}

fn has(headers: &[String], name: &str) -> bool {
    headers.iter().any(|header| header.starts_with(name))
}

/// No file below has the token in it, as it is or as it is shown.
pub(crate) fn nowhere_in(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it is ours").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it is there"));
        if kind.is_dir() {
            nowhere_in(&path);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!has(TOKEN) && !has(&SHOWN[6..]), "{}", path.display());
        }
    }
}

#[actix_rt::test]
async fn without_a_word_of_an_administrator_the_projects_token_is_no_jobs_and_its_log_says_what_to_do() {
    let house = House::new().await;
    let revision = house.repository.commit("f", "one", "refs/heads/main");
    house.named(&house.url(), &[]);
    let (view, log) = house.run(&house.url(), &revision, "", "true").await;
    assert_eq!(job(&view, "only").status, JobStatus::Failed, "{log}");
    assert!(log.contains("could not read Username"), "{log}");
    let told = format!(
        "cannot read the repository {}: the server wants a login, and this job has none: ",
        house.url()
    );
    assert!(log.contains(&told) && log.contains("again with --jobs-check-out-with token"), "{log}");
    // One that is over is told of too.
    house.named(&house.url(), &["--jobs-check-out-with", "token"]);
    let over = house.fleet.rig.write("token", "hush-another-one").display().to_string();
    let create = ["project", "create", PROJECT, "--url", &house.url(), "--provider", "github"];
    let token = ["--token-file", &over, "--jobs-check-out-with", "token"];
    assert_eq!(house.fleet.roundhouse(&[&create[..], &token].concat()).status, 0);
    let (_, log) = house.run(&house.url(), &revision, "", "true").await;
    assert!(log.contains("the server refuses the project's token"), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

/// Whoever shows the token there is sent elsewhere.
fn redirecting_to(elsewhere: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let elsewhere = elsewhere.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = redirected(&stream, &elsewhere);
        }
    });
    url
}

fn redirected(stream: &TcpStream, elsewhere: &str) -> Option<()> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = lines.first()?.split(' ').nth(1)?;
    let is_shown = lines.iter().any(|line| line.ends_with(SHOWN));
    let head = match is_shown {
        true => format!("302 -\r\nLocation: {elsewhere}{target}"),
        false => "401 -\r\nWWW-Authenticate: Basic realm=\"git\"".to_owned(),
    };
    let mut output = stream;
    write!(output, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
}

#[actix_rt::test]
async fn a_server_that_sends_a_checkout_to_another_host_does_not_get_the_token_shown_there() {
    let house = House::new().await;
    let revision = house.repository.commit("f", "one", "refs/heads/main");
    // By another name of this host: to a client of http the same host on another port may be the same.
    let elsewhere = Recorder::answering(401);
    let other_name = elsewhere.url.replace("127.0.0.1", "localhost");
    for other in [&elsewhere.url, &other_name] {
        let before = elsewhere.answered(401).len();
        let url = format!("{}/acme/app.git", redirecting_to(other));
        house.named(&url, &["--jobs-check-out-with", "token"]);
        let (view, log) = house.run(&url, &revision, "", "true").await;
        assert_eq!(job(&view, "only").status, JobStatus::Failed, "{log}");
        let asked = elsewhere.answered(401).split_off(before);
        assert!(!asked.is_empty(), "git was sent there: {log}");
        assert!(asked.iter().all(|call| !has(&call.headers, "authorization")), "{asked:?}");
    }
}

/// GitHub's API: a token for all, or one for the repository that a body asks for. Its statuses are told there too.
fn given(body: &str) -> String {
    let (token, repositories) = match body.contains("\"repositories\":[\"app\"]") {
        true => (TOKEN, r#","permissions":{"contents":"read"},"repositories":[{"full_name":"acme/app"}]"#),
        false => ("ghs_for_all", ""),
    };
    format!("{{\"token\":\"{token}\"{repositories}}}")
}

/// `x-access-token:ghs_for_all` in base64.
const FOR_ALL: &str = "Basic eC1hY2Nlc3MtdG9rZW46Z2hzX2Zvcl9hbGw=";
const PK8: &[u8] = include_bytes!("../../../src/control-plane/tests/rsa-2048.pk8");

/// A project whose repository an App lets in to; the secret of its webhooks.
fn with_app(fleet: &Fleet, url: &str, api: &str, forks: &str) -> String {
    let der = fleet.rig.path("key.der");
    fs::write(&der, PK8).expect("it is ours");
    let coded = Command::new("base64").arg(der).output().expect("every host has it").stdout;
    let coded = String::from_utf8_lossy(&coded);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{coded}-----END PRIVATE KEY-----\n");
    let key = fleet.rig.write("key.pem", &pem).display().to_string();
    let create = ["project", "create", PROJECT, "--url", url, "--provider", "github", "--forks", forks];
    let app = ["--app-id", "7", "--app-installation", "9", "--app-key-file", &key];
    let told = ["--statuses", "workflows", "--api", api];
    let made = fleet.roundhouse(&[&create[..], &app, &told].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    made.output.trim().to_owned()
}

#[actix_rt::test]
async fn a_job_of_a_github_app_checks_out_with_a_token_that_reads_this_repository_alone() {
    let fleet = Fleet::start(&OPTIONS).await;
    let repository = Repository::new(&fleet.rig.path("git/acme"));
    let http = Http::serve_to(&fleet.rig.path("git"), &[SHOWN, FOR_ALL]);
    let github = Recorder::answering_with(201, given);
    let url = format!("{}/acme/app.git", http.url);
    let secret = with_app(&fleet, &url, &github.url, "never");
    let sender = Sender { project: PROJECT.to_owned(), provider: Provider::Github, secret };
    repository.commit("f", "one", "refs/heads/main");
    let config = checkouts(&[("only", "", "cat f; grep -c ghs_for_all ~/.roundhouse/login")]);
    let revision = repository.commit(".circleci/config.yml", &config, "refs/heads/main");
    let received = sender.push(&fleet.server, "refs/heads/main", &revision);
    let view = fleet.server.ended(received.pipelines[0].id).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains("Using a token of the project for the checkout."), "{log}");
    assert_eq!(fleet.log(&view, "only", "it").await, "one0\n", "{log}");
    let asked = github.answered(201);
    let asked = asked.iter().filter(|call| call.line.ends_with("/app/installations/9/access_tokens"));
    let bodies: Vec<_> = asked.map(|call| call.body.as_str()).collect();
    let narrow = r#"{"permissions":{"contents":"read"},"repositories":["app"]}"#;
    assert_eq!(bodies, ["", narrow], "one to fetch the configuration, one for the task");
    let shown = http.shown_at("/acme/app.git");
    assert!(shown.contains(&SHOWN.to_owned()) && shown.contains(&FOR_ALL.to_owned()), "{shown:?}");
    nowhere_in(&fleet.rig.path("agent"));
    nowhere_in(&fleet.server.data);
}

/// A pull request of a fork as GitHub tells of it.
fn proposed(revision: &str) -> String {
    let body = serde_json::json!({"action": "opened", "number": 7, "pull_request": {
        "number": 7, "title": "Propose", "html_url": "https://github.com/acme/app/pull/7",
        "head": {"ref": "main", "sha": revision, "repo": {"full_name": "eve/app"}},
        "base": {"ref": "main", "repo": {"full_name": "acme/app"}},
    }});
    body.to_string()
}

#[actix_rt::test]
async fn a_forks_job_has_a_token_of_the_app_once_somebody_approved_it_and_none_where_nobody_does() {
    for (forks, is_approved) in [("after-approval", true), ("without-secrets", false)] {
        let fleet = Fleet::start(&OPTIONS).await;
        let repository = Repository::new(&fleet.rig.path("git/acme"));
        let http = Http::serve_to(&fleet.rig.path("git"), &[SHOWN, FOR_ALL]);
        let github = Recorder::answering_with(201, given);
        let secret = with_app(&fleet, &format!("{}/acme/app.git", http.url), &github.url, forks);
        let sender = Sender { project: PROJECT.to_owned(), provider: Provider::Github, secret };
        let config = checkouts(&[("only", "", "cat f")]);
        repository.commit("f", "theirs", "refs/pull/7/head");
        let revision = repository.commit(".circleci/config.yml", &config, "refs/pull/7/head");
        let answered = sender.send(&fleet.server, "pull_request", &proposed(&revision));
        let received: Received = serde_json::from_str(&answered.body).expect("it is in the shape");
        let id = received.pipelines[0].id;
        if is_approved {
            let waits =
                |view: &PipelineView| (view.workflows[0].status == WorkflowStatus::OnHold).then_some(());
            fleet.server.sees(id, "that it waits", waits).await;
            assert_eq!(fleet.roundhouse(&["approve", "approve-fork"]).status, 0);
        }
        let view = fleet.server.ended(id).await;
        let log = fleet.log(&view, "only", "Checkout code").await;
        let expected = if is_approved { JobStatus::Success } else { JobStatus::Failed };
        assert_eq!(job(&view, "only").status, expected, "{log}");
        assert_eq!(
            log.contains("only where somebody approves each: --forks after-approval"),
            !is_approved,
            "{log}"
        );
        assert_eq!(http.shown_at("/acme/app.git").contains(&SHOWN.to_owned()), is_approved);
    }
}
