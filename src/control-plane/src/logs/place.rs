//! Chunks in: a stream body decoded, its frames checked, the large ones on disk.

use super::{LogError, LogName, Logs, blocking, frames};
use bytes::Bytes;
use protocol::{
    StepNumber, TaskId,
    journal::{Record, TaskEvent},
    stream::{self, MOST_LOGS},
};
use std::collections::BTreeMap;
use store::ChunkRow;

/// Compressed frames up to this size lie in the store, larger ones in the log's file.
pub(crate) const INLINE: usize = 16 * 1024;
/// A body up to this size may be small enough for that, so it is decoded to see.
const DECODED_ON_THE_SPOT: usize = 64 * 1024;
/// Up to this many raw bytes are checked on the spot; more, on a thread made for blocking work.
const CHECKED_ON_THE_SPOT: usize = 64 * 1024;

/// One item of a stream body, ready for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A piece of log. Where its frame lies in a file, it is on disk there.
    Chunk(ChunkRow),
    /// A record of the task-agent's journal.
    Record(Record),
}

impl Logs {
    /// The items of a body in order. Nothing of them is stored before the store has them: a large frame lies beyond
    /// the indexed end of its file until then.
    pub(crate) async fn place(&self, task: TaskId, body: Bytes) -> Result<Vec<Item>, LogError> {
        let mut items = self.decoded(task, body).await?;
        let mut large: BTreeMap<StepNumber, Vec<&mut ChunkRow>> = BTreeMap::new();
        for item in &mut items {
            match item {
                Item::Chunk(row) if row.stored as usize > INLINE => {
                    large.entry(row.step).or_default().push(row)
                }
                _ => {}
            }
        }
        for (step, rows) in large {
            self.place_large(LogName { task, step }, rows).await?;
        }
        Ok(items)
    }

    async fn decoded(&self, task: TaskId, body: Bytes) -> Result<Vec<Item>, LogError> {
        if body.len() <= DECODED_ON_THE_SPOT {
            let items = stream::decode(&body)?;
            if raw_bytes(&items) <= CHECKED_ON_THE_SPOT {
                return checked(task, items);
            }
        }
        // Whoever waits here has only its body in memory, not a copy of it as well.
        let _bench = self.benches.acquire().await.expect("the benches are never closed");
        blocking(move || checked(task, stream::decode(&body)?)).await
    }

    async fn place_large(&self, log: LogName, rows: Vec<&mut ChunkRow>) -> Result<(), LogError> {
        let stored = match failpoints::Guard::Offsets.is_out() {
            true => 0,
            false => self.store.log(log.task, log.step).await?.map_or(0, |row| row.length),
        };
        // What is stored already will change nothing, so its frames need no place in the file.
        let mut new: Vec<_> =
            rows.into_iter().filter(|row| row.start + u64::from(row.length) > stored).collect();
        if new.is_empty() {
            return Ok(());
        }
        let indexed_end = self.store.log_file_end(log.task, log.step).await?;
        let frames: Vec<_> = new.iter_mut().map(|row| row.frame.take().unwrap_or_default()).collect();
        let files = self.files.clone();
        let append = move || {
            let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            files.append(log, indexed_end, &frames)
        };
        let mut at = blocking(append).await?;
        for row in new {
            row.file_offset = Some(at);
            at += u64::from(row.stored);
        }
        Ok(())
    }
}

fn raw_bytes(items: &[stream::Item]) -> usize {
    let raw = |item: &stream::Item| match item {
        stream::Item::Log { chunk, .. } => chunk.length as usize,
        stream::Item::Record(_) => 0,
    };
    items.iter().map(raw).sum()
}

fn checked(task: TaskId, items: Vec<stream::Item>) -> Result<Vec<Item>, LogError> {
    items.into_iter().map(|item| checked_item(task, item)).collect()
}

/// What an item is of. It is looked at before anything is kept for it: the number is its sender's word.
fn step_of(item: &stream::Item) -> Option<StepNumber> {
    match item {
        stream::Item::Log { chunk, .. } => Some(chunk.step),
        stream::Item::Record(record) => match record.event {
            TaskEvent::StepStarted { step } | TaskEvent::StepEnded { step, .. } => Some(step),
            TaskEvent::Ended { .. } => None,
        },
    }
}

fn checked_item(task: TaskId, item: stream::Item) -> Result<Item, LogError> {
    if let Some(step) = step_of(&item).filter(|step| step.0 >= MOST_LOGS) {
        return Err(LogError::Step(step.0));
    }
    let (chunk, marks, frame) = match item {
        stream::Item::Record(record) => return Ok(Item::Record(record)),
        stream::Item::Log { chunk, marks, frame } => (chunk, marks, frame),
    };
    frames::check(&chunk, &frame)?;
    let stored = frame.len().try_into().expect("a body is shorter than 4 GiB");
    let (start, length, step) = (chunk.offset, chunk.length, chunk.step);
    let marks = (!marks.is_empty()).then(|| marks.to_bytes());
    let (file_offset, frame) = (None, Some(frame));
    Ok(Item::Chunk(ChunkRow { task, step, start, length, stored, file_offset, frame, marks }))
}
