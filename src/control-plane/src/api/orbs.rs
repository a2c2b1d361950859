//! Calls of operators about orbs that are published for all.

use super::{
    auth::Operator,
    may::{May, Orbs, View},
};
use crate::{audit::Deed, plane::Plane, refusal::Refusal};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, ServiceConfig, get, post, resource},
};
use protocol::{
    api::{FoundOrb, Items, NewOrb, PublishedOrb},
    people::EVERYWHERE,
};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/orbs").route(get().to(list)).route(post().to(publish)))
        .service(resource("/api/v3/orbs/{reference:.+}").route(get().to(find)));
}

async fn publish(caller: Operator, plane: Data<Plane>, new: Json<NewOrb>) -> Result<HttpResponse, Refusal> {
    let orb = plane.publish_orb(new.into_inner()).await?;
    let subject = format!("{}@{}", orb.name, orb.version);
    plane.tell_of(&caller.who, Deed::OrbPublished, (EVERYWHERE, &subject)).await?;
    Ok(HttpResponse::Created().json(orb))
}

async fn list(_: May<View, Orbs>, plane: Data<Plane>) -> Result<Json<Items<PublishedOrb>>, Refusal> {
    Ok(Json(Items { items: plane.orbs().await? }))
}

async fn find(
    _: May<View, Orbs>,
    plane: Data<Plane>,
    reference: Path<String>,
) -> Result<Json<FoundOrb>, Refusal> {
    plane.orb(&reference).await.map(Json)
}
