//! A compiled pipeline: what the compiler makes of a configuration and the workflow engine runs.

use crate::{image::Image, status::JobStatus, task::Step};
use serde::{Deserialize, Serialize};

/// The workflows of one pipeline, expanded: no parameter, executor or command reference is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// In the order of the configuration.
    pub workflows: Vec<Workflow>,
    /// Whether another configuration is to continue it: its one workflow has the key to that.
    #[serde(default)]
    pub is_setup: bool,
    /// What of it starts by the clock on the branch that it was compiled for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
}

/// A time at which a workflow starts by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name.
    pub workflow: String,
    /// As written: five fields of cron, in UTC.
    pub cron: String,
}

/// One workflow: a graph without cycles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its key under `workflows:`, or `workflow` where the configuration has none.
    pub name: String,
    /// In the order of the configuration; names are unique within the workflow.
    pub jobs: Vec<Job>,
    /// How often it is run again by itself, from what failed.
    #[serde(default)]
    pub max_auto_reruns: u32,
}

/// One job of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in its workflow: the invocation's `name`, or the job's own, with `-1`, `-2` where it repeats.
    pub name: String,
    /// What it does once its turn has come.
    #[serde(default)]
    pub kind: Kind,
    /// Jobs of the same workflow that must be over first, and how.
    pub requires: Vec<Requirement>,
    /// The name of which one job at a time has its turn, over all pipelines of a control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_group: Option<String>,
    /// Of a release: the plan that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// How many tasks; at least 1, unless it has no steps.
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

impl Job {
    /// A job that has no tasks.
    pub fn without_tasks(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            requires: Vec::new(),
            serial_group: None,
            plan: None,
            parallelism: 0,
            executor: Executor::Machine,
            resource_class: None,
            environment: Vec::new(),
            contexts: Vec::new(),
            working_directory: String::new(),
            steps: Vec::new(),
        }
    }
}

/// What a job does once its turn has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It runs its steps.
    #[default]
    Build,
    /// It waits until somebody approves it.
    Approval,
    /// Nothing: it succeeds at once.
    NoOp,
    /// It takes the turn of its serial group, and keeps it beyond its own end.
    Lock,
    /// It gives that turn back.
    Unlock,
    /// It waits until whoever carries out its plan says how that ended.
    Release,
}

/// A job that another one requires. One that is to succeed is written as its name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenRequirement", into = "WrittenRequirement")]
pub struct Requirement {
    /// Its name in the workflow.
    pub job: String,
    /// How it may have ended: in any of these ways.
    pub endings: Vec<Ending>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenRequirement {
    Success(String),
    Endings { job: String, endings: Vec<Ending> },
}

/// How a required job is to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It succeeded.
    Success,
    /// It failed, by its own fault or not.
    Failed,
    /// It was canceled.
    Canceled,
    /// It was not allowed to run.
    Unauthorized,
    /// It never ran.
    NotRun,
    /// It is over, however.
    Terminal,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Success, Self::Failed, Self::Canceled, Self::Unauthorized, Self::NotRun, Self::Terminal];

    /// As configurations write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Unauthorized => "unauthorized",
            Self::NotRun => "not_run",
            Self::Terminal => "terminal",
        }
    }

    /// Whether a job that stands so has ended so.
    pub fn includes(self, status: JobStatus) -> bool {
        match self {
            Self::Success => status == JobStatus::Success,
            Self::Failed => {
                matches!(status, JobStatus::Failed | JobStatus::Timedout | JobStatus::InfrastructureFail)
            }
            Self::Canceled => status == JobStatus::Canceled,
            Self::Unauthorized => status == JobStatus::Unauthorized,
            Self::NotRun => status == JobStatus::NotRun,
            Self::Terminal => status.is_terminal(),
        }
    }
}

impl Requirement {
    /// The job is to succeed.
    pub fn success(job: impl Into<String>) -> Self {
        Self { job: job.into(), endings: vec![Ending::Success] }
    }

    /// As people read it: `build`, `build: failed or canceled`.
    pub fn shown(&self) -> String {
        if self.endings == [Ending::Success] {
            return self.job.clone();
        }
        let endings: Vec<&str> = self.endings.iter().map(|ending| ending.as_str()).collect();
        format!("{}: {}", self.job, endings.join(" or "))
    }
}

impl From<WrittenRequirement> for Requirement {
    fn from(written: WrittenRequirement) -> Self {
        match written {
            WrittenRequirement::Success(job) => Self::success(job),
            WrittenRequirement::Endings { job, endings } => Self { job, endings },
        }
    }
}

impl From<Requirement> for WrittenRequirement {
    fn from(Requirement { job, endings }: Requirement) -> Self {
        if endings == [Ending::Success] { Self::Success(job) } else { Self::Endings { job, endings } }
    }
}

/// On what a job wants to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// In containers; the first image is the primary.
    Docker {
        /// At least one.
        images: Vec<Image>,
    },
    /// On a host of its resource class, directly.
    Machine,
    /// On macOS, which no host of ours is.
    Macos,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_success_is_written_as_it_always_was() {
        let plain = Requirement::success("build");
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#""build""#);
        assert_eq!(serde_json::from_str::<Requirement>(r#""build""#).unwrap(), plain);
        let other = Requirement { job: "build".to_owned(), endings: vec![Ending::Failed, Ending::NotRun] };
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(text, r#"{"job":"build","endings":["failed","not_run"]}"#);
        assert_eq!(serde_json::from_str::<Requirement>(&text).unwrap(), other);
        assert_eq!(other.shown(), "build: failed or not_run");
    }

    #[test]
    fn an_ending_is_named_as_it_is_serialized() {
        for ending in Ending::ALL {
            assert_eq!(serde_json::to_value(ending).unwrap(), ending.as_str());
        }
        assert_eq!(serde_json::to_value(Kind::NoOp).unwrap(), "no-op");
        assert_eq!(serde_json::to_value(Kind::Unlock).unwrap(), "unlock");
    }
}
