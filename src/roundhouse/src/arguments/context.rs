//! `roundhouse context`, and `roundhouse project env`.

use super::{Connection, people::RoleName};
use clap::{Args, Subcommand};

/// `roundhouse context`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Contexts {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: ContextCommand,
}

/// What there is to do with contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Make a context; jobs of the organization's projects have its variables by naming it
    Create {
        #[command(flatten)]
        which: Which,
    },
    /// List the contexts of an organization
    List {
        /// As gh/acme
        organization: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show the variables of a context, without their values, and where it may be used
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Delete a context with its variables
    Delete {
        #[command(flatten)]
        which: Which,
    },
    /// Give a variable of a context a value, which is read from standard input
    StoreSecret {
        #[command(flatten)]
        which: Which,
        /// Its name
        variable: String,
    },
    /// Take a variable away from a context
    RemoveSecret {
        #[command(flatten)]
        which: Which,
        /// Its name
        variable: String,
    },
    /// Have a context used only by jobs of this project (or of others it is restricted to), where this holds, or by these people
    Restrict {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        to: RestrictTo,
    },
    /// Take a restriction away
    Unrestrict {
        #[command(flatten)]
        which: Which,
        /// As `context show` shows it
        restriction: String,
    },
}

/// What is to hold where a context is used.
#[derive(Args, Debug)]
#[group(required = true, multiple = false, id = "to")]
pub(crate) struct RestrictTo {
    /// A project that is known to the control plane, as gh/acme/app
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// As: pipeline.git.branch == "main"
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) expression: Option<String>,
    /// Whoever had the job run is in this group, as the provider names it where people sign in
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Whoever had the job run may at least this in the organization
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleName>,
}

/// Which context.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// As gh/acme
    pub(crate) organization: String,
    /// Its name
    pub(crate) context: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What there is to do with the variables of a project.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// List the variables of a project; of each value only the end is shown
    List {
        /// The project
        project: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give a variable a value, which is read from standard input; all jobs of the project have it
    Set {
        /// The project
        project: String,
        /// Its name
        variable: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Take a variable away from a project
    Delete {
        /// The project
        project: String,
        /// Its name
        variable: String,
        #[command(flatten)]
        connection: Connection,
    },
}
