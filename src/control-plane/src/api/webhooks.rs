//! Repositories of projects, as operators name them, and the webhooks that tell of pushes to them.

use super::{
    auth::Anybody,
    may::{Administer, May, Needs, Stated, TheProject},
};
use crate::{audit::Deed, plane::Plane, refusal::Refusal, triggers::Told};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, ServiceConfig, delete, get, post, put, resource},
};
use protocol::{
    api::Items,
    webhook::{NewRepository, Received, Repository},
};
use serde_json::{Value, json};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/repositories").route(get().to(list)))
        .service(
            resource("/api/v3/repositories/{project:.+}").route(put().to(name)).route(delete().to(forget)),
        )
        .service(resource("/api/v3/webhooks/{project:.+}").route(post().to(receive)));
}

async fn list(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
) -> Result<Json<Items<Repository>>, Refusal> {
    let mut items = plane.repositories().await?;
    items.retain(|one| caller.who.in_project(&one.project) >= Some(Administer::RIGHT));
    Ok(Json(Items { items }))
}

async fn name(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    new: Json<NewRepository>,
) -> Result<Json<Repository>, Refusal> {
    let named = plane.name_repository(&project, new.into_inner()).await?;
    plane.tell_of_project(&caller.who, Deed::RepositoryNamed, (&project, &named.url)).await?;
    Ok(Json(named))
}

async fn forget(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
) -> Result<Json<Value>, Refusal> {
    plane.forget_repository(&project).await?;
    plane.tell_of_project(&caller.who, Deed::RepositoryForgotten, (&project, "")).await?;
    Ok(Json(json!({ "message": "Deleted." })))
}

/// From anybody: what it may do is in its signature.
async fn receive(
    caller: Anybody,
    plane: Data<Plane>,
    project: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.to_owned())));
    let told = Told::new(headers, caller.body.to_vec());
    Ok(match plane.receive(&project, told).await? {
        Some(received) => HttpResponse::Ok().json(received),
        None => HttpResponse::Accepted().json(Received {
            message: "the configuration is being fetched: the pipeline comes when it is there".to_owned(),
            ..Received::default()
        }),
    })
}
