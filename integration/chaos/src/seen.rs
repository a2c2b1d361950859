//! What became of a pipeline, as the operator's API and the file system show it.

use crate::{blame::Span, operator::Operator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, io, path::Path};

/// A pipeline at its end.
#[derive(Clone, Debug, Default)]
pub struct PipelineSeen {
    /// Between when it was asked for and when its end was seen.
    pub span: Span,
    /// Whether it has ended.
    pub is_over: bool,
    /// By name.
    pub jobs: BTreeMap<String, JobSeen>,
}

/// A job at its end.
#[derive(Clone, Debug, Default)]
pub struct JobSeen {
    /// In CircleCI's words.
    pub status: String,
    /// Passed, failed, skipped.
    pub tests: (u64, u64, u64),
    /// By index.
    pub tasks: Vec<TaskSeen>,
}

/// A task at its end.
#[derive(Clone, Debug, Default)]
pub struct TaskSeen {
    /// Its name.
    pub id: String,
    /// From 0.
    pub index: u32,
    /// In CircleCI's words; empty where it has none.
    pub outcome: String,
    /// Why.
    pub message: String,
    /// Who held it last.
    pub runner: String,
    /// The exit code and the whole log of each step, by number.
    pub steps: BTreeMap<u64, StepSeen>,
    /// By path: the digest that is claimed, and that of the content.
    pub artifacts: BTreeMap<String, (String, String)>,
    /// How often its user code was begun.
    pub runs: usize,
}

/// A step at its end.
#[derive(Clone, Debug, Default)]
pub struct StepSeen {
    /// In CircleCI's words.
    pub status: String,
    /// Of its command.
    pub exit_code: Option<i64>,
    /// As it is read.
    pub log: Vec<u8>,
    /// As long as the view says that it is.
    pub claimed_length: u64,
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a view shows the pipeline's end.
pub fn is_over(view: &Value) -> bool {
    list(&view["workflows"])
        .all(|workflow| !matches!(workflow["status"].as_str(), Some("running" | "failing")))
}

/// Reads all that is stored of a pipeline; `runs` is where its executions under this tag were counted.
pub fn look(operator: &Operator, id: &str, tag: &str, runs: &Path, span: Span) -> io::Result<PipelineSeen> {
    let view = operator.view(id)?;
    let mut seen = PipelineSeen { span, is_over: is_over(&view), jobs: BTreeMap::new() };
    for job in list(&view["workflows"][0]["jobs"]) {
        let name = text(&job["name"]);
        let counts = |key: &str| job["tests"][key].as_u64().unwrap_or_default();
        let mut tasks = Vec::new();
        for task in list(&job["tasks"]) {
            tasks.push(look_at_task(operator, job, task, &count_at(runs, &format!("{tag}.{name}")))?);
        }
        let tests = (counts("passed"), counts("failed"), counts("skipped"));
        seen.jobs.insert(name, JobSeen { status: text(&job["status"]), tests, tasks });
    }
    Ok(seen)
}

/// Executions by task index.
fn count_at(runs: &Path, job: &str) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let index = name.strip_prefix(job).and_then(|rest| rest.split('.').nth(1)?.parse().ok());
        if let Some(index) =
            index.filter(|_| name.strip_prefix(job).is_some_and(|rest| rest.starts_with('.')))
        {
            *counts.entry(index).or_default() += 1;
        }
    }
    counts
}

fn look_at_task(
    operator: &Operator,
    job: &Value,
    task: &Value,
    runs: &BTreeMap<u32, usize>,
) -> io::Result<TaskSeen> {
    let id = text(&task["id"]);
    let index = u32::try_from(task["index"].as_u64().unwrap_or_default()).unwrap_or_default();
    let mut steps = BTreeMap::new();
    for step in list(&task["steps"]) {
        let number = step["number"].as_u64().unwrap_or_default();
        let (log, exit_code) = (operator.log(&id, number)?, step["exit_code"].as_i64());
        let claimed_length = step["log_bytes"].as_u64().unwrap_or_default();
        steps.insert(number, StepSeen { status: text(&step["status"]), exit_code, log, claimed_length });
    }
    let mut artifacts = BTreeMap::new();
    for artifact in list(&task["artifacts"]) {
        let path = text(&artifact["path"]);
        let content = operator.artifact(&text(&job["id"]), index.into(), &path)?;
        artifacts.insert(path, (text(&artifact["digest"]), sha256(&content)));
    }
    let (outcome, message) = (text(&task["outcome"]), text(&task["message"]));
    let runs = runs.get(&index).copied().unwrap_or_default();
    Ok(TaskSeen { id, index, outcome, message, runner: text(&task["runner"]), steps, artifacts, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_counted_by_job_and_index() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["p1a0.j1.0.abc", "p1a0.j1.0.xyz", "p1a0.j1.1.abc", "p1a0.j10.0.abc", "p1a01.j1.0.abc"] {
            fs::write(runs.path().join(name), "").unwrap();
        }
        assert_eq!(count_at(runs.path(), "p1a0.j1"), BTreeMap::from([(0, 2), (1, 1)]));
    }

    #[test]
    fn a_digest_is_the_known_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
