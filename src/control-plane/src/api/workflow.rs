//! Calls about workflows in the shapes of the public API v2, and about jobs that wait for an approval or a release.

use super::{
    MAX_WORDS,
    may::{Act, Approvals, May, Status, TheApproval, TheWorkflow, View},
    tagged::Tagged,
};
use crate::{
    audit::Deed,
    plane::{
        Plane,
        approvals::Answer,
        clock::rfc3339,
        people::{Who, id_of},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Bytes, Data, Json, Path, PayloadConfig, ServiceConfig, get, post, resource},
};
use protocol::{
    JobId, JobStatus, WorkflowId,
    api::{Approve, Items, JobView, OnHold, PipelineView, Released, WorkflowView},
    pipeline::Kind,
};
use serde_json::{Map, Value, json};
use store::Belonging;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/approvals").route(get().to(waiting)))
        .service(resource("/api/v2/workflow/{id}").route(get().to(workflow)))
        .service(resource("/api/v2/workflow/{id}/job").route(get().to(jobs)))
        .service(resource("/api/v2/workflow/{id}/cancel").route(post().to(cancel)))
        .service(
            resource("/api/v2/workflow/{id}/approve/{job}")
                .app_data(PayloadConfig::new(MAX_WORDS))
                .route(post().to(approve)),
        )
        .service(resource("/api/v3/workflows/{id}/release/{job}").route(post().to(release)));
}

async fn waiting(caller: May<View, Approvals>, plane: Data<Plane>) -> Json<Items<OnHold>> {
    let mut items = plane.on_hold();
    if !matches!(caller.who, Who::Approver) {
        items.retain(|one| caller.who.sees(&one.project));
    }
    Json(Items { items })
}

async fn approve(
    caller: May<Act, TheApproval>,
    plane: Data<Plane>,
    path: Path<(WorkflowId, JobId)>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    // The public call has no body.
    let approve: Approve = match body.is_empty() {
        true => Approve::default(),
        false => serde_json::from_slice(&body).map_err(|error| Refusal::Bad(format!("the body: {error}")))?,
    };
    let (workflow, job) = path.into_inner();
    plane.answer((workflow, job), Answer::Approved, (&caller.who, approve.by)).await?;
    plane.tell_of_run(&caller.who, Deed::Approved, Belonging::Job(job.0)).await?;
    Ok(accepted())
}

async fn release(
    caller: May<Act, TheApproval>,
    plane: Data<Plane>,
    path: Path<(WorkflowId, JobId)>,
    body: Json<Released>,
) -> Result<HttpResponse, Refusal> {
    let Released { status, reason, by: said } = body.into_inner();
    let (workflow, job) = path.into_inner();
    plane.answer((workflow, job), Answer::Released(status, reason), (&caller.who, said)).await?;
    plane.tell_of_run(&caller.who, Deed::Released, Belonging::Job(job.0)).await?;
    Ok(accepted())
}

async fn cancel(
    caller: May<Act, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
) -> Result<HttpResponse, Refusal> {
    stop(&plane, &caller.who, *id).await?;
    Ok(accepted())
}

/// Cancels a workflow, on somebody's word.
pub(super) async fn stop(plane: &Data<Plane>, who: &Who, id: WorkflowId) -> Result<(), Refusal> {
    let (pipeline, place) = found(plane, id).await?;
    if !plane.cancel_workflow(id).await? && !pipeline.workflows[place].status.is_terminal() {
        return Err(Refusal::being_read());
    }
    plane.tell_of_run(who, Deed::Canceled, Belonging::Workflow(id.0)).await
}

/// What was asked for is under way.
pub(super) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().json(json!({ "message": "Accepted." }))
}

async fn workflow(
    _: May<Status, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
) -> Result<Tagged<Value>, Refusal> {
    let (pipeline, place) = found(&plane, *id).await?;
    Ok(Tagged(shown_workflow(&pipeline, &pipeline.workflows[place])))
}

pub(super) fn shown_workflow(pipeline: &PipelineView, workflow: &WorkflowView) -> Value {
    let ended = workflow.jobs.iter().filter_map(|job| job.ended_ms).max();
    let actor = workflow.actor.as_ref().unwrap_or(&pipeline.actor);
    json!({
        "id": workflow.id,
        "name": workflow.name,
        "status": workflow.status,
        "pipeline_id": pipeline.id,
        "pipeline_number": pipeline.number,
        "project_slug": pipeline.project,
        "started_by": id_of(actor),
        "created_at": rfc3339(pipeline.created_ms),
        "stopped_at": ended.filter(|_| workflow.status.is_terminal()).map(rfc3339),
    })
}

async fn jobs(
    _: May<View, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
) -> Result<Tagged<Value>, Refusal> {
    let (pipeline, place) = found(&plane, *id).await?;
    let jobs = &pipeline.workflows[place].jobs;
    let items: Vec<Value> = jobs.iter().map(|job| shown_job(&pipeline.project, jobs, job)).collect();
    Ok(Tagged(json!({ "items": items, "next_page_token": null })))
}

fn shown_job(project: &str, jobs: &[JobView], job: &JobView) -> Value {
    let id = |name: &str| jobs.iter().find(|other| other.name == name).map(|other| other.id.to_string());
    let requires = job.requires.iter().filter_map(|one| Some((id(&one.job)?, json!(one.endings))));
    let requires: Map<String, Value> = requires.collect();
    let mut shown = json!({
        "id": job.id,
        "name": job.name,
        "type": job.kind,
        "status": job.status,
        "project_slug": project,
        "dependencies": requires.keys().collect::<Vec<_>>(),
        "requires": requires,
        "started_at": job.started_ms.map(rfc3339),
        "stopped_at": job.ended_ms.map(rfc3339),
    });
    if job.kind == Kind::Build && !matches!(job.status, JobStatus::Blocked | JobStatus::NotRun) {
        shown["job_number"] = json!(job.number);
    }
    if job.kind == Kind::Approval {
        shown["approval_request_id"] = json!(job.id);
        shown["approved_by"] = json!(job.approved_by);
    }
    if job.kind == Kind::Release {
        shown["plan_name"] = json!(job.plan);
        shown["released_by"] = json!(job.approved_by);
    }
    shown
}

/// A workflow in its pipeline.
pub(super) async fn found(plane: &Plane, id: WorkflowId) -> Result<(PipelineView, usize), Refusal> {
    let missing = || Refusal::Missing(format!("there is no workflow {id}"));
    let pipeline = plane.store.pipeline_of(id).await?.ok_or_else(missing)?;
    let pipeline = plane.view(pipeline).await?.ok_or_else(missing)?;
    let place = pipeline.workflows.iter().position(|workflow| workflow.id == id).ok_or_else(missing)?;
    Ok((pipeline, place))
}
