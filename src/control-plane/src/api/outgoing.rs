//! Webhooks that projects have sent, in the shapes of the public API v2: for admins alone, since an address may be a secret.

use super::{
    MAX_WORDS, json,
    may::{Administer, May, Of, Stated, TheWebhook},
    paging::{Page, PageQuery},
};
use crate::{plane::Plane, refusal::Refusal};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, put, resource},
};
use protocol::outgoing::{NewWebhook, ScopeKind, Webhook, WebhookChange};
use serde::Deserialize;
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/webhook")
                .app_data(json(MAX_WORDS))
                .route(get().to(listed))
                .route(post().to(make)),
        )
        .service(
            resource("/api/v2/webhook/{id}")
                .app_data(json(MAX_WORDS))
                .route(get().to(one))
                .route(put().to(change))
                .route(delete().to(remove)),
        );
}

/// Whose.
#[derive(Debug, Deserialize)]
struct Scoped {
    #[serde(rename = "scope-id")]
    id: Uuid,
    #[serde(rename = "scope-type", default)]
    _kind: ScopeKind,
    #[serde(flatten)]
    page: PageQuery,
}

/// The project of this id; whoever may not see it hears no name of it.
async fn project(plane: &Plane, caller: &May<Administer, Stated>, id: Uuid) -> Result<String, Refusal> {
    let missing = || Refusal::Missing(format!("there is no project {id}"));
    let name = plane.project_of_id(id).await?.ok_or_else(missing)?;
    match caller.within(plane, &Of::Project(name.clone())).await {
        Err(Refusal::Missing(_)) => Err(missing()),
        allowed => allowed.map(|()| name),
    }
}

async fn listed(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    which: Query<Scoped>,
) -> Result<Json<Page<Webhook>>, Refusal> {
    let project = project(&plane, &caller, which.id).await?;
    which.page.cut(plane.webhooks_of(&project).await?.into_iter()).map(Json)
}

async fn make(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    new: Json<NewWebhook>,
) -> Result<HttpResponse, Refusal> {
    let project = project(&plane, &caller, new.scope.id).await?;
    let made = plane.make_webhook(&caller.who, &project, new.into_inner()).await?;
    Ok(HttpResponse::Created().json(made))
}

async fn one(
    _: May<Administer, TheWebhook>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Webhook>, Refusal> {
    plane.webhook(*id).await.map(Json)
}

async fn change(
    caller: May<Administer, TheWebhook>,
    plane: Data<Plane>,
    id: Path<Uuid>,
    change: Json<WebhookChange>,
) -> Result<Json<Webhook>, Refusal> {
    plane.change_webhook(&caller.who, *id, change.into_inner()).await.map(Json)
}

async fn remove(
    caller: May<Administer, TheWebhook>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Refusal> {
    plane.remove_webhook(&caller.who, *id).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "message": "Webhook deleted." })))
}
