//! The operator's side of the control plane's API, patient with a control plane that comes and goes.

use crate::{http, patience, workload::CLASS};
use serde_json::{Value, json};
use std::{io, time::Duration};

/// How long a call is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    address: String,
    token: String,
}

impl Operator {
    /// Of the control plane at this address, with its token.
    pub fn new(address: impl Into<String>, token: impl Into<String>) -> Self {
        Self { address: address.into(), token: token.into() }
    }

    fn once(&self, method: &str, path: &str, body: &Value) -> io::Result<http::Answer> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let answer = http::ask(&self.address, method, path, &self.token, &body)?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        let why = format!("{method} {path}: {} {said}", answer.status);
        // What is refused for good is no weather.
        Err(io::Error::new(
            if answer.status < 500 { io::ErrorKind::InvalidInput } else { io::ErrorKind::Other },
            why,
        ))
    }

    /// Asks until it is answered; only for what may be asked twice.
    fn patiently(&self, path: &str) -> io::Result<http::Answer> {
        let mut last = io::Error::other("never asked");
        let answer = patience::until(PATIENCE, || match self.once("GET", path, &Value::Null) {
            Ok(answer) => Some(Ok(answer)),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Some(Err(error)),
            Err(error) => {
                last = error;
                None
            }
        });
        answer.unwrap_or(Err(last))
    }

    fn read(&self, path: &str) -> io::Result<Value> {
        Ok(serde_json::from_slice(&self.patiently(path)?.body)?)
    }

    /// Whether the control plane answers now.
    pub fn is_answered(&self) -> bool {
        self.once("GET", &format!("/api/v3/runner/tasks?resource-class={CLASS}"), &Value::Null).is_ok()
    }

    /// Makes the class of all jobs, and a token of it.
    pub fn enlist(&self) -> io::Result<String> {
        self.once("POST", "/api/v3/runner/resource", &json!({ "resource_class": CLASS }))?;
        let token = json!({ "resource_class": CLASS, "nickname": "chaos" });
        let made = self.once("POST", "/api/v3/runner/token", &token)?;
        let made: Value = serde_json::from_slice(&made.body)?;
        made["token"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no token in the answer"))
    }

    /// Makes a pipeline, asked once: whoever hears nothing does not know whether it was made.
    pub fn create(&self, body: &Value) -> io::Result<String> {
        let made: Value = serde_json::from_slice(&self.once("POST", "/api/v3/pipelines", body)?.body)?;
        made["id"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("no id in the answer"))
    }

    /// A pipeline as it stands.
    pub fn view(&self, pipeline: &str) -> io::Result<Value> {
        self.read(&format!("/api/v3/pipelines/{pipeline}"))
    }

    /// The same, asked once.
    pub fn glance(&self, pipeline: &str) -> Option<Value> {
        let answer = self.once("GET", &format!("/api/v3/pipelines/{pipeline}"), &Value::Null).ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// The whole log of a step.
    pub fn log(&self, task: &str, step: u64) -> io::Result<Vec<u8>> {
        let mut log = Vec::new();
        loop {
            let path = format!("/api/v3/tasks/{task}/steps/{step}/log?offset={}", log.len());
            let answer = self.patiently(&path)?;
            log.extend_from_slice(&answer.body);
            if answer.body.is_empty() || answer.head.field("x-terminal").is_some() {
                return Ok(log);
            }
        }
    }

    /// The content of an artifact.
    pub fn artifact(&self, job: &str, index: u64, path: &str) -> io::Result<Vec<u8>> {
        Ok(self.patiently(&format!("/api/v3/artifacts/{job}/{index}/{path}"))?.body)
    }

    /// How many tasks wait, and how many are held under a lease.
    pub fn open_tasks(&self) -> io::Result<(u64, u64)> {
        let number = |path: &str, key: &str| {
            Ok::<_, io::Error>(
                self.read(&format!("{path}?resource-class={CLASS}"))?[key].as_u64().unwrap_or(u64::MAX),
            )
        };
        Ok((
            number("/api/v3/runner/tasks", "unclaimed_task_count")?,
            number("/api/v3/runner/tasks/running", "running_runner_tasks")?,
        ))
    }
}
