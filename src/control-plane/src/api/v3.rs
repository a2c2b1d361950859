//! The shapes of the public API v3: a thing with its attributes and what it refers to, alone or in a page of such, and the
//! refusals beside them.

use crate::refusal::Refusal;
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
pub(super) use protocol::api::Entity;
use protocol::api::Named;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A page of things.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    data: Vec<T>,
    page: Pages,
}

/// The pages around one. Nobody is led back: `prev` is null.
#[derive(Debug, Serialize)]
struct Pages {
    next: Option<String>,
    prev: Option<String>,
}

impl<T> List<T> {
    /// A page, and the cursor of the one that follows.
    pub(super) fn page(data: Vec<T>, next: Option<String>) -> Self {
        Self { data, page: Pages { next, prev: None } }
    }

    /// All of them.
    pub(super) fn whole(data: impl IntoIterator<Item = T>) -> Self {
        Self::page(data.into_iter().collect(), None)
    }
}

/// A thing that refers to others.
#[derive(Debug, Serialize)]
pub(super) struct Thing<A = Value, R = Value> {
    pub(super) id: Uuid,
    pub(super) attributes: A,
    pub(super) references: R,
}

impl<A> Thing<A> {
    /// One that could refer to others, and does not.
    pub(super) fn alone(id: Uuid, attributes: A) -> Self {
        Self { id, attributes, references: json!({}) }
    }
}

/// A thing that refers to none.
#[derive(Debug, Serialize)]
pub(super) struct Plain<A> {
    pub(super) id: Uuid,
    pub(super) attributes: A,
}

/// What is known of a thing that has no id.
#[derive(Debug, Serialize)]
pub(super) struct Described<A> {
    pub(super) attributes: A,
}

/// What is referred to, by its id.
pub(super) type Reference = Named<Uuid>;

/// Answers a refusal with `error` beside `message`, as the newer command line reads it. It has no id: there is nothing that
/// somebody could look up by one.
pub(super) async fn enveloped(
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
pub(super) fn error(status: StatusCode, refusal: &Refusal) -> Value {
    let (title, detail) = (status.canonical_reason().unwrap_or_default(), refusal.in_full());
    json!({ "message": detail, "error": { "title": title, "detail": detail } })
}
