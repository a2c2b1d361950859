//! Whose something is: the project that a pipeline, a workflow, a job, a task, a schedule or a webhook belongs to.

use crate::{Store, StoreError};
use sqlx::Row;
use uuid::Uuid;

/// What belongs to a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// By its own id, or by that of one of its workflows.
    Pipeline(Uuid),
    /// By its id.
    Workflow(Uuid),
    /// By its id.
    Job(Uuid),
    /// By its id.
    Task(Uuid),
    /// By its id.
    Schedule(Uuid),
    /// By its id.
    Webhook(Uuid),
}

impl Store {
    /// The name of the project that something belongs to; none: there is no such thing.
    pub async fn project_of(&self, belonging: Belonging) -> Result<Option<String>, StoreError> {
        const PIPELINE: &str = "SELECT o.name FROM pipelines p JOIN projects o ON o.id = p.project WHERE p.id = \
                                coalesce((SELECT pipeline FROM workflows WHERE id = ?1), ?1)";
        const WORKFLOW: &str = "SELECT o.name FROM workflows w JOIN pipelines p ON p.id = w.pipeline \
                                JOIN projects o ON o.id = p.project WHERE w.id = ?1";
        const JOB: &str = "SELECT o.name FROM jobs j JOIN workflows w ON w.id = j.workflow \
                           JOIN pipelines p ON p.id = w.pipeline JOIN projects o ON o.id = p.project \
                           WHERE j.id = ?1";
        const TASK: &str = "SELECT o.name FROM tasks t JOIN jobs j ON j.id = t.job \
                            JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline \
                            JOIN projects o ON o.id = p.project WHERE t.id = ?1";
        const SCHEDULE: &str =
            "SELECT o.name FROM schedules s JOIN projects o ON o.id = s.project WHERE s.id = ?1";
        const WEBHOOK: &str =
            "SELECT o.name FROM webhooks h JOIN projects o ON o.id = h.project WHERE h.id = ?1";
        let (sql, id) = match belonging {
            Belonging::Pipeline(id) => (PIPELINE, id),
            Belonging::Workflow(id) => (WORKFLOW, id),
            Belonging::Job(id) => (JOB, id),
            Belonging::Task(id) => (TASK, id),
            Belonging::Schedule(id) => (SCHEDULE, id),
            Belonging::Webhook(id) => (WEBHOOK, id),
        };
        let row = sqlx::query(sql).bind(id.as_bytes().as_slice()).fetch_optional(&self.readers).await?;
        row.map(|row| Ok(row.try_get("name")?)).transpose()
    }
}
