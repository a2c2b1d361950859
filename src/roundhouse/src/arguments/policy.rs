//! `roundhouse policy`.

use super::Connection;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `roundhouse policy`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Policies {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// What there is to do with config policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Put the policies of a folder (*.rego, also in folders below) in the place of an organization's
    Push {
        /// The folder
        folder: PathBuf,

        /// Only say what would change
        #[arg(long)]
        dry_run: bool,

        #[command(flatten)]
        of: OfOrganization,
    },
    /// Show an organization's policies, or one of them
    Fetch {
        /// As it calls itself
        name: Option<String>,

        /// As JSON, in the shape of the API
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        of: OfOrganization,
    },
    /// Ask an organization's policies about a configuration; exit status 1 where it would not run
    Decide {
        /// The configuration
        file: PathBuf,

        /// What policies have as `data.meta`: a map in JSON
        #[arg(long, value_name = "JSON")]
        meta: Option<String>,

        #[command(flatten)]
        of: OfOrganization,
    },
    /// Show what was decided about pipelines, the newest first
    Logs(Box<PolicyLogs>),
    /// Show whether an organization's policies decide about pipelines, or say so
    Settings {
        /// Whether they do
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,

        #[command(flatten)]
        of: OfOrganization,
    },
}

/// `roundhouse policy logs`.
#[derive(Args, Debug)]
pub(crate) struct PolicyLogs {
    /// Only these
    #[arg(long, value_enum)]
    pub(crate) status: Option<StatusName>,

    /// Only of pipelines of this branch
    #[arg(long)]
    pub(crate) branch: Option<String>,

    /// Only those after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<String>,

    /// Only those before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,

    /// As JSON, a line each, in the shape of the API
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) of: OfOrganization,
}

/// How it was decided.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StatusName {
    /// It ran.
    Pass,
    /// It ran, and something was said.
    SoftFail,
    /// It did not run.
    HardFail,
    /// The policies could not say, and it did not run.
    Error,
}

/// Whose.
#[derive(Args, Debug)]
pub(crate) struct OfOrganization {
    /// As gh/acme
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: String,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
