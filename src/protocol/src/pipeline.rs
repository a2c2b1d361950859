//! A compiled pipeline: what the compiler makes of a configuration and the workflow engine runs.

use crate::task::Step;
use serde::{Deserialize, Serialize};

/// The workflows of one pipeline, expanded: no parameter, executor or command reference is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// In the order of the configuration.
    pub workflows: Vec<Workflow>,
}

/// One workflow: a graph without cycles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its key under `workflows:`, or `workflow` where the configuration has none.
    pub name: String,
    /// In the order of the configuration; names are unique within the workflow.
    pub jobs: Vec<Job>,
}

/// One job of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in its workflow: the invocation's `name`, or the job's own, with `-1`, `-2` where it repeats.
    pub name: String,
    /// Names of jobs of the same workflow that must succeed first.
    pub requires: Vec<String>,
    /// How many tasks; at least 1.
    pub parallelism: u32,
    /// On what it wants to run.
    pub executor: Executor,
    /// As written, if at all: `namespace/name` for a self-hosted class, else one of CircleCI's own (`medium`).
    pub resource_class: Option<String>,
    /// The executor's, overlaid by the job's; in order, names unique.
    pub environment: Vec<(String, String)>,
    /// Names of contexts whose variables the job gets; the last wins.
    pub contexts: Vec<String>,
    /// As written; `~/project` where nothing was.
    pub working_directory: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// On what a job wants to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// In containers; the first image is the primary.
    Docker {
        /// At least one.
        images: Vec<String>,
    },
    /// On a host of its resource class, directly.
    Machine,
    /// On macOS, which no host of ours is.
    Macos,
}
