//! `roundhouse launch-agent`: the launch-agent as a long-lived process.

use crate::{
    arguments::LaunchAgent,
    connect::block_on,
    failure::{Failure, OrFail},
    follow::Interrupts,
    logging, say,
};
use launch_agent::{
    Finished,
    config::{self, ConfigErrors, Loaded, LogFormat, LogLevel, LogTarget, Logging},
};
use slog::{Level, Logger};

/// Claims and runs tasks until it is told to end: first it lets its tasks end, the second time it ends them.
pub(crate) fn launch_agent(options: &LaunchAgent) -> Result<(), Failure> {
    let loaded = config::load(options.config.as_deref(), &config::environment());
    let Loaded { settings, warnings } = loaded.map_err(|ConfigErrors(errors)| {
        Failure::configuration("the launch-agent's configuration is wrong", errors)
    })?;
    for warning in warnings {
        say::note(format_args!("{}\n", warning.trim_end()));
    }
    let log = log(&settings.logging)?;
    launch_agent::log_panics(&log);
    block_on(async move {
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let handle =
            launch_agent::start(settings, log.clone()).or_machinery("cannot start the launch-agent")?;
        let mut finished = std::pin::pin!(handle.finished());
        loop {
            tokio::select! {
                end = &mut finished => return ended(end),
                times = interrupts.next() => if times == 1 {
                    slog::info!(log, "claiming no more; ending once every task is over");
                    handle.drain();
                } else {
                    slog::warn!(log, "ending every task now");
                    handle.stop_now();
                },
            }
        }
    })
}

fn ended(end: Finished) -> Result<(), Failure> {
    match end.failure {
        None => Ok(()),
        Some(why) => Err(Failure::machinery(format!(
            "the launch-agent ended: {why}; start it again, it adopts its tasks"
        ))),
    }
}

fn log(logging: &Logging) -> Result<Logger, Failure> {
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
