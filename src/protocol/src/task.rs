//! One task as its task-agent gets it: environment, source and steps, all references to the configuration resolved.

use crate::{
    ids::{Digest, Epoch, TaskId},
    image::Containers,
    repository::{Login, Method, Ssh},
};
use serde::{Deserialize, Serialize};

/// Everything a task-agent needs to run one task. Held by the control plane, fetched with the task token, handed
/// over in a sealed memory file: it has secrets in it and never touches a disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Which task.
    pub task: TaskId,
    /// Under which lease this copy was given out.
    pub epoch: Epoch,
    /// The job's name in its workflow.
    pub job: String,
    /// The number of the job within its project, as `CIRCLE_BUILD_NUM`.
    pub job_number: u64,
    /// 0 to `node_total - 1`.
    pub node_index: u32,
    /// The job's parallelism.
    pub node_total: u32,
    /// Built-in, context, project and job variables, lowest precedence first: a later one of the same name wins.
    pub environment: Vec<Variable>,
    /// Values to mask in every log although no variable holds them.
    pub masks: Vec<String>,
    /// As written in the job, `~/project` by default; `~` is the task's own home.
    pub working_directory: String,
    /// What `checkout` brings.
    pub source: Source,
    /// The job's steps, numbered from 1.
    pub steps: Vec<Step>,
    /// After this many milliseconds the task is ended as timed out.
    pub max_run_time_ms: u64,
    /// What it runs in, if not on the host itself. For the launch-agent: no task-agent gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
    /// Whether it is a task of a setup workflow: its job finds an address where it continues its pipeline.
    #[serde(default)]
    pub is_setup: bool,
    /// The keys its steps write into its home.
    #[serde(default, skip_serializing_if = "Ssh::is_empty")]
    pub ssh: Ssh,
    /// With which its checkouts are let in over https, at the address of its source alone.
    #[serde(default, skip_serializing_if = "Login::is_none")]
    pub login: Login,
    /// Names the copy of its repository that its host may keep for it and its like; none: it uses and makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

/// Without what nobody else may know.
impl std::fmt::Debug for TaskSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskSpec")
            .field("task", &self.task)
            .field("epoch", &self.epoch)
            .field("job", &self.job)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// One environment variable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// A POSIX name.
    pub name: String,
    /// Taken as it is, nothing in it is expanded.
    pub value: String,
    /// Whether logs must not show the value.
    pub secret: bool,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, if self.secret { "***" } else { &self.value })
    }
}

/// Where the files of a `checkout` come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The pipeline has none: `checkout` fails, saying so.
    None,
    /// A tree on this very host, taken by `roundhouse run`; the launch-agent hands over its directory descriptor.
    Tree {
        /// Absolute; only a launch-agent that trusts its control plane with local paths opens it.
        path: String,
    },
    /// A tree as tar in zstd, a blob of the project, fetched by the launch-agent.
    Archive {
        /// Its content.
        digest: Digest,
        /// Compressed bytes.
        size: u64,
    },
    /// A repository to clone, by the job's user with the job's keys.
    Git {
        /// As `git clone` takes it.
        url: String,
        /// The full commit id to check out.
        revision: String,
        /// Checked out under this name if given; `pull/7` is the head of that pull request.
        branch: Option<String>,
        /// Checked out in place of a branch, detached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    },
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the page shows.
    pub name: String,
    /// Whether an earlier failure skips it.
    pub when: When,
    /// What it does.
    pub action: Action,
}

/// When a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Only while no step has failed.
    #[default]
    OnSuccess,
    /// Whatever happened, a cancel or timeout of the task apart.
    Always,
    /// Only after a step has failed.
    OnFail,
}

/// What a step does. Paths are as written: `~` and relative ones are resolved by the task-agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A shell command.
    Run(Run),
    /// The source, into `path` or the working directory.
    Checkout {
        /// Where, if not the working directory.
        path: Option<String>,
        /// How much of a repository it fetches.
        #[serde(default, skip_serializing_if = "Method::is_usual")]
        method: Method,
    },
    /// Writes the project's SSH keys into the home, for the hosts they are for.
    AddSshKeys {
        /// Which; none: all there are.
        fingerprints: Vec<String>,
    },
    /// Saves files under a key, once.
    SaveCache {
        /// A template (`{{ checksum "f" }}` and friends).
        key: String,
        /// Files and directories; no globs.
        paths: Vec<String>,
    },
    /// Restores the first key that has an exact or newest prefix match.
    RestoreCache {
        /// Templates, in order of preference.
        keys: Vec<String>,
    },
    /// Adds one workspace layer.
    PersistToWorkspace {
        /// Paths are relative to it.
        root: String,
        /// Globs as Go's `filepath.Match`.
        paths: Vec<String>,
    },
    /// Unpacks the layers of all jobs upstream, in order.
    AttachWorkspace {
        /// Where.
        at: String,
    },
    /// Uploads files.
    StoreArtifacts {
        /// A file or directory.
        path: String,
        /// The prefix of the artifact's path; else the path itself.
        destination: Option<String>,
    },
    /// Uploads JUnit results.
    StoreTestResults {
        /// A file or directory.
        path: String,
    },
    /// A container engine for the steps after it.
    SetupRemoteDocker {
        /// Which of CircleCI's versions the job asks for.
        version: Option<String>,
        /// Whether it asks for the layers that earlier jobs built.
        docker_layer_caching: bool,
    },
}

/// A shell command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Given to the shell as a script.
    pub command: String,
    /// The step's or the job's, as written (`/bin/bash -eo pipefail`); none: the task-agent's default.
    pub shell: Option<String>,
    /// Overlaid on the task's.
    pub environment: Vec<(String, String)>,
    /// Not waited for; ended with the job.
    pub background: bool,
    /// If not the job's.
    pub working_directory: Option<String>,
    /// Ended as timed out after this long without a byte of output.
    pub no_output_timeout_ms: u64,
    /// So often a command that failed is run again before the step has failed.
    #[serde(default)]
    pub max_auto_reruns: u32,
    /// The pause before each of these.
    #[serde(default)]
    pub auto_rerun_delay_ms: u64,
}

/// The default of `no_output_timeout`: ten minutes.
pub const NO_OUTPUT_TIMEOUT_MS: u64 = 10 * 60 * 1000;
