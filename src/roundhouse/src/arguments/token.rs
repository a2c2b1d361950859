//! `roundhouse token`.

use super::{Connection, people::ScopeName};
use clap::{Args, Subcommand};

/// `roundhouse token`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Token {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token of a resource class, a person or a project; it is shown this once
    Create {
        #[command(flatten)]
        whose: TokenOf,
        /// For people
        #[arg(default_value = "", conflicts_with_all = ["user", "project"])]
        nickname: String,
        /// Of a person's or a project's: for people
        #[arg(long, value_name = "NAME", conflicts_with = "resource_class", default_value = "token")]
        name: String,
        /// Of a project's: what it opens
        #[arg(long, value_enum, conflicts_with_all = ["resource_class", "user"], required_unless_present_any = ["resource_class", "user"])]
        scope: Option<ScopeName>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the tokens of a resource class, a person or a project, without their secrets
    List {
        #[command(flatten)]
        whose: TokenOf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a token: it stands for nothing any more
    Delete {
        /// As `token list` shows it
        id: String,
        /// Of this person; `me`: one's own
        #[arg(long, value_name = "LOGIN", conflicts_with = "project")]
        user: Option<String>,
        /// Of this project
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Whose tokens.
#[derive(Args, Debug)]
#[group(required = true, multiple = false, id = "whose")]
pub(crate) struct TokenOf {
    /// namespace/name: with its tokens launch-agents claim
    pub(crate) resource_class: Option<protocol::ResourceClass>,
    /// A person: with theirs they call; `me`: one's own
    #[arg(long, value_name = "LOGIN")]
    pub(crate) user: Option<String>,
    /// A project, as github.com/acme/app: with its tokens programs call
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
}
