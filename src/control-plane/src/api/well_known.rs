//! What anybody may know: how to check the identity tokens of jobs.

use crate::{oidc::Issuer, plane::Plane, refusal::Refusal};
use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Data, ServiceConfig, get},
};
use serde_json::Value;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/.well-known/openid-configuration", get().to(discovery))
        .route("/.well-known/jwks.json", get().to(keys));
}

async fn discovery(plane: Data<Plane>) -> Result<HttpResponse, Refusal> {
    told(&plane, Issuer::discovery)
}

async fn keys(plane: Data<Plane>) -> Result<HttpResponse, Refusal> {
    told(&plane, Issuer::keys)
}

fn told(plane: &Plane, what: impl FnOnce(&Issuer) -> Value) -> Result<HttpResponse, Refusal> {
    let issuer = plane.issuer.as_ref().ok_or_else(Refusal::no_issuer_here)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "max-age=300")).json(what(issuer)))
}
