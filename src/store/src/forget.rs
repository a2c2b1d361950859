//! Forgetting: pipelines and caches that nobody keeps any more, and whether a file is still needed.
//!
//! What is not over is never forgotten: each statement sees to that by itself, whatever its caller believes.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, int, uuid},
};
use protocol::{Digest, JobId, PipelineId, StepNumber, TaskId};
use sqlx::Row;

/// Which pipelines that are over are kept. The newest of a project always is, whatever the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Those made since then; none: of any age.
    pub since_ms: Option<i64>,
    /// At most that many of each project.
    pub newest: u64,
}

/// Whether the pipeline `p` is over: no workflow goes on, nobody holds or waits for a task, and no webhook is still to tell
/// of it.
macro_rules! is_over {
    () => {
        "NOT EXISTS (SELECT 1 FROM workflows o WHERE o.pipeline = p.id \
         AND o.status IN ('running', 'failing', 'on_hold')) AND NOT EXISTS (SELECT 1 FROM workflows o JOIN jobs i ON i.workflow = o.id \
         JOIN tasks u ON u.job = i.id WHERE o.pipeline = p.id AND u.phase <> 'ended') \
         AND NOT EXISTS (SELECT 1 FROM webhook_events e WHERE e.pipeline = p.id)"
    };
}

/// A statement on some tasks of a pipeline that is over.
macro_rules! of_tasks {
    ($statement:literal) => {
        concat!(
            $statement,
            " (SELECT t.id FROM pipelines p JOIN workflows w ON w.pipeline = p.id \
             JOIN jobs j ON j.workflow = w.id JOIN tasks t ON t.job = j.id WHERE p.id = ? AND ",
            is_over!(),
            " ORDER BY t.id LIMIT ?)"
        )
    };
}

/// The jobs of a pipeline that is over.
macro_rules! of_jobs {
    () => {
        concat!(
            "(SELECT j.id FROM pipelines p JOIN workflows w ON w.pipeline = p.id \
             JOIN jobs j ON j.workflow = w.id WHERE p.id = ? AND ",
            is_over!(),
            ")"
        )
    };
}

/// What belongs to a task, the task last.
const TASKS: [&str; 9] = [
    of_tasks!("DELETE FROM chunks WHERE task IN"),
    of_tasks!("DELETE FROM logs WHERE task IN"),
    of_tasks!("DELETE FROM steps WHERE task IN"),
    of_tasks!("DELETE FROM artifacts WHERE task IN"),
    of_tasks!("DELETE FROM bundles WHERE task IN"),
    of_tasks!("DELETE FROM layers WHERE task IN"),
    of_tasks!("DELETE FROM tests WHERE task IN"),
    of_tasks!("DELETE FROM leases WHERE task IN"),
    of_tasks!("DELETE FROM tasks WHERE id IN"),
];

/// What is left of a pipeline then, itself last.
const PIPELINE: [&str; 7] = [
    concat!("DELETE FROM former WHERE job IN ", of_jobs!()),
    concat!("DELETE FROM tested WHERE job IN ", of_jobs!()),
    concat!(
        "DELETE FROM jobs WHERE workflow IN (SELECT w.id FROM pipelines p JOIN workflows w \
         ON w.pipeline = p.id WHERE p.id = ? AND ",
        is_over!(),
        ")"
    ),
    concat!(
        "DELETE FROM workflows WHERE id IN (SELECT w.id FROM pipelines p JOIN workflows w \
         ON w.pipeline = p.id WHERE p.id = ? AND ",
        is_over!(),
        ")"
    ),
    concat!(
        "DELETE FROM secrets WHERE pipeline IN (SELECT p.id FROM pipelines p WHERE p.id = ? AND ",
        is_over!(),
        ")"
    ),
    concat!(
        "DELETE FROM configurations WHERE pipeline IN (SELECT p.id FROM pipelines p WHERE p.id = ? AND ",
        is_over!(),
        ")"
    ),
    concat!("DELETE FROM pipelines AS p WHERE p.id = ? AND ", is_over!()),
];

/// Forgets tasks of a pipeline that is over, at most that many; how many they were.
pub(crate) fn tasks(batch: &mut Batch, pipeline: PipelineId, most: u32) {
    for statement in TASKS {
        batch.statement(statement).bind(bytes(&pipeline.0)).bind(most);
    }
}

/// Forgets a pipeline that is over and has no task any more; a conflict where it has.
pub(crate) fn pipeline(batch: &mut Batch, pipeline: PipelineId) {
    for statement in PIPELINE {
        batch.statement(statement).bind(bytes(&pipeline.0));
    }
}

/// Forgets the variables of pipelines that are over and were made before then: they are run again no more.
pub(crate) fn secrets(batch: &mut Batch, before_ms: i64) {
    const SQL: &str = concat!(
        "DELETE FROM secrets WHERE pipeline IN (SELECT p.id FROM pipelines p WHERE p.created_ms < ? AND ",
        is_over!(),
        ")"
    );
    batch.statement(SQL).bind(before_ms);
}

/// Changes nothing; where the job has not so many tasks, a column that is never empty would be.
pub(crate) fn has_tasks(batch: &mut Batch, job: JobId, number: u32) {
    const SQL: &str = "UPDATE jobs SET status = CASE WHEN (SELECT count(*) FROM tasks t WHERE t.job = jobs.id) = ? \
                       THEN status END WHERE id = ?";
    batch.statement(SQL).bind(number).bind(bytes(&job.0));
}

/// Forgets caches not used since then, and those used longest ago until the others have at most that many bytes.
pub(crate) fn caches(batch: &mut Batch, unused_since_ms: i64, most_bytes: u64) {
    const SQL: &str = "DELETE FROM caches WHERE used_ms < ? OR (project, trust, key) IN (SELECT project, trust, key FROM \
                       (SELECT project, trust, key, sum(size) OVER (ORDER BY used_ms DESC, project, trust, key) AS total \
                       FROM caches) WHERE total > ?)";
    batch.statement(SQL).bind(unused_since_ms).bind(int(most_bytes));
}

pub(crate) fn cache_used(batch: &mut Batch, (project, trust): (ProjectId, &str), key: &str, at_ms: i64) {
    const SQL: &str =
        "UPDATE caches SET used_ms = max(used_ms, ?) WHERE project = ? AND trust = ? AND key = ?";
    batch.statement(SQL).bind(at_ms).bind(project.0).bind(trust).bind(key);
}

impl Store {
    /// Pipelines that are over and no longer kept, oldest first, at most that many.
    pub async fn unkept_pipelines(&self, keep: Keep, most: u32) -> Result<Vec<PipelineId>, StoreError> {
        const SQL: &str = concat!(
            "SELECT p.id FROM pipelines p JOIN projects q ON q.id = p.project \
             WHERE (p.created_ms < ?1 OR p.number < q.next_pipeline - ?2) \
             AND p.number < q.next_pipeline - 1 AND ",
            is_over!(),
            " ORDER BY p.created_ms, p.id LIMIT ?3"
        );
        let query =
            sqlx::query(SQL).bind(keep.since_ms.unwrap_or(i64::MIN)).bind(int(keep.newest)).bind(most);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| uuid(row, "id").map(PipelineId)).collect()
    }

    /// Whether anything names a content of this digest, in whatever project.
    pub async fn is_named(&self, digest: &Digest) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM artifacts WHERE digest = ?1 AND bundle IS NULL) \
                           OR EXISTS (SELECT 1 FROM bundles WHERE digest = ?1) \
                           OR EXISTS (SELECT 1 FROM layers WHERE digest = ?1) \
                           OR EXISTS (SELECT 1 FROM caches WHERE digest = ?1) \
                           OR EXISTS (SELECT 1 FROM logs WHERE digest = ?1) \
                           OR EXISTS (SELECT 1 FROM pipelines \
                           WHERE json_extract(source, '$.archive.digest') = ?1) AS named";
        let row = sqlx::query(SQL).bind(digest.as_str()).fetch_one(&self.readers).await?;
        Ok(row.try_get("named")?)
    }

    /// Whether the file of a log may still be written to, or has frames that lie nowhere else.
    pub async fn needs_log_file(&self, task: TaskId, step: StepNumber) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM tasks WHERE id = ?1 AND phase <> 'ended') \
                           OR EXISTS (SELECT 1 FROM chunks c JOIN logs l ON l.task = c.task AND l.step = c.step \
                           WHERE c.task = ?1 AND c.step = ?2 AND c.file_offset IS NOT NULL \
                           AND l.digest IS NULL) AS needed";
        let row = sqlx::query(SQL).bind(bytes(&task.0)).bind(step.0).fetch_one(&self.readers).await?;
        Ok(row.try_get("needed")?)
    }

    /// When this store began: files that are older are not its own to remove.
    pub async fn began_ms(&self) -> Result<i64, StoreError> {
        let query =
            sqlx::query("SELECT CAST(value AS INTEGER) AS began FROM settings WHERE name = 'began_ms'");
        Ok(query.fetch_one(&self.readers).await?.try_get("began")?)
    }
}
