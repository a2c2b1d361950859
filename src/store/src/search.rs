//! Pipelines and jobs, found by what people call them: their project, their number, their branch.

use crate::{
    PipelineRow, ProjectId, Store, StoreError,
    columns::{bytes, int, json, structure, uuid},
};
use protocol::{Actor, JobId, PipelineId, transfer::TestCase};
use sqlx::Row;

/// Up to so many projects lead to their pipelines, and all that these have is sorted. Those of more are soon found among the
/// newest of all.
const FEW: u32 = 100;

/// Which pipelines are looked for, from the newest on.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'w> {
    /// Of this project alone.
    pub project: Option<&'w str>,
    /// Of projects whose names begin like this.
    pub begins: Option<&'w str>,
    /// Of the organizations alone whose projects' names begin with one of these; none: of all.
    pub within: Option<Vec<String>>,
    /// Of this branch alone.
    pub branch: Option<&'w str>,
    /// Made by them alone.
    pub by: Option<&'w Actor>,
    /// Only those that are older than the one made at this time, of this name.
    pub before: Option<(i64, PipelineId)>,
}

/// That a name begins like one of the texts of this parameter and goes on by one part; or that there is no such parameter.
pub(crate) fn within(name: &str, parameter: &str) -> String {
    format!(
        "({parameter} IS NULL OR EXISTS (SELECT 1 FROM json_each({parameter}) b \
         WHERE substr({name}, 1, length(b.value)) = b.value \
         AND instr(substr({name}, length(b.value) + 1), '/') = 0))"
    )
}

impl Wanted<'_> {
    /// From a project, or from these few, to its own pipelines, or from the newest pipeline on: which of both tables leads is
    /// said, as is that none is younger than the cursor, which SQLite does not see by itself.
    pub(crate) fn sql(&self, few: Option<&[ProjectId]>) -> String {
        const OF_ONE: &str =
            "projects j CROSS JOIN pipelines p ON p.project = j.id WHERE j.name = ?1 AND ?9 IS NULL ";
        const OF_FEW: &str = "projects j CROSS JOIN pipelines p ON p.project = j.id \
            WHERE j.id IN (SELECT value FROM json_each(?9)) AND ?1 IS NULL ";
        const OF_ALL: &str =
            "pipelines p CROSS JOIN projects j ON j.id = p.project WHERE ?1 IS NULL AND ?9 IS NULL ";
        const NARROWED: &str = "AND p.created_ms <= ?3 AND (?4 IS NULL OR (p.created_ms, p.id) < (?3, ?4)) \
            AND (?2 IS NULL OR json_extract(p.git, '$.branch') = ?2) \
            AND (?5 IS NULL OR substr(j.name, 1, length(?5)) = ?5) \
            AND (?8 IS NULL OR (json_extract(p.actor, '$.kind') = json_extract(?8, '$.kind') \
            AND json_extract(p.actor, '$.id') IS json_extract(?8, '$.id')))";
        let of = match (self.project, few) {
            (Some(_), _) => OF_ONE,
            (None, Some(_)) => OF_FEW,
            (None, None) => OF_ALL,
        };
        let within = within("j.name", "?7");
        format!(
            "SELECT p.*, j.name AS project_name FROM {of} {NARROWED} AND {within} \
             ORDER BY p.created_ms DESC, p.id DESC LIMIT ?6"
        )
    }
}

impl Store {
    /// The newest pipelines of those wanted with their projects' names, at most that many.
    pub async fn pipelines(
        &self,
        wanted: Wanted<'_>,
        most: u32,
    ) -> Result<Vec<(String, PipelineRow)>, StoreError> {
        let few = self.few_projects(&wanted).await?;
        if few.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let (time, id) = wanted.before.map(|(time, id)| (time, bytes(&id.0).to_vec())).unzip();
        let query = sqlx::query(sqlx::AssertSqlSafe(wanted.sql(few.as_deref()))).bind(wanted.project);
        let query = query.bind(wanted.branch).bind(time.unwrap_or(i64::MAX)).bind(id);
        let query = query.bind(wanted.begins).bind(most).bind(wanted.within.as_ref().map(json));
        let few = few.map(|few| json(&few.iter().map(|project| project.0).collect::<Vec<_>>()));
        let rows = query.bind(wanted.by.map(json)).bind(few).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("project_name")?, PipelineRow::read(row)?))).collect()
    }

    /// The projects that a list of several is narrowed to; none: it is of one, of all, or of many.
    pub(crate) async fn few_projects(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Vec<ProjectId>>, StoreError> {
        if wanted.project.is_some() || (wanted.within.is_none() && wanted.begins.is_none()) {
            return Ok(None);
        }
        let within = within("name", "?1");
        let sql = format!(
            "SELECT id FROM projects WHERE {within} AND (?2 IS NULL OR substr(name, 1, length(?2)) = ?2) LIMIT ?3"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(wanted.within.as_ref().map(json));
        let rows = query.bind(wanted.begins).bind(FEW + 1).fetch_all(&self.readers).await?;
        if rows.len() > FEW as usize {
            return Ok(None);
        }
        let projects =
            rows.iter().map(|row| Ok(ProjectId(row.try_get("id")?))).collect::<Result<_, StoreError>>()?;
        Ok(Some(projects))
    }

    /// The pipeline of this number in its project.
    pub async fn pipeline_by_number(
        &self,
        project: &str,
        number: u64,
    ) -> Result<Option<PipelineId>, StoreError> {
        const SQL: &str = "SELECT p.id FROM pipelines p JOIN projects j ON j.id = p.project \
                           WHERE j.name = ? AND p.number = ?";
        let row = sqlx::query(SQL).bind(project).bind(int(number)).fetch_optional(&self.readers).await?;
        row.map(|row| uuid(&row, "id").map(PipelineId)).transpose()
    }

    /// The job of this number in its project, and its pipeline: where reruns have kept it, the one that ran.
    pub async fn job_by_number(
        &self,
        project: &str,
        number: u64,
    ) -> Result<Option<(JobId, PipelineId)>, StoreError> {
        const SQL: &str = "SELECT j.id, w.pipeline FROM jobs j JOIN workflows w ON w.id = j.workflow \
                           JOIN pipelines p ON p.id = w.pipeline JOIN projects o ON o.id = p.project \
                           WHERE j.number = ? AND j.origin IS NULL AND o.name = ?";
        let row = sqlx::query(SQL).bind(int(number)).bind(project).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((JobId(uuid(&row, "id")?), PipelineId(uuid(&row, "pipeline")?)))).transpose()
    }

    /// Test results of a job in the order in which its tasks stored them: as many as this, behind so many others.
    pub async fn test_cases(&self, job: JobId, behind: u64, most: u32) -> Result<Vec<TestCase>, StoreError> {
        const SQL: &str = "SELECT json(c.value) AS test FROM tasks t JOIN tests r ON r.task = t.id \
                           JOIN json_each(r.cases) c WHERE t.job = ? \
                           ORDER BY t.node_index, r.request, c.key LIMIT ? OFFSET ?";
        let query = sqlx::query(SQL).bind(bytes(&job.0)).bind(most).bind(int(behind));
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| structure(row, "test")).collect()
    }

    /// Reads something: whether it can be read at all.
    pub async fn answers(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM projects LIMIT 1").fetch_optional(&self.readers).await?;
        Ok(())
    }

    /// Whether there is a project of this name.
    pub async fn has_project(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.project(name).await?.is_some())
    }

    /// The projects that were made behind this one, oldest first, at most that many: none is ever taken away.
    pub async fn projects_behind(
        &self,
        last: Option<ProjectId>,
        most: u32,
    ) -> Result<Vec<(ProjectId, String)>, StoreError> {
        const SQL: &str = "SELECT id, name FROM projects WHERE id > ? ORDER BY id LIMIT ?";
        let query = sqlx::query(SQL).bind(last.map_or(0, |last| last.0)).bind(most);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((ProjectId(row.try_get("id")?), row.try_get("name")?))).collect()
    }

    /// The names of the projects of those organizations whose projects' names begin with one of these, or of all; at most that
    /// many.
    pub async fn projects_within(
        &self,
        begins: Option<Vec<String>>,
        most: u32,
    ) -> Result<Vec<String>, StoreError> {
        let sql = format!("SELECT name FROM projects WHERE {} ORDER BY name LIMIT ?2", within("name", "?1"));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(begins.as_ref().map(json)).bind(most);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
    }

    /// The names of projects that begin like this, at most that many.
    pub async fn projects(&self, begin: &str, most: u32) -> Result<Vec<String>, StoreError> {
        const SQL: &str =
            "SELECT name FROM projects WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT ?2";
        let rows = sqlx::query(SQL).bind(begin).bind(most).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
    }
}
