//! The description of every call, for programs: an OpenAPI document, which a test compares with what is answered.

use super::tagged::tagged;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::ContentType,
    web::{ServiceConfig, get, resource},
};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Written by hand; `tests/it/openapi.rs` holds it to the routes, and answers to it.
const DOCUMENT: &str = include_str!("../../assets/openapi.json");

/// Before the paths of the public API v2.
const V2: &str = "/api/v2";

/// The part of it that is the public API v2, with the paths as there: the older `circleci` command line looks in it for what it
/// may ask here.
static OF_V2: LazyLock<String> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let own = paths.filter_map(|(path, calls)| Some((path.strip_prefix(V2)?.to_owned(), calls.clone())));
    document["paths"] = Value::Object(own.filter(|(path, _)| path.starts_with('/')).collect());
    document["servers"] = json!([{ "url": V2 }]);
    document.to_string()
});

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/openapi.json").route(get().to(document)))
        .service(resource("/api/v2/openapi.json").route(get().to(of_v2)));
}

/// It tells what everybody may read in our sources, so everybody may ask.
async fn document(request: HttpRequest) -> HttpResponse {
    tagged(&request, ContentType::json(), DOCUMENT.to_owned())
}

/// The same.
async fn of_v2(request: HttpRequest) -> HttpResponse {
    tagged(&request, ContentType::json(), OF_V2.clone())
}
