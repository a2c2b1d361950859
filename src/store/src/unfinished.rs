//! Tasks that wait for a claim or are held, with the names that people know them by.

use crate::{
    Store, StoreError,
    columns::{count, small, uuid, word},
};
use protocol::{JobId, PipelineId, ResourceClass};
use sqlx::{Row, sqlite::SqliteRow};

/// A task that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedTask {
    /// Its class.
    pub class: ResourceClass,
    /// Its project's name.
    pub project: String,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// That pipeline's number.
    pub number: u64,
    /// Its job.
    pub job: JobId,
    /// That job's name in its workflow.
    pub name: String,
    /// Its place among the job's tasks.
    pub index: u32,
    /// Of how many.
    pub parallelism: u32,
    /// The runner instance that holds it; none: it waits.
    pub runner: Option<String>,
    /// When it was queued.
    pub queued_ms: i64,
    /// When it was claimed, if it is.
    pub claimed_ms: Option<i64>,
}

impl Store {
    /// Those that have waited longest first, at most that many.
    pub async fn unfinished_tasks(&self, most: u32) -> Result<Vec<UnfinishedTask>, StoreError> {
        const SQL: &str = "SELECT j.class, o.name AS project, p.id AS pipeline, p.number, j.id AS job, \
             json_extract(j.definition, '$.name') AS name, t.node_index, \
             (SELECT count(*) FROM tasks s WHERE s.job = j.id) AS parallelism, t.phase, t.runner, t.queued_ms, \
             t.claimed_ms FROM workflows w JOIN pipelines p ON p.id = w.pipeline JOIN projects o ON o.id = p.project \
             JOIN jobs j ON j.workflow = w.id JOIN tasks t ON t.job = j.id \
             WHERE w.status IN ('running', 'failing', 'on_hold') AND t.phase IN ('queued', 'claimed', 'begun') \
             ORDER BY t.queued_ms, t.id LIMIT ?";
        let rows = sqlx::query(SQL).bind(most).fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<UnfinishedTask, StoreError> {
    let (phase, runner): (&str, Option<String>) = (row.try_get("phase")?, row.try_get("runner")?);
    Ok(UnfinishedTask {
        class: word(row, "class")?,
        project: row.try_get("project")?,
        pipeline: PipelineId(uuid(row, "pipeline")?),
        number: count(row, "number")?,
        job: JobId(uuid(row, "job")?),
        name: row.try_get("name")?,
        index: small(row, "node_index")?,
        parallelism: small(row, "parallelism")?,
        // What was given back keeps the name of who had it.
        runner: runner.filter(|_| phase != "queued"),
        queued_ms: row.try_get("queued_ms")?,
        claimed_ms: row.try_get("claimed_ms")?,
    })
}
