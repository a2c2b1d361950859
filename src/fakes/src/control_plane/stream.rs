//! Takes a body of the stream: stores what comes next, ignores what is stored, sends back what fits neither.

use crate::control_plane::state::Task;
use protocol::{
    journal::Record,
    stream::{Acknowledged, Chunk, Item, MAX_CHUNK, decode},
};

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Stored(Acknowledged),
    Rewind(Acknowledged),
    /// It breaks the protocol.
    Broken(String),
}

pub(crate) fn take(task: &mut Task, body: &[u8]) -> Taken {
    let items = match decode(body) {
        Ok(items) => items,
        Err(error) => return Taken::Broken(error.to_string()),
    };
    for item in items {
        let fits = match item {
            Item::Log { chunk, frame, .. } => take_chunk(task, chunk, &frame),
            Item::Record(record) => Ok(take_record(task, record)),
        };
        match fits {
            Ok(true) => {}
            Ok(false) => return Taken::Rewind(task.acknowledged()),
            Err(broken) => return Taken::Broken(broken),
        }
    }
    Taken::Stored(task.acknowledged())
}

fn take_chunk(task: &mut Task, chunk: Chunk, frame: &[u8]) -> Result<bool, String> {
    let raw =
        zstd::bulk::decompress(frame, MAX_CHUNK).map_err(|error| format!("a frame is no zstd: {error}"))?;
    if raw.len() != chunk.length as usize {
        return Err(format!("a frame holds {} bytes where {} were told", raw.len(), chunk.length));
    }
    let log = task.logs.entry(chunk.step).or_default();
    let stored = log.len() as u64;
    if chunk.offset == stored {
        log.extend_from_slice(&raw);
        task.chunks.push(chunk);
        return Ok(true);
    }
    let repeated = log.get(chunk.offset as usize..).and_then(|rest| rest.get(..raw.len()));
    match repeated {
        Some(before) if before != raw => {
            Err(format!("step {}: other bytes at {}", chunk.step.0, chunk.offset))
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

fn take_record(task: &mut Task, record: Record) -> bool {
    let next = task.records.len() as u64;
    if record.seq == next {
        task.records.push(record);
        return true;
    }
    record.seq < next
}
