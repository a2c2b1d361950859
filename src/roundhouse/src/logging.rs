//! Where the machinery's own log goes, and how it is written.

use slog::{Drain, Level, Logger, o};
use std::{fs::OpenOptions, io, path::Path};

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
pub(crate) fn to_stderr(format: Format, level: Level) -> Logger {
    match format {
        Format::Color => human(slog_term::TermDecorator::new().stderr().build(), level),
        Format::Text => human(slog_term::PlainDecorator::new(io::LineWriter::new(io::stderr())), level),
        Format::Json => json(io::stderr(), level),
        Format::None => nowhere(),
    }
}

/// A log appended to a file, which is made if missing.
pub(crate) fn to_file(path: &Path, format: Format, level: Level) -> io::Result<Logger> {
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
pub(crate) fn nowhere() -> Logger {
    Logger::root(slog::Discard, o!())
}

fn human<D>(decorator: D, level: Level) -> Logger
where
    D: slog_term::Decorator + Send + 'static,
{
    let drain = slog_term::FullFormat::new(decorator).use_utc_timestamp().build();
    asynchronous(drain, level)
}

fn json(out: impl io::Write + Send + 'static, level: Level) -> Logger {
    // A line goes out whole: the log of another process may go to the same file.
    asynchronous(slog_json::Json::default(io::LineWriter::new(out)), level)
}

/// A log that cannot be written, for its disk is full or its reader gone, is no reason to panic.
fn asynchronous<D>(drain: D, level: Level) -> Logger
where
    D: Drain<Err: std::fmt::Debug> + Send + 'static,
{
    let queued = slog_async::Async::new(drain.ignore_res()).chan_size(4096).build().ignore_res();
    Logger::root(slog::LevelFilter::new(queued, level).ignore_res(), o!())
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
