//! Calls of operators about pipelines: make, look, follow, cancel, and the sources they run on.

use super::{
    auth::Anybody,
    definitions,
    may::{Act, May, Of, Stated, ThePipeline, TheProject},
    unoffered,
    v3::enveloped,
};
use crate::web::session::Reading;
use crate::{
    audit::Deed,
    bodies::MAX_JSON,
    plane::{
        Plane,
        people::{Right, Who},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Bytes, Data, Json, Path, Payload, PayloadConfig, Query, ServiceConfig, get, post, put, resource},
};
use blobs::Scope;
use futures_util::StreamExt;
use protocol::{
    Digest, PipelineId, WorkflowId,
    api::{Continue, MAX_CONTINUE, NewPipeline, PipelineView},
    feed::Feed,
    http::ErrorBody,
};
use serde::{Deserialize, de::IgnoredAny};
use store::Belonging;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v3/pipelines")
                .app_data(PayloadConfig::new(MAX_JSON))
                .route(get().to(definitions::listed).wrap(from_fn(enveloped)))
                .route(post().to(create)),
        )
        .service(resource("/api/v3/pipelines/{id}").route(get().to(view)))
        .service(resource("/api/v3/pipelines/{id}/feed").route(get().to(feed)))
        .service(resource("/api/v3/pipelines/{id}/cancel").route(post().to(cancel)))
        .service(resource("/api/v2/pipeline/continue").route(post().to(continue_pipeline)))
        .service(resource("/api/v3/source/{project:.+}/{digest:[0-9a-f]{64}}").route(put().to(put_source)));
}

/// What others make by the same call: a definition of pipelines, in an envelope.
#[derive(Deserialize)]
struct Definition {
    #[serde(rename = "data")]
    _data: IgnoredAny,
}

async fn create(
    caller: May<Act, Stated>,
    plane: Data<Plane>,
    body: Result<Bytes, actix_web::Error>,
) -> Result<HttpResponse, Refusal> {
    let body = body.map_err(|error| Refusal::Bad(format!("the body: {error}")))?;
    let mut new: NewPipeline = match serde_json::from_slice(&body) {
        Ok(new) => new,
        Err(_) if serde_json::from_slice::<Definition>(&body).is_ok() => {
            return Ok(unoffered::definition_told());
        }
        Err(error) => return Err(Refusal::Bad(format!("the body: {error}"))),
    };
    caller.within(&plane, &Of::Project(new.project.clone())).await?;
    new.actor = caller.who.actor();
    as_claimed(&caller.who, &mut new);
    let created = plane.create_pipeline(new).await?;
    Ok(HttpResponse::Created().json(created))
}

/// What is said of the commit is only that, unless an admin of the project says it, who could open all that it opens.
fn as_claimed(who: &Who, new: &mut NewPipeline) {
    new.git.is_claimed = who.in_project(&new.project) < Some(Right::Administer);
    if new.git.is_claimed {
        new.git.trigger = None;
    }
}

async fn view(
    _: Reading<ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Json<PipelineView>, Refusal> {
    // The id of a workflow leads to its pipeline too.
    let of_workflow = plane.store.pipeline_of(WorkflowId(id.0)).await?;
    plane.view(of_workflow.unwrap_or(*id)).await?.map(Json).ok_or_else(|| no_pipeline(*id))
}

fn no_pipeline(id: PipelineId) -> Refusal {
    Refusal::Missing(format!("there is no pipeline {id}"))
}

/// What of a feed is wanted.
#[derive(Debug, Deserialize)]
struct FeedQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_ms: u64,
}

async fn feed(
    _: Reading<ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
    query: Query<FeedQuery>,
) -> Result<Json<Feed>, Refusal> {
    plane.feed(*id, query.after, query.wait_ms).await?.map(Json).ok_or_else(|| no_pipeline(*id))
}

async fn cancel(
    caller: May<Act, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<HttpResponse, Refusal> {
    if !plane.store.has_pipeline(*id).await? {
        return Err(no_pipeline(*id));
    }
    plane.cancel(*id).await?;
    plane.tell_of_run(&caller.who, Deed::Canceled, Belonging::Pipeline(id.0)).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn continue_pipeline(caller: Anybody, plane: Data<Plane>) -> Result<HttpResponse, Refusal> {
    if caller.body.len() > MAX_CONTINUE {
        return Err(Refusal::Bad(format!("the body: it has {MAX_CONTINUE} bytes at most")));
    }
    let asked: Continue =
        serde_json::from_slice(&caller.body).map_err(|error| Refusal::Bad(format!("the body: {error}")))?;
    plane.continue_pipeline(asked).await?;
    Ok(HttpResponse::Ok().json(ErrorBody { message: "the pipeline is continued".to_owned() }))
}

async fn put_source(
    _: May<Act, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, Digest)>,
    mut body: Payload,
) -> Result<HttpResponse, Refusal> {
    let (project, digest) = path.into_inner();
    let mut writer = plane.blobs.write(&Scope::project(&project), digest, None).await?;
    while let Some(piece) = body.next().await {
        let piece =
            piece.map_err(|error| Refusal::Bad(format!("the source's archive broke off: {error}")))?;
        writer.push(piece).await?;
    }
    writer.finish().await?;
    Ok(HttpResponse::Created().finish())
}
