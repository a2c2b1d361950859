//! What starts by the clock: workflows of configurations, and schedules that people made; each with the last minute that it
//! was started for.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, json, structure, uuid, word},
};
use protocol::{
    pipeline::Schedule,
    schedule::{Actor, Parameters, Timetable},
};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// A workflow of a branch that starts by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledRow {
    /// Whose.
    pub project: ProjectId,
    /// Of which branch.
    pub branch: String,
    /// Its name, and when.
    pub schedule: Schedule,
    /// When it was first seen.
    pub since_ms: i64,
    /// The last minute that it was started for.
    pub fired_ms: Option<i64>,
}

/// A schedule that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Whose.
    pub project: ProjectId,
    /// As people call it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// When.
    pub timetable: Timetable,
    /// Branch or tag, and pipeline parameters.
    pub parameters: Parameters,
    /// As whose its pipelines count.
    pub actor: Actor,
    /// Who made it, or said as whose its pipelines count.
    pub login: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed; nothing before is due.
    pub updated_ms: i64,
    /// The last minute that it was started for.
    pub fired_ms: Option<i64>,
}

/// What was started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fired {
    /// A workflow of a branch, by its time.
    Workflow {
        /// Whose.
        project: ProjectId,
        /// Of which branch.
        branch: String,
        /// Its name.
        workflow: String,
        /// When.
        cron: String,
    },
    /// A schedule that somebody made.
    Schedule(Uuid),
}

/// In the place of what the branch had; what stays keeps the minute that it was last started for.
pub(crate) fn remember(
    batch: &mut Batch,
    (project, branch): (ProjectId, &str),
    schedules: &[Schedule],
    at_ms: i64,
) {
    const INSERT: &str = "INSERT OR IGNORE INTO scheduled_workflows (project, branch, workflow, cron, since_ms) \
                          VALUES (?, ?, ?, ?, ?)";
    const REMOVE: &str = "DELETE FROM scheduled_workflows WHERE project = ? AND branch = ? AND NOT EXISTS (\
                          SELECT 1 FROM json_each(?) WHERE json_extract(value, '$.workflow') = workflow \
                          AND json_extract(value, '$.cron') = cron)";
    for Schedule { workflow, cron } in schedules {
        batch.statement(INSERT).bind(project.0).bind(branch).bind(workflow).bind(cron).bind(at_ms);
    }
    batch.statement(REMOVE).bind(project.0).bind(branch).bind(json(&schedules));
}

pub(crate) fn forget_project(batch: &mut Batch, project: ProjectId) {
    batch.statement("DELETE FROM scheduled_workflows WHERE project = ?").bind(project.0);
}

/// Never goes back.
pub(crate) fn fired(batch: &mut Batch, what: &Fired, minute_ms: i64) {
    const WORKFLOW: &str = "UPDATE scheduled_workflows SET fired_ms = max(?, coalesce(fired_ms, 0)) \
                            WHERE project = ? AND branch = ? AND workflow = ? AND cron = ?";
    const SCHEDULE: &str = "UPDATE schedules SET fired_ms = max(?, coalesce(fired_ms, 0)) WHERE id = ?";
    match what {
        Fired::Workflow { project, branch, workflow, cron } => {
            let statement = batch.statement(WORKFLOW).bind(minute_ms).bind(project.0);
            statement.bind(branch).bind(workflow).bind(cron);
        }
        Fired::Schedule(id) => {
            batch.statement(SCHEDULE).bind(minute_ms).bind(bytes(id));
        }
    }
}

pub(crate) fn remove(batch: &mut Batch, id: &Uuid) {
    batch.statement("DELETE FROM schedules WHERE id = ?").bind(bytes(id));
}

impl ScheduleRow {
    /// In the place of the one of the same id.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO schedules (id, project, name, description, timetable, parameters, actor, login, \
                           created_ms, updated_ms, fired_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                           ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, \
                           timetable = excluded.timetable, parameters = excluded.parameters, actor = excluded.actor, login = excluded.login, \
                           updated_ms = excluded.updated_ms";
        batch
            .statement(SQL)
            .bind(bytes(&self.id))
            .bind(self.project.0)
            .bind(&self.name)
            .bind(self.description.as_deref())
            .bind(json(&self.timetable))
            .bind(json(&self.parameters))
            .bind(self.actor.as_str())
            .bind(&self.login)
            .bind(self.created_ms)
            .bind(self.updated_ms)
            .bind(self.fired_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            project: ProjectId(row.try_get("project")?),
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            timetable: structure(row, "timetable")?,
            parameters: structure(row, "parameters")?,
            actor: word(row, "actor")?,
            login: row.try_get("login")?,
            created_ms: row.try_get("created_ms")?,
            updated_ms: row.try_get("updated_ms")?,
            fired_ms: row.try_get("fired_ms")?,
        })
    }
}

impl ScheduledRow {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let schedule = Schedule { workflow: row.try_get("workflow")?, cron: row.try_get("cron")? };
        Ok(Self {
            project: ProjectId(row.try_get("project")?),
            branch: row.try_get("branch")?,
            schedule,
            since_ms: row.try_get("since_ms")?,
            fired_ms: row.try_get("fired_ms")?,
        })
    }
}

impl Store {
    /// All workflows that start by the clock, with the names of their projects.
    pub async fn scheduled_workflows(&self) -> Result<Vec<(String, ScheduledRow)>, StoreError> {
        const SQL: &str = "SELECT p.name AS project_name, s.* FROM scheduled_workflows s \
                           JOIN projects p ON p.id = s.project";
        let rows = sqlx::query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("project_name")?, ScheduledRow::read(row)?))).collect()
    }

    /// All schedules that people made, or those of a project, the newest last, with the names of their projects.
    pub async fn schedules(
        &self,
        project: Option<ProjectId>,
    ) -> Result<Vec<(String, ScheduleRow)>, StoreError> {
        const SQL: &str = "SELECT p.name AS project_name, s.* FROM schedules s JOIN projects p ON p.id = s.project \
                           WHERE ? IS NULL OR s.project = ? ORDER BY s.created_ms, s.id";
        let project = project.map(|project| project.0);
        let rows = sqlx::query(SQL).bind(project).bind(project).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("project_name")?, ScheduleRow::read(row)?))).collect()
    }

    /// One of them.
    pub async fn schedule(&self, id: Uuid) -> Result<Option<(String, ScheduleRow)>, StoreError> {
        const SQL: &str = "SELECT p.name AS project_name, s.* FROM schedules s JOIN projects p ON p.id = s.project \
                           WHERE s.id = ?";
        let row = sqlx::query(SQL).bind(bytes(&id)).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((row.try_get("project_name")?, ScheduleRow::read(&row)?))).transpose()
    }
}
