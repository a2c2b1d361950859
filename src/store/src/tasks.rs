//! Tasks and the leases they were given out under.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, count, int, optional_word, small, uuid},
    runs::Part,
};
use protocol::{Epoch, JobId, Outcome, TaskId, WorkflowId};
use sqlx::{Row, sqlite::SqliteRow};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a claim.
    Queued,
    /// Claimed; its user code has not begun.
    Claimed,
    /// Its user code may have run.
    Begun,
    /// Over.
    Ended,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Queued, Self::Claimed, Self::Begun, Self::Ended];

    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Begun => "begun",
            Self::Ended => "ended",
        }
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let word: &str = row.try_get("phase")?;
        let unreadable = || StoreError::Unreadable { column: "phase", message: word.into() };
        Self::ALL.into_iter().find(|phase| phase.word() == word).ok_or_else(unreadable)
    }
}

/// A task.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its name.
    pub id: TaskId,
    /// Of which job.
    pub job: JobId,
    /// From 0.
    pub index: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Of its last lease; 0 before the first.
    pub epoch: Epoch,
    /// How often it was given back.
    pub unclaims: u32,
    /// Whether it is to be ended as canceled.
    pub canceled: bool,
    /// Who holds or held it.
    pub runner: Option<String>,
    /// On which host.
    pub host: Option<String>,
    /// Once it is over.
    pub outcome: Option<Outcome>,
    /// Why.
    pub message: Option<String>,
    /// Of its journal.
    pub next_record: u64,
    /// When it was made.
    pub queued_ms: i64,
    /// Of its last claim.
    pub claimed_ms: Option<i64>,
    /// Of its end.
    pub ended_ms: Option<i64>,
}

/// Which lease a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// The task.
    pub task: TaskId,
    /// The token's lease.
    pub epoch: Epoch,
    /// The task's last lease.
    pub current: Epoch,
    /// How the task ended, if it did.
    pub outcome: Option<Outcome>,
}

impl TaskRow {
    /// A task that waits for its first claim.
    pub fn queued(id: TaskId, job: JobId, index: u32, queued_ms: i64) -> Self {
        Self {
            id,
            job,
            index,
            phase: Phase::Queued,
            epoch: Epoch(0),
            unclaims: 0,
            canceled: false,
            runner: None,
            host: None,
            outcome: None,
            message: None,
            next_record: 0,
            queued_ms,
            claimed_ms: None,
            ended_ms: None,
        }
    }

    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO tasks (id, job, node_index, phase, queued_ms) VALUES (?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id.0))
            .bind(bytes(&self.job.0))
            .bind(self.index)
            .bind(self.phase.word())
            .bind(self.queued_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: TaskId(uuid(row, "id")?),
            job: JobId(uuid(row, "job")?),
            index: small(row, "node_index")?,
            phase: Phase::read(row)?,
            epoch: Epoch(count(row, "epoch")?),
            unclaims: small(row, "unclaims")?,
            canceled: row.try_get("canceled")?,
            runner: row.try_get("runner")?,
            host: row.try_get("host")?,
            outcome: optional_word(row, "outcome")?,
            message: row.try_get("message")?,
            next_record: count(row, "next_record")?,
            queued_ms: row.try_get("queued_ms")?,
            claimed_ms: row.try_get("claimed_ms")?,
            ended_ms: row.try_get("ended_ms")?,
        })
    }
}

pub(crate) fn insert_lease(batch: &mut Batch, task: TaskId, epoch: Epoch, hash: &[u8; 32]) {
    let query = batch.statement("INSERT INTO leases (hash, task, epoch) VALUES (?, ?, ?)");
    query.bind(hash.as_slice()).bind(bytes(&task.0)).bind(int(epoch.0));
}

pub(crate) fn claimed(batch: &mut Batch, task: TaskId, epoch: Epoch, runner: &str, host: &str, at_ms: i64) {
    const SQL: &str =
        "UPDATE tasks SET phase = 'claimed', epoch = ?, runner = ?, host = ?, claimed_ms = ? WHERE id = ?";
    batch.statement(SQL).bind(int(epoch.0)).bind(runner).bind(host).bind(at_ms).bind(bytes(&task.0));
}

pub(crate) fn begun(batch: &mut Batch, task: TaskId) {
    batch.statement("UPDATE tasks SET phase = 'begun' WHERE id = ?").bind(bytes(&task.0));
}

pub(crate) fn requeued(batch: &mut Batch, task: TaskId, unclaims: u32) {
    for forget in [
        "DELETE FROM chunks WHERE task = ?",
        "DELETE FROM logs WHERE task = ?",
        "DELETE FROM steps WHERE task = ?",
    ] {
        batch.statement(forget).bind(bytes(&task.0));
    }
    const SQL: &str = "UPDATE tasks SET phase = 'queued', unclaims = ?, next_record = 0 WHERE id = ?";
    batch.statement(SQL).bind(unclaims).bind(bytes(&task.0));
}

pub(crate) fn canceled(batch: &mut Batch, task: TaskId) {
    batch.statement("UPDATE tasks SET canceled = 1 WHERE id = ?").bind(bytes(&task.0));
}

pub(crate) fn ended(
    batch: &mut Batch,
    (task, epoch): (TaskId, Epoch),
    outcome: Outcome,
    message: Option<&str>,
    at_ms: i64,
) {
    const SQL: &str =
        "UPDATE tasks SET phase = 'ended', epoch = ?, outcome = ?, message = ?, ended_ms = ? WHERE id = ?";
    batch
        .statement(SQL)
        .bind(int(epoch.0))
        .bind(outcome.to_string())
        .bind(message)
        .bind(at_ms)
        .bind(bytes(&task.0));
}

pub(crate) fn next_record(batch: &mut Batch, task: TaskId, next: u64) {
    let query = batch.statement("UPDATE tasks SET next_record = ? WHERE id = ?").bind(int(next));
    query.bind(bytes(&task.0));
}

impl Store {
    /// One task.
    pub async fn task(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM tasks WHERE id = ?").bind(bytes(&id.0));
        query.fetch_optional(&self.readers).await?.as_ref().map(TaskRow::read).transpose()
    }

    /// The lease that a token with this SHA-256 was given out for.
    pub async fn lease(&self, hash: &[u8; 32]) -> Result<Option<LeaseRow>, StoreError> {
        const SQL: &str = "SELECT l.task, l.epoch, t.epoch AS current, t.outcome FROM leases l \
                           JOIN tasks t ON t.id = l.task WHERE l.hash = ?";
        let row = sqlx::query(SQL).bind(hash.as_slice()).fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(LeaseRow {
                task: TaskId(uuid(&row, "task")?),
                epoch: Epoch(count(&row, "epoch")?),
                current: Epoch(count(&row, "current")?),
                outcome: optional_word(&row, "outcome")?,
            })
        })
        .transpose()
    }

    /// The hashes of all current leases of a workflow's tasks that are claimed or begun.
    pub async fn current_leases(&self, workflow: WorkflowId) -> Result<Vec<([u8; 32], TaskId)>, StoreError> {
        const SQL: &str = "SELECT l.hash, l.task FROM jobs j JOIN tasks t ON t.job = j.id \
                           JOIN leases l ON l.task = t.id AND l.epoch = t.epoch \
                           WHERE j.workflow = ? AND t.phase IN ('claimed', 'begun')";
        let rows = sqlx::query(SQL).bind(bytes(&workflow.0)).fetch_all(&self.readers).await?;
        rows.iter().map(read_hash).collect()
    }

    pub(crate) async fn tasks_of_workflow(&self, id: WorkflowId) -> Result<Vec<TaskRow>, StoreError> {
        const SQL: &str = "SELECT t.* FROM jobs j JOIN tasks t ON t.job = j.id WHERE j.workflow = ? \
                           ORDER BY j.place, t.node_index";
        let rows = sqlx::query(SQL).bind(bytes(&id.0)).fetch_all(&self.readers).await?;
        rows.iter().map(TaskRow::read).collect()
    }

    pub(crate) async fn tasks_of_pipeline(&self, part: Part) -> Result<Vec<TaskRow>, StoreError> {
        const SQL: &str = "SELECT t.* FROM workflows w JOIN jobs j ON j.workflow = w.id \
                           JOIN tasks t ON t.job = j.id WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) ORDER BY t.job, t.node_index";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(TaskRow::read).collect()
    }
}

fn read_hash(row: &SqliteRow) -> Result<([u8; 32], TaskId), StoreError> {
    let hash: &[u8] = row.try_get("hash")?;
    let unreadable = |_| StoreError::Unreadable { column: "hash", message: "not 32 bytes".into() };
    Ok((hash.try_into().map_err(unreadable)?, TaskId(uuid(row, "task")?)))
}
