//! Webhooks that projects have sent, their secrets sealed, and what ended and is to be told by them.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, json, optional_uuid, small, structure, uuid, word},
};
use protocol::{JobId, PipelineId, WorkflowId, outgoing::Event};
use sqlx::{Row, sqlite::SqliteRow};
use std::fmt;
use uuid::Uuid;

/// A webhook of a project.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Whose.
    pub project: ProjectId,
    /// As people call it.
    pub name: String,
    /// Of what is told.
    pub events: Vec<Event>,
    /// Who is told.
    pub url: String,
    /// Whether their certificate has to be one that is trusted.
    pub verify_tls: bool,
    /// By which what is told is signed.
    pub sealed: Option<Vec<u8>>,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
}

/// Without its address, which may be a secret too.
impl fmt::Debug for WebhookRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Of which project.
    pub project: ProjectId,
    /// What.
    pub event: Event,
    /// Of which pipeline.
    pub pipeline: PipelineId,
    /// Which workflow, or whose job.
    pub workflow: WorkflowId,
    /// Which job, if it is one.
    pub job: Option<JobId>,
    /// When, in milliseconds since 1970.
    pub made_ms: i64,
}

/// What is due to be told, and by which webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueEvent {
    /// Its place in the order.
    pub id: i64,
    /// By which.
    pub webhook: WebhookRow,
    /// The project's name.
    pub project: String,
    /// What ended.
    pub event: Event,
    /// Of which pipeline.
    pub pipeline: PipelineId,
    /// Which workflow, or whose job.
    pub workflow: WorkflowId,
    /// Which job, if it is one.
    pub job: Option<JobId>,
    /// When.
    pub made_ms: i64,
    /// How often it was tried.
    pub tries: u32,
}

/// An event for each webhook of its project that tells of it.
macro_rules! for_each_webhook {
    ($from:literal, $event:literal) => {
        concat!(
            "INSERT INTO webhook_events (webhook, event, pipeline, workflow, job, made_ms, due_ms, tries) ",
            $from,
            " AND EXISTS (SELECT 1 FROM json_each(h.events) WHERE value = ",
            $event,
            ")"
        )
    };
}

impl EventRow {
    /// If any webhook tells of it; its number is how many do.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str =
            for_each_webhook!("SELECT h.id, ?, ?, ?, ?, ?, 0, 0 FROM webhooks h WHERE h.project = ?", "?");
        batch
            .statement(SQL)
            .bind(self.event.name())
            .bind(bytes(&self.pipeline.0))
            .bind(bytes(&self.workflow.0))
            .bind(self.job.as_ref().map(|job| bytes(&job.0)))
            .bind(self.made_ms)
            .bind(self.project.0)
            .bind(self.event.name());
    }
}

/// A workflow has ended of which nothing else is known.
pub(crate) fn workflow_ended(batch: &mut Batch, workflow: WorkflowId, at_ms: i64) {
    const SQL: &str = for_each_webhook!(
        "SELECT h.id, 'workflow-completed', w.pipeline, w.id, NULL, ?, 0, 0 FROM workflows w JOIN pipelines p \
         ON p.id = w.pipeline JOIN webhooks h ON h.project = p.project WHERE w.id = ?",
        "'workflow-completed'"
    );
    batch.statement(SQL).bind(at_ms).bind(bytes(&workflow.0));
}

/// With what it has not told yet.
pub(crate) fn remove(batch: &mut Batch, id: &Uuid) {
    batch.statement("DELETE FROM webhooks WHERE id = ?").bind(bytes(id));
}

impl WebhookRow {
    /// In the place of the one of the same id.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO webhooks (id, project, name, events, url, verify_tls, sealed, created_ms, updated_ms) \
                           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
                           events = excluded.events, url = excluded.url, verify_tls = excluded.verify_tls, \
                           sealed = excluded.sealed, updated_ms = excluded.updated_ms";
        batch
            .statement(SQL)
            .bind(bytes(&self.id))
            .bind(self.project.0)
            .bind(&self.name)
            .bind(json(&self.events))
            .bind(&self.url)
            .bind(self.verify_tls)
            .bind(self.sealed.as_deref())
            .bind(self.created_ms)
            .bind(self.updated_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            project: ProjectId(row.try_get("project")?),
            name: row.try_get("name")?,
            events: structure(row, "events")?,
            url: row.try_get("url")?,
            verify_tls: row.try_get("verify_tls")?,
            sealed: row.try_get("sealed")?,
            created_ms: row.try_get("created_ms")?,
            updated_ms: row.try_get("updated_ms")?,
        })
    }
}

impl DueEvent {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.try_get("event_id")?,
            webhook: WebhookRow::read(row)?,
            project: row.try_get("project_name")?,
            event: word(row, "event")?,
            pipeline: PipelineId(uuid(row, "pipeline")?),
            workflow: WorkflowId(uuid(row, "workflow")?),
            job: optional_uuid(row, "job")?.map(JobId),
            made_ms: row.try_get("made_ms")?,
            tries: small(row, "tries")?,
        })
    }
}

impl Store {
    /// The webhooks of a project, the oldest first.
    pub async fn webhooks(&self, project: ProjectId) -> Result<Vec<WebhookRow>, StoreError> {
        const SQL: &str = "SELECT * FROM webhooks WHERE project = ? ORDER BY created_ms, id";
        let rows = sqlx::query(SQL).bind(project.0).fetch_all(&self.readers).await?;
        rows.iter().map(WebhookRow::read).collect()
    }

    /// One of them, with its project's name.
    pub async fn webhook(&self, id: Uuid) -> Result<Option<(String, WebhookRow)>, StoreError> {
        const SQL: &str = "SELECT o.name AS project_name, h.* FROM webhooks h JOIN projects o ON o.id = h.project \
                           WHERE h.id = ?";
        let row = sqlx::query(SQL).bind(bytes(&id)).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((row.try_get("project_name")?, WebhookRow::read(&row)?))).transpose()
    }

    /// What is due to be told by now, the oldest first: at most so many, and of each webhook so many.
    pub async fn due_events(
        &self,
        now_ms: i64,
        most: u32,
        of_each: u32,
    ) -> Result<Vec<DueEvent>, StoreError> {
        const SQL: &str = "SELECT h.*, o.name AS project_name, e.id AS event_id, e.event, e.pipeline, e.workflow, e.job, \
                           e.made_ms, e.tries FROM (SELECT *, row_number() OVER (PARTITION BY webhook ORDER BY id) AS place \
                           FROM webhook_events WHERE due_ms <= ?) e JOIN webhooks h ON h.id = e.webhook \
                           JOIN projects o ON o.id = h.project WHERE e.place <= ? ORDER BY e.id LIMIT ?";
        let query = sqlx::query(SQL).bind(now_ms).bind(of_each).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(DueEvent::read).collect()
    }
}
