//! `roundhouse schedule`.

use super::{Assignment, Connection};
use clap::{Args, Subcommand};

/// `roundhouse schedule`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Schedules {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: ScheduleCommand,
}

/// What there is to do with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Make a schedule of a project that has a repository; its times are UTC
    Create(Box<NewScheduleOptions>),
    /// List the schedules of a project
    List {
        /// The project
        project: String,

        /// As JSON, in the shape of the API
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a schedule
    Delete {
        /// Its id, as `list` shows it
        id: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// `roundhouse schedule create`.
#[derive(Args, Debug)]
pub(crate) struct NewScheduleOptions {
    /// The project, as github.com/acme/app
    pub(crate) project: String,

    /// What it is called; `pipeline.schedule.name` in configurations
    #[arg(long)]
    pub(crate) name: String,

    /// For people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// The branch whose newest commit runs
    #[arg(long, required_unless_present = "tag", conflicts_with = "tag")]
    pub(crate) branch: Option<String>,

    /// The tag whose commit runs
    #[arg(long)]
    pub(crate) tag: Option<String>,

    /// Hours of the day, from 0 to 23: 9,12,15
    #[arg(long, value_name = "HOURS", value_delimiter = ',', required = true)]
    pub(crate) hours: Vec<u32>,

    /// How often within each of these hours, evenly, from its first minute on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) per_hour: u32,

    /// Days of the week: MON,FRI [default: all, unless --days-of-month says which]
    #[arg(long, value_name = "DAYS", value_delimiter = ',')]
    pub(crate) days: Vec<String>,

    /// Days of the month: 1,15
    #[arg(long, value_name = "DAYS", value_delimiter = ',', conflicts_with = "days")]
    pub(crate) days_of_month: Vec<u32>,

    /// Months: JAN,JUL [default: all]
    #[arg(long, value_name = "MONTHS", value_delimiter = ',')]
    pub(crate) months: Vec<String>,

    /// A pipeline parameter, as NAME=VALUE; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<Assignment>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
