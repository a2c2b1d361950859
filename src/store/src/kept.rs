//! What tasks stored: artifacts, caches and workspace layers. Their contents lie elsewhere.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, count, digest, int, uuid},
    runs::Part,
};
use protocol::{
    JobId, TaskId,
    transfer::{Artifact, Content},
};
use sqlx::{Row, sqlite::SqliteRow};

/// A cache.
#[derive(Clone, Debug)]
pub struct CacheRow {
    /// Whose.
    pub project: ProjectId,
    /// Immutable once saved.
    pub key: String,
    /// The archive.
    pub content: Content,
    /// When.
    pub saved_ms: i64,
}

/// A cache that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCache {
    /// The whole of it.
    pub key: String,
    /// The archive.
    pub content: Content,
    /// When it was last found or saved, as far as that was noted.
    pub used_ms: i64,
}

/// A workspace layer.
#[derive(Clone, Debug)]
pub struct LayerRow {
    /// Which task persisted it.
    pub task: TaskId,
    /// Orders the layers of one task.
    pub request: u64,
    /// The archive.
    pub content: Content,
}

pub(crate) fn artifact(batch: &mut Batch, task: TaskId, artifact: &Artifact) {
    const SQL: &str = "INSERT INTO artifacts (task, path, digest, size) VALUES (?, ?, ?, ?) \
                       ON CONFLICT (task, path) DO UPDATE SET digest = excluded.digest, size = excluded.size";
    batch
        .statement(SQL)
        .bind(bytes(&task.0))
        .bind(&artifact.path)
        .bind(artifact.content.digest.as_str())
        .bind(int(artifact.content.size));
}

impl CacheRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO caches (project, key, digest, size, saved_ms, used_ms) \
                           VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (project, key) DO NOTHING";
        batch
            .statement(SQL)
            .bind(self.project.0)
            .bind(&self.key)
            .bind(self.content.digest.as_str())
            .bind(int(self.content.size))
            .bind(self.saved_ms)
            .bind(self.saved_ms);
    }
}

impl LayerRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO layers (task, request, digest, size) VALUES (?, ?, ?, ?) \
                           ON CONFLICT (task, request) DO NOTHING";
        batch
            .statement(SQL)
            .bind(bytes(&self.task.0))
            .bind(int(self.request))
            .bind(self.content.digest.as_str())
            .bind(int(self.content.size));
    }
}

fn content(row: &SqliteRow) -> Result<Content, StoreError> {
    Ok(Content { digest: digest(row, "digest")?, size: count(row, "size")? })
}

fn read_artifact(row: &SqliteRow) -> Result<(TaskId, Artifact), StoreError> {
    let artifact = Artifact { path: row.try_get("path")?, content: content(row)? };
    Ok((TaskId(uuid(row, "task")?), artifact))
}

impl Store {
    /// The artifact of a job's task, by the task's index and its path.
    pub async fn artifact_of_job(
        &self,
        job: JobId,
        index: u32,
        path: &str,
    ) -> Result<Option<Artifact>, StoreError> {
        const SQL: &str = "SELECT a.* FROM tasks t JOIN artifacts a ON a.task = t.id \
                           WHERE t.job = ? AND t.node_index = ? AND a.path = ?";
        let query = sqlx::query(SQL).bind(bytes(&job.0)).bind(index).bind(path);
        let row = query.fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(read_artifact).transpose()?.map(|(_, artifact)| artifact))
    }

    /// The cache saved under exactly this key, or else the newest whose key begins with it.
    pub async fn find_cache(
        &self,
        project: ProjectId,
        key: &str,
        exact: bool,
    ) -> Result<Option<FoundCache>, StoreError> {
        // No key has a character after this one, so the range holds all that begin with the key.
        const SQL: &str = "SELECT key, digest, size, used_ms FROM caches WHERE project = ?1 AND key >= ?2 \
                           AND (key = ?2 OR (?3 AND key < ?2 || char(0x10FFFF))) \
                           ORDER BY key = ?2 DESC, saved_ms DESC, key DESC LIMIT 1";
        let query = sqlx::query(SQL).bind(project.0).bind(key).bind(!exact);
        let row = query.fetch_optional(&self.readers).await?;
        let found = |row: &SqliteRow| {
            let (key, used_ms) = (row.try_get("key")?, row.try_get("used_ms")?);
            Ok(FoundCache { key, content: content(row)?, used_ms })
        };
        row.as_ref().map(found).transpose()
    }

    /// The layers that the tasks of one job persisted, by task index and request.
    pub async fn layers_of_job(&self, job: JobId) -> Result<Vec<(u32, Content)>, StoreError> {
        const SQL: &str = "SELECT t.node_index, l.digest, l.size FROM tasks t JOIN layers l ON l.task = t.id WHERE t.job = ? \
                           ORDER BY t.node_index, l.request";
        let rows = sqlx::query(SQL).bind(bytes(&job.0)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("node_index")?, content(row)?))).collect()
    }

    pub(crate) async fn artifacts_of_pipeline(
        &self,
        part: Part,
    ) -> Result<Vec<(TaskId, Artifact)>, StoreError> {
        const SQL: &str = "SELECT a.* FROM workflows w JOIN jobs j ON j.workflow = w.id \
                           JOIN tasks t ON t.job = j.id JOIN artifacts a ON a.task = t.id \
                           WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) ORDER BY a.task, a.path";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(read_artifact).collect()
    }
}
