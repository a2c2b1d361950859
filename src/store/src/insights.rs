//! What became of a project's workflows and jobs over time: their runs, and tests that said both things of one revision.

use crate::{
    Store, StoreError,
    columns::{bytes, count, int, json, structure, uuid, word},
};
use protocol::{JobId, JobStatus, PipelineId, WorkflowId, WorkflowStatus, former::FailedTest};
use sqlx::{Row, sqlite::SqliteRow};

/// Which runs are looked at: of one project, the newest first.
#[derive(Clone, Copy, Debug)]
pub struct Past<'p> {
    /// Its name.
    pub project: &'p str,
    /// Of workflows of this name alone.
    pub workflow: Option<&'p str>,
    /// Of this branch alone.
    pub branch: Option<&'p str>,
    /// Of pipelines made from then on.
    pub since_ms: i64,
    /// At most so many.
    pub most: u32,
}

/// A run of a workflow that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRun {
    /// Which.
    pub id: WorkflowId,
    /// Its name in the configuration.
    pub name: String,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// That pipeline's number.
    pub number: u64,
    /// Where there is one.
    pub branch: Option<String>,
    /// How it ended.
    pub status: WorkflowStatus,
    /// When its first job began, or its pipeline was made.
    pub started_ms: i64,
    /// When its last job ended.
    pub ended_ms: i64,
    /// Of its tests that ran.
    pub passed: u64,
    /// Of its tests.
    pub failed: u64,
    /// Of its tests.
    pub skipped: u64,
}

/// A run of a job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// Which.
    pub id: JobId,
    /// Its name in its workflow.
    pub name: String,
    /// Its number in the project.
    pub number: u64,
    /// How it ended.
    pub status: JobStatus,
    /// When its first task was claimed.
    pub started_ms: i64,
    /// When its last task ended.
    pub ended_ms: i64,
}

/// A job of which tests failed, by what tells that another run had the same to test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// Which.
    pub id: JobId,
    /// Its name in its workflow.
    pub name: String,
    /// Its number in the project.
    pub number: u64,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// That workflow's name.
    pub workflow_name: String,
    /// Its pipeline's number.
    pub pipeline_number: u64,
    /// When its pipeline was made.
    pub created_ms: i64,
    /// What was checked out.
    pub revision: String,
    /// What failed, without what the reports said of it.
    pub failures: Vec<FailedTest>,
}

/// Where else a test may have passed: in other runs of the same job on the same revision.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere<'e> {
    /// The project's name.
    pub project: &'e str,
    /// What was checked out.
    pub revision: &'e str,
    /// The job's name in its workflow.
    pub name: &'e str,
    /// The run that is not meant.
    pub job: JobId,
}

/// Of runs that are over, by project, workflow, branch and time.
const WANTED: &str = "o.name = ?1 AND (?2 IS NULL OR w.name = ?2) AND (?3 IS NULL OR json_extract(p.git, '$.branch') = ?3) \
                      AND p.created_ms >= ?4 AND w.status IN ('success', 'failed', 'canceled')";

impl Store {
    /// Runs of workflows.
    pub async fn workflow_runs(&self, past: Past<'_>) -> Result<Vec<WorkflowRun>, StoreError> {
        let [passed, failed, skipped] = ["passed", "failed", "skipped"].map(|result| {
            format!(
                "(SELECT coalesce(sum(r.{result}), 0) FROM jobs k JOIN tasks t ON t.job = k.id \
                 JOIN tests r ON r.task = t.id WHERE k.workflow = w.id AND k.origin IS NULL)"
            )
        });
        let sql = format!(
            "SELECT w.id, w.name, w.status, p.id AS pipeline, p.number, json_extract(p.git, '$.branch') AS branch, \
             coalesce(min(j.started_ms), p.created_ms) AS started, \
             coalesce(max(j.ended_ms), min(j.started_ms), p.created_ms) AS ended, \
             {passed} AS passed, {failed} AS failed, {skipped} AS skipped \
             FROM projects o JOIN pipelines p ON p.project = o.id JOIN workflows w ON w.pipeline = p.id \
             JOIN jobs j ON j.workflow = w.id AND j.origin IS NULL \
             WHERE {WANTED} GROUP BY w.id ORDER BY started DESC, w.id DESC LIMIT ?5"
        );
        let rows = self.past(&sql, past).await?;
        rows.iter().map(workflow_run).collect()
    }

    /// Runs of jobs.
    pub async fn job_runs(&self, past: Past<'_>) -> Result<Vec<JobRun>, StoreError> {
        let sql = format!(
            "SELECT j.id, j.number, json_extract(j.definition, '$.name') AS name, j.status, j.started_ms AS started, \
             j.ended_ms AS ended FROM projects o JOIN pipelines p ON p.project = o.id \
             JOIN workflows w ON w.pipeline = p.id JOIN jobs j ON j.workflow = w.id AND j.origin IS NULL \
             WHERE {WANTED} AND j.started_ms IS NOT NULL AND j.ended_ms IS NOT NULL AND \
             EXISTS (SELECT 1 FROM tasks t WHERE t.job = j.id) ORDER BY started DESC, j.id DESC LIMIT ?5"
        );
        let rows = self.past(&sql, past).await?;
        rows.iter().map(job_run).collect()
    }

    /// Jobs of which tests failed and whose revision is known.
    pub async fn failed_runs(&self, past: Past<'_>) -> Result<Vec<FailedRun>, StoreError> {
        let sql = format!(
            "SELECT j.id, j.number, json_extract(j.definition, '$.name') AS name, w.id AS workflow, \
             w.name AS workflow_name, p.number AS pipeline_number, p.created_ms, \
             json_extract(p.git, '$.revision') AS revision, \
             (SELECT json_group_array(json_remove(f.value, '$.message')) FROM tasks t JOIN tests r ON r.task = t.id \
             JOIN json_each(r.failures) f WHERE t.job = j.id) AS failures \
             FROM projects o JOIN pipelines p ON p.project = o.id JOIN workflows w ON w.pipeline = p.id \
             JOIN jobs j ON j.workflow = w.id AND j.origin IS NULL \
             WHERE {WANTED} AND json_extract(p.git, '$.revision') IS NOT NULL AND EXISTS \
             (SELECT 1 FROM tasks t JOIN tests r ON r.task = t.id WHERE t.job = j.id AND r.failed > 0) \
             ORDER BY p.created_ms DESC, j.id DESC LIMIT ?5"
        );
        let rows = self.past(&sql, past).await?;
        rows.iter().map(failed_run).collect()
    }

    /// Which of these failed tests passed elsewhere. What passed is read once, not for each of them.
    pub async fn passed_elsewhere(
        &self,
        failures: &[FailedTest],
        elsewhere: Elsewhere<'_>,
    ) -> Result<Vec<FailedTest>, StoreError> {
        const SQL: &str = "WITH passed AS MATERIALIZED (SELECT DISTINCT \
             json_extract(c.value, '$.classname') AS classname, json_extract(c.value, '$.name') AS name \
             FROM projects o JOIN pipelines p ON p.project = o.id JOIN workflows w ON w.pipeline = p.id \
             JOIN jobs j ON j.workflow = w.id AND j.origin IS NULL JOIN tasks t ON t.job = j.id \
             JOIN tests r ON r.task = t.id JOIN json_each(r.cases) c \
             WHERE o.name = ?2 AND json_extract(p.git, '$.revision') = ?3 \
             AND json_extract(j.definition, '$.name') = ?4 AND j.id <> ?5 \
             AND json_extract(c.value, '$.result') = 'success') \
             SELECT DISTINCT json_extract(f.value, '$.classname') AS classname, \
             json_extract(f.value, '$.name') AS name, json_extract(f.value, '$.file') AS file \
             FROM json_each(?1) f WHERE (json_extract(f.value, '$.classname'), json_extract(f.value, '$.name')) \
             IN (SELECT classname, name FROM passed)";
        let Elsewhere { project, revision, name, job } = elsewhere;
        let query = sqlx::query(SQL).bind(json(&failures)).bind(project).bind(revision).bind(name);
        let rows = query.bind(bytes(&job.0)).fetch_all(&self.readers).await?;
        rows.iter().map(passed).collect()
    }

    /// The branches of a project's pipelines since then.
    pub async fn branches(&self, project: &str, since_ms: i64) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT DISTINCT json_extract(p.git, '$.branch') AS branch FROM pipelines p \
                           JOIN projects o ON o.id = p.project WHERE o.name = ? AND p.created_ms >= ? \
                           AND branch IS NOT NULL ORDER BY branch LIMIT 1000";
        let rows = sqlx::query(SQL).bind(project).bind(since_ms).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get("branch")?)).collect()
    }

    async fn past(&self, sql: &str, past: Past<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(past.project).bind(past.workflow);
        let query = query.bind(past.branch).bind(past.since_ms).bind(int(u64::from(past.most)));
        Ok(query.fetch_all(&self.readers).await?)
    }
}

fn workflow_run(row: &SqliteRow) -> Result<WorkflowRun, StoreError> {
    Ok(WorkflowRun {
        id: WorkflowId(uuid(row, "id")?),
        name: row.try_get("name")?,
        pipeline: PipelineId(uuid(row, "pipeline")?),
        number: count(row, "number")?,
        branch: row.try_get("branch")?,
        status: word(row, "status")?,
        started_ms: row.try_get("started")?,
        ended_ms: row.try_get("ended")?,
        passed: count(row, "passed")?,
        failed: count(row, "failed")?,
        skipped: count(row, "skipped")?,
    })
}

fn job_run(row: &SqliteRow) -> Result<JobRun, StoreError> {
    Ok(JobRun {
        id: JobId(uuid(row, "id")?),
        name: row.try_get("name")?,
        number: count(row, "number")?,
        status: word(row, "status")?,
        started_ms: row.try_get("started")?,
        ended_ms: row.try_get("ended")?,
    })
}

fn failed_run(row: &SqliteRow) -> Result<FailedRun, StoreError> {
    Ok(FailedRun {
        id: JobId(uuid(row, "id")?),
        name: row.try_get("name")?,
        number: count(row, "number")?,
        workflow: WorkflowId(uuid(row, "workflow")?),
        workflow_name: row.try_get("workflow_name")?,
        pipeline_number: count(row, "pipeline_number")?,
        created_ms: row.try_get("created_ms")?,
        revision: row.try_get("revision")?,
        failures: structure(row, "failures")?,
    })
}

fn passed(row: &SqliteRow) -> Result<FailedTest, StoreError> {
    Ok(FailedTest {
        classname: row.try_get("classname")?,
        name: row.try_get("name")?,
        file: row.try_get("file")?,
        message: None,
    })
}
