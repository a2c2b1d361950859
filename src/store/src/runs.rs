//! Projects, pipelines, workflows and jobs.

use crate::{
    LogRow, StepRow, Store, StoreError, TaskRow, Wanted,
    batch::Batch,
    columns::{bytes, count, int, json, optional_structure, optional_uuid, small, structure, uuid, word},
};
use protocol::{
    Actor, JobId, JobStatus, PipelineId, PipelineState, ResourceClass, TaskId, WorkflowId, WorkflowStatus,
    api::{GitValues, Reruns, TestCounts},
    former::FailedTest,
    pipeline::Job,
    task::Source,
    transfer::Artifact,
};
use sqlx::{
    Row, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

/// A project's key in this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub i64);

/// A pipeline.
#[derive(Clone, Debug)]
pub struct PipelineRow {
    /// Its name.
    pub id: PipelineId,
    /// What it belongs to.
    pub project: ProjectId,
    /// Counts within its project.
    pub number: u64,
    /// When it was made.
    pub created_ms: i64,
    /// Who had it made.
    pub actor: Actor,
    /// What `checkout` brings.
    pub source: Source,
    /// Of its commit.
    pub git: GitValues,
    /// What is known of its workflows.
    pub state: PipelineState,
    /// Why it errored.
    pub errors: Vec<String>,
    /// SHA-256 of the call that continued it.
    pub continued: Option<[u8; 32]>,
}

/// A workflow.
#[derive(Clone, Debug)]
pub struct WorkflowRow {
    /// Its name as an id.
    pub id: WorkflowId,
    /// Of which pipeline.
    pub pipeline: PipelineId,
    /// Among the pipeline's workflows.
    pub place: u32,
    /// In the configuration.
    pub name: String,
    /// How it stands.
    pub status: WorkflowStatus,
    /// Whether somebody canceled it.
    pub canceled: bool,
    /// Whether it runs another one again.
    pub reruns: Reruns,
    /// Who had it run, where that is not who had the pipeline made.
    pub actor: Option<Actor>,
    /// Whether its jobs have the key to continue the pipeline.
    pub setup: bool,
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its name as an id.
    pub id: JobId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Among the workflow's jobs.
    pub place: u32,
    /// The job of an earlier run that has its results; its number is that one's.
    pub origin: Option<JobId>,
    /// The job of an earlier run whose failed tests alone it runs again.
    pub failed_of: Option<JobId>,
    /// Counts within its project.
    pub number: u64,
    /// Where its tasks go, if it is any.
    pub class: Option<ResourceClass>,
    /// As compiled.
    pub definition: Job,
    /// How it stands.
    pub status: JobStatus,
    /// Of its first claim, or of the moment from which it waited for an approval.
    pub started_ms: Option<i64>,
    /// Of its end.
    pub ended_ms: Option<i64>,
    /// Who approved it, as they are called.
    pub approved_by: Option<String>,
    /// The same, as far as they are known.
    pub answered_by: Option<Actor>,
    /// Of the moment from which it waited for its turn in its serial group.
    pub waits_ms: Option<i64>,
    /// Why it stands so, where its status says too little.
    pub reason: Option<String>,
}

/// A workflow that is not over, with all that its engine needs.
#[derive(Debug)]
pub struct LiveWorkflow {
    /// The project's name.
    pub project: String,
    /// Its pipeline.
    pub pipeline: PipelineRow,
    /// The pipeline's sealed variables.
    pub sealed: Vec<u8>,
    /// Itself.
    pub workflow: WorkflowRow,
    /// The first run of the same workflow.
    pub first: WorkflowId,
    /// By place.
    pub jobs: Vec<JobRow>,
    /// By job and index.
    pub tasks: Vec<TaskRow>,
}

/// All of a pipeline that a view of it shows.
#[derive(Debug)]
pub struct PipelineRows {
    /// The project's name.
    pub project: String,
    /// Itself.
    pub pipeline: PipelineRow,
    /// By place.
    pub workflows: Vec<WorkflowRow>,
    /// By workflow and place.
    pub jobs: Vec<JobRow>,
    /// By index.
    pub tasks: Vec<TaskRow>,
    /// By number.
    pub steps: Vec<StepRow>,
    /// Those with any byte.
    pub logs: Vec<LogRow>,
    /// By path.
    pub artifacts: Vec<(TaskId, Artifact)>,
    /// Of tasks that have any.
    pub tests: Vec<(TaskId, TestCounts)>,
    /// Of tasks that have any, the first that failed.
    pub failures: Vec<(TaskId, Vec<FailedTest>)>,
}

/// A pipeline, or one job of it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pipeline: PipelineId,
    job: Option<JobId>,
}

impl Part {
    /// A query for rows of this pipeline (`?1`) and, if it is not null, this job (`?2`).
    pub(crate) fn query(self, sql: &'static str) -> Query<'static, Sqlite, SqliteArguments> {
        let job = self.job.map(|job| bytes(&job.0).to_vec());
        sqlx::query(sql).bind(bytes(&self.pipeline.0).to_vec()).bind(job)
    }
}

pub(crate) fn project(batch: &mut Batch, name: &str) {
    const SQL: &str =
        "INSERT INTO projects (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id";
    batch.statement(SQL).bind(name);
}

pub(crate) fn new_project(batch: &mut Batch, name: &str) {
    batch.statement("INSERT INTO projects (name) VALUES (?) ON CONFLICT (name) DO NOTHING").bind(name);
}

pub(crate) fn next_numbers(batch: &mut Batch, project: ProjectId, pipeline: u64, job: u64) {
    let query = batch.statement("UPDATE projects SET next_pipeline = ?, next_job = ? WHERE id = ?");
    query.bind(int(pipeline)).bind(int(job)).bind(project.0);
}

impl PipelineRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO pipelines (id, project, number, created_ms, actor, source, git, state, \
                           errors) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id.0))
            .bind(self.project.0)
            .bind(int(self.number))
            .bind(self.created_ms)
            .bind(json(&self.actor))
            .bind(json(&self.source))
            .bind(json(&self.git))
            .bind(self.state.to_string())
            .bind(json(&self.errors));
    }

    pub(crate) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: PipelineId(uuid(row, "id")?),
            project: ProjectId(row.try_get("project")?),
            number: count(row, "number")?,
            created_ms: row.try_get("created_ms")?,
            actor: structure(row, "actor")?,
            source: structure(row, "source")?,
            git: structure(row, "git")?,
            state: word(row, "state")?,
            errors: structure(row, "errors")?,
            continued: row.try_get::<Option<&[u8]>, _>("continued")?.and_then(|hash| hash.try_into().ok()),
        })
    }
}

pub(crate) fn pipeline_state(
    batch: &mut Batch,
    pipeline: PipelineId,
    state: PipelineState,
    errors: &[String],
    continued: &[u8; 32],
) {
    let query = batch.statement("UPDATE pipelines SET state = ?, errors = ?, continued = ? WHERE id = ?");
    query.bind(state.to_string()).bind(json(&errors)).bind(continued.as_slice()).bind(bytes(&pipeline.0));
}

impl WorkflowRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO workflows (id, pipeline, place, name, status, canceled, rerun_of, auto_rerun, \
                           max_auto_reruns, actor, setup) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id.0))
            .bind(bytes(&self.pipeline.0))
            .bind(self.place)
            .bind(&self.name)
            .bind(self.status.to_string())
            .bind(self.canceled)
            .bind(self.reruns.of.as_ref().map(|of| bytes(&of.0)))
            .bind(self.reruns.automatic)
            .bind(self.reruns.most)
            .bind(self.actor.as_ref().map(json))
            .bind(self.setup);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkflowId(uuid(row, "id")?),
            pipeline: PipelineId(uuid(row, "pipeline")?),
            place: small(row, "place")?,
            name: row.try_get("name")?,
            status: word(row, "status")?,
            canceled: row.try_get("canceled")?,
            reruns: Reruns {
                of: optional_uuid(row, "rerun_of")?.map(WorkflowId),
                automatic: small(row, "auto_rerun")?,
                most: small(row, "max_auto_reruns")?,
            },
            actor: optional_structure(row, "actor")?,
            setup: row.try_get("setup")?,
        })
    }
}

pub(crate) fn workflow_status(batch: &mut Batch, id: WorkflowId, status: WorkflowStatus) {
    let query = batch.statement("UPDATE workflows SET status = ? WHERE id = ?");
    query.bind(status.to_string()).bind(bytes(&id.0));
}

pub(crate) fn workflow_canceled(batch: &mut Batch, id: WorkflowId) {
    let query = batch.statement("UPDATE workflows SET canceled = 1 WHERE id = ?");
    query.bind(bytes(&id.0));
}

impl JobRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO jobs (id, workflow, place, origin, failed_of, number, class, definition, \
                           status, started_ms, ended_ms, approved_by, answered_by, waits_ms, reason) \
                           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id.0))
            .bind(bytes(&self.workflow.0))
            .bind(self.place)
            .bind(self.origin.as_ref().map(|origin| bytes(&origin.0)))
            .bind(self.failed_of.as_ref().map(|failed_of| bytes(&failed_of.0)))
            .bind(int(self.number))
            .bind(self.class.as_ref().map_or("", ResourceClass::as_str))
            .bind(json(&self.definition))
            .bind(self.status.to_string())
            .bind(self.started_ms)
            .bind(self.ended_ms)
            .bind(&self.approved_by)
            .bind(self.answered_by.as_ref().map(json))
            .bind(self.waits_ms)
            .bind(&self.reason);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: JobId(uuid(row, "id")?),
            workflow: WorkflowId(uuid(row, "workflow")?),
            place: small(row, "place")?,
            origin: optional_uuid(row, "origin")?.map(JobId),
            failed_of: optional_uuid(row, "failed_of")?.map(JobId),
            number: count(row, "number")?,
            class: if row.try_get::<&str, _>("class")?.is_empty() { None } else { Some(word(row, "class")?) },
            definition: structure(row, "definition")?,
            status: word(row, "status")?,
            started_ms: row.try_get("started_ms")?,
            ended_ms: row.try_get("ended_ms")?,
            approved_by: row.try_get("approved_by")?,
            answered_by: optional_structure(row, "answered_by")?,
            waits_ms: row.try_get("waits_ms")?,
            reason: row.try_get("reason")?,
        })
    }
}

pub(crate) fn job_status(
    batch: &mut Batch,
    job: JobId,
    (status, reason): (JobStatus, Option<&str>),
    [started_ms, ended_ms, waits_ms]: [Option<i64>; 3],
) {
    const SQL: &str = "UPDATE jobs SET status = ?, reason = ?, started_ms = coalesce(started_ms, ?), \
                       ended_ms = coalesce(ended_ms, ?), waits_ms = coalesce(waits_ms, ?) WHERE id = ?";
    if status.is_terminal() {
        // No task of it asks any more.
        batch.statement("DELETE FROM former WHERE job = ?").bind(bytes(&job.0));
    }
    let query = batch.statement(SQL).bind(status.to_string()).bind(reason);
    query.bind(started_ms).bind(ended_ms).bind(waits_ms).bind(bytes(&job.0));
}

pub(crate) fn job_approved(batch: &mut Batch, job: JobId, by: &str, actor: &Actor) {
    let query = batch.statement("UPDATE jobs SET approved_by = ?, answered_by = ? WHERE id = ?");
    query.bind(by).bind(json(actor)).bind(bytes(&job.0));
}

impl Store {
    /// A project with the numbers that its next pipeline and job get.
    pub async fn project(&self, name: &str) -> Result<Option<(ProjectId, u64, u64)>, StoreError> {
        let query = sqlx::query("SELECT * FROM projects WHERE name = ?").bind(name);
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok((ProjectId(row.try_get("id")?), count(&row, "next_pipeline")?, count(&row, "next_job")?))
        })
        .transpose()
    }

    /// The workflows that are not over, oldest first.
    pub async fn unfinished_workflows(&self) -> Result<Vec<WorkflowId>, StoreError> {
        const SQL: &str = "SELECT w.id FROM workflows w JOIN pipelines p ON p.id = w.pipeline \
                           WHERE w.status IN ('running', 'failing', 'on_hold') ORDER BY p.created_ms, w.place";
        let rows = sqlx::query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(|row| uuid(row, "id").map(WorkflowId)).collect()
    }

    /// One of them with all that its engine needs.
    pub async fn live_workflow(&self, id: WorkflowId) -> Result<Option<LiveWorkflow>, StoreError> {
        let query = sqlx::query("SELECT * FROM workflows WHERE id = ?").bind(bytes(&id.0));
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        let workflow = WorkflowRow::read(&row)?;
        let Some((project, pipeline)) = self.pipeline_row(workflow.pipeline).await? else { return Ok(None) };
        let query = sqlx::query("SELECT sealed FROM secrets WHERE pipeline = ?").bind(bytes(&pipeline.id.0));
        let sealed = match query.fetch_optional(&self.readers).await? {
            Some(row) => row.try_get("sealed")?,
            None => Vec::new(),
        };
        let query = sqlx::query("SELECT * FROM jobs WHERE workflow = ? ORDER BY place").bind(bytes(&id.0));
        let rows = query.fetch_all(&self.readers).await?;
        let jobs = rows.iter().map(JobRow::read).collect::<Result<_, _>>()?;
        let tasks = self.tasks_of_workflow(id).await?;
        let first = self.first_run(&workflow).await?;
        Ok(Some(LiveWorkflow { project, pipeline, sealed, workflow, first, jobs, tasks }))
    }

    async fn first_run(&self, workflow: &WorkflowRow) -> Result<WorkflowId, StoreError> {
        const SQL: &str = "WITH RECURSIVE earlier (id, rerun_of) AS (SELECT id, rerun_of FROM workflows WHERE id = ? \
                           UNION ALL SELECT w.id, w.rerun_of FROM earlier e JOIN workflows w ON w.id = e.rerun_of) \
                           SELECT id FROM earlier WHERE rerun_of IS NULL";
        if workflow.reruns.of.is_none() {
            return Ok(workflow.id);
        }
        let row = sqlx::query(SQL).bind(bytes(&workflow.id.0)).fetch_one(&self.readers).await?;
        uuid(&row, "id").map(WorkflowId)
    }

    /// The pipeline of a workflow, whatever else its row says.
    pub async fn pipeline_of(&self, workflow: WorkflowId) -> Result<Option<PipelineId>, StoreError> {
        let query = sqlx::query("SELECT pipeline FROM workflows WHERE id = ?").bind(bytes(&workflow.0));
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| uuid(&row, "pipeline").map(PipelineId)).transpose()
    }

    /// One pipeline, and the place of the next workflow that joins it.
    pub async fn pipeline_to_join(&self, id: PipelineId) -> Result<Option<(PipelineRow, u32)>, StoreError> {
        let Some((_, pipeline)) = self.pipeline_row(id).await? else { return Ok(None) };
        let places = self.workflows_of_pipeline(id).await?.into_iter().map(|workflow| workflow.place + 1);
        Ok(Some((pipeline, places.max().unwrap_or_default())))
    }

    /// Whether there is a pipeline of this id.
    pub async fn has_pipeline(&self, id: PipelineId) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT 1 FROM pipelines WHERE id = ?").bind(bytes(&id.0));
        Ok(query.fetch_optional(&self.readers).await?.is_some())
    }

    /// All of a pipeline that a view of it shows. What contains is read before what it contains, for commits go on
    /// meanwhile: a workflow that is over is then never shown with a task that is not.
    pub async fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineRows>, StoreError> {
        self.pipeline_part(Part { pipeline: id, job: None }).await
    }

    /// The same with one of its jobs alone: all the others' rows are left unread.
    pub async fn pipeline_with(
        &self,
        id: PipelineId,
        job: JobId,
    ) -> Result<Option<PipelineRows>, StoreError> {
        self.pipeline_part(Part { pipeline: id, job: Some(job) }).await
    }

    async fn pipeline_part(&self, id: Part) -> Result<Option<PipelineRows>, StoreError> {
        let Some((project, pipeline)) = self.pipeline_row(id.pipeline).await? else { return Ok(None) };
        let workflows = self.workflows_of_pipeline(id.pipeline).await?;
        let jobs = self.jobs_of_pipeline(id).await?;
        let tasks = self.tasks_of_pipeline(id).await?;
        Ok(Some(PipelineRows {
            project,
            pipeline,
            workflows,
            jobs,
            tasks,
            steps: self.steps_of_pipeline(id).await?,
            logs: self.logs_of_pipeline(id).await?,
            artifacts: self.artifacts_of_pipeline(id).await?,
            tests: self.tests_of_pipeline(id).await?,
            failures: self.failures_of_pipeline(id).await?,
        }))
    }

    /// The newest pipelines with their projects' names and workflows, at most that many; of those organizations alone
    /// whose projects' names begin like this, or of all.
    pub async fn newest_pipelines(
        &self,
        most: u32,
        within: Option<Vec<String>>,
    ) -> Result<Vec<(String, PipelineRow, Vec<WorkflowRow>)>, StoreError> {
        let mut newest = Vec::new();
        for (project, pipeline) in self.pipelines(Wanted { within, ..Wanted::default() }, most).await? {
            let workflows = self.workflows_of_pipeline(pipeline.id).await?;
            newest.push((project, pipeline, workflows));
        }
        Ok(newest)
    }

    /// One job with the pipeline and project it belongs to.
    pub async fn job(&self, id: JobId) -> Result<Option<(JobRow, PipelineId, String)>, StoreError> {
        const SQL: &str = "SELECT j.*, w.pipeline AS pipeline, o.name AS project_name FROM jobs j \
                           JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline \
                           JOIN projects o ON o.id = p.project WHERE j.id = ?";
        let row = sqlx::query(SQL).bind(bytes(&id.0)).fetch_optional(&self.readers).await?;
        row.map(|row| {
            let pipeline = PipelineId(uuid(&row, "pipeline")?);
            Ok((JobRow::read(&row)?, pipeline, row.try_get("project_name")?))
        })
        .transpose()
    }

    /// One pipeline's own row, with its project's name.
    pub async fn pipeline_row(&self, id: PipelineId) -> Result<Option<(String, PipelineRow)>, StoreError> {
        const SQL: &str = "SELECT p.*, j.name AS project_name FROM pipelines p \
                           JOIN projects j ON j.id = p.project WHERE p.id = ?";
        let row = sqlx::query(SQL).bind(bytes(&id.0)).fetch_optional(&self.readers).await?;
        row.map(|row| Ok((row.try_get("project_name")?, PipelineRow::read(&row)?))).transpose()
    }

    /// The workflows of a pipeline, by place.
    pub async fn workflows_of_pipeline(&self, id: PipelineId) -> Result<Vec<WorkflowRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM workflows WHERE pipeline = ? ORDER BY place");
        let rows = query.bind(bytes(&id.0)).fetch_all(&self.readers).await?;
        rows.iter().map(WorkflowRow::read).collect()
    }

    async fn jobs_of_pipeline(&self, part: Part) -> Result<Vec<JobRow>, StoreError> {
        const SQL: &str = "SELECT j.* FROM jobs j JOIN workflows w ON w.id = j.workflow \
                           WHERE w.pipeline = ?1 AND (?2 IS NULL OR j.id = ?2) ORDER BY w.place, j.place";
        let rows = part.query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(JobRow::read).collect()
    }
}
