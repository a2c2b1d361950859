//! A project's jobs by their numbers, with their artifacts and test results, in the shapes of the public API v2 and, of
//! artifacts and tests, of the older v1.1 as well.

use super::{
    may::{Act, May, TheJob, TheProject, View},
    paging::{MOST, Page, PageQuery},
    project::{known, without_password},
    slug,
    tagged::Tagged,
    workflow::accepted,
};
use crate::{
    audit::Deed,
    pipelines::view::view,
    plane::{Plane, clock::rfc3339, people::Who, projects::stable_id},
    refusal::Refusal,
    web::in_url,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::{
    JobId, PipelineId,
    api::{GitValues, JobView, PipelineView, TaskView, WorkflowView},
    pipeline::{Executor, Job},
    transfer::TestCase,
};
use serde_json::{Value, json};
use store::Belonging;

/// The older call for test results knows no pages: so many it gives.
const OLDER_TESTS: u32 = 10_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v2/project/{slug:.+}/job/{number}").route(get().to(job)))
        .service(resource("/api/v2/project/{slug:.+}/job/{number}/cancel").route(post().to(cancel)))
        .service(resource("/api/v2/jobs/{id}/cancel").route(post().to(cancel_by_id)))
        .service(resource("/api/v2/project/{slug:.+}/{number}/artifacts").route(get().to(artifacts)))
        .service(resource("/api/v2/project/{slug:.+}/{number}/tests").route(get().to(tests)))
        .service(resource("/api/v1.1/project/{slug:.+}/{number}/artifacts").route(get().to(older_artifacts)))
        .service(resource("/api/v1.1/project/{slug:.+}/{number}/tests").route(get().to(older_tests)));
}

/// A job by its number, as a path names it.
type Numbered = Path<(String, u64)>;

/// The job of a project's that has this number, and its pipeline.
pub(super) async fn numbered(
    plane: &Plane,
    asked: &str,
    number: u64,
) -> Result<(JobId, PipelineId), Refusal> {
    let project = slug::project(plane, asked).await?;
    let missing = || Refusal::Missing(format!("{project} has no job {number}"));
    plane.store.job_by_number(&project, number).await?.ok_or_else(missing)
}

/// Cancels a job, on somebody's word.
pub(super) async fn stop(plane: &Data<Plane>, who: &Who, id: JobId) -> Result<(), Refusal> {
    plane.cancel_job(id).await?;
    plane.tell_of_run(who, Deed::Canceled, Belonging::Job(id.0)).await
}

/// A job as it stands and as it was written, where it belongs.
pub(super) struct Found {
    pub(super) pipeline: PipelineView,
    workflow: usize,
    job: usize,
    pub(super) definition: Job,
    /// When its first task was.
    pub(super) queued_ms: Option<i64>,
    /// What is known of the commit; the address is without a password.
    pub(super) git: GitValues,
}

impl Found {
    pub(super) async fn by_number(plane: &Plane, asked: &str, number: u64) -> Result<Self, Refusal> {
        let missing = || Refusal::Missing(format!("{asked} has no job {number}"));
        let (id, pipeline) = numbered(plane, asked, number).await?;
        Self::of(plane, pipeline, id).await?.ok_or_else(missing)
    }

    pub(super) async fn by_id(plane: &Plane, id: JobId) -> Result<Self, Refusal> {
        let missing = || Refusal::Missing(format!("there is no job {id}"));
        let (_, pipeline, _) = plane.store.job(id).await?.ok_or_else(missing)?;
        Self::of(plane, pipeline, id).await?.ok_or_else(missing)
    }

    async fn of(plane: &Plane, pipeline: PipelineId, id: JobId) -> Result<Option<Self>, Refusal> {
        let Some(rows) = plane.store.pipeline_with(pipeline, id).await? else { return Ok(None) };
        let queued_ms = rows.tasks.iter().map(|task| task.queued_ms).min();
        let url = rows.pipeline.git.url.as_deref().map(without_password);
        let git = GitValues { url, ..rows.pipeline.git.clone() };
        let row = rows.jobs.iter().find(|row| row.id == id);
        let Some(definition) = row.map(|row| row.definition.clone()) else { return Ok(None) };
        let pipeline = view(rows);
        let Some((workflow, job)) = place(&pipeline, id) else { return Ok(None) };
        Ok(Some(Self { pipeline, workflow, job, definition, queued_ms, git }))
    }

    pub(super) fn workflow(&self) -> &WorkflowView {
        &self.pipeline.workflows[self.workflow]
    }

    pub(super) fn job(&self) -> &JobView {
        &self.workflow().jobs[self.job]
    }
}

fn place(pipeline: &PipelineView, id: JobId) -> Option<(usize, usize)> {
    let is_own = |job: &JobView| job.id == id && !job.inherited;
    let mut workflows = pipeline.workflows.iter().enumerate();
    workflows.find_map(|(place, workflow)| Some((place, workflow.jobs.iter().position(is_own)?)))
}

async fn job(_: May<View, TheProject>, plane: Data<Plane>, path: Numbered) -> Result<Tagged<Value>, Refusal> {
    let found = Found::by_number(&plane, &path.0, path.1).await?;
    let page = plane.rules.page.as_ref().map(|page| format!("{page}/jobs/{}", found.job().id));
    Ok(Tagged(shown(&found, page)))
}

fn shown(found: &Found, page: Option<String>) -> Value {
    let (job, workflow, project) = (found.job(), found.workflow(), &found.pipeline.project);
    let contexts = found.definition.contexts.iter().map(|name| json!({ "name": name }));
    known(json!({
        "name": job.name,
        "number": job.number,
        "status": job.status,
        "web_url": page,
        "parallelism": job.parallelism,
        "parallel_runs": job.tasks.iter().map(|task| parallel_run(job, task)).collect::<Vec<_>>(),
        "created_at": rfc3339(found.pipeline.created_ms),
        "queued_at": found.queued_ms.map(rfc3339),
        "started_at": job.started_ms.map(rfc3339),
        "stopped_at": job.ended_ms.map(rfc3339),
        "duration": job.ended_ms.zip(job.started_ms).map(|(end, start)| end - start),
        "executor": { "type": executor(&found.definition), "resource_class": found.definition.resource_class },
        "contexts": contexts.collect::<Vec<_>>(),
        "messages": job.tasks.iter().filter_map(message).collect::<Vec<_>>(),
        "pipeline": { "id": found.pipeline.id },
        "latest_workflow": { "id": workflow.id, "name": workflow.name },
        "organization": { "name": slug::last(slug::organization(project)) },
        "project": known(json!({
            "id": stable_id(project),
            "slug": project,
            "name": slug::last(project),
            "external_url": found.git.url,
        })),
    }))
}

fn parallel_run(job: &JobView, task: &TaskView) -> Value {
    let status = task.outcome.map_or_else(|| json!(job.status), |outcome| json!(outcome));
    json!({ "index": task.index, "status": status })
}

fn message(task: &TaskView) -> Option<Value> {
    let message = task.message.as_ref()?;
    Some(json!({ "type": "warning", "message": message }))
}

fn executor(job: &Job) -> &'static str {
    match job.executor {
        Executor::Docker { .. } => "docker",
        Executor::Machine => "machine",
        Executor::Macos => "macos",
    }
}

async fn cancel(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    path: Numbered,
) -> Result<HttpResponse, Refusal> {
    let (id, _) = numbered(&plane, &path.0, path.1).await?;
    stop(&plane, &caller.who, id).await?;
    Ok(accepted())
}

async fn cancel_by_id(
    caller: May<Act, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
) -> Result<HttpResponse, Refusal> {
    stop(&plane, &caller.who, *id).await?;
    Ok(accepted())
}

/// Every artifact of a job with its address, which takes the same tokens as the call that gives it.
pub(super) fn addresses<'f>(
    found: &'f Found,
    request: &HttpRequest,
) -> impl Iterator<Item = (&'f str, u32, String)> {
    let host = request.connection_info();
    let base = format!("{}://{}/api/v3/artifacts/{}", host.scheme(), host.host(), found.job().id);
    let artifacts = found.job().tasks.iter().flat_map(|task| {
        let paths = task.artifacts.iter().map(|artifact| artifact.path.as_str());
        paths.map(move |path| (path, task.index))
    });
    artifacts.map(move |(path, index)| (path, index, format!("{base}/{index}/{}", in_url(path))))
}

async fn artifacts(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Numbered,
    page: Query<PageQuery>,
    request: HttpRequest,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let found = Found::by_number(&plane, &path.0, path.1).await?;
    let all = addresses(&found, &request)
        .map(|(path, index, url)| json!({ "path": path, "node_index": index, "url": url }));
    Ok(Tagged(page.cut(all)?))
}

async fn older_artifacts(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Numbered,
    request: HttpRequest,
) -> Result<Tagged<Vec<Value>>, Refusal> {
    let found = Found::by_number(&plane, &path.0, path.1).await?;
    let all = addresses(&found, &request).map(
        |(path, index, url)| json!({ "path": path, "pretty_path": path, "node_index": index, "url": url }),
    );
    Ok(Tagged(all.collect()))
}

async fn tests(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Numbered,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let start = page.start()?;
    let cases = cases(&plane, &path, start, MOST + 1).await?;
    Ok(Tagged(Page::from(start, cases.iter().map(test).collect())))
}

async fn older_tests(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Numbered,
) -> Result<Tagged<Value>, Refusal> {
    let cases = cases(&plane, &path, 0, OLDER_TESTS).await?;
    let tests: Vec<_> = cases.iter().map(test).collect();
    Ok(Tagged(json!({ "tests": tests, "exceptions": [] })))
}

async fn cases(
    plane: &Plane,
    path: &(String, u64),
    behind: u64,
    most: u32,
) -> Result<Vec<TestCase>, Refusal> {
    let (job, _) = numbered(plane, &path.0, path.1).await?;
    Ok(plane.store.test_cases(job, behind, most).await?)
}

/// What a report does not say is empty, or no time at all: the public shape knows no other way.
fn test(case: &TestCase) -> Value {
    json!({
        "classname": case.classname,
        "name": case.name,
        "file": case.file.as_deref().unwrap_or_default(),
        "result": case.result,
        "run_time": case.run_time.unwrap_or_default(),
        "message": case.message.as_deref().unwrap_or_default(),
        "source": "unknown",
    })
}
