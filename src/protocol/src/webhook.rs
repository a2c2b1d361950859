//! What makes pipelines of pushes: a project's repository, who tells of them, what came of a telling, and what is told back.

use crate::{PipelineId, ids::ResourceClass};
use serde::{Deserialize, Serialize};

/// Who keeps a repository, and how its webhooks look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// github.com, or GitHub Enterprise.
    Github,
    /// gitlab.com, or one's own.
    Gitlab,
    /// bitbucket.org.
    Bitbucket,
    /// Gitea, and Forgejo.
    Gitea,
}

impl Provider {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
        }
    }
}

/// What becomes of pull requests of forks, whose commits anybody may have made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forks {
    /// Nothing.
    #[default]
    Never,
    /// Pipelines that are given nothing that others may not know.
    WithoutSecrets,
    /// The same, once somebody has approved each of them.
    AfterApproval,
}

impl Forks {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WithoutSecrets => "without_secrets",
            Self::AfterApproval => "after_approval",
        }
    }
}

/// Of what the provider is told how it stands, beside the commit that it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statuses {
    /// Of nothing.
    #[default]
    Nothing,
    /// Of each workflow.
    Workflows,
    /// Of each job.
    Jobs,
}

impl Statuses {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Workflows => "workflows",
            Self::Jobs => "jobs",
        }
    }
}

/// What of a project lets its jobs in at its repository's server, when they check out over https.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobsCheckOutWith {
    /// Nothing.
    Nothing,
    /// A token that the project's App gives out for each task: it reads this repository, for an hour, and nothing else.
    #[default]
    App,
    /// The project's token itself, whatever else it may.
    Token,
}

impl JobsCheckOutWith {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::App => "app",
            Self::Token => "token",
        }
    }
}

/// How a workflow or job stands, in words that every provider has or is given another for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// It waits for somebody.
    Pending,
    /// It runs.
    Running,
    /// It did what it should.
    Success,
    /// It did not.
    Failure,
    /// It could not run.
    Error,
    /// Somebody ended it.
    Canceled,
}

impl CommitState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }
}

/// An App of GitHub's that is installed for a repository.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubApp {
    /// Its number, or its client id.
    pub id: String,
    /// Of its installation, as the address of that on GitHub ends.
    pub installation: u64,
    /// In PEM.
    pub private_key: String,
}

/// Without its key.
impl std::fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GithubApp").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The repository that a project is to have.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// Its address, for the control plane and for jobs; without a password.
    pub url: String,
    /// Who keeps it.
    pub provider: Provider,
    /// What its webhooks are signed with; none: one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The class for jobs that name none of the form `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_class: Option<ResourceClass>,
    /// Whether pull requests of its own branches make pipelines too.
    #[serde(default)]
    pub pull_requests: bool,
    /// What becomes of pull requests of forks.
    #[serde(default)]
    pub forks: Forks,
    /// With which the provider lets the control plane fetch over https, and tell how commits stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// In its place, at GitHub: an App that gives out such tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<GithubApp>,
    /// With what its jobs check it out over https.
    #[serde(default)]
    pub jobs_check_out_with: JobsCheckOutWith,
    /// Of what the provider is told.
    #[serde(default)]
    pub statuses: Statuses,
    /// Where the provider is told; none: the API of the repository's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl NewRepository {
    /// One of which nothing else is said.
    pub fn of(url: String, provider: Provider) -> Self {
        Self {
            url,
            provider,
            secret: None,
            default_class: None,
            pull_requests: false,
            forks: Forks::default(),
            token: None,
            app: None,
            jobs_check_out_with: JobsCheckOutWith::default(),
            statuses: Statuses::default(),
            api: None,
        }
    }
}

/// Without what nobody else may know.
impl std::fmt::Debug for NewRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRepository")
            .field("url", &self.url)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The repository of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Whose.
    pub project: String,
    /// Its address.
    pub url: String,
    /// Who keeps it.
    pub provider: Provider,
    /// The class for jobs that name none of the form `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_class: Option<ResourceClass>,
    /// Whether pull requests of its own branches make pipelines too.
    pub pull_requests: bool,
    /// What becomes of pull requests of forks.
    #[serde(default)]
    pub forks: Forks,
    /// Whether the control plane has a token of the provider's for it.
    #[serde(default)]
    pub has_token: bool,
    /// With what its jobs check it out over https.
    #[serde(default)]
    pub jobs_check_out_with: JobsCheckOutWith,
    /// Of what the provider is told.
    #[serde(default)]
    pub statuses: Statuses,
    /// Where the provider is told; none: the API of the repository's own host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// The path of the control plane that its webhooks go to.
    pub webhook: String,
    /// The secret that was made, in the answer to its making alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What came of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// For people.
    pub message: String,
    /// What was made.
    #[serde(default)]
    pub pipelines: Vec<Made>,
}

/// A pipeline that a webhook made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Which.
    pub id: PipelineId,
    /// Its number within its project.
    pub number: u64,
    /// Why nothing of it runs, if that is so.
    #[serde(default)]
    pub errors: Vec<String>,
    /// What else is to be said of its configuration.
    #[serde(default)]
    pub warnings: Vec<String>,
}
