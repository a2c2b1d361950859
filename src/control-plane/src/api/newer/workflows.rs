//! Workflows: those of a run, one by its id, and their cancel.

use super::{
    phases::of_workflow,
    shapes::{Workflow, WorkflowAttributes, WorkflowReferences},
    users::user,
};
use crate::{
    api::{
        may::{Act, May, Of, Stated, TheWorkflow, View},
        v3::{Entity, List, Reference, Thing, enveloped},
        workflow::stop,
    },
    plane::{Plane, clock::rfc3339, projects::stable_id},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::{PipelineId, WorkflowId, api::Named};
use serde::Deserialize;
use store::{Belonging, Standing, StandingWorkflow};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/workflows").wrap(from_fn(enveloped)).route(get().to(listed)))
        .service(resource("/api/v3/workflows/{id}").wrap(from_fn(enveloped)).route(get().to(one)))
        .service(resource("/api/v3/workflows/{id}/cancel").wrap(from_fn(enveloped)).route(post().to(cancel)));
}

/// Of which run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRun {
    #[serde(rename = "filter[run_id]")]
    run: Option<PipelineId>,
}

async fn listed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    asked: Query<OfRun>,
) -> Result<Json<List<Workflow>>, Refusal> {
    let run = asked.run.ok_or_else(|| Refusal::Bad("say of which run: `filter[run_id]`".to_owned()))?;
    caller.within(&plane, &Of::Belonging(Belonging::Pipeline(run.0))).await?;
    let missing = || Refusal::Missing(format!("there is no pipeline {run}"));
    let run = plane.store.standing_pipeline(run).await?.ok_or_else(missing)?;
    Ok(Json(List::whole(run.workflows.iter().map(|workflow| shown(&run, workflow)))))
}

async fn one(
    _: May<View, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
) -> Result<Json<Entity<Workflow>>, Refusal> {
    let missing = || Refusal::Missing(format!("there is no workflow {id}"));
    let run = plane.store.pipeline_of(*id).await?.ok_or_else(missing)?;
    let run = plane.store.standing_pipeline(run).await?.ok_or_else(missing)?;
    let workflow = run.workflows.iter().find(|workflow| workflow.id == *id).ok_or_else(missing)?;
    Ok(Json(Entity { data: shown(&run, workflow) }))
}

async fn cancel(
    caller: May<Act, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
) -> Result<HttpResponse, Refusal> {
    stop(&plane, &caller.who, *id).await?;
    Ok(HttpResponse::Accepted().json(Entity { data: Named { id: *id } }))
}

fn shown(run: &Standing, workflow: &StandingWorkflow) -> Workflow {
    let stands = of_workflow(workflow);
    let ended_ms = workflow.ended_ms.filter(|_| workflow.status.is_terminal());
    Thing {
        id: workflow.id.0,
        attributes: WorkflowAttributes {
            name: workflow.name.clone(),
            phase: stands.phase,
            outcome: stands.outcome(),
            current_outcome: stands.current_outcome(),
            created_at: rfc3339(made_ms(workflow.id.0).unwrap_or(run.pipeline.created_ms)),
            ended_at: ended_ms.map(rfc3339),
        },
        references: WorkflowReferences {
            run: Reference { id: run.pipeline.id.0 },
            project: Reference { id: stable_id(&run.project) },
            user: user(workflow.actor.as_ref().unwrap_or(&run.pipeline.actor)),
        },
    }
}

/// When a workflow was made, as its id says: a rerun later than its pipeline.
fn made_ms(id: Uuid) -> Option<i64> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Some(i64::try_from(seconds).ok()?.checked_mul(1000)? + i64::from(nanoseconds / 1_000_000))
}
