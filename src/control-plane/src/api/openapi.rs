//! The description of every call, for programs: an OpenAPI document, which a test compares with what is answered.

use super::tagged::tagged;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::ContentType,
    web::{ServiceConfig, get, resource},
};

/// Written by hand; `tests/it/openapi.rs` holds it to the routes, and answers to it.
const DOCUMENT: &str = include_str!("../../assets/openapi.json");

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/api/openapi.json").route(get().to(document)));
}

/// It tells what everybody may read in our sources, so everybody may ask.
async fn document(request: HttpRequest) -> HttpResponse {
    tagged(&request, ContentType::json(), DOCUMENT.to_owned())
}
