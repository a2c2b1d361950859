//! Jobs: those of a workflow, one with the steps of its executions, their artifacts and tests.

use super::{
    phases::{of_job, of_step},
    shapes::{Artifact, Execution, Job, JobAttributes, JobReferences, Step, Test},
    users::user,
};
use crate::{
    api::{
        job::{Found, addresses},
        may::{May, Of, Stated, TheJob, View},
        v3::{Entity, List, Plain, Reference, Thing, enveloped},
        workflow::found,
    },
    plane::{Plane, clock::rfc3339, projects::stable_id},
    refusal::Refusal,
};
use actix_web::{
    HttpRequest, HttpResponse,
    error::BlockingError,
    middleware::from_fn,
    web::{self, Bytes, Data, Json, Path, Query, ServiceConfig, get, resource},
};
use futures_util::{StreamExt, stream};
use protocol::{
    JobId, StepNumber, WorkflowId,
    api::{JobView, PipelineView, StepView, TaskView, WorkflowView},
    pipeline,
    task::{Action, Run},
    transfer::TestCase,
};
use serde::Deserialize;
use std::sync::Arc;
use store::{Belonging, StoreError, TestUpload};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/jobs").wrap(from_fn(enveloped)).route(get().to(listed)))
        .service(resource("/api/v3/jobs/{id}").wrap(from_fn(enveloped)).route(get().to(one)))
        .service(resource("/api/v3/jobs/{id}/artifacts").wrap(from_fn(enveloped)).route(get().to(artifacts)))
        .service(resource("/api/v3/jobs/{id}/tests").wrap(from_fn(enveloped)).route(get().to(tests)))
        .service(
            resource("/api/v3/jobs/{id}/resource-usage").wrap(from_fn(enveloped)).route(get().to(usage)),
        );
}

/// Of which workflow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfWorkflow {
    #[serde(rename = "filter[workflow_id]")]
    workflow: Option<WorkflowId>,
}

async fn listed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    asked: Query<OfWorkflow>,
) -> Result<Json<List<Job>>, Refusal> {
    let missing = || Refusal::Bad("say of which workflow: `filter[workflow_id]`".to_owned());
    let workflow = asked.workflow.ok_or_else(missing)?;
    caller.within(&plane, &Of::Belonging(Belonging::Workflow(workflow.0))).await?;
    let (pipeline, place) = found(&plane, workflow).await?;
    let workflow = &pipeline.workflows[place];
    Ok(Json(List::whole(workflow.jobs.iter().map(|job| shown(&pipeline, workflow, job, None)))))
}

async fn one(
    _: May<View, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
) -> Result<Json<Entity<Job>>, Refusal> {
    let found = Found::by_id(&plane, *id).await?;
    let executions = executions(found.job(), &found.definition);
    Ok(Json(Entity { data: shown(&found.pipeline, found.workflow(), found.job(), Some(executions)) }))
}

fn shown(
    pipeline: &PipelineView,
    workflow: &WorkflowView,
    job: &JobView,
    steps: Option<Vec<Execution>>,
) -> Job {
    let stands = of_job(job);
    let [started_at, ended_at] =
        [job.started_ms, job.ended_ms].map(|ms| ms.filter(|_| stands.has_begun()).map(rfc3339));
    Thing {
        id: job.id.0,
        attributes: JobAttributes {
            name: job.name.clone(),
            kind: job.kind,
            phase: stands.phase,
            outcome: stands.outcome(),
            current_outcome: stands.current_outcome(),
            started_at,
            ended_at,
            parallel_executions: steps,
        },
        references: JobReferences {
            project: Reference { id: stable_id(&pipeline.project) },
            pipeline: Reference { id: pipeline.id.0 },
            workflow: Reference { id: workflow.id.0 },
            user: user(workflow.actor.as_ref().unwrap_or(&pipeline.actor)),
        },
    }
}

/// None of a job of which nothing has begun.
fn executions(job: &JobView, definition: &pipeline::Job) -> Vec<Execution> {
    let execution = |task: &TaskView| Execution {
        steps: task.steps.iter().map(|step| shown_step(step, definition)).collect(),
    };
    let has_begun = job.tasks.iter().any(|task| !task.steps.is_empty());
    job.tasks.iter().filter(|_| has_begun).map(execution).collect()
}

fn shown_step(step: &StepView, definition: &pipeline::Job) -> Step {
    let (stands, action) = (of_step(step.status), action(definition, step.number));
    let lasted = step.duration_ms.and_then(|ms| i64::try_from(ms).ok());
    Step {
        name: step.name.clone(),
        kind: action.map_or("spinup_environment", kind),
        num: step.number.0,
        phase: stands.phase,
        outcome: stands.outcome(),
        exit_code: step.exit_code,
        started_at: rfc3339(step.started_ms),
        ended_at: lasted.map(|ms| rfc3339(step.started_ms.saturating_add(ms))),
        command: action.and_then(command).map(str::to_owned),
    }
}

/// What a step does; the launch-agent's own does nothing that the configuration says.
pub(in crate::api) fn action(definition: &pipeline::Job, number: StepNumber) -> Option<&Action> {
    let place = (number.0 as usize).checked_sub(1)?;
    definition.steps.get(place).map(|step| &step.action)
}

/// As configurations call it.
fn kind(action: &Action) -> &'static str {
    match action {
        Action::Run(_) => "run",
        Action::Checkout { .. } => "checkout",
        Action::AddSshKeys { .. } => "add_ssh_keys",
        Action::SaveCache { .. } => "save_cache",
        Action::RestoreCache { .. } => "restore_cache",
        Action::PersistToWorkspace { .. } => "persist_to_workspace",
        Action::AttachWorkspace { .. } => "attach_workspace",
        Action::StoreArtifacts { .. } => "store_artifacts",
        Action::StoreTestResults { .. } => "store_test_results",
        Action::SetupRemoteDocker { .. } => "setup_remote_docker",
    }
}

/// The script of a `run` step.
pub(in crate::api) fn command(action: &Action) -> Option<&str> {
    match action {
        Action::Run(Run { command, .. }) => Some(command),
        _ => None,
    }
}

async fn artifacts(
    _: May<View, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
    request: HttpRequest,
) -> Result<Json<List<Plain<Artifact>>>, Refusal> {
    let found = Found::by_id(&plane, *id).await?;
    let artifact = |(path, execution, url): (&str, u32, String)| Plain {
        id: stable_id(&format!("artifact {id} {execution} {path}")),
        attributes: Artifact { path: path.to_owned(), url, execution },
    };
    Ok(Json(List::whole(addresses(&found, &request).map(artifact))))
}

/// A line for each result, read upload by upload as they are sent.
async fn tests(_: May<View, TheJob>, plane: Data<Plane>, id: Path<JobId>) -> Result<HttpResponse, Refusal> {
    let missing = || Refusal::Missing(format!("there is no job {id}"));
    plane.store.job(*id).await?.ok_or_else(missing)?;
    let uploads = plane.store.test_uploads(*id).await?;
    let lines = stream::iter(uploads).then(move |upload| lines(plane.clone().into_inner(), upload));
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines))
}

/// Those of one upload; none, where it has been forgotten meanwhile.
async fn lines(plane: Arc<Plane>, upload: TestUpload) -> Result<Bytes, Refusal> {
    let Some(cases) = plane.store.cases_of(upload).await? else { return Ok(Bytes::new()) };
    // They may be thousands, which whoever else is answered by this thread would wait for.
    let lines = web::block(move || Ok::<_, StoreError>(cases.read()?.iter().map(line).collect::<String>()));
    let unread = |error: BlockingError| Refusal::Unavailable(format!("the tests cannot be read: {error}"));
    Ok(lines.await.map_err(unread)??.into())
}

/// What a report does not say is empty, or no time at all: the public shape knows no other way.
fn line(case: &TestCase) -> String {
    let test = Test {
        classname: &case.classname,
        name: &case.name,
        result: case.result,
        run_time: case.run_time.unwrap_or_default(),
        message: case.message.as_deref().unwrap_or_default(),
    };
    serde_json::json!(test).to_string() + "\n"
}

/// As it is answered of a job that never ran: there is none.
async fn usage(_: May<View, TheJob>, id: Path<JobId>) -> Result<HttpResponse, Refusal> {
    Err(Refusal::Missing(format!(
        "no resource usage of the job {id} is recorded: what jobs use is not measured here"
    )))
}
