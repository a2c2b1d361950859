//! `roundhouse project`.

use super::{Connection, EnvCommand};
use clap::{Args, Subcommand, ValueEnum};
use protocol::webhook::{Forks, JobsCheckOutWith, Provider, Statuses};
use std::path::PathBuf;

/// `roundhouse project`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Project {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: ProjectCommand,
}

/// What there is to do with the repositories of projects.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Name the repository of a project, or another one in its place; its pushes become pipelines
    Create {
        /// The project, as github.com/acme/app
        project: String,

        /// The repository, for the control plane and for jobs: https://… or ssh, with the project's checkout key
        #[arg(long)]
        url: String,

        /// Who keeps it, and sends the webhooks
        #[arg(long, value_enum)]
        provider: ProviderName,

        /// A file with the secret of its webhooks; `-` is standard input [default: one is made, and printed]
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,

        /// Where jobs run that name no self-hosted resource class
        #[arg(long, value_name = "NAMESPACE/NAME")]
        resource_class: Option<protocol::ResourceClass>,

        /// Make pipelines of pull requests of its own branches too, beside those of pushes
        #[arg(long)]
        pull_requests: bool,

        /// Make pipelines of pull requests of forks, which anybody may have written: without contexts, variables and keys of
        /// the project; after-approval: each of them once somebody has approved it
        #[arg(long, value_enum, value_name = "POLICY", default_value_t = ForksPolicy::Never)]
        forks: ForksPolicy,

        /// A file with a token of the provider's: configurations are fetched with it over https, and the provider is told with
        /// it how commits stand; `-` is standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,

        #[command(flatten)]
        app: AppOptions,

        /// With what jobs check the repository out over https: a token of the App that reads this repository, for an hour, and
        /// nothing else; the token of --token-file itself, which whoever can push a configuration can read then; or nothing
        #[arg(long, value_enum, value_name = "WITH", default_value_t = CheckOutWith::App)]
        jobs_check_out_with: CheckOutWith,

        /// Tell the provider how the workflows, or the jobs, of each commit stand
        #[arg(long, value_enum, value_name = "OF")]
        statuses: Option<StatusesOf>,

        /// Where the provider's API is, as `https://git.example/api/v3` [default: that of the repository's host]
        #[arg(long, value_name = "URL", requires = "statuses")]
        api: Option<String>,

        #[command(flatten)]
        connection: Connection,
    },
    /// Give a project variables, which all its jobs have, list them and take them away
    #[command(subcommand)]
    Env(EnvCommand),
    /// Say whose tasks go first and how many run at once, or show what was said
    Queue(ProjectQueue),
    /// List the repositories of projects, without the secrets of their webhooks
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Take its repository away from a project: its pushes become no pipelines any more, what there is stays
    Delete {
        /// The project
        project: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// A GitHub App in the place of a token.
#[derive(Args, Debug)]
pub(crate) struct AppOptions {
    /// A GitHub App, by its number or client id, that gives out such tokens
    #[arg(long, value_name = "ID", requires_all = ["app_installation", "app_key_file"], conflicts_with = "token_file")]
    pub(crate) app_id: Option<String>,

    /// Its installation, the number at the end of that one's address
    #[arg(long, value_name = "NUMBER", requires = "app_id")]
    pub(crate) app_installation: Option<u64>,

    /// A file with its private key in PEM; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "app_id")]
    pub(crate) app_key_file: Option<PathBuf>,
}

/// `roundhouse project queue`.
#[derive(Args, Debug)]
pub(crate) struct ProjectQueue {
    /// The project, as github.com/acme/app
    pub(crate) project: String,

    /// Its tasks go before all of projects with a lower one; 0 where nothing was said
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) priority: Option<i32>,

    /// At most so many of its tasks run at once; `none`: any number
    #[arg(long, value_name = "N", value_parser = most)]
    pub(crate) max_tasks: Option<Most>,

    /// Whether a push cancels what still runs of earlier pipelines of its branch, unless that is the default one
    #[arg(long, value_name = "BOOL")]
    pub(crate) cancel_redundant: Option<bool>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How many tasks run at once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most(pub(crate) Option<u32>);

/// A number, or `none`.
pub(crate) fn most(text: &str) -> Result<Most, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(Most(None)),
        (_, Ok(number)) if number > 0 => Ok(Most(Some(number))),
        _ => Err("a number from 1 on, or `none`".to_owned()),
    }
}

/// Who keeps a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderName {
    /// github.com, or GitHub Enterprise
    Github,
    /// gitlab.com, or one's own
    Gitlab,
    /// bitbucket.org
    Bitbucket,
    /// Gitea
    Gitea,
    /// Forgejo
    Forgejo,
}

/// Of what a provider is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusesOf {
    /// One status for each workflow
    Workflows,
    /// One for each job
    Jobs,
}

/// What lets jobs in at the repository's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckOutWith {
    /// A token of the App, for each task its own
    App,
    /// The project's token
    Token,
    /// Nothing
    Nothing,
}

/// What becomes of pull requests of forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForksPolicy {
    /// Nothing
    Never,
    /// A pipeline at once
    WithoutSecrets,
    /// A pipeline that waits for `roundhouse approve`
    AfterApproval,
}

impl From<ForksPolicy> for Forks {
    fn from(policy: ForksPolicy) -> Self {
        match policy {
            ForksPolicy::Never => Self::Never,
            ForksPolicy::WithoutSecrets => Self::WithoutSecrets,
            ForksPolicy::AfterApproval => Self::AfterApproval,
        }
    }
}

impl From<CheckOutWith> for JobsCheckOutWith {
    fn from(with: CheckOutWith) -> Self {
        match with {
            CheckOutWith::App => Self::App,
            CheckOutWith::Token => Self::Token,
            CheckOutWith::Nothing => Self::Nothing,
        }
    }
}

impl From<StatusesOf> for Statuses {
    fn from(of: StatusesOf) -> Self {
        match of {
            StatusesOf::Workflows => Self::Workflows,
            StatusesOf::Jobs => Self::Jobs,
        }
    }
}

impl From<ProviderName> for Provider {
    fn from(name: ProviderName) -> Self {
        match name {
            ProviderName::Github => Self::Github,
            ProviderName::Gitlab => Self::Gitlab,
            ProviderName::Bitbucket => Self::Bitbucket,
            ProviderName::Gitea | ProviderName::Forgejo => Self::Gitea,
        }
    }
}
