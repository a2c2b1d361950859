//! Calls of a task's holder: begin, stream, transfers, end.

use super::{
    MAX_WORDS,
    auth::{Task, holder_first},
    json,
};
use crate::{
    plane::{Plane, leases::Ending, stream::Streamed},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    http::header::ContentType,
    middleware::from_fn,
    web::{Bytes, Data, Json, Query, ServiceConfig, get, post, resource, scope},
};
use protocol::{
    Epoch,
    http::{
        Artifacts, Begin, Destinations, End, FindCache, Granted, Layers, Lease, Mint, Minted, PersistLayer,
        PutBundle, SaveCache, Store, StreamQuery, Tests,
    },
    stream::Acknowledged,
    transfer::Found,
};

pub(super) fn routes(config: &mut ServiceConfig) {
    let routes = scope("/api/v3/task")
        .wrap(from_fn(holder_first))
        .service(resource("/begin").app_data(json(MAX_WORDS)).route(post().to(begin)))
        .service(resource("/stream").route(get().to(acknowledged)).route(post().to(stream)))
        .service(resource("/blobs").route(post().to(store)))
        .service(resource("/artifacts").route(post().to(artifacts)))
        .service(resource("/bundles").app_data(json(MAX_WORDS)).route(post().to(bundle)))
        .service(resource("/tests").route(get().to(former_tests)).route(post().to(tests)))
        .service(resource("/cache/find").app_data(json(MAX_WORDS)).route(post().to(find_cache)))
        .service(resource("/cache").route(post().to(save_cache)))
        .service(resource("/layers").route(get().to(layers)).route(post().to(persist_layer)))
        .service(resource("/source").route(get().to(source)))
        .service(resource("/token").app_data(json(MAX_WORDS)).route(post().to(token)))
        .service(resource("/end").app_data(json(MAX_WORDS)).route(post().to(end)));
    config.service(routes);
}

/// The lease of a call whose body names an epoch: it must be the token's.
fn under(task: &Task, epoch: Epoch) -> Result<Lease, Refusal> {
    if epoch == task.lease.epoch { Ok(task.lease) } else { Err(Refusal::fenced()) }
}

async fn begin(task: Task, plane: Data<Plane>, body: Json<Begin>) -> Result<Json<Granted>, Refusal> {
    Ok(Json(plane.begin(under(&task, body.epoch)?).await?))
}

async fn acknowledged(task: Task, plane: Data<Plane>) -> Result<Json<Acknowledged>, Refusal> {
    Ok(Json(plane.acknowledged(task.lease).await?))
}

async fn stream(
    task: Task,
    plane: Data<Plane>,
    query: Query<StreamQuery>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    Ok(match plane.stream(under(&task, query.epoch)?, body).await? {
        Streamed::Stored(acknowledged) => HttpResponse::Ok().json(acknowledged),
        Streamed::Rewind(acknowledged) => HttpResponse::Conflict().json(acknowledged),
    })
}

async fn store(task: Task, plane: Data<Plane>, body: Json<Store>) -> Result<Json<Destinations>, Refusal> {
    let Store { epoch, contents } = body.into_inner();
    Ok(Json(plane.destinations(under(&task, epoch)?, contents).await?))
}

async fn artifacts(task: Task, plane: Data<Plane>, body: Json<Artifacts>) -> Result<HttpResponse, Refusal> {
    plane.add_artifacts(under(&task, body.epoch)?, body.into_inner()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn bundle(task: Task, plane: Data<Plane>, body: Json<PutBundle>) -> Result<HttpResponse, Refusal> {
    plane.add_bundle(under(&task, body.epoch)?, body.into_inner()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn tests(task: Task, plane: Data<Plane>, body: Json<Tests>) -> Result<HttpResponse, Refusal> {
    plane.add_tests(under(&task, body.epoch)?, body.into_inner()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn former_tests(task: Task, plane: Data<Plane>) -> Result<HttpResponse, Refusal> {
    let told = plane.former(task.lease).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(told))
}

async fn find_cache(task: Task, plane: Data<Plane>, body: Json<FindCache>) -> Result<HttpResponse, Refusal> {
    Ok(match plane.find_cache(task.lease, body.into_inner()).await? {
        Some(found) => HttpResponse::Ok().json(found),
        None => HttpResponse::NoContent().finish(),
    })
}

async fn save_cache(task: Task, plane: Data<Plane>, body: Json<SaveCache>) -> Result<HttpResponse, Refusal> {
    let is_new = plane.save_cache(under(&task, body.epoch)?, body.into_inner()).await?;
    Ok(if is_new { HttpResponse::Created().finish() } else { HttpResponse::Ok().finish() })
}

async fn persist_layer(
    task: Task,
    plane: Data<Plane>,
    body: Json<PersistLayer>,
) -> Result<HttpResponse, Refusal> {
    plane.persist_layer(under(&task, body.epoch)?, body.into_inner()).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn layers(task: Task, plane: Data<Plane>) -> Result<Json<Layers>, Refusal> {
    Ok(Json(plane.layers(task.lease).await?))
}

async fn source(task: Task, plane: Data<Plane>) -> Result<Json<Found>, Refusal> {
    Ok(Json(plane.source(task.lease)?))
}

async fn token(task: Task, plane: Data<Plane>, body: Json<Mint>) -> Result<Json<Minted>, Refusal> {
    Ok(Json(plane.mint(under(&task, body.epoch)?, &body.audience)?))
}

async fn end(task: Task, plane: Data<Plane>, body: Json<End>) -> Result<HttpResponse, Refusal> {
    let End { epoch, outcome, message } = body.into_inner();
    plane.end(under(&task, epoch)?, Ending { outcome, message }).await?;
    Ok(HttpResponse::Ok().finish())
}
