//! `roundhouse user` and `roundhouse audit`, and the roles and scopes that tokens have.

use super::Connection;
use clap::{Args, Subcommand, ValueEnum};
use protocol::people::{Role, Scope};

/// `roundhouse user`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Users {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// What there is to do with people.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make somebody known; their first token is printed, and shown this once, unless they sign in by an address
    Create {
        /// Short, and nobody else's
        login: String,

        /// In full [default: the login]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,

        /// What they may in the organization
        #[arg(long, value_enum, requires = "organization")]
        role: Option<RoleName>,

        /// As gh/acme, or `*` for every one
        #[arg(long, value_name = "NAME", requires = "role")]
        organization: Option<String>,

        /// They sign in at the provider by this address, which it has verified; no token is made
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,

        #[command(flatten)]
        connection: Connection,
    },
    /// List everybody who is known, or who has a role in an organization
    List {
        /// The organization
        #[arg(long, value_name = "NAME")]
        organization: Option<String>,

        #[command(flatten)]
        connection: Connection,
    },
    /// Give somebody a role in an organization, in the place of the one they have there
    Role {
        /// Whom
        login: String,

        /// What they may
        #[arg(value_enum)]
        role: RoleChoice,

        /// As gh/acme, or `*` for every one
        organization: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// Say who somebody is at the provider where people sign in on the page; their sign-ins there end
    Identity {
        /// Whom
        login: String,

        #[command(flatten)]
        who: IdentityOf,

        #[command(flatten)]
        connection: Connection,
    },
    /// Say that what an account pushes at GitHub, GitLab, Bitbucket or Gitea is somebody's: contexts may be for some people only
    Account {
        /// Whom
        login: String,

        /// The host and the account's name there, as gh/ada; at Bitbucket the account's id
        account: String,

        /// It is theirs no more
        #[arg(long)]
        remove: bool,

        #[command(flatten)]
        connection: Connection,
    },
    /// Forget somebody, with their roles and tokens
    Delete {
        /// Whom
        login: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// Who somebody is at the provider.
#[derive(Args, Debug)]
#[group(required = true, multiple = false, id = "who")]
pub(crate) struct IdentityOf {
    /// Whoever comes first with this address, which the provider has verified, and from then on the same
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,

    /// Whom the provider calls so: the page tells it whoever is turned away
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,

    /// Nobody: they come by their tokens alone
    #[arg(long)]
    pub(crate) none: bool,
}

/// `roundhouse audit`.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Only what was done in this organization, as gh/acme [default: everywhere]
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,

    /// At most so many lines, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,

    /// A line of JSON for each
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What somebody may do; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// See pipelines, logs, artifacts, tests
    Viewer,
    /// Start, cancel, approve and run them again
    Member,
    /// Give roles, keys, tokens and secrets, and run resource classes
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// A role, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleChoice {
    /// Nothing any more
    None,
    /// See pipelines, logs, artifacts, tests
    Viewer,
    /// Start, cancel, approve and run them again
    Member,
    /// Give roles, keys, tokens and secrets, and run resource classes
    Admin,
}

impl RoleChoice {
    /// None: it is taken away.
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::None => None,
            Self::Viewer => Some(Role::Viewer),
            Self::Member => Some(Role::Member),
            Self::Admin => Some(Role::Admin),
        }
    }
}

/// What a project's token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeName {
    /// How workflows stand
    Status,
    /// Pipelines, logs, artifacts, tests, read only
    ViewBuilds,
    /// To start, cancel, approve and run them again too
    All,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Status => Self::Status,
            ScopeName::ViewBuilds => Self::ViewBuilds,
            ScopeName::All => Self::All,
        }
    }
}
