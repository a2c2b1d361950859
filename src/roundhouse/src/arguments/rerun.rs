//! `roundhouse rerun`: which workflow, and what of it.

use super::{Connection, Output};
use clap::Args;
use protocol::PipelineId;
use std::path::PathBuf;

/// `roundhouse rerun`.
#[derive(Args, Debug)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct Rerun {
    /// The workflow's id, or that of a pipeline that has only one
    #[arg(value_name = "WORKFLOW")]
    pub(crate) id: PipelineId,

    /// Only what failed or was canceled, and what depends on it; without it and without --job: all of it
    #[arg(long, help_heading = "What runs")]
    pub(crate) from_failed: bool,

    /// The same, and of jobs that failed of tests alone only those tests: `circleci tests run` gives no others
    #[arg(long, conflicts_with = "from_failed", help_heading = "What runs")]
    pub(crate) failed_tests: bool,

    /// Only this job and what depends on it; may be repeated
    #[arg(
        long = "job",
        value_name = "NAME",
        conflicts_with_all = ["from_failed", "failed_tests"],
        help_heading = "What runs"
    )]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Stay until it is over, show what happens, and exit as it ended
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Copy artifacts here once it is over, as WORKFLOW/JOB/INDEX/PATH
    #[arg(long, value_name = "DIR", requires = "follow")]
    pub(crate) artifacts: Option<PathBuf>,

    /// How to tell what happens: for people, or as one JSON document at the end
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub(crate) output: Output,
}
