//! The page over real HTTP, and in a real browser where the machine has one.

use crate::house::{House, OPERATOR, claim_one, end};
use client::TaskClient;
use protocol::{
    Epoch, Outcome, StepNumber, StepStatus,
    api::JobView,
    http::{Artifacts, Claimed, Store},
    ids::Digest,
    journal::{Record, TaskEvent},
    marks::Marks,
    stream::{self, Chunk, Item, MAX_CHUNK},
    transfer::{Artifact, Content},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
};

const EPOCH: Epoch = Epoch(1);
const TOKEN: &str = "token=operator%27s%20token";

/// A step whose name would be a script if anybody took it for HTML.
const HOSTILE: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps:
      - run: {name: \"<script>alert(1)</script>\", command: make}
";

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// One of its headers.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| {
            let (key, _) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(())
        };
        self.head.lines().find(|line| named(line).is_some())?.split_once(": ").map(|(_, value)| value)
    }

    /// Its body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn exchange(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let cut = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..cut]).into_owned();
    let body = answer.split_off(cut + 4);
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") { joined(&body) } else { body };
    Answer { status: head[9..12].parse().unwrap(), head, body }
}

/// A body that came in pieces, each behind its length.
fn joined(mut pieces: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = pieces.windows(2).position(|window| window == b"\r\n").expect("a length on a line");
        let length = usize::from_str_radix(std::str::from_utf8(&pieces[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&pieces[end + 2..][..length]);
        pieces = &pieces[end + 2 + length + 2..];
    }
}

async fn ask(house: &House, method: &'static str, path: &str, headers: String) -> Answer {
    let (address, path) = (house.running.address, path.to_owned());
    actix_web::web::block(move || exchange(address, method, &path, &headers, "")).await.unwrap()
}

/// What a caller with these headers gets.
pub(crate) async fn get(house: &House, path: &str, headers: &str) -> Answer {
    ask(house, "GET", path, headers.to_owned()).await
}

/// What posting this form gets.
pub(crate) async fn post(house: &House, path: &str, headers: &str, form: &str) -> Answer {
    let (address, path, form) = (house.running.address, path.to_owned(), form.to_owned());
    let headers = format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n");
    actix_web::web::block(move || exchange(address, "POST", &path, &headers, &form)).await.unwrap()
}

/// The `Cookie` header that a browser sends after it showed the token.
pub(crate) async fn signed_in(house: &House) -> String {
    let answer = get(house, &format!("/?{TOKEN}"), "").await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    format!("Cookie: other=1; {cookie}\r\n")
}

/// A page as somebody signed in reads it.
pub(crate) async fn read(house: &House, path: &str) -> String {
    get(house, path, &signed_in(house).await).await.text()
}

/// A claimed task of the hostile job, and its pipeline's address.
pub(crate) async fn begun(house: &House) -> (Claimed, TaskClient, JobView, String) {
    let pipeline = house.pipeline(HOSTILE).await.id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let job = house.view(pipeline).await.workflows[0].jobs[0].clone();
    (claimed, task, job, format!("/pipelines/{pipeline}"))
}

async fn record(task: &TaskClient, seq: u64, event: TaskEvent) {
    let mut body = Vec::new();
    stream::encode(&Item::Record(Record { seq, at_ms: 0, event }), &mut body);
    task.stream(EPOCH, body.into()).await.unwrap();
}

async fn log(task: &TaskClient, raw: &[u8]) {
    let mut offset = 0;
    for piece in raw.chunks(MAX_CHUNK) {
        let (step, length) = (StepNumber(1), piece.len().try_into().unwrap());
        let frame = zstd::bulk::compress(piece, 1).unwrap();
        let mut body = Vec::new();
        stream::encode(
            &Item::Log { chunk: Chunk { step, offset, length }, marks: Marks::default(), frame },
            &mut body,
        );
        task.stream(EPOCH, body.into()).await.unwrap();
        offset += piece.len() as u64;
    }
}

/// Runs the task's one step with this log, to its end.
async fn run(claimed: &Claimed, task: &TaskClient, raw: &[u8]) {
    let step = StepNumber(1);
    record(task, 0, TaskEvent::StepStarted { step }).await;
    log(task, raw).await;
    let (status, log_bytes) = (StepStatus::Success, raw.len() as u64);
    let ended = TaskEvent::StepEnded { step, status, exit_code: Some(0), duration_ms: 1, log_bytes };
    record(task, 1, ended).await;
    end(claimed, task, Outcome::Success).await;
}

#[actix_web::test]
async fn every_route_of_the_page_asks_who_is_there() {
    let house = House::new().await;
    let (_, _, job, pipeline) = begun(&house).await;
    let task = job.tasks[0].id;
    let pages = ["/".to_owned(), pipeline, format!("/jobs/{}", job.id), format!("/tasks/{task}/steps/1/raw")];
    for page in &pages {
        for headers in ["", "Cookie: roundhouse=1; roundhouse-1=x\r\n"] {
            let answer = get(&house, page, headers).await;
            assert_eq!(answer.status, 401, "{page}");
            assert!(answer.text().contains("<form"), "{page}");
        }
    }
    let api = [format!("/api/v3/tasks/{task}/steps/1/log"), format!("/api/v3/artifacts/{}/0/a", job.id)];
    for route in &api {
        assert_eq!(get(&house, route, "").await.status, 401, "{route}");
    }
    assert_eq!(get(&house, "/?token=wrong", "").await.status, 401);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_in_the_address_becomes_a_cookie_that_only_reads() {
    let house = House::new().await;
    let (_, _, job, pipeline) = begun(&house).await;
    let answer = get(&house, &format!("{pipeline}?a=b&{TOKEN}"), "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*format!("{pipeline}?a=b"))));
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    assert!(!set.contains("operator"), "{set}");
    let cookie = signed_in(&house).await;
    let feed = format!("/api/v3{pipeline}/feed?after=0&wait_ms=0");
    for path in ["/", &pipeline, &feed, &format!("/jobs/{}", job.id)] {
        assert_eq!(get(&house, path, &cookie).await.status, 200, "{path}");
    }
    let cancel = format!("/api/v3{pipeline}/cancel");
    assert_eq!(ask(&house, "POST", &cancel, cookie).await.status, 401);
    house.running.stop().await;
}

#[actix_web::test]
async fn another_site_signs_nobody_in() {
    let house = House::new().await;
    for (site, status) in [("cross-site", 401), ("none", 303), ("same-origin", 303)] {
        let header = format!("Sec-Fetch-Site: {site}\r\n");
        for answer in [
            get(&house, &format!("/?{TOKEN}"), &header).await,
            post(&house, "/session", &header, TOKEN).await,
        ] {
            assert_eq!(
                (answer.status, answer.header("set-cookie").is_some()),
                (status, status == 303),
                "{site}"
            );
        }
    }
    let led = get(&house, &format!("/?{TOKEN}"), "Sec-Fetch-Site: cross-site\r\n").await;
    assert!(led.text().contains("another site led here") && !led.text().contains("operator%27s"));
    house.running.stop().await;
}

#[actix_web::test]
async fn an_address_that_names_nothing_is_answered_by_a_page() {
    let house = House::new().await;
    let (_, _, job, _) = begun(&house).await;
    let cookie = signed_in(&house).await;
    let job = job.id;
    let beside = [format!("/jobs/{job}/x"), format!("/jobs/{job}/0/-1"), format!("/jobs/{job}/7")];
    for path in ["/jobs/x", "/jobs/x/0", "/tasks/x/steps/0/raw"].map(str::to_owned).iter().chain(&beside) {
        let answer = get(&house, path, &cookie).await;
        let told = (answer.status, answer.header("content-type"));
        assert_eq!(told, (404, Some("text/html; charset=utf-8")), "{path}");
        assert!(answer.text().contains("there is no such"), "{path}: {}", answer.text());
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn what_a_job_says_is_shown_and_never_run() {
    let house = House::new().await;
    let (claimed, task, job, pipeline) = begun(&house).await;
    run(&claimed, &task, b"</pre><script>alert(2)</script>\n").await;
    let cookie = signed_in(&house).await;
    for path in ["/".to_owned(), pipeline, format!("/jobs/{}/0/1", job.id)] {
        let answer = get(&house, &path, &cookie).await;
        let (text, rules) = (answer.text(), answer.header("content-security-policy").unwrap().to_owned());
        assert!(!text.contains("<script>") && !text.contains("</pre><script"), "{path}");
        assert!(rules.contains("default-src 'none'") && !rules.contains("unsafe"), "{rules}");
        let nonce = rules.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(
            text.matches("<script").count(),
            text.matches(&format!("<script nonce=\"{nonce}\"")).count()
        );
    }
    let page = get(&house, &format!("/jobs/{}/0/1", job.id), &cookie).await.text();
    assert!(page.contains("alert(1)") && page.contains("alert(2)"));
    let live = get(&house, &format!("/jobs/{}/0/1", job.id), &format!("{cookie}X-Live: 1\r\n")).await.text();
    assert!(!live.contains("<style") && !live.contains("alert(2)"));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_log_is_given_raw_whole_and_in_parts() {
    let house = House::new().await;
    let (claimed, task, job, _) = begun(&house).await;
    let raw: Vec<u8> = (0..400_000).flat_map(|line: u32| format!("{line}\n").into_bytes()).collect();
    run(&claimed, &task, &raw).await;
    let cookie = signed_in(&house).await;
    let path = format!("/tasks/{}/steps/1/raw", job.tasks[0].id);
    let whole = get(&house, &path, &cookie).await;
    assert!(whole.body == raw, "{} of {} bytes", whole.body.len(), raw.len());
    assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
    let part = get(&house, &format!("{path}?offset=5&length=7"), &cookie).await;
    assert_eq!(part.body, raw[5..12]);
    let beyond = get(&house, &format!("{path}?offset=99999999"), &cookie).await;
    assert_eq!((beyond.status, beyond.body.len()), (200, 0));
    let log = format!("/api/v3/tasks/{}/steps/1/log?offset={}&limit=4", job.tasks[0].id, raw.len() - 4);
    let end = get(&house, &log, &format!("Circle-Token: {OPERATOR}\r\n")).await;
    assert_eq!((end.body.as_slice(), end.header("x-terminal")), (&raw[raw.len() - 4..], Some("true")));
    house.running.stop().await;
}

async fn store(task: &TaskClient, paths: &[&str]) {
    store_bytes(task, paths, b"<b>bytes</b>").await;
}

/// Stores these bytes as artifacts of these names.
pub(crate) async fn store_bytes(task: &TaskClient, paths: &[&str], bytes: &[u8]) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let size = bytes.len() as u64;
    let content = Content { digest: Digest::of_bytes(hash.as_ref().try_into().unwrap()), size };
    let asked = Store { epoch: EPOCH, contents: vec![content.clone()] };
    let url = task.store(&asked).await.unwrap()[0].url.clone().unwrap();
    task.put(&url, &content, &file).await.unwrap();
    let artifact = |path: &&str| Artifact { path: (*path).to_owned(), content: content.clone() };
    let artifacts = paths.iter().map(artifact).collect();
    task.artifacts(&Artifacts { epoch: EPOCH, artifacts }).await.unwrap();
}

#[actix_web::test]
async fn an_artifact_can_do_nothing_in_a_browser() {
    let house = House::new().await;
    let (_, task, job, _) = begun(&house).await;
    store(&task, &["out/report.html", "out/a b.txt"]).await;
    let cookie = signed_in(&house).await;
    let at = |path: &str| format!("/api/v3/artifacts/{}/0/{path}", job.id);
    let html = get(&house, &at("out/report.html"), &cookie).await;
    assert_eq!(html.text(), "<b>bytes</b>");
    assert_eq!(html.header("content-type"), Some("application/octet-stream"));
    assert_eq!(html.header("content-disposition"), Some("attachment; filename=\"report.html\""));
    let text = get(&house, &at("out/a%20b.txt"), &cookie).await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    for answer in [html, text] {
        assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for path in ["out/none", "out/../out/report.html", "%2e%2e/x"] {
        assert_eq!(get(&house, &at(path), &cookie).await.status, 404, "{path}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_url_that_nobody_signed_gives_and_takes_nothing() {
    let house = House::new().await;
    let path = format!("/blobs/agents/{}?expires=9999999999999&signature=AAAA", "ab".repeat(32));
    assert_eq!(get(&house, &path, "").await.status, 403);
    assert_eq!(ask(&house, "PUT", &format!("{path}&size=0"), String::new()).await.status, 403);
    assert_eq!(get(&house, "/blobs/../store.db?expires=1&signature=A", "").await.status, 403);
    house.running.stop().await;
}

/// A Chromium of this machine, if it has one.
pub(crate) fn browser() -> Option<&'static str> {
    let there = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(there)
}

/// What a browser has made of a page and of those that it leads to.
pub(crate) fn dom(browser: &str, url: &str) -> String {
    // Asked for a document while another one takes its place, it ends well and has said nothing.
    let said = (0..10).map(|_| dumped(browser, url)).find(|said| !said.is_empty());
    said.unwrap_or_else(|| panic!("ten times nothing of {url}"))
}

fn dumped(browser: &str, url: &str) -> String {
    let profile = tempfile::TempDir::new().unwrap();
    let quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
    let lonely = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
    let output = Command::new("timeout")
        .args(["120", browser])
        .args(quiet)
        .args(lonely)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--window-size=1200,800", "--virtual-time-budget=20000", "--dump-dom", url])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[actix_web::test]
async fn a_million_lines_open_at_any_line_with_few_of_them_as_elements() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium on this machine");
        return;
    };
    let house = House::new().await;
    let (claimed, task, job, _) = begun(&house).await;
    let raw: Vec<u8> =
        (1..=1_000_000).flat_map(|line: u32| format!("<i>{line}</i>\n").into_bytes()).collect();
    run(&claimed, &task, &raw).await;
    let url = format!("http://{}/jobs/{}/0/1?{TOKEN}#L777777", house.running.address, job.id);
    let page = actix_web::web::block(move || dom(browser, &url)).await.unwrap();
    assert!(page.contains(">1,000,000 lines, "), "{page}");
    let hit = page.split("class=\"l hit\"").nth(1).expect("the line of the address is marked");
    assert!(hit.split("</div>").next().unwrap().contains("&lt;i&gt;777777&lt;/i&gt;"));
    assert!(page.matches("class=\"l\"").count() < 200);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_job_that_waits_for_an_approval_says_so_and_then_who_gave_it() {
    let house = House::new().await;
    let config = "
version: 2.1
jobs: {last: {machine: true, resource_class: acme/linux, steps: [run: make]}}
workflows: {main: {jobs: [hold: {type: approval}, last: {requires: [hold]}]}}
";
    let page = format!("/pipelines/{}", house.pipeline(config).await.id);
    let cookie = signed_in(&house).await;
    let waiting = get(&house, &page, &cookie).await.text();
    assert!(
        waiting.contains("class=\"s on_hold\">on hold<") && waiting.contains("roundhouse approve"),
        "{waiting}"
    );
    let held = house.operator.on_hold().await.unwrap().remove(0);
    house.operator.approve(held.workflow, held.job, "<b>ada</b>").await.unwrap();
    let approved = get(&house, &page, &cookie).await.text();
    assert!(approved.contains("approved by ") && !approved.contains("<b>ada</b>"), "{approved}");
    house.running.stop().await;
}
