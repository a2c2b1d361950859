//! Logs of steps: chunks in and on disk before they are acknowledged, ranges and live tails out.
//!
//! ```text
//! body ──▶ decode, check each frame ──▶ large frames: appended to the log's file, one fdatasync
//!                                  └──▶ small frames: with the index, in the store's group commit
//! reader ◀── the frames that cover its range ◀── index; waits for the bell where there is nothing yet
//! task over ──▶ many small frames are joined into one object, as they are; the index points into it
//! ```
//!
//! Every frame was checked to hold what its chunk says before anything of it was stored.

mod files;
mod frames;
mod place;
mod read;
mod seal;
mod tails;
mod times;

#[cfg(test)]
mod tests;

pub(crate) use files::{FileError, LogName, all_files, path_of};
pub(crate) use frames::raw_length;
pub(crate) use place::Item;
pub(crate) use read::Range;

use crate::{
    data_dir::{LOGS, Removals},
    refusal::Refusal,
};
use blobs::{BlobError, Blobs};
use files::LogFiles;
use protocol::{
    TaskId,
    stream::{MOST_LOGS, StreamError},
};
use std::{path::Path, sync::Arc};
use store::{Store, StoreError};
use tails::Tails;
use tokio::sync::{Mutex, Semaphore, mpsc};

/// The logs of all tasks.
#[derive(Debug)]
pub(crate) struct Logs {
    store: Store,
    blobs: Blobs,
    files: Arc<LogFiles>,
    removals: Arc<Removals>,
    tails: Tails,
    /// As many bodies are decompressed at once as there are cores, which bounds the memory for it too.
    benches: Semaphore,
    over: mpsc::UnboundedSender<TaskId>,
    to_seal: Mutex<mpsc::UnboundedReceiver<TaskId>>,
}

/// A log that could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The body is no stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A frame is not what its chunk says.
    #[error(transparent)]
    Frame(#[from] frames::BadFrame),
    /// A chunk or a record is of a step that no task has.
    #[error("a task has {MOST_LOGS} logs at most, and none of a step {0}")]
    Step(u32),
    /// A file of frames failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A sealed object failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The index failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored frame does not open any more.
    #[error("the log of step {step} of task {task} is damaged at byte {offset}")]
    Damaged {
        /// Of which task.
        task: TaskId,
        /// Of which step.
        step: u32,
        /// Of the frame's first byte.
        offset: u64,
    },
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Stream(_) | LogError::Frame(_) | LogError::Step(_) => Self::Bad(error.to_string()),
            LogError::File(ref cause) if cause.is_no_room() => Self::Full(error.to_string()),
            LogError::File(_) | LogError::Damaged { .. } => Self::Unavailable(error.to_string()),
            LogError::Blob(cause) => cause.into(),
            LogError::Store(cause) => cause.into(),
        }
    }
}

impl Logs {
    /// Opens the logs below a data directory.
    pub(crate) fn open(
        data_dir: &Path,
        store: Store,
        blobs: Blobs,
        removals: Arc<Removals>,
    ) -> Result<Self, FileError> {
        let files = Arc::new(LogFiles::open(data_dir.join(LOGS))?);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (over, to_seal) = mpsc::unbounded_channel();
        let (benches, to_seal) = (Semaphore::new(cores), Mutex::new(to_seal));
        Ok(Self { store, blobs, files, removals, tails: Tails::default(), benches, over, to_seal })
    }

    /// Wakes who waits for a task's logs: bytes or an end of them were committed.
    pub(crate) fn changed(&self, task: TaskId) {
        self.tails.ring(task);
    }

    /// A task is over, committed: nothing is written to its logs any more.
    pub(crate) fn ended(&self, task: TaskId) {
        self.files.forget(task);
        self.tails.ring(task);
        // Nobody seals any more where the control plane stops; the next start finds the task.
        let _ = self.over.send(task);
    }
}

/// Runs blocking work on the pool made for it, and carries a panic of it on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
