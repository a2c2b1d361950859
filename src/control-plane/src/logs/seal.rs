//! Sealing: the frames of a log whose task is over, joined as they are into one object that stock `zstd -d` reads.

use super::{LogError, LogName, Logs, blocking};
use blobs::Scope;
use protocol::{TaskId, transfer::Content};
use slog::{Logger, warn};
use std::{ops::Range, time::SystemTime};
use store::{UnsealedBounds, UnsealedLog, Write};

/// What may stay in the store: a log of a few small frames is as well off there.
const LEFT_ALONE: UnsealedBounds = UnsealedBounds { inline: 32, inline_bytes: 128 * 1024 };
/// Frames that are joined at once: at most this many megabytes.
const PAGE: u32 = 16;

impl Logs {
    /// Seals what an earlier life left, then the logs of each task that ends. Never returns; a log that cannot be
    /// sealed stays readable as it is, until the next start tries again.
    pub(crate) async fn seal_forever(&self, journal: &Logger) {
        let mut to_seal = self.to_seal.lock().await;
        self.seal_all(None, journal).await;
        while let Some(task) = to_seal.recv().await {
            self.seal_all(Some(task), journal).await;
        }
    }

    pub(super) async fn seal_all(&self, task: Option<TaskId>, journal: &Logger) {
        let logs = match self.store.unsealed_logs(task, LEFT_ALONE).await {
            Ok(logs) => logs,
            Err(error) => return warn!(journal, "cannot look for logs to seal"; "error" => %error),
        };
        for UnsealedLog { task, step, .. } in logs {
            if let Err(error) = self.seal(LogName { task, step }).await {
                warn!(journal, "cannot seal a log"; "task" => %task, "step" => step.0, "error" => %error);
            }
        }
    }

    /// Joins the frames of one log. Readers meet either the frames or the object, never half of each.
    pub(super) async fn seal(&self, log: LogName) -> Result<(), LogError> {
        let mut object = self.blobs.compose(&Scope::logs()).await?;
        let mut at = 0;
        loop {
            let frames = self.stored_frames(log, at, PAGE).await?;
            let Some((last, _)) = frames.last() else { break };
            at = last.start + u64::from(last.length);
            for (_, frame) in frames {
                object.push(frame.into()).await?;
            }
        }
        let (digest, size) = object.finish().await?;
        let sealed = Write::LogSealed(log.task, log.step, Content { digest, size });
        self.store.write(None, vec![sealed]).await?;
        // Where somebody copies just now the file stays, until files are swept.
        self.removals.now(|| self.files.remove(log)).unwrap_or(Ok(()))?;
        Ok(())
    }

    /// Removes the files that no log needs: of logs that are sealed or forgotten, and of those that were never indexed.
    /// How many they were.
    pub(crate) async fn sweep(&self, ages: Range<SystemTime>) -> Result<u64, LogError> {
        let files = self.files.clone();
        let mut removed = 0;
        for log in blocking(move || files.of_age(ages)).await {
            if self.store.needs_log_file(log.task, log.step).await? {
                continue;
            }
            match self.removals.now(|| self.files.remove(log)) {
                Some(result) => result?,
                None => return Ok(removed),
            }
            removed += 1;
        }
        Ok(removed)
    }
}
