//! Answers in JSON with a tag: who has the same already is told so, and is sent nothing.

use crate::plane::token::hash;
use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ContentType, ETAG, EntityTag, Header, IfNoneMatch},
};
use serde::Serialize;

/// An answer in JSON with a tag made of its bytes.
#[derive(Debug)]
pub(super) struct Tagged<T>(pub(super) T);

impl<T: Serialize> Responder for Tagged<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match serde_json::to_string(&self.0) {
            Ok(json) => tagged(request, ContentType::json(), json),
            Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
        }
    }
}

/// The same of any text.
pub(super) fn tagged(request: &HttpRequest, kind: ContentType, text: String) -> HttpResponse {
    let tag = EntityTag::new_strong(hash(&text)[..16].iter().map(|byte| format!("{byte:02x}")).collect());
    let has_it = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|one| one.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut answer = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, tag));
    if has_it { answer.finish() } else { answer.insert_header(kind).body(text) }
}
