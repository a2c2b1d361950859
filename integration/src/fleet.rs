//! A control plane and a launch-agent, and pipelines that check out on them.

use crate::{
    local::Ended,
    pipelines::job,
    rig::{Agent, Rig, Server, pipeline},
};
use protocol::{
    api::{NewPipeline, PipelineView, TaskView},
    task::Source,
};

/// The class of its jobs.
pub const CLASS: &str = "rig/linux";

/// A control plane and a launch-agent with room for two tasks.
#[derive(Debug)]
pub struct Fleet {
    /// Where they live.
    pub rig: Rig,
    /// The control plane.
    pub server: Server,
    /// The launch-agent.
    pub agent: Agent,
}

impl Fleet {
    /// Starts both; the control plane with these options.
    pub async fn start(options: &[&str]) -> Self {
        let rig = Rig::new();
        let server = rig.server_with("server", "127.0.0.1:0", options);
        let token = server.class(CLASS).await;
        let agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
        Self { rig, server, agent }
    }

    /// Runs a pipeline to its end.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn run(&self, config: &str, source: Source) -> PipelineView {
        let new = NewPipeline { source, ..pipeline(config, CLASS) };
        let created = self.server.operator().create_pipeline(&new).await;
        self.server.ended(created.unwrap_or_else(|error| panic!("{error}")).id).await
    }

    /// The log of the step of this name of a job's first task.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn log(&self, view: &PipelineView, name: &str, step: &str) -> String {
        let task = first(view, name);
        let found = task.steps.iter().find(|known| known.name == step);
        let number = found.unwrap_or_else(|| panic!("no step {step}: {view:#?}")).number;
        self.server.log(task.id, number.0).await
    }

    /// Runs a command of the operator to its end.
    pub fn roundhouse(&self, arguments: &[&str]) -> Ended {
        let mut command = self.rig.roundhouse();
        command.args(arguments).args(["--host", &self.server.url, "--token", &self.server.token]);
        self.rig.finish(command)
    }
}

/// The first task of a job.
///
/// # Panics
/// Where it had none.
pub fn first<'v>(view: &'v PipelineView, name: &str) -> &'v TaskView {
    job(view, name).tasks.first().unwrap_or_else(|| panic!("{name} had no task: {view:#?}"))
}

/// Jobs that check out and then run a command, by name: what stands after `checkout`, and the command of the step `it`.
pub fn checkouts(jobs: &[(&str, &str, &str)]) -> String {
    let mut text = "version: 2.1\njobs:\n".to_owned();
    for (name, how, command) in jobs {
        let command = serde_json::Value::from(*command);
        text += &format!(
            "  {name}:\n    machine: true\n    resource_class: {CLASS}\n    steps:\n      - checkout{how}\n      - run: \
             {{name: it, command: {command}}}\n"
        );
    }
    let names: Vec<_> = jobs.iter().map(|(name, ..)| *name).collect();
    text + &format!("workflows: {{all: {{jobs: [{}]}}}}\n", names.join(", "))
}

/// A repository that jobs fetch themselves.
pub fn source(url: &str, revision: &str, branch: Option<&str>, tag: Option<&str>) -> Source {
    let named = |name: Option<&str>| name.map(str::to_owned);
    Source::Git { url: url.to_owned(), revision: revision.to_owned(), branch: named(branch), tag: named(tag) }
}
