//! The command line: every command, its options, and the help people read.

mod approve;
mod assignment;
mod config;
mod context;
mod identity_provider;
mod operator;
mod orb;
mod orb_store;
mod people;
mod policy;
mod project;
mod rerun;
mod schedule;
mod selection;
mod ssh_key;
mod token;
mod webhook;

pub(crate) use approve::{Among, Approve, Release};
pub(crate) use assignment::{Assignment, ContextFile, is_variable_name};
pub(crate) use config::{Config, ConfigCommand, Given, GraphOf, Pack, Process, Validate};
pub(crate) use context::{ContextCommand, Contexts, EnvCommand, RestrictTo, Which};
pub(crate) use identity_provider::IdentityProviderOptions;
pub(crate) use operator::{
    Connection, Pipeline, PipelineCommand, PipelineRun, ResourceClass, ResourceClassCommand, Server,
    ServerCommand,
};
pub(crate) use orb::{Orb, OrbCommand, Publishing};
pub(crate) use orb_store::{OrbStore, Prefix};
pub(crate) use people::{Audit, IdentityOf, UserCommand, Users};
pub(crate) use policy::{OfOrganization, Policies, PolicyCommand, PolicyLogs, StatusName};
pub(crate) use project::{AppOptions, Project, ProjectCommand, ProjectQueue};
pub(crate) use rerun::Rerun;
pub(crate) use schedule::{NewScheduleOptions, ScheduleCommand, Schedules};
pub(crate) use selection::{Output, Selection};
pub(crate) use ssh_key::{KeyFile, SshKeyCommand, SshKeys};
pub(crate) use token::{Token, TokenCommand, TokenOf};
pub(crate) use webhook::{NewWebhookOptions, WebhookCommand, Webhooks};

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Exit status: 0 everything succeeded, 1 a job failed, 2 the command line or a configuration is wrong,
3 the machinery failed (a port, a disk, a missing program, a refused token), 130 interrupted.";

/// Run CircleCI jobs on your own machines.
#[derive(Debug, Parser)]
#[command(name = "roundhouse", version, about, after_help = AFTER_HELP, max_term_width = 110)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What Roundhouse can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a repository's workflows here and now, on this machine
    Run(Box<Run>),
    /// Run the control plane: pipelines, logs, artifacts, the page
    Server(Box<Server>),
    /// Run a launch-agent: claim tasks from a control plane and run them on this machine
    LaunchAgent(LaunchAgent),
    /// Show how a launch-agent of this machine stands: its slots, its actors, their last failures
    Status(Status),
    /// Make, list and delete resource classes of a control plane
    ResourceClass(ResourceClass),
    /// Make people known to a control plane, and give them roles
    User(Users),
    /// Make contexts, give them variables and say who may use them
    Context(Box<Contexts>),
    /// Push policies that decide about configurations, ask them, and show what they decided
    Policy(Box<Policies>),
    /// Show who did what on a control plane, the newest last
    Audit(Audit),
    /// Make, list and delete the tokens with which launch-agents claim, and people and programs call
    Token(Box<Token>),
    /// Give projects of a control plane SSH keys, list them and take them away
    SshKey(SshKeys),
    /// Name the repositories of projects, of whose pushes a control plane makes pipelines
    Project(Project),
    /// Make, list and delete schedules, by which a control plane starts pipelines of a project
    Schedule(Schedules),
    /// Make, list and delete webhooks, by which a control plane tells others how workflows and jobs of a project ended
    Webhook(Webhooks),
    /// Start and follow pipelines of a control plane
    Pipeline(Box<Pipeline>),
    /// Approve jobs that wait for it, in runs of this machine and on a control plane; without a name, list them
    Approve(Approve),
    /// Say how releases ended that jobs wait for (`type: release`); without a name, list them
    Release(Release),
    /// Run a workflow of a control plane again: all of it, from what failed, or single jobs
    Rerun(Box<Rerun>),
    /// Look at a configuration without running it
    Config(Config),
    /// Check, pack, publish and fetch orbs
    Orb(Orb),
    /// What a control plane starts to ask policies in
    #[command(name = policies::ARGUMENT, hide = true)]
    Judge,
}

/// `roundhouse run`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Run {
    /// The folder whose pipeline to run; by default this one, or the nearest above it with a .circleci
    pub(crate) path: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Check out HEAD as it is committed, without what the working tree changed since
    #[arg(long, help_heading = "What runs")]
    pub(crate) committed: bool,

    /// Approve this job as soon as it waits for it; `all` approves every job; may be repeated
    #[arg(long, value_name = "JOB", help_heading = "What runs")]
    pub(crate) approve: Vec<String>,

    /// Let the commands of steps see no terminal: their output goes through a pipe
    #[arg(long)]
    pub(crate) no_terminal: bool,

    /// The most tasks at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: Option<u32>,

    /// Copy artifacts here, as WORKFLOW/JOB/INDEX/PATH [default: below the state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,

    /// Where caches, logs and the records of runs are kept
    /// [default: /var/lib/roundhouse as root, else ~/.local/state/roundhouse]
    #[arg(long, value_name = "DIR", env = "ROUNDHOUSE_STATE_DIR", verbatim_doc_comment)]
    pub(crate) state_dir: Option<PathBuf>,

    /// As root: run the jobs as this account [default: an account of its own for each concurrent task]
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// The task-agent to run [default: roundhouse-task-agent beside this program]
    #[arg(long, value_name = "PATH", env = "ROUNDHOUSE_TASK_AGENT")]
    pub(crate) task_agent: Option<PathBuf>,

    /// Tell on standard error what the machinery does; otherwise that goes to a file in the state folder
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// `roundhouse launch-agent`.
#[derive(Args, Debug)]
pub(crate) struct LaunchAgent {
    /// The configuration file (YAML); environment variables override it
    #[arg(long, short, value_name = "FILE", env = "ROUNDHOUSE_LAUNCH_AGENT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Only say whether it would start: whether the configuration is sound and its directories can be used
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) check: bool,

    /// Only end and clear away the tasks that a launch-agent left which is not coming back. Run by systemd after it ended
    /// (ExecStopPost=), it does so only where that killed it because stopping took too long; where it died while it waited
    /// for its tasks to stop, this waits for them
    #[arg(long)]
    pub(crate) sweep: bool,
}

/// `roundhouse status`.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// The launch-agent's state directory
    /// [default: /var/lib/roundhouse as root, else ~/.local/state/roundhouse]
    #[arg(long, value_name = "DIR", conflicts_with = "config", verbatim_doc_comment)]
    pub(crate) state_dir: Option<PathBuf>,

    /// Its configuration file, which says where that is [env: ROUNDHOUSE_LAUNCH_AGENT_CONFIG]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// As JSON; with --watch one line each time
    #[arg(long)]
    pub(crate) json: bool,

    /// Again each second, until interrupted
    #[arg(long, short)]
    pub(crate) watch: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    fn run(line: &str) -> Run {
        match parse(line).unwrap().command {
            Command::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn run_takes_every_option_of_a_local_run() {
        let run = run("roundhouse run tour --config c.yml --job test --no-deps --param a=b=c --env X=1 \
             --secret TOKEN --secret K=v --context org=f.env --native --committed --concurrency 64 \
             --artifacts out --state-dir s --output json --user ci --task-agent ta");
        assert_eq!(run.path, Some(PathBuf::from("tour")));
        assert_eq!(run.concurrency, Some(64));
        assert_eq!(run.selection.output, Output::Json);
        assert_eq!(run.selection.parameters[0].name, "a");
        assert_eq!(run.selection.parameters[0].value.as_deref(), Some("b=c"));
        assert_eq!(run.selection.secrets[0].value, None);
        assert!(run.selection.no_deps && run.selection.native && run.committed);
    }

    #[test]
    fn a_job_alone_needs_the_name_of_the_job() {
        let error = parse("roundhouse run --no-deps").unwrap_err();
        assert!(error.to_string().contains("--job"), "{error}");
        assert_eq!(error.exit_code(), i32::from(protocol::exit::USAGE));
    }

    #[test]
    fn a_variable_needs_a_name_that_a_shell_would_take() {
        for wrong in ["run --env 1X=2", "run --env =2", "run --secret a-b=c"] {
            let error = parse(&format!("roundhouse {wrong}")).unwrap_err().to_string();
            assert!(error.contains("letters, digits and `_`"), "{error}");
        }
    }

    #[test]
    fn the_help_names_every_command() {
        let help = Arguments::command().render_long_help().to_string();
        for name in [
            "run",
            "server",
            "launch-agent",
            "status",
            "resource-class",
            "user",
            "context",
            "audit",
            "token",
            "project",
            "schedule",
            "webhook",
            "pipeline",
            "approve",
            "release",
            "rerun",
            "config",
            "orb",
        ] {
            assert!(help.contains(name), "{name} is missing in\n{help}");
        }
    }
}
