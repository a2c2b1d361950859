//! Following a pipeline of the bench to its end, and reading what its jobs wrote.

use integration::rig::{Agent, Rig, Server};
use protocol::{
    api::{PipelineView, TaskView},
    ids::{PipelineId, StepNumber, TaskId},
    status::WorkflowStatus,
};
use rustix::process::Signal;
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The class of all the bench's jobs.
pub(crate) const CLASS: &str = "bench/linux";

/// A control plane with one launch-agent, both idle.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) agent: Agent,
    /// Dropped last: it holds everything's directory.
    _rig: Rig,
}

/// Starts both, with room for so many tasks.
pub(crate) async fn start(concurrency: usize) -> Bench {
    start_with(concurrency, &[]).await
}

/// The same with these variables in the launch-agent's environment.
pub(crate) async fn start_with(concurrency: usize, variables: &[(&str, &Path)]) -> Bench {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let (classes, room) = ([(CLASS, token.as_str())], concurrency.to_string());
    let agent = rig.agent_within("agent", &server.url, &classes, &[("concurrency", &room)], variables);
    let bench = Bench { server, agent, _rig: rig };
    // The first task brings the task-agent's program to the host and shows that all of it is up.
    let first = bench.server.pipeline(&job("true", 1), CLASS).await;
    bench.succeeded(first).await;
    bench
}

/// Ends what still runs of a pipeline, and its launch-agent: the next row has the machine for itself.
pub(crate) async fn end(server: &Server, id: PipelineId, agent: &mut Agent) {
    server.operator().cancel(id).await.expect("the control plane answers");
    agent.process().signal(Signal::TERM);
    agent.program().ended(Duration::from_secs(60));
}

/// A workflow of `count` jobs alike, each one step.
pub(crate) fn job(command: &str, count: usize) -> String {
    let names: String = (0..count).map(|place| format!("      - work: {{name: work-{place}}}\n")).collect();
    let command = serde_json::Value::from(command);
    format!(
        "version: 2.1\njobs:\n  work:\n    machine: true\n    steps:\n      - run: {command}\n\
         workflows:\n  main:\n    jobs:\n{names}"
    )
}

/// Wall clock, to be compared with what bash prints of `$EPOCHREALTIME`.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A moment that bash printed.
pub(crate) fn moment(printed: &str) -> Duration {
    Duration::from_secs_f64(printed.trim().replace(',', ".").parse().expect("bash prints seconds"))
}

impl Bench {
    /// Waits for the pipeline's end.
    ///
    /// # Panics
    /// When it does not succeed.
    pub(crate) async fn succeeded(&self, id: PipelineId) -> PipelineView {
        let operator = self.server.operator();
        let mut after = 0;
        loop {
            let feed = operator.feed(id, after, 10_000).await.expect("the control plane answers");
            after = feed.next;
            let over = feed.news.iter().any(
                |news| matches!(news, protocol::feed::News::Workflow { status, .. } if status.is_terminal()),
            );
            let view = if over || feed.news.is_empty() {
                Some(operator.pipeline(id).await.expect("it is there"))
            } else {
                None
            };
            if let Some(view) = view.filter(|view| view.workflows[0].status.is_terminal()) {
                assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "the bench's own jobs succeed");
                return view;
            }
        }
    }

    /// All of a log of the job's one step, followed from its first byte; each piece with the moment it came.
    pub(crate) async fn log(&self, task: TaskId, mut each: impl FnMut(&[u8])) {
        let operator = self.server.operator();
        let mut offset = 0;
        loop {
            let part =
                operator.log((task, StepNumber(1)), offset, 4 << 20, 5_000).await.expect("the log is there");
            offset += part.bytes.len() as u64;
            each(&part.bytes);
            if part.terminal {
                return;
            }
        }
    }

    /// The first task of the first job, once there is one.
    pub(crate) async fn first_task(&self, id: PipelineId) -> TaskView {
        let operator = self.server.operator();
        loop {
            let view = operator.pipeline(id).await.expect("it is there");
            if let Some(task) = view.workflows[0].jobs[0].tasks.first().filter(|task| !task.steps.is_empty())
            {
                return task.clone();
            }
            operator.feed(id, 0, 50).await.expect("the control plane answers");
        }
    }

    /// Processor time of both programs and of all that they reaped.
    pub(crate) fn cpu(&self) -> Duration {
        self.server.process().cpu() + self.agent.process().cpu()
    }
}
