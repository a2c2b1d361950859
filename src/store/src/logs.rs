//! Logs: how much of each is stored, and the index of its chunks, small ones with their frames.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, count, digest, int, small, uuid},
    runs::Part,
};
use protocol::{StepNumber, TaskId, transfer::Content};
use sqlx::{Row, sqlite::SqliteRow};
use std::{collections::BTreeMap, ops::Range};

/// One stored chunk of a log: an independent zstd frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// Of which task.
    pub task: TaskId,
    /// Of which step.
    pub step: StepNumber,
    /// Of its first byte in the raw log.
    pub start: u64,
    /// Raw bytes.
    pub length: u32,
    /// Compressed bytes.
    pub stored: u32,
    /// Where the frame lies in the log's file or sealed object, if not here.
    pub file_offset: Option<u64>,
    /// The frame itself, if it lies here.
    pub frame: Option<Vec<u8>>,
    /// When its bytes were written, as [`protocol::marks::Marks`] are stored, if that is known.
    pub marks: Option<Vec<u8>>,
}

/// When the bytes of one chunk were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarksRow {
    /// Of its first byte in the raw log.
    pub start: u64,
    /// Raw bytes.
    pub length: u32,
    /// As [`protocol::marks::Marks`] are stored.
    pub marks: Vec<u8>,
}

/// What is known of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Of which task.
    pub task: TaskId,
    /// Of which step.
    pub step: StepNumber,
    /// Stored raw bytes.
    pub length: u64,
    /// The object that all its frames lie in, once it is sealed.
    pub sealed: Option<Content>,
}

impl ChunkRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO chunks (task, step, start, length, stored, file_offset, frame, marks) \
                           VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.task.0))
            .bind(self.step.0)
            .bind(int(self.start))
            .bind(self.length)
            .bind(self.stored)
            .bind(self.file_offset.map(int))
            .bind(self.frame.as_deref())
            .bind(self.marks.as_deref());
    }

    pub(crate) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let file_offset: Option<i64> = row.try_get("file_offset")?;
        Ok(Self {
            task: TaskId(uuid(row, "task")?),
            step: StepNumber(small(row, "step")?),
            start: count(row, "start")?,
            length: small(row, "length")?,
            stored: small(row, "stored")?,
            file_offset: file_offset.map(i64::unsigned_abs),
            frame: row.try_get("frame")?,
            marks: row.try_get("marks")?,
        })
    }
}

impl MarksRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self { start: count(row, "start")?, length: small(row, "length")?, marks: row.try_get("marks")? })
    }
}

impl LogRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let size: Option<i64> = row.try_get("size")?;
        let sealed = match size {
            Some(size) => Some(Content { digest: digest(row, "digest")?, size: size.unsigned_abs() }),
            None => None,
        };
        Ok(Self {
            task: TaskId(uuid(row, "task")?),
            step: StepNumber(small(row, "step")?),
            length: count(row, "length")?,
            sealed,
        })
    }
}

pub(crate) fn length(batch: &mut Batch, task: TaskId, step: StepNumber, length: u64) {
    const SQL: &str = "INSERT INTO logs (task, step, length) VALUES (?, ?, ?) \
                       ON CONFLICT (task, step) DO UPDATE SET length = excluded.length";
    batch.statement(SQL).bind(bytes(&task.0)).bind(step.0).bind(int(length));
}

pub(crate) fn sealed(batch: &mut Batch, task: TaskId, step: StepNumber, content: &Content) {
    batch
        .statement("UPDATE logs SET digest = ?, size = ? WHERE task = ? AND step = ?")
        .bind(content.digest.as_str())
        .bind(int(content.size))
        .bind(bytes(&task.0))
        .bind(step.0);
    place_in_object(batch, task, step);
}

/// The object holds the frames in order, so each lies behind the sum of those before it.
fn place_in_object(batch: &mut Batch, task: TaskId, step: StepNumber) {
    const SQL: &str = "UPDATE chunks SET frame = NULL, file_offset = before.stored FROM (SELECT start, \
                       coalesce(sum(stored) OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) \
                       AS stored FROM chunks WHERE task = ? AND step = ?) AS before \
                       WHERE chunks.task = ? AND chunks.step = ? AND chunks.start = before.start";
    batch.statement(SQL).bind(bytes(&task.0)).bind(step.0).bind(bytes(&task.0)).bind(step.0);
}

impl Store {
    /// The chunk that holds a byte of a log and those that follow it, at most that many.
    pub async fn chunks(
        &self,
        task: TaskId,
        step: StepNumber,
        from: u64,
        most: u32,
    ) -> Result<Vec<ChunkRow>, StoreError> {
        const SQL: &str = "SELECT * FROM chunks WHERE task = ?1 AND step = ?2 AND start >= coalesce((SELECT \
                           max(start) FROM chunks WHERE task = ?1 AND step = ?2 AND start <= ?3), 0) \
                           AND start + length > ?3 ORDER BY start LIMIT ?4";
        let query = sqlx::query(SQL).bind(bytes(&task.0)).bind(step.0).bind(int(from)).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(ChunkRow::read).collect()
    }

    /// The chunks of a part of a log with marks, at most that many: from the last one that has a mark of the part's first
    /// byte or of one before it.
    pub async fn marks(
        &self,
        (task, step): (TaskId, StepNumber),
        part: Range<u64>,
        most: u32,
    ) -> Result<Vec<MarksRow>, StoreError> {
        // The last chunk before may begin with a byte of the mark before: then the one before it has that.
        const SQL: &str = "SELECT start, length, marks FROM chunks WHERE task = ?1 AND step = ?2 AND marks IS NOT NULL \
                           AND start < ?4 AND start >= coalesce((SELECT min(start) FROM (SELECT start FROM chunks \
                           WHERE task = ?1 AND step = ?2 AND start <= ?3 AND marks IS NOT NULL \
                           ORDER BY start DESC LIMIT 2)), 0) ORDER BY start LIMIT ?5";
        let query = sqlx::query(SQL).bind(bytes(&task.0)).bind(step.0);
        let query = query.bind(int(part.start)).bind(int(part.end)).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(MarksRow::read).collect()
    }

    /// What is known of one log; none: it has no byte.
    pub async fn log(&self, task: TaskId, step: StepNumber) -> Result<Option<LogRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM logs WHERE task = ? AND step = ?");
        let row = query.bind(bytes(&task.0)).bind(step.0).fetch_optional(&self.readers).await?;
        row.as_ref().map(LogRow::read).transpose()
    }

    /// The stored length of each log of a task that has any byte.
    pub async fn log_lengths(&self, task: TaskId) -> Result<BTreeMap<StepNumber, u64>, StoreError> {
        let query = sqlx::query("SELECT * FROM logs WHERE task = ?").bind(bytes(&task.0));
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| LogRow::read(row).map(|log| (log.step, log.length))).collect()
    }

    pub(crate) async fn logs_of_pipeline(&self, part: Part) -> Result<Vec<LogRow>, StoreError> {
        const SQL: &str = "SELECT l.* FROM workflows w JOIN jobs j ON j.workflow = w.id \
                           JOIN tasks t ON t.job = j.id JOIN logs l ON l.task = t.id WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2)";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(LogRow::read).collect()
    }
}

/// A log of a task that is over, all of whose chunks lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsealedLog {
    /// Of which task.
    pub task: TaskId,
    /// Of which step.
    pub step: StepNumber,
    /// How many chunks have their frames in this store.
    pub inline: u64,
    /// Compressed bytes of those.
    pub inline_bytes: u64,
}

impl Store {
    /// Where the frames of a log that lie in its file end.
    pub async fn log_file_end(&self, task: TaskId, step: StepNumber) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT coalesce(max(file_offset + stored), 0) AS file_end FROM chunks \
                           WHERE task = ? AND step = ?";
        let query = sqlx::query(SQL).bind(bytes(&task.0)).bind(step.0);
        count(&query.fetch_one(&self.readers).await?, "file_end")
    }

    /// Whether a log gets no more bytes: its step or its task is over. None: there is no such task.
    pub async fn log_is_over(&self, task: TaskId, step: StepNumber) -> Result<Option<bool>, StoreError> {
        const SQL: &str = "SELECT phase = 'ended' OR EXISTS (SELECT 1 FROM steps WHERE task = ?1 AND number = ?2 \
                           AND status <> 'running') AS is_over FROM tasks WHERE id = ?1";
        let query = sqlx::query(SQL).bind(bytes(&task.0)).bind(step.0);
        Ok(query.fetch_optional(&self.readers).await?.map(|row| row.try_get("is_over")).transpose()?)
    }

    /// Logs of tasks that are over, not sealed, with more than this in the store: of one task, or of all.
    pub async fn unsealed_logs(
        &self,
        task: Option<TaskId>,
        more_than: UnsealedBounds,
    ) -> Result<Vec<UnsealedLog>, StoreError> {
        const SQL: &str = "SELECT c.task, c.step, count(*) AS inline, sum(c.stored) AS inline_bytes FROM chunks c \
                           JOIN logs l ON l.task = c.task AND l.step = c.step JOIN tasks t ON t.id = c.task \
                           WHERE (?1 IS NULL OR c.task = ?1) AND c.file_offset IS NULL AND l.digest IS NULL \
                           AND t.phase = 'ended' GROUP BY c.task, c.step HAVING count(*) > ?2 OR sum(c.stored) > ?3";
        let task = task.map(|task| bytes(&task.0).to_vec());
        let query = sqlx::query(SQL).bind(task).bind(int(more_than.inline)).bind(int(more_than.inline_bytes));
        query.fetch_all(&self.readers).await?.iter().map(UnsealedLog::read).collect()
    }
}

/// How much of a log may stay in the store.
#[derive(Clone, Copy, Debug)]
pub struct UnsealedBounds {
    /// Chunks.
    pub inline: u64,
    /// Compressed bytes of them.
    pub inline_bytes: u64,
}

impl UnsealedLog {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            task: TaskId(uuid(row, "task")?),
            step: StepNumber(small(row, "step")?),
            inline: count(row, "inline")?,
            inline_bytes: count(row, "inline_bytes")?,
        })
    }
}
