//! What must leave the host or come to it goes through the launch-agent: this is how a step asks.

use protocol::frame::{Answer, Wanted};
use std::{
    fs::File,
    io::{self, Seek},
    os::fd::AsRawFd,
};

/// The task is being ended: no answer will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is being ended")]
pub(crate) struct Ended;

/// Carries requests to the launch-agent and its answers back, over its restarts.
pub(crate) trait Carry: Send + Sync {
    /// Asks, and waits for the answer as long as it takes. Any number of threads may ask at once.
    fn ask(&self, wanted: Wanted, file: Option<File>) -> Result<(Answer, Option<File>), Ended>;

    /// Bytes of the large files that wait for their answers which have left already, as far as that is known.
    fn carried(&self) -> u64 {
        0
    }
}

/// What a file to make an archive in comes to: it lies where the host keeps archives, and not among the job's files.
pub(crate) fn lent(carry: &dyn Carry) -> Result<Result<File, Answer>, Ended> {
    Ok(match carry.ask(Wanted::LendFile, None)? {
        (Answer::Lent, Some(file)) => Ok(file),
        (other, _) => Err(other),
    })
}

/// The same file from its start, for reading only: whoever takes it sees that nobody writes it any more.
pub(crate) fn settled(file: File) -> io::Result<File> {
    let reopened = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
    reopened.or_else(|_| {
        let mut file = file;
        file.rewind()?;
        Ok(file)
    })
}
