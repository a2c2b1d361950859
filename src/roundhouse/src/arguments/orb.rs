//! `roundhouse orb`: orbs as files, and where they are published: a folder, or a control plane.

use super::{Connection, OrbStore};
use clap::{Args, Subcommand};
use compiler::orb::Reference;
use std::path::PathBuf;

/// `roundhouse orb`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Orb {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: OrbCommand,
}

/// Where orbs are published.
#[derive(Args, Debug)]
pub(crate) struct Publishing {
    #[command(flatten)]
    pub(crate) orbs: OrbStore,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What can be done with orbs.
#[derive(Debug, Subcommand)]
pub(crate) enum OrbCommand {
    /// Check an orb: a packed file or a folder of sources
    Validate {
        /// The file or folder
        path: PathBuf,
        #[command(flatten)]
        at: Publishing,
    },
    /// Print a folder of sources as one orb, each << include(file) >> filled in
    Pack {
        /// The folder
        path: PathBuf,
    },
    /// Publish an orb: in the folder of published ones, or on the control plane that --host or ROUNDHOUSE_HOST names
    Publish {
        /// namespace/name@1.2.3 or namespace/name@dev:label
        #[arg(value_name = "ORB@VERSION")]
        reference: Reference,
        /// A packed file or a folder of sources
        path: PathBuf,
        #[command(flatten)]
        at: Publishing,
    },
    /// Fetch a public orb, with the orbs that it uses, and publish it here
    Import {
        /// namespace/name@1.2.3, @1.2, @1 or @volatile
        #[arg(value_name = "ORB@VERSION", required = true)]
        references: Vec<Reference>,
        /// The registry to ask
        #[arg(
            long,
            value_name = "URL",
            default_value = "https://circleci.com",
            env = "ROUNDHOUSE_ORB_REGISTRY"
        )]
        registry: String,
        #[command(flatten)]
        at: Publishing,
    },
    /// List the published orbs
    List {
        #[command(flatten)]
        at: Publishing,
    },
    /// Print the source of a published orb
    Source {
        /// namespace/name@version
        #[arg(value_name = "ORB@VERSION")]
        reference: Reference,
        #[command(flatten)]
        at: Publishing,
    },
}
