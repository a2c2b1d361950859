//! `roundhouse config`: look at a configuration without running it.

use super::{Assignment, Connection, OrbStore};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `roundhouse config`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Config {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration: every error with file, line and column. Exit status 1 if there is any
    Validate(Validate),
    /// Print the configuration with every reference, command, orb and condition filled in
    Process(Process),
    /// Show which jobs of each workflow wait for which
    Graph(GraphOf),
    /// Print a folder of YAML files as one configuration
    Pack(Pack),
}

/// A configuration and the values to compile it with.
#[derive(Args, Debug)]
pub(crate) struct Given {
    /// The configuration; - is standard input
    #[arg(default_value = ".circleci/config.yml", value_name = "FILE")]
    pub(crate) path: PathBuf,

    /// A pipeline parameter, as name=value; may be repeated
    #[arg(long = "param", value_name = "K=V")]
    pub(crate) parameters: Vec<Assignment>,

    /// Pipeline parameters: a YAML or JSON file, a JSON object, or name=value; may be repeated
    #[arg(long = "pipeline-parameters", value_name = "FILE|JSON|K=V")]
    pub(crate) pipeline_parameters: Vec<String>,

    /// The branch, for filters and pipeline.git.branch [default: main, unless there is a tag]
    #[arg(long, value_name = "NAME", conflicts_with = "tag")]
    pub(crate) branch: Option<String>,

    /// The tag, for filters and pipeline.git.tag
    #[arg(long, value_name = "NAME")]
    pub(crate) tag: Option<String>,

    #[command(flatten)]
    pub(crate) orbs: OrbStore,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `roundhouse config validate`.
#[derive(Args, Debug)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) given: Given,

    /// Jobs that name a docker image will run directly on the host: say nothing of containers
    #[arg(long)]
    pub(crate) native: bool,
}

/// `roundhouse config process`.
#[derive(Args, Debug)]
pub(crate) struct Process {
    #[command(flatten)]
    pub(crate) given: Given,
}

/// `roundhouse config graph`.
#[derive(Args, Debug)]
pub(crate) struct GraphOf {
    #[command(flatten)]
    pub(crate) given: Given,

    /// In the language of Graphviz
    #[arg(long, conflicts_with = "svg")]
    pub(crate) dot: bool,

    /// As a picture in SVG
    #[arg(long)]
    pub(crate) svg: bool,

    /// Only this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
}

/// `roundhouse config pack`.
#[derive(Args, Debug)]
pub(crate) struct Pack {
    /// The folder: folders and files become keys, @ files the folder around them
    #[arg(value_name = "DIR")]
    pub(crate) path: PathBuf,
}
