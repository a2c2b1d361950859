//! The call that has all sealed with a new key.

use super::auth::Operator;
use crate::{plane::Plane, refusal::Refusal};
use actix_web::web::{Data, Json, ServiceConfig, post, resource};
use protocol::people::Rotated;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/api/v3/server/rotate-key").route(post().to(rotate)));
}

async fn rotate(caller: Operator, plane: Data<Plane>) -> Result<Json<Rotated>, Refusal> {
    Ok(Json(Rotated { values: plane.into_inner().rotate_key(&caller.who).await? }))
}
