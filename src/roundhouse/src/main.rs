//! Roundhouse: run CircleCI jobs on your own machines.

// They panic where nobody reads; `say` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod approve;
mod arguments;
mod artifacts;
mod connect;
mod contexts;
mod failure;
mod follow;
mod graph;
mod launch;
mod logging;
mod notify;
mod orb;
mod orders;
mod outbound;
mod people;
mod pipeline;
mod policies;
mod program;
mod projects;
mod report;
mod request;
mod rerun;
mod resources;
mod run;
mod say;
mod schedules;
mod server;
mod show;
mod ssh_keys;
mod status;
mod tokens;
mod validate;
mod values;
mod webhooks;

use arguments::{Arguments, Command, ConfigCommand, PipelineCommand};
use clap::Parser;
use failure::{Failure, OrFail};
use protocol::exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return told(&error),
    };
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        Failure::machinery("another TLS provider is installed already").tell();
        return ExitCode::from(exit::MACHINERY);
    }
    match dispatch(&arguments.command) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.status)
        }
    }
}

/// Help and versions are no errors.
fn told(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS }
}

fn dispatch(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Run(options) => run::run(options),
        Command::Pipeline(pipeline) => match &pipeline.command {
            PipelineCommand::Run(options) => pipeline::run(options),
        },
        Command::Server(options) => server::server(options),
        Command::LaunchAgent(options) => launch::launch_agent(options).map(|()| exit::SUCCESS),
        Command::Status(options) => status::status(options),
        Command::ResourceClass(classes) => {
            resources::resource_class(&classes.command).map(|()| exit::SUCCESS)
        }
        Command::User(users) => people::users(&users.command).map(|()| exit::SUCCESS),
        Command::Context(contexts) => contexts::contexts(&contexts.command).map(|()| exit::SUCCESS),
        Command::Policy(policies) => policies::policies(&policies.command),
        Command::Audit(options) => people::audit(options).map(|()| exit::SUCCESS),
        Command::Token(tokens) => tokens::token(&tokens.command).map(|()| exit::SUCCESS),
        Command::Project(project) => projects::projects(&project.command).map(|()| exit::SUCCESS),
        Command::Schedule(schedules) => schedules::schedules(&schedules.command).map(|()| exit::SUCCESS),
        Command::Webhook(webhooks) => webhooks::webhooks(&webhooks.command).map(|()| exit::SUCCESS),
        Command::SshKey(keys) => ssh_keys::ssh_keys(&keys.command).map(|()| exit::SUCCESS),
        Command::Rerun(options) => rerun::rerun(options),
        Command::Approve(options) => approve::approve(options).map(|()| exit::SUCCESS),
        Command::Release(options) => approve::release(options).map(|()| exit::SUCCESS),
        Command::Config(config) => match &config.command {
            ConfigCommand::Validate(options) => validate::validate(options).map(|()| exit::SUCCESS),
            ConfigCommand::Process(options) => validate::process(options).map(|()| exit::SUCCESS),
            ConfigCommand::Graph(options) => graph::graph(options).map(|()| exit::SUCCESS),
            ConfigCommand::Pack(options) => validate::pack(options).map(|()| exit::SUCCESS),
        },
        Command::Judge => ::policies::judge().or_machinery("cannot ask policies").map(|()| exit::SUCCESS),
        Command::Orb(orb) => orb::orb(&orb.command).map(|()| exit::SUCCESS),
    }
}
