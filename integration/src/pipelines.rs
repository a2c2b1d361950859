//! A pipeline as its operator sees it: waited for, read, its logs fetched.

use crate::rig::Server;
use protocol::{
    api::{JobView, PipelineView, TaskView},
    ids::{PipelineId, StepNumber, TaskId},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How long anything of a pipeline is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

impl Server {
    /// Starts a pipeline of one job of this class, which runs this command and nothing else.
    pub async fn job(&self, class: &str, command: &str) -> PipelineId {
        let command = serde_json::Value::from(command);
        let config = format!(
            "version: 2.1
jobs:
  only:
    machine: true
    resource_class: {class}
    steps:
      - run: {{name: it, command: {command}}}
workflows: {{all: {{jobs: [only]}}}}
"
        );
        self.pipeline(&config, class).await
    }

    /// Waits until `look` sees something in the pipeline.
    ///
    /// # Panics
    /// When it does not within two minutes, naming it.
    pub async fn sees<T>(
        &self,
        pipeline: PipelineId,
        what: &str,
        mut look: impl FnMut(&PipelineView) -> Option<T>,
    ) -> T {
        let (operator, begun) = (self.operator(), Instant::now());
        let mut after = 0;
        loop {
            let view = operator.pipeline(pipeline).await.unwrap_or_else(|error| panic!("{error}"));
            if let Some(seen) = look(&view) {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}; {view:#?}");
            let feed = operator.feed(pipeline, after, 200).await.unwrap_or_else(|error| panic!("{error}"));
            after = feed.next;
        }
    }

    /// Waits for the end of all workflows.
    pub async fn ended(&self, pipeline: PipelineId) -> PipelineView {
        let over = |view: &PipelineView| {
            let all = view.workflows.iter().all(|workflow| workflow.status.is_terminal());
            all.then(|| view.clone())
        };
        self.sees(pipeline, "the end of the pipeline", over).await
    }

    /// The whole log of a step.
    pub async fn log(&self, task: TaskId, step: u32) -> String {
        let (operator, mut log) = (self.operator(), Vec::new());
        loop {
            let part = operator.log((task, StepNumber(step)), log.len() as u64, 1 << 20, 0).await;
            let part = part.unwrap_or_else(|error| panic!("{error}"));
            log.extend_from_slice(&part.bytes);
            if part.bytes.is_empty() {
                return String::from_utf8_lossy(&log).into_owned();
            }
        }
    }
}

/// A job of any workflow.
///
/// # Panics
/// Where there is none of that name.
pub fn job<'v>(view: &'v PipelineView, name: &str) -> &'v JobView {
    let jobs = view.workflows.iter().flat_map(|workflow| &workflow.jobs);
    jobs.into_iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name}: {view:#?}"))
}

/// The first task of the only job.
///
/// # Panics
/// Where there is none yet.
pub fn only_task(view: &PipelineView) -> &TaskView {
    task(view).unwrap_or_else(|| panic!("no task yet: {view:#?}"))
}

/// The first task of the only job, if there is one yet.
pub fn task(view: &PipelineView) -> Option<&TaskView> {
    view.workflows.first()?.jobs.first()?.tasks.first()
}

/// The stored length of a step's log.
pub fn logged(view: &PipelineView, step: u32) -> u64 {
    let steps = task(view).map(|task| task.steps.as_slice()).unwrap_or_default();
    steps.iter().find(|known| known.number == StepNumber(step)).map_or(0, |known| known.log_bytes)
}

/// A command that counts, a line each hundredth of a second.
pub fn count_to(last: u32) -> String {
    format!("for number in $(seq 1 {last}); do echo $number; sleep 0.01; done")
}

/// A command that counts like this until a file is there: as long as its test takes, on a busy host too.
pub fn count_until(gate: &Path) -> String {
    let gate = gate.display();
    format!("number=0; until [ -e {gate} ]; do number=$((number + 1)); echo $number; sleep 0.01; done")
}

/// What was printed counts from 1, and nothing is lost or doubled.
///
/// # Panics
/// Where it does not.
pub fn is_counted(printed: &str) {
    let lines = printed.lines().count().try_into().expect("nobody counts so far");
    assert_eq!(printed, numbers(lines));
}

/// What they print.
pub fn numbers(last: u32) -> String {
    (1..=last).map(|number| format!("{number}\n")).collect()
}
