//! A control plane of its own for one test, and the callers around it.

use crate::openapi;
use client::{Operator, Runner, TaskClient, Transport};
use control_plane::{KeySource, Running, Settings, start};
use protocol::{
    JobStatus, Outcome, PipelineId, ResourceClass,
    api::{Created, NewPipeline, PipelineView, Resource, Selection, Token},
    http::{Claim, Claimed, End},
    task::Source,
};
use slog::{Discard, Logger, o};
use std::{fs, path::PathBuf, time::Duration};
use tempfile::TempDir;

pub(crate) const OPERATOR: &str = "operator's token";
pub(crate) const CLASS: &str = "acme/linux";

/// Each job waits for the one before.
pub(crate) const CHAIN: &str = "
version: 2.1
jobs:
  a: &job {machine: true, resource_class: acme/linux, steps: [run: make]}
  b: *job
  c: *job
workflows:
  all:
    jobs: [a, b: {requires: [a]}, c: {requires: [b]}]
";

/// One job of one step.
pub(crate) const ONE_JOB: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps: [run: make]
";

/// A running control plane, its directory, and its operator.
pub(crate) struct House {
    pub(crate) running: Running,
    pub(crate) operator: Operator,
    pub(crate) transport: Transport,
    pub(crate) folder: TempDir,
}

pub(crate) fn class() -> ResourceClass {
    CLASS.parse().unwrap()
}

/// Settings over a directory, with an operator's token that the tests know.
pub(crate) fn settings(folder: &TempDir) -> Settings {
    let agent = folder.path().join("agent");
    fs::write(&agent, b"a program").unwrap();
    let mut settings = Settings::new(data_dir(folder), ([127, 0, 0, 1], 0).into(), agent);
    settings.operator_token = Some(OPERATOR.to_owned());
    settings.key = KeySource::Memory([7; 32]);
    settings
}

pub(crate) fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

pub(crate) fn log() -> Logger {
    Logger::root(Discard, o!())
}

impl House {
    /// A new one, with the class and a lease that outlasts every test.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A new one with settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let house = Self::over(TempDir::new().unwrap(), change).await;
        let resource =
            Resource { id: None, resource_class: class(), description: String::new(), max_tasks: None };
        house.operator.create_resource(&resource).await.unwrap();
        house
    }

    /// One over a directory that may have been another's.
    pub(crate) async fn over(folder: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&folder);
        change(&mut settings);
        let running = start(settings, log()).await.unwrap();
        let mut reach = client::Settings::new(format!("http://{}", running.address));
        reach.patience = Duration::from_secs(1);
        let transport = Transport::new(reach).unwrap();
        let operator = transport.operator(OPERATOR);
        Self { running, operator, transport, folder }
    }

    /// The same after a stop and a start.
    pub(crate) async fn again(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.running.stop().await;
        Self::over(self.folder, change).await
    }

    /// A launch-agent with a new token.
    pub(crate) async fn runner(&self) -> Runner {
        self.transport.runner(&self.token().await)
    }

    pub(crate) async fn token(&self) -> String {
        let token = Token {
            id: None,
            resource_class: class(),
            nickname: "n".to_owned(),
            token: None,
            created_at: None,
        };
        self.operator.create_token(&token).await.unwrap().token.unwrap()
    }

    pub(crate) async fn pipeline(&self, config: &str) -> Created {
        self.operator.create_pipeline(&new_pipeline(config)).await.unwrap()
    }

    pub(crate) async fn view(&self, id: PipelineId) -> PipelineView {
        self.operator.pipeline(id).await.unwrap()
    }

    /// Waits until the control plane has heard a claim of this runner instance.
    pub(crate) async fn until_seen(&self, name: &str) {
        let wanted = format!("\"name\":\"{name}\"");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !get(self, "/api/v3/runner?namespace=acme", Some(("Circle-Token", OPERATOR)))
            .await
            .1
            .contains(&wanted)
        {
            assert!(std::time::Instant::now() < deadline, "{name} never claimed");
        }
    }

    /// Waits until a round of forgetting has begun and another one after it.
    pub(crate) async fn until_swept(&self) {
        let swept = data_dir(&self.folder).join("swept");
        let modified = || fs::metadata(&swept).and_then(|found| found.modified()).ok();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        let (first, mut rounds) = (modified(), 0);
        let mut last = first;
        while rounds < 2 {
            assert!(std::time::Instant::now() < deadline, "no round of forgetting");
            tokio::task::yield_now().await;
            let now = modified();
            rounds += u32::from(now != last);
            last = now;
        }
    }

    /// The status of each job of the first workflow.
    pub(crate) async fn statuses(&self, id: PipelineId) -> Vec<(String, JobStatus)> {
        let jobs = self.view(id).await.workflows.remove(0).jobs;
        jobs.into_iter().map(|job| (job.name, job.status)).collect()
    }
}

pub(crate) fn new_pipeline(config: &str) -> NewPipeline {
    NewPipeline {
        project: "gh/acme/shop".to_owned(),
        config: config.to_owned(),
        config_path: ".circleci/config.yml".to_owned(),
        parameters: Default::default(),
        selection: Selection::default(),
        source: Source::None,
        git: Default::default(),
        environment: Vec::new(),
        contexts: Default::default(),
        default_class: None,
        native: false,
        orbs: Vec::new(),
        ssh_keys: Vec::new(),
        actor: Default::default(),
    }
}

/// A claim of at most that many tasks, held open for that long.
pub(crate) fn claim(most: u32, wait_ms: u64) -> Claim {
    Claim {
        name: "runner-1".to_owned(),
        hostname: "host-1".to_owned(),
        ip: "10.0.0.1".to_owned(),
        version: "1".to_owned(),
        platform: None,
        max_tasks: Some(most),
        wait_ms: Some(wait_ms),
        containers: false,
    }
}

/// The one task that waits.
pub(crate) async fn claim_one(runner: &Runner) -> (Claimed, TaskClient) {
    let claimed = runner.claim(&claim(1, 10_000)).await.unwrap().remove(0);
    let task = runner.task(&claimed.task_token);
    (claimed, task)
}

/// Begins and ends a task.
pub(crate) async fn finish(runner: &Runner, outcome: Outcome) -> Claimed {
    let (claimed, task) = claim_one(runner).await;
    task.begin(claimed.epoch).await.unwrap();
    end(&claimed, &task, outcome).await;
    claimed
}

pub(crate) async fn end(claimed: &Claimed, task: &TaskClient, outcome: Outcome) {
    task.end(&End { epoch: claimed.epoch, outcome, message: None }).await.unwrap();
}

/// The status and body of a `GET` with one header, as anybody may send it.
pub(crate) async fn get(house: &House, path: &str, token: Option<(&str, &str)>) -> (u16, String) {
    ask(house, "GET", path, token).await
}

/// The status and body of a call with one header and no body.
pub(crate) async fn ask(
    house: &House,
    method: &str,
    path: &str,
    token: Option<(&str, &str)>,
) -> (u16, String) {
    let header = token.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
    call(house, (method, path), request).await
}

/// The same of any call with a body.
pub(crate) async fn request(
    house: &House,
    method: &str,
    path: &str,
    token: Option<(&str, &str)>,
    body: &str,
) -> (u16, String) {
    let header = token.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    call(house, (method, path), request).await
}

/// The same of an operator's call.
pub(crate) async fn post(house: &House, path: &str, body: &str) -> (u16, String) {
    request(house, "POST", path, Some(("Circle-Token", OPERATOR)), body).await
}

/// The same of an operator's call of any method with a body.
pub(crate) async fn with_body(house: &House, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nCircle-Token: {OPERATOR}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    call(house, (method, path), request).await
}

/// The same of anybody's call with these headers.
pub(crate) async fn post_with(
    house: &House,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    call(house, ("POST", path), request).await
}

/// Every answer is held to the OpenAPI document.
async fn call(house: &House, (method, path): (&str, &str), request: String) -> (u16, String) {
    use std::io::{Read, Write};
    let address = house.running.address;
    let asking = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = actix_web::web::block(|| asking.join().unwrap()).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    openapi::conforms(method, path, status, body);
    (status, body.to_owned())
}
