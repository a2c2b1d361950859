//! Whether the control plane lives, whether it can work, and how much there is to do: for whoever watches it.

use super::{
    may::{Everything, May, View},
    metrics,
};
use crate::{plane::Plane, refusal::Refusal};
use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig, get, resource},
};
use protocol::exposition;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/healthz").route(get().to(lives)))
        .service(resource("/readyz").route(get().to(works)))
        .service(resource("/metrics").route(get().to(counts)));
}

/// As long as calls are answered.
async fn lives() -> &'static str {
    "it lives\n"
}

/// As long as it does not stop, and the store is read.
async fn works(plane: Data<Plane>) -> Result<&'static str, Refusal> {
    if *plane.closing.borrow() {
        return Err(Refusal::Unavailable("the control plane is stopping".to_owned()));
    }
    plane.store.answers().await?;
    Ok("it is ready\n")
}

async fn counts(_: May<View, Everything>, plane: Data<Plane>) -> HttpResponse {
    HttpResponse::Ok().content_type(exposition::CONTENT_TYPE).body(metrics::exposition(&plane))
}
