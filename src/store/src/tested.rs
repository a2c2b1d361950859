//! Test results: how many passed, which failed, and where a later run of the same job finds those of its former ones.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, count, int, json, optional_uuid, structure, uuid},
    runs::Part,
};
use protocol::{
    JobId, TaskId,
    api::{MAX_FAILURES, TestCounts},
    former::FailedTest,
    transfer::{TestCase, TestResult},
};
use sqlx::{Row, sqlite::SqliteRow};

/// Test results of one request.
#[derive(Clone, Debug)]
pub struct TestsRow {
    /// Of which task.
    pub task: TaskId,
    /// The task-agent's number for it.
    pub request: u64,
    /// The results.
    pub cases: Vec<TestCase>,
}

/// One request that stored test results, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestUpload {
    task: TaskId,
    request: u64,
}

/// A job by what its former and later runs have in common with it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'n> {
    /// Whose.
    pub project: ProjectId,
    /// In its workflow.
    pub name: &'n str,
    /// Empty where there is none.
    pub branch: &'n str,
}

/// Results of one request as they lie in the store: reading many takes a while.
#[derive(Clone, Debug)]
pub struct Cases(String);

impl Cases {
    /// The results.
    pub fn read(&self) -> Result<Vec<TestCase>, StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::Unreadable {
            column: "cases",
            message: error.to_string().into(),
        };
        serde_json::from_str(&self.0).map_err(unreadable)
    }
}

impl TestsRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT OR REPLACE INTO tests (task, request, passed, failed, skipped, cases, failures) \
                           VALUES (?, ?, ?, ?, ?, ?, ?)";
        if !self.cases.is_empty() {
            name_job(batch, self.task);
        }
        batch
            .statement(SQL)
            .bind(bytes(&self.task.0))
            .bind(int(self.request))
            .bind(self.number(TestResult::Success))
            .bind(self.number(TestResult::Failure))
            .bind(self.number(TestResult::Skipped))
            .bind(json(&self.cases))
            .bind(json(&self.of(TestResult::Failure).map(FailedTest::from).collect::<Vec<_>>()));
    }

    fn of(&self, result: TestResult) -> impl Iterator<Item = &TestCase> {
        self.cases.iter().filter(move |case| case.result == result)
    }

    fn number(&self, result: TestResult) -> i64 {
        int(self.of(result).count() as u64)
    }
}

/// From now on later runs find the task's job.
fn name_job(batch: &mut Batch, task: TaskId) {
    const SQL: &str = "INSERT OR IGNORE INTO tested (project, name, branch, job) \
                       SELECT p.project, json_extract(j.definition, '$.name'), \
                       coalesce(json_extract(p.git, '$.branch'), ''), j.id FROM tasks t JOIN jobs j ON j.id = t.job \
                       JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline WHERE t.id = ?";
    batch.statement(SQL).bind(bytes(&task.0));
}

pub(crate) fn former(batch: &mut Batch, job: JobId, told: &str) {
    const SQL: &str = "INSERT OR IGNORE INTO former (job, told) VALUES (?, ?)";
    batch.statement(SQL).bind(bytes(&job.0)).bind(told);
}

fn read_counts(row: &SqliteRow) -> Result<(TaskId, TestCounts), StoreError> {
    let (passed, failed, skipped) = (count(row, "passed")?, count(row, "failed")?, count(row, "skipped")?);
    Ok((TaskId(uuid(row, "task")?), TestCounts { passed, failed, skipped }))
}

/// When a job was made, as its id says.
fn made_ms(job: JobId) -> i64 {
    let (seconds, nanoseconds) = job.0.get_timestamp().map_or((u64::MAX, 0), |made| made.to_unix());
    int(seconds).saturating_mul(1000).saturating_add(i64::from(nanoseconds / 1_000_000))
}

impl Store {
    /// What a job was told of its former runs, if it asked before.
    pub async fn former(&self, job: JobId) -> Result<Option<String>, StoreError> {
        let query = sqlx::query("SELECT told FROM former WHERE job = ?").bind(bytes(&job.0));
        let row = query.fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("told")).transpose()?)
    }

    /// The jobs of that name on that branch which were over, with results, when this job was made: the newest first.
    pub async fn tested_before(
        &self,
        named: Named<'_>,
        job: JobId,
        most: u32,
    ) -> Result<Vec<JobId>, StoreError> {
        const SQL: &str = "SELECT t.job FROM tested t JOIN jobs j ON j.id = t.job WHERE t.project = ? \
                           AND t.name = ? AND t.branch = ? AND t.job < ? AND j.ended_ms <= ? \
                           ORDER BY t.job DESC LIMIT ?";
        let query = sqlx::query(SQL).bind(named.project.0).bind(named.name).bind(named.branch);
        let query = query.bind(bytes(&job.0)).bind(made_ms(job)).bind(most);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| uuid(row, "job").map(JobId)).collect()
    }

    /// The results of a job, request by request, up to that many bytes.
    pub async fn cases_of_job(&self, job: JobId, most: u64) -> Result<Vec<Cases>, StoreError> {
        const SQL: &str = "SELECT cases FROM (SELECT r.cases, sum(octet_length(r.cases)) OVER (ORDER BY t.node_index, \
                           r.request) AS reached FROM tasks t JOIN tests r ON r.task = t.id WHERE t.job = ?) \
                           WHERE reached <= ?";
        let rows = sqlx::query(SQL).bind(bytes(&job.0)).bind(int(most)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(Cases(row.try_get("cases")?))).collect()
    }

    /// What stored test results of a job, in the order of its tasks and of their requests.
    pub async fn test_uploads(&self, job: JobId) -> Result<Vec<TestUpload>, StoreError> {
        const SQL: &str = "SELECT r.task, r.request FROM tasks t JOIN tests r ON r.task = t.id \
                           WHERE t.job = ? ORDER BY t.node_index, r.request";
        let rows = sqlx::query(SQL).bind(bytes(&job.0)).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| Ok(TestUpload { task: TaskId(uuid(row, "task")?), request: count(row, "request")? }))
            .collect()
    }

    /// The results that one of them stored, if they are still there.
    pub async fn cases_of(&self, upload: TestUpload) -> Result<Option<Cases>, StoreError> {
        let query = sqlx::query("SELECT cases FROM tests WHERE task = ? AND request = ?");
        let query = query.bind(bytes(&upload.task.0)).bind(int(upload.request));
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| Ok(Cases(row.try_get("cases")?))).transpose()
    }

    /// The failed tests that a job runs again, if it is one that runs nothing else.
    pub async fn failed_again(&self, job: JobId) -> Result<Option<Vec<FailedTest>>, StoreError> {
        let query = sqlx::query("SELECT failed_of FROM jobs WHERE id = ?").bind(bytes(&job.0));
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        match optional_uuid(&row, "failed_of")? {
            Some(of) => self.failures_of_job(JobId(of)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether failed tests are all that a job failed of: each of its tasks that did not succeed has stored some.
    pub async fn failed_of_tests(&self, job: JobId) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT count(*) AS failed, coalesce(sum(t.outcome = 'failed' AND EXISTS \
                           (SELECT 1 FROM tests r WHERE r.task = t.id AND r.failed > 0)), 0) AS of_tests \
                           FROM tasks t WHERE t.job = ? AND t.outcome IS NOT 'success'";
        let row = sqlx::query(SQL).bind(bytes(&job.0)).fetch_one(&self.readers).await?;
        let (failed, of_tests) = (count(&row, "failed")?, count(&row, "of_tests")?);
        Ok(failed > 0 && failed == of_tests)
    }

    /// All failed tests of a job.
    pub async fn failures_of_job(&self, job: JobId) -> Result<Vec<FailedTest>, StoreError> {
        const SQL: &str = "SELECT r.failures FROM tasks t JOIN tests r ON r.task = t.id \
                           WHERE t.job = ? AND r.failed > 0 ORDER BY t.node_index, r.request";
        let rows = sqlx::query(SQL).bind(bytes(&job.0)).fetch_all(&self.readers).await?;
        let lists = rows.iter().map(|row| structure::<Vec<FailedTest>>(row, "failures"));
        Ok(lists.collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(crate) async fn tests_of_pipeline(
        &self,
        part: Part,
    ) -> Result<Vec<(TaskId, TestCounts)>, StoreError> {
        const SQL: &str = "SELECT r.task, sum(r.passed) AS passed, sum(r.failed) AS failed, \
                           sum(r.skipped) AS skipped FROM workflows w JOIN jobs j ON j.workflow = w.id \
                           JOIN tasks t ON t.job = j.id JOIN tests r ON r.task = t.id \
                           WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) GROUP BY r.task";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(read_counts).collect()
    }

    /// Of each request as many as one view shows.
    pub(crate) async fn failures_of_pipeline(
        &self,
        part: Part,
    ) -> Result<Vec<(TaskId, Vec<FailedTest>)>, StoreError> {
        const SQL: &str = "SELECT r.task, (SELECT json_group_array(json(f.value)) FROM (SELECT value \
                           FROM json_each(r.failures) LIMIT ?3) f) AS failures FROM workflows w \
                           JOIN jobs j ON j.workflow = w.id JOIN tasks t ON t.job = j.id \
                           JOIN tests r ON r.task = t.id WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) \
                           AND r.failed > 0 ORDER BY r.task, r.request";
        let rows = part.query(SQL).bind(int(MAX_FAILURES as u64)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((TaskId(uuid(row, "task")?), structure(row, "failures")?))).collect()
    }
}
