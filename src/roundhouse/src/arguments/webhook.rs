//! `roundhouse webhook`.

use super::Connection;
use clap::{Args, Subcommand, ValueEnum};
use protocol::outgoing::Event;
use std::path::PathBuf;

/// `roundhouse webhook`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Webhooks {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: WebhookCommand,
}

/// What there is to do with webhooks that a control plane sends.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Have the control plane tell an address how workflows, or jobs, of a project ended, as CircleCI does
    Create(Box<NewWebhookOptions>),
    /// List the webhooks of a project, without their secrets
    List {
        /// The project
        project: String,

        /// As JSON, in the shape of the API
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a webhook, with what it has not told yet
    Delete {
        /// Its id, as `list` shows it
        id: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// `roundhouse webhook create`.
#[derive(Args, Debug)]
pub(crate) struct NewWebhookOptions {
    /// The project, as github.com/acme/app
    pub(crate) project: String,

    /// What it is called
    #[arg(long)]
    pub(crate) name: String,

    /// Who is told: https://… or http://…, as the control plane's host reaches it
    #[arg(long)]
    pub(crate) url: String,

    /// Of what is told; may be repeated
    #[arg(long = "event", value_enum, value_name = "EVENT", default_value = "workflow-completed")]
    pub(crate) events: Vec<EventName>,

    /// A file with the secret that signs what is told; `-` is standard input [default: nothing is signed]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// Tell it whatever certificate is shown there: for tests alone
    #[arg(long)]
    pub(crate) no_verify_tls: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventName {
    /// Each workflow that is over
    WorkflowCompleted,
    /// Each job that is over
    JobCompleted,
}

impl From<EventName> for Event {
    fn from(name: EventName) -> Self {
        match name {
            EventName::WorkflowCompleted => Self::WorkflowCompleted,
            EventName::JobCompleted => Self::JobCompleted,
        }
    }
}
