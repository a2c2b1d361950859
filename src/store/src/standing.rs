//! Pipelines with as much of their workflows as says how they stand, in one read: long lists look at many.

use crate::{
    PipelineRow, Store, StoreError,
    columns::{bytes, json, structure},
    search::within,
};
use protocol::{Actor, PipelineId, WorkflowId, WorkflowStatus};
use serde::Deserialize;
use sqlx::{Row, sqlite::SqliteRow};

/// Which pipelines are looked for, from the newest on.
#[derive(Clone, Debug)]
pub struct Sought {
    /// Of the projects of these names alone; none: of all.
    pub projects: Option<Vec<String>>,
    /// Of the organizations alone whose projects' names begin with one of these; none: of all.
    pub within: Option<Vec<String>>,
    /// Made by them alone.
    pub by: Option<Actor>,
    /// Of this branch alone.
    pub branch: Option<String>,
    /// Of this commit alone.
    pub revision: Option<String>,
    /// Made then or later.
    pub from_ms: i64,
    /// Made then or before.
    pub to_ms: i64,
    /// Only those that are older than the one made at this time, of this name.
    pub before: Option<(i64, PipelineId)>,
}

impl Sought {
    /// Where the index of times is gone into: none that is younger is wanted.
    pub(crate) fn latest_ms(&self) -> i64 {
        self.before.map_or(self.to_ms, |(time, _)| time.min(self.to_ms))
    }

    /// From projects to their own pipelines, where those are named; otherwise from the newest pipeline on. Which of both
    /// tables leads is said, for what SQLite takes to be few is not.
    pub(crate) fn sql(&self) -> String {
        const OF_THESE: &str = "projects o CROSS JOIN pipelines q ON q.project = o.id \
            WHERE o.name IN (SELECT value FROM json_each(?5)) ";
        const OF_ALL: &str = "pipelines q CROSS JOIN projects o ON o.id = q.project WHERE ?5 IS NULL ";
        const NARROWED: &str = "AND q.created_ms BETWEEN ?1 AND ?2 AND (?3 IS NULL OR (q.created_ms, q.id) < (?3, ?4)) \
            AND (?7 IS NULL OR json_extract(q.git, '$.branch') = ?7) \
            AND (?8 IS NULL OR coalesce(json_extract(q.source, '$.git.revision'), json_extract(q.git, '$.revision')) = ?8) \
            AND (?9 IS NULL OR (json_extract(q.actor, '$.kind') = json_extract(?9, '$.kind') \
            AND json_extract(q.actor, '$.id') IS json_extract(?9, '$.id')))";
        let of = if self.projects.is_some() { OF_THESE } else { OF_ALL };
        let within = within("o.name", "?6");
        format!(
            "{WITH_WORKFLOWS}(SELECT q.*, o.name AS project_name FROM {of} {NARROWED} AND {within} \
             ORDER BY q.created_ms DESC, q.id DESC LIMIT ?10) p ORDER BY p.created_ms DESC, p.id DESC"
        )
    }
}

/// A pipeline and how its workflows stand.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The project's name.
    pub project: String,
    /// Itself.
    pub pipeline: PipelineRow,
    /// By place.
    pub workflows: Vec<StandingWorkflow>,
}

/// How a workflow stands.
#[derive(Clone, Debug, Deserialize)]
pub struct StandingWorkflow {
    /// Its name as an id.
    pub id: WorkflowId,
    /// The run that this one repeats.
    pub of: Option<WorkflowId>,
    /// Among the pipeline's workflows.
    pub place: u32,
    /// In the configuration.
    pub name: String,
    /// Who had it run, where that is not who had the pipeline made.
    pub actor: Option<Actor>,
    /// How it stands.
    pub status: WorkflowStatus,
    /// Whether somebody canceled it.
    pub canceled: bool,
    /// Whether a job of it has begun, those apart that keep the results of an earlier run.
    pub began: bool,
    /// When the last of its jobs that is over ended.
    pub ended_ms: Option<i64>,
}

/// A pipeline `p` with its workflows as JSON.
const WITH_WORKFLOWS: &str = "SELECT p.*, (SELECT json_group_array(json_object('id', lower(hex(w.id)), \
    'of', iif(w.rerun_of IS NULL, NULL, lower(hex(w.rerun_of))), 'place', w.place, 'name', w.name, 'actor', json(w.actor), \
    'status', w.status, 'canceled', json(iif(w.canceled, 'true', 'false')), \
    'began', json(iif(EXISTS (SELECT 1 FROM jobs j WHERE j.workflow = w.id AND j.origin IS NULL \
    AND j.started_ms IS NOT NULL), 'true', 'false')), \
    'ended_ms', (SELECT max(j.ended_ms) FROM jobs j WHERE j.workflow = w.id))) \
    FROM workflows w WHERE w.pipeline = p.id) AS standing FROM ";

impl Standing {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let mut workflows: Vec<StandingWorkflow> = structure(row, "standing")?;
        workflows.sort_by_key(|workflow| workflow.place);
        Ok(Self { project: row.try_get("project_name")?, pipeline: PipelineRow::read(row)?, workflows })
    }
}

impl Store {
    /// The newest of those sought, at most that many.
    pub async fn standing_pipelines(&self, sought: &Sought, most: u32) -> Result<Vec<Standing>, StoreError> {
        let (time, id) = sought.before.map(|(time, id)| (time, bytes(&id.0).to_vec())).unzip();
        let query = sqlx::query(sqlx::AssertSqlSafe(sought.sql())).bind(sought.from_ms);
        let query = query.bind(sought.latest_ms());
        let query = query.bind(time).bind(id).bind(sought.projects.as_ref().map(json));
        let query = query.bind(sought.within.as_ref().map(json)).bind(&sought.branch);
        let query = query.bind(&sought.revision).bind(sought.by.as_ref().map(json)).bind(most);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(Standing::read).collect()
    }

    /// One of them.
    pub async fn standing_pipeline(&self, id: PipelineId) -> Result<Option<Standing>, StoreError> {
        const ONE: &str = "(SELECT q.*, o.name AS project_name FROM pipelines q JOIN projects o ON o.id = q.project \
                           WHERE q.id = ?) p";
        let sql = format!("{WITH_WORKFLOWS}{ONE}");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bytes(&id.0));
        query.fetch_optional(&self.readers).await?.as_ref().map(Standing::read).transpose()
    }
}
