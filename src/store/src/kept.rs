//! What tasks stored: artifacts, caches and workspace layers. Their contents lie elsewhere.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, count, digest, int, json, uuid},
    runs::Part,
};
use protocol::{
    Digest, JobId, TaskId,
    bundle::Member,
    transfer::{Artifact, Content},
};
use sqlx::{Row, sqlite::SqliteRow};

/// A cache.
#[derive(Clone, Debug)]
pub struct CacheRow {
    /// Whose.
    pub project: ProjectId,
    /// Who shares it: nobody but those of the same trust class; of the project's own it is empty.
    pub trust: String,
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

/// A bundle of artifacts.
#[derive(Clone, Debug)]
pub struct BundleRow {
    /// Which task stored it.
    pub task: TaskId,
    /// The task-agent's number for it.
    pub request: u64,
    /// All of it.
    pub content: Content,
    /// What is in it.
    pub members: Vec<Member>,
}

/// An artifact, and where its bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundArtifact {
    /// The whole of it.
    pub artifact: Artifact,
    /// The bundle it lies in; none: it is a content of its own.
    pub place: Option<BundlePlace>,
}

/// A part of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePlace {
    /// Which.
    pub bundle: Digest,
    /// Where the member's frame begins.
    pub start: u64,
    /// Bytes of the frame.
    pub stored: u64,
}

pub(crate) fn artifact(batch: &mut Batch, task: TaskId, artifact: &Artifact) {
    const SQL: &str = "INSERT INTO artifacts (task, path, digest, size) VALUES (?, ?, ?, ?) \
                       ON CONFLICT (task, path) DO UPDATE SET digest = excluded.digest, size = excluded.size, \
                       bundle = NULL, start = NULL, stored = NULL";
    batch
        .statement(SQL)
        .bind(bytes(&task.0))
        .bind(&artifact.path)
        .bind(artifact.content.digest.as_str())
        .bind(int(artifact.content.size));
}

impl CacheRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO caches (project, trust, key, digest, size, saved_ms, used_ms) \
                           VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, trust, key) DO NOTHING";
        batch
            .statement(SQL)
            .bind(self.project.0)
            .bind(&self.trust)
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

impl BundleRow {
    /// The members in one statement: there are hundreds of them.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const BUNDLE: &str = "INSERT INTO bundles (task, request, digest, size) VALUES (?, ?, ?, ?) \
                              ON CONFLICT (task, request) DO NOTHING";
        const MEMBERS: &str = "INSERT INTO artifacts (task, path, digest, size, bundle, start, stored) \
             SELECT ?, value ->> 'path', value ->> 'digest', value ->> 'size', ?, value ->> 'start', value ->> 'stored' \
             FROM json_each(?) WHERE EXISTS (SELECT 1 FROM bundles WHERE task = ? AND request = ? AND digest = ?) ON CONFLICT (task, path) DO UPDATE SET digest = excluded.digest, \
             size = excluded.size, bundle = excluded.bundle, start = excluded.start, stored = excluded.stored";
        let (task, request) = (bytes(&self.task.0), int(self.request));
        let Content { digest, size } = &self.content;
        batch.statement(BUNDLE).bind(task).bind(request).bind(digest.as_str()).bind(int(*size));
        // Of a repeat: those of another bundle would be looked for in the first.
        let members = batch.statement(MEMBERS).bind(task).bind(request).bind(json(&self.members));
        members.bind(task).bind(request).bind(digest.as_str());
    }
}

fn content(row: &SqliteRow) -> Result<Content, StoreError> {
    Ok(Content { digest: digest(row, "digest")?, size: count(row, "size")? })
}

fn read_artifact(row: &SqliteRow) -> Result<(TaskId, Artifact), StoreError> {
    let artifact = Artifact { path: row.try_get("path")?, content: content(row)? };
    Ok((TaskId(uuid(row, "task")?), artifact))
}

fn read_found(row: &SqliteRow) -> Result<FoundArtifact, StoreError> {
    let (_, artifact) = read_artifact(row)?;
    let place = match row.try_get::<Option<String>, _>("bundle_digest")? {
        None => None,
        Some(_) => {
            let bundle = digest(row, "bundle_digest")?;
            Some(BundlePlace { bundle, start: count(row, "start")?, stored: count(row, "stored")? })
        }
    };
    Ok(FoundArtifact { artifact, place })
}

impl Store {
    /// The artifact of a job's task, by the task's index and its path.
    pub async fn artifact_of_job(
        &self,
        job: JobId,
        index: u32,
        path: &str,
    ) -> Result<Option<FoundArtifact>, StoreError> {
        const SQL: &str = "SELECT a.*, b.digest AS bundle_digest FROM tasks t JOIN artifacts a ON a.task = t.id \
                           LEFT JOIN bundles b ON b.task = a.task AND b.request = a.bundle WHERE t.job = ? AND t.node_index = ? AND a.path = ?";
        let query = sqlx::query(SQL).bind(bytes(&job.0)).bind(index).bind(path);
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(read_found).transpose()
    }

    /// The cache of a project's trust class that was saved under exactly this key, or else the newest whose key begins with it.
    pub async fn find_cache(
        &self,
        (project, trust): (ProjectId, &str),
        key: &str,
        exact: bool,
    ) -> Result<Option<FoundCache>, StoreError> {
        // No key has a character after this one, so the range holds all that begin with the key.
        const SQL: &str = "SELECT key, digest, size, used_ms FROM caches WHERE project = ?1 AND trust = ?4 AND key >= ?2 \
                           AND (key = ?2 OR (?3 AND key < ?2 || char(0x10FFFF))) \
                           ORDER BY key = ?2 DESC, saved_ms DESC, key DESC LIMIT 1";
        let query = sqlx::query(SQL).bind(project.0).bind(key).bind(!exact).bind(trust);
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
