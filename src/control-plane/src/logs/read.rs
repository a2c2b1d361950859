//! Ranges and live tails out: only the frames that cover a range are read and decompressed.

use super::{
    LogError, LogName, Logs, blocking,
    files::{FileError, LogFiles},
    frames,
};
use blobs::Scope;
use protocol::transfer::Content;
use std::{fs::File, os::unix::fs::FileExt, path::PathBuf, time::Duration};
use store::ChunkRow;
use tokio::time::{Instant, timeout_at};

/// Index rows that are read at once.
const PAGE: u32 = 256;
/// How often a read begins anew because the log was sealed under it.
const RETRIES: usize = 3;
/// Up to this many raw bytes that need no file are decompressed on the spot.
const ON_THE_SPOT: u32 = 64 * 1024;

/// A range of a log that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Of the first byte.
    pub(crate) offset: u64,
    /// The most bytes.
    pub(crate) limit: usize,
}

/// A range of a log that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// From the offset asked for; empty where there is nothing yet, or nothing more.
    pub(crate) bytes: Vec<u8>,
    /// Whether the log is over and nothing follows these bytes.
    pub(crate) terminal: bool,
    /// Bytes of the log as far as it is stored.
    pub(crate) length: u64,
}

/// Frames of a log and where those lie that are not in their rows.
struct Frames {
    rows: Vec<ChunkRow>,
    file: Option<(PathBuf, File)>,
}

impl Logs {
    /// Reads a range of a log. Where it has nothing, waits that long for the log to grow or end. None: no such task.
    pub(crate) async fn read(
        &self,
        log: LogName,
        range: Range,
        wait: Duration,
    ) -> Result<Option<Piece>, LogError> {
        let deadline = Instant::now() + wait;
        let bell = self.tails.bell(log.task);
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            // Asked before the bytes are read: what is over now has all its bytes by then.
            let Some(over) = self.store.log_is_over(log.task, log.step).await? else { return Ok(None) };
            let length = self.store.log(log.task, log.step).await?.map_or(0, |row| row.length);
            if range.offset < length {
                let bytes = self.read_stored(log, range).await?;
                let terminal = over && range.offset + bytes.len() as u64 >= length;
                return Ok(Some(Piece { bytes, terminal, length }));
            }
            if over || timeout_at(deadline, rung).await.is_err() {
                return Ok(Some(Piece { bytes: Vec::new(), terminal: over, length }));
            }
        }
    }

    async fn read_stored(&self, log: LogName, range: Range) -> Result<Vec<u8>, LogError> {
        for _ in 0..RETRIES {
            if let Some(frames) = self.frames(log, range).await? {
                return decompressed(log, range, frames).await;
            }
        }
        let path = self.files.open_path(log);
        Err(FileError::new("find", &path, std::io::ErrorKind::NotFound.into()).into())
    }

    /// The frames of a range; none where they moved meanwhile, because the log was sealed.
    async fn frames(&self, log: LogName, range: Range) -> Result<Option<Frames>, LogError> {
        let sealed = self.sealed(log).await?;
        let rows = self.rows(log, range).await?;
        if self.sealed(log).await? != sealed {
            return Ok(None);
        }
        if rows.iter().all(|row| row.frame.is_some()) {
            return Ok(Some(Frames { rows, file: None }));
        }
        let opened = match sealed {
            Some(content) => {
                self.blobs.read(&Scope::logs(), &content.digest).await?.map(blobs::Content::into_file)
            }
            None => open(&self.files, log).await?,
        };
        let path = self.files.open_path(log);
        Ok(opened.map(|file| Frames { rows, file: Some((path, file)) }))
    }

    async fn sealed(&self, log: LogName) -> Result<Option<Content>, LogError> {
        Ok(self.store.log(log.task, log.step).await?.and_then(|row| row.sealed))
    }

    async fn rows(&self, log: LogName, range: Range) -> Result<Vec<ChunkRow>, LogError> {
        let end = range.offset.saturating_add(range.limit as u64);
        let (mut rows, mut at): (Vec<ChunkRow>, _) = (Vec::new(), range.offset);
        while at < end {
            let page = self.store.chunks(log.task, log.step, at, PAGE).await?;
            let Some(last) = page.last() else { break };
            at = last.start + u64::from(last.length);
            rows.extend(page);
        }
        rows.retain(|row| row.start < end);
        Ok(rows)
    }
}

async fn open(files: &std::sync::Arc<LogFiles>, log: LogName) -> Result<Option<File>, LogError> {
    let path = files.open_path(log);
    let opened =
        blocking(move || File::open(&path).map_err(|error| FileError::new("read", &path, error))).await;
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn decompressed(log: LogName, range: Range, frames: Frames) -> Result<Vec<u8>, LogError> {
    let little = frames.rows.iter().map(|row| row.length).sum::<u32>() <= ON_THE_SPOT;
    let work = move || frames.decompress(log, range);
    if little { work() } else { blocking(work).await }
}

impl Frames {
    fn decompress(&self, log: LogName, range: Range) -> Result<Vec<u8>, LogError> {
        let mut bytes = Vec::new();
        for row in &self.rows {
            let frame = self.frame(row)?;
            let skip = usize::try_from(range.offset.saturating_sub(row.start)).unwrap_or(usize::MAX);
            let room = range.limit - bytes.len();
            let taken = frames::with_raw(&frame, |raw| {
                let rest = raw.get(skip..).unwrap_or_default();
                bytes.extend_from_slice(&rest[..rest.len().min(room)]);
            });
            let (task, step, offset) = (log.task, log.step.0, row.start);
            taken.ok_or(LogError::Damaged { task, step, offset })?;
        }
        Ok(bytes)
    }

    fn frame<'f>(&'f self, row: &'f ChunkRow) -> Result<std::borrow::Cow<'f, [u8]>, LogError> {
        match (&row.frame, &self.file, row.file_offset) {
            (Some(frame), ..) => Ok(frame.into()),
            (None, Some((path, file)), Some(at)) => {
                let mut frame = vec![0; row.stored as usize];
                file.read_exact_at(&mut frame, at).map_err(|error| FileError::new("read", path, error))?;
                Ok(frame.into())
            }
            _ => {
                let (task, step) = (row.task, row.step.0);
                Err(LogError::Damaged { task, step, offset: row.start })
            }
        }
    }
}

impl Logs {
    /// The stored, still compressed frames of a log from a raw offset on, a few at once.
    pub(super) async fn stored_frames(
        &self,
        log: LogName,
        from: u64,
        most: u32,
    ) -> Result<Vec<(ChunkRow, Vec<u8>)>, LogError> {
        let rows = self.store.chunks(log.task, log.step, from, most).await?;
        let needs_file = rows.iter().any(|row| row.frame.is_none());
        let path = self.files.open_path(log);
        let file = if needs_file { open(&self.files, log).await?.map(|file| (path, file)) } else { None };
        let frames = Frames { rows, file };
        blocking(move || {
            let pair = |row: &ChunkRow| Ok((row.clone(), frames.frame(row)?.into_owned()));
            frames.rows.iter().map(pair).collect()
        })
        .await
    }
}
