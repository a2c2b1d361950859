//! The steps that CircleCI has built in: they move files between a task and what outlives it.
//!
//! Each opens files with the job's rights and lets the launch-agent carry them; each tells its log what it did.

pub(crate) mod artifacts;
pub(crate) mod cache;
pub(crate) mod checkout;
pub(crate) mod engine;
pub(crate) mod results;
pub(crate) mod ssh;
pub(crate) mod workspace;

use crate::{cache_key::KeyError, carry::Ended, glob::BadPattern};
use archive::ArchiveError;
use protocol::frame::Answer;
use rustix::fs::OFlags;
use std::{
    fs::File,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A step that did not do what it had to. Its text is the last line of the step's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The task is being ended: the step neither failed nor succeeded.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// A cache key that its template does not give.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A path pattern that cannot be read.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// A tree that could not be packed, unpacked or copied.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file or directory of the job.
    #[error("{path}: {cause}")]
    File {
        /// As resolved.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The log or a temporary file could not be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// It cannot be done; the sentence says why.
    #[error("{0}")]
    Refused(String),
}

impl StepError {
    /// An answer that says no, or one that is none to this question.
    fn of_answer(answer: Answer) -> Self {
        match answer {
            Answer::Refused { message } => Self::Refused(message),
            other => Self::Refused(format!("the launch-agent gave an answer to another question: {other:?}")),
        }
    }

    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}

/// A regular file, to be read: a pipe would wait for whoever writes into it, and a device may never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    Ok(file)
}

/// A number of bytes for people: `1.4 MiB`.
pub(crate) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(5);
    let scaled = (bytes >> (10 * (power - 1))) as f64 / 1024.0;
    format!("{scaled:.1} {}", UNITS[power as usize - 1])
}

#[cfg(test)]
pub(crate) mod scripted;

#[cfg(test)]
mod tests {
    #[test]
    fn a_pipe_is_no_regular_file_and_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(super::open_regular(&pipe).unwrap_err().to_string(), "no regular file");
    }

    #[test]
    fn amounts_are_told_in_the_unit_people_use() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(super::amount(bytes), text);
        }
    }
}
