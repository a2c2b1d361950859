//! Refusals as the newer command line reads them, beside how all others do.

use crate::refusal::Refusal;
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use serde_json::{Value, json};

/// Answers a refusal with `error` beside `message`. It has no id: there is nothing that somebody could look up by one.
pub(in crate::api) async fn told(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = next.call(request).await?;
    let refusal = answer.response().error().and_then(|error| error.as_error::<Refusal>());
    Ok(match refusal.map(|refusal| error(answer.status(), refusal)) {
        Some(body) => answer.map_body(|_, _| BoxBody::new(body.to_string())),
        None => answer.map_into_boxed_body(),
    })
}

/// A refusal in both shapes.
pub(in crate::api) fn error(status: StatusCode, refusal: &Refusal) -> Value {
    let (title, detail) = (status.canonical_reason().unwrap_or_default(), refusal.in_full());
    json!({ "message": detail, "error": { "title": title, "detail": detail } })
}
