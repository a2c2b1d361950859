//! `roundhouse approve` and `roundhouse release`: which jobs, in which of the places where jobs may wait.

use super::Connection;
use clap::Args;
use protocol::PipelineId;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Jobs wait in runs of this machine (`roundhouse run`, of the same account and state folder) and, where
an operator's token is at hand, on a control plane.

Exit status: 0 answered or listed, 2 a job does not wait or is not the only one of its name,
3 nobody could be asked.";

/// `roundhouse approve`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Approve {
    /// Which to approve, as JOB or WORKFLOW/JOB; without one, what waits is listed and, on a terminal, asked for
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// Approve all that wait
    #[arg(long, conflicts_with = "jobs")]
    pub(crate) all: bool,

    /// Only list what waits, releases too
    #[arg(long, conflicts_with_all = ["jobs", "all"])]
    pub(crate) list: bool,

    /// The list as JSON
    #[arg(long, conflicts_with_all = ["jobs", "all"])]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) among: Among,
}

/// `roundhouse release`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Release {
    /// Whose release is over, as JOB, WORKFLOW/JOB or the name of its plan; without one, what waits is listed
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// It failed: the job counts as failed
    #[arg(long, requires = "jobs")]
    pub(crate) failed: bool,

    /// Why, for the page and the report
    #[arg(long, value_name = "TEXT", requires = "failed")]
    pub(crate) reason: Option<String>,

    /// The list as JSON
    #[arg(long, conflicts_with = "jobs")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) among: Among,
}

/// Among which jobs, and who answers them.
#[derive(Args, Debug)]
pub(crate) struct Among {
    /// Only jobs of this workflow
    #[arg(long, value_name = "NAME", help_heading = "Which jobs")]
    pub(crate) workflow: Option<String>,

    /// Only jobs of this pipeline
    #[arg(long, value_name = "ID", help_heading = "Which jobs")]
    pub(crate) pipeline: Option<PipelineId>,

    /// Who says so, as the page and the report will say [default: your account at this host]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,

    /// Where runs of this machine have their state; then no control plane is asked
    /// [default: /var/lib/roundhouse as root, else ~/.local/state/roundhouse]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["host", "token"], verbatim_doc_comment)]
    pub(crate) state_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
