//! What the address of a page names; one that names nothing is answered by a page too.

use super::response::NoPage;
use crate::refusal::Refusal;
use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};

/// The parts of a page's address. Somebody typed it, or followed a link that is no good: no client of the API.
pub(crate) struct Address<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Address<T> {
    type Error = NoPage;
    type Future = Ready<Result<Self, NoPage>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let named = web::Path::from_request(request, payload).into_inner();
        let missing = |_| Refusal::Missing("there is no such thing".to_owned()).into();
        ready(named.map(|path: web::Path<T>| Self(path.into_inner())).map_err(missing))
    }
}
