//! Steps of tasks, as the journals' records tell of them.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, int, small, uuid, word},
    runs::Part,
};
use protocol::{JobId, StepNumber, StepStatus, TaskId};
use sqlx::{Row, sqlite::SqliteRow};

/// A step that started.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Of which task.
    pub task: TaskId,
    /// Its place.
    pub number: StepNumber,
    /// How it stands.
    pub status: StepStatus,
    /// Of its command.
    pub exit_code: Option<i32>,
    /// When.
    pub started_ms: i64,
    /// Once it is over.
    pub duration_ms: Option<u64>,
}

/// A step that began, found by its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BegunStep {
    /// Of which task.
    pub task: TaskId,
    /// When.
    pub started_ms: i64,
}

impl StepRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let duration: Option<i64> = row.try_get("duration_ms")?;
        Ok(Self {
            task: TaskId(uuid(row, "task")?),
            number: StepNumber(small(row, "number")?),
            status: word(row, "status")?,
            exit_code: row.try_get("exit_code")?,
            started_ms: row.try_get("started_ms")?,
            duration_ms: duration.map(i64::unsigned_abs),
        })
    }
}

pub(crate) fn started(batch: &mut Batch, task: TaskId, step: StepNumber, at_ms: i64) {
    const SQL: &str = "INSERT INTO steps (task, number, status, started_ms) VALUES (?, ?, 'running', ?) \
                       ON CONFLICT DO NOTHING";
    batch.statement(SQL).bind(bytes(&task.0)).bind(step.0).bind(at_ms);
}

pub(crate) fn ended(
    batch: &mut Batch,
    task: TaskId,
    step: StepNumber,
    status: StepStatus,
    exit_code: Option<i32>,
    duration_ms: u64,
) {
    const SQL: &str =
        "UPDATE steps SET status = ?, exit_code = ?, duration_ms = ? WHERE task = ? AND number = ?";
    batch
        .statement(SQL)
        .bind(status.to_string())
        .bind(exit_code)
        .bind(int(duration_ms))
        .bind(bytes(&task.0))
        .bind(step.0);
}

impl Store {
    /// When a step began, if it did.
    pub async fn step_started_ms(&self, task: TaskId, step: StepNumber) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query("SELECT started_ms FROM steps WHERE task = ? AND number = ?");
        let row = query.bind(bytes(&task.0)).bind(step.0).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("started_ms")).transpose()?)
    }

    /// The step of this number of a job's task of this index, if it began: the launch-agent's own with the claim.
    pub async fn begun_step(
        &self,
        job: JobId,
        index: u32,
        step: StepNumber,
    ) -> Result<Option<BegunStep>, StoreError> {
        const SQL: &str = "SELECT t.id, iif(?3 = 0, t.claimed_ms, s.started_ms) AS began_ms FROM tasks t \
                           LEFT JOIN steps s ON s.task = t.id AND s.number = ?3 \
                           WHERE t.job = ?1 AND t.node_index = ?2";
        let query = sqlx::query(SQL).bind(bytes(&job.0)).bind(index).bind(step.0);
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        let (task, began): (_, Option<i64>) = (TaskId(uuid(&row, "id")?), row.try_get("began_ms")?);
        Ok(began.map(|started_ms| BegunStep { task, started_ms }))
    }

    pub(crate) async fn steps_of_pipeline(&self, part: Part) -> Result<Vec<StepRow>, StoreError> {
        const SQL: &str = "SELECT s.* FROM workflows w JOIN jobs j ON j.workflow = w.id \
                           JOIN tasks t ON t.job = j.id JOIN steps s ON s.task = t.id \
                           WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) ORDER BY s.task, s.number";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(StepRow::read).collect()
    }
}
