//! `roundhouse launch-agent`: the launch-agent as a long-lived process.

mod life;
mod reports;
mod sweep;

use crate::{
    arguments::LaunchAgent,
    connect::block_on,
    failure::{Failure, OrFail, causes},
    logging::{self, Log},
    notify::Notifier,
    orders::Orders,
    say,
};
use launch_agent::{
    Finished, Program,
    config::{self, ConfigErrors, Loaded, LogFormat, LogLevel, LogTarget, Logging, Settings},
};
use life::{Close, Life};
use slog::Level;

/// Claims and runs tasks until it is told to end: first it lets its tasks end, the second time it ends them.
pub(crate) fn launch_agent(options: &LaunchAgent) -> Result<(), Failure> {
    let loaded = config::load(options.config.as_deref(), &config::environment());
    let Loaded { settings, warnings } = loaded.map_err(|ConfigErrors(errors)| {
        Failure::configuration("the launch-agent's configuration is wrong", errors)
    })?;
    for warning in warnings {
        say::note(format_args!("{}\n", warning.trim_end()));
    }
    match options {
        LaunchAgent { check: true, .. } => check(&settings),
        LaunchAgent { sweep: true, .. } => sweep::sweep(settings),
        _ => block_on(serve(settings)),
    }
}

/// What a launch-agent asks of a program before it is replaced by it, and an operator before a reload.
fn check(settings: &Settings) -> Result<(), Failure> {
    let places = launch_agent::assurance(settings).or_machinery("the launch-agent would not start")?;
    let version = env!("CARGO_PKG_VERSION");
    say::print(format_args!("roundhouse {version}: the launch-agent would start\n{places}\n"))
}

/// One launch-agent after another, where one that was to be replaced could not be.
async fn serve(settings: Settings) -> Result<(), Failure> {
    let mut orders = Orders::listen().or_machinery("cannot listen to signals")?;
    launch_agent::take_orders().or_machinery("cannot listen to signals")?;
    let program = Program::own().or_machinery("cannot tell where this program lies")?;
    let notifier = Notifier::of_environment();
    let mut refused = None;
    loop {
        let log = log(&settings.logging)?;
        launch_agent::log_panics(&log);
        launch_agent::be_spared();
        let handle = launch_agent::start(settings.clone(), log.clone());
        let handle = handle.or_machinery("cannot start the launch-agent")?;
        let life = Life { handle, log, settings: &settings, program: &program, notifier: &notifier };
        refused.into_iter().for_each(|why| life.not_reloaded(why));
        if let Close::Over(finished) = life.live(&mut orders).await {
            return ended(finished);
        }
        drop(life);
        refused = (!orders.has_come()).then(|| causes(&program.replace()));
        launch_agent::take_orders().or_machinery("cannot listen to signals")?;
    }
}

fn ended(end: Finished) -> Result<(), Failure> {
    match end.failure {
        None => Ok(()),
        Some(why) => Err(Failure::machinery(format!(
            "the launch-agent ended: {why}; start it again, it adopts its tasks"
        ))),
    }
}

fn log(logging: &Logging) -> Result<Log, Failure> {
    let level = match logging.level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warning,
        LogLevel::Error => Level::Error,
    };
    let format = match logging.format {
        LogFormat::Color => logging::Format::Color,
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
        LogFormat::None => logging::Format::None,
    };
    match &logging.target {
        LogTarget::StandardError => Ok(logging::to_stderr(format, level)),
        LogTarget::File(path) => {
            logging::to_file(path, format, level).or_machinery(format!("cannot log to {}", path.display()))
        }
    }
}
