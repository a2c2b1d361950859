//! The options that `run` and `pipeline run` share: which configuration, what of it, with which values.

use super::{Assignment, ContextFile, KeyFile, OrbStore, assignment::variable};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which configuration, what of it, with which values.
#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// The configuration [default: .circleci/config.yml of the folder]
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    pub(crate) config: Option<PathBuf>,

    /// Only this workflow
    #[arg(long, value_name = "NAME", help_heading = "What runs")]
    pub(crate) workflow: Option<String>,

    /// Only this job and what it requires
    #[arg(long, value_name = "NAME", help_heading = "What runs")]
    pub(crate) job: Option<String>,

    /// That job alone, without what it requires
    #[arg(long, requires = "job", help_heading = "What runs")]
    pub(crate) no_deps: bool,

    /// Run jobs that name a docker image directly on the host
    #[arg(long, help_heading = "What runs")]
    pub(crate) native: bool,

    /// A pipeline parameter; may be repeated
    #[arg(long = "param", value_name = "K=V", help_heading = "Values")]
    pub(crate) parameters: Vec<Assignment>,

    /// An environment variable of every job; without =V, its value in this environment
    #[arg(long = "env", value_name = "K[=V]", value_parser = variable, help_heading = "Values")]
    pub(crate) environment: Vec<Assignment>,

    /// The same, masked in every log
    #[arg(long = "secret", value_name = "K[=V]", value_parser = variable, help_heading = "Values")]
    pub(crate) secrets: Vec<Assignment>,

    /// A context and the file of its variables (KEY=value lines), masked in every log
    #[arg(long = "context", value_name = "NAME=FILE", help_heading = "Values")]
    pub(crate) contexts: Vec<ContextFile>,

    /// A private key for `add_ssh_keys`, without a passphrase, for all hosts or for one
    #[arg(long = "ssh-key", value_name = "FILE[=HOST]", help_heading = "Values")]
    pub(crate) ssh_keys: Vec<KeyFile>,

    #[command(flatten)]
    pub(crate) orbs: OrbStore,

    /// How to tell what happens: for people, or as one JSON document at the end
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// How to tell what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people: a live view on a terminal, else lines.
    Text,
    /// One JSON document on standard output at the end; everything else on standard error.
    Json,
}
