//! Where the machinery's own log goes, and how it is written.

use slog::{Drain, Level, Logger, o};
use slog_async::AsyncGuard;
use std::{
    convert::Infallible, fs::OpenOptions, io, ops::Deref, path::Path, sync::mpsc::channel, thread,
    time::Duration,
};

/// A log whose last lines are written when this is dropped, whoever else still has the logger.
pub(crate) struct Log {
    logger: Logger,
    last_lines: Option<AsyncGuard>,
}

/// How long a reader that does not read keeps a program from its end.
const PATIENCE: Duration = Duration::from_secs(2);

impl Drop for Log {
    fn drop(&mut self) {
        let Some(last_lines) = self.last_lines.take() else { return };
        let (tell, told) = channel::<Infallible>();
        let write = move || {
            drop(last_lines);
            drop(tell);
        };
        if thread::Builder::new().name("last lines".to_owned()).spawn(write).is_ok() {
            // Nothing is sent: the end of the thread is heard.
            let _ = told.recv_timeout(PATIENCE);
        }
    }
}

impl Deref for Log {
    type Target = Logger;

    fn deref(&self) -> &Logger {
        &self.logger
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people; colors on a terminal only.
    #[default]
    Color,
    /// For people, without colors.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing at all.
    None,
}

/// A log on standard error.
pub(crate) fn to_stderr(format: Format, level: Level) -> Log {
    match format {
        Format::Color => human(slog_term::TermDecorator::new().stderr().build(), level),
        Format::Text => human(slog_term::PlainDecorator::new(io::LineWriter::new(io::stderr())), level),
        Format::Json => json(io::stderr(), level),
        Format::None => nowhere(),
    }
}

/// A log appended to a file, which is made if missing.
pub(crate) fn to_file(path: &Path, format: Format, level: Level) -> io::Result<Log> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(match format {
        Format::Color | Format::Text => {
            human(slog_term::PlainDecorator::new(io::LineWriter::new(file)), level)
        }
        Format::Json => json(file, level),
        Format::None => nowhere(),
    })
}

/// A log of nothing.
pub(crate) fn nowhere() -> Log {
    Log { logger: Logger::root(slog::Discard, o!()), last_lines: None }
}

fn human<D>(decorator: D, level: Level) -> Log
where
    D: slog_term::Decorator + Send + 'static,
{
    let drain = slog_term::FullFormat::new(decorator).use_utc_timestamp().build();
    asynchronous(drain, level)
}

fn json(out: impl io::Write + Send + 'static, level: Level) -> Log {
    // A line goes out whole: the log of another process may go to the same file.
    asynchronous(slog_json::Json::default(io::LineWriter::new(out)), level)
}

/// A log that cannot be written, for its disk is full or its reader gone, is no reason to panic.
fn asynchronous<D>(drain: D, level: Level) -> Log
where
    D: Drain<Err: std::fmt::Debug> + Send + 'static,
{
    let (queue, guard) = slog_async::Async::new(drain.ignore_res()).chan_size(4096).build_with_guard();
    let logger = Logger::root(slog::LevelFilter::new(queue.ignore_res(), level).ignore_res(), o!());
    Log { logger, last_lines: Some(guard) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_file_is_appended_to_in_the_format_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for message in ["one", "two"] {
            let log = to_file(&path, Format::Json, Level::Info).unwrap();
            slog::info!(log, "{message}");
            slog::debug!(log, "not this");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["msg"], "two");
    }
}
