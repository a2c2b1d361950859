//! Who may see the page: whoever has shown the operator's token once, and keeps a cookie of it.
//!
//! The cookie is no token: it opens the page and what the page reads. What changes something is a form that was posted
//! with a key made of the cookie, which only this control plane's own pages show: no other page can post in a visitor's
//! name, also where a browser sends the cookie along.

use super::response::{NoPage, turned_away};
use crate::{
    api::auth::Operator,
    plane::{Plane, token::hash},
    refusal::Refusal,
};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError,
    dev::Payload,
    http::{Method, StatusCode, header},
    web,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

/// A request by somebody who may see the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor;

/// A request to read, by the operator's token or by the page's cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading;

/// A form that a visitor posted from a page that was shown to them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posted<F>(pub(crate) F);

/// A form that says nothing but that it was posted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Nothing {}

#[derive(Deserialize)]
struct Keyed<F> {
    key: String,
    #[serde(flatten)]
    form: F,
}

/// The visitor is not let in yet.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SignIn {
    /// No cookie of this control plane came with the request.
    #[error("open the address that `roundhouse` printed, or give the operator's token here")]
    Needed,
    /// A token came that is not the operator's.
    #[error("that is not the operator's token of this control plane")]
    Refused,
    /// The right token came: go where it is not in the address any more, with a cookie.
    #[error("signed in")]
    Done {
        /// `Set-Cookie`.
        cookie: String,
        /// The clean address.
        location: String,
    },
}

impl ResponseError for SignIn {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Needed | Self::Refused => StatusCode::UNAUTHORIZED,
            Self::Done { .. } => StatusCode::SEE_OTHER,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Done { cookie, location } => HttpResponse::SeeOther()
                .insert_header((header::LOCATION, location.as_str()))
                .insert_header((header::SET_COOKIE, cookie.as_str()))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .insert_header((header::REFERRER_POLICY, "no-referrer"))
                .finish(),
            _ => turned_away(self.status_code(), "Who is there?", &self.to_string(), true),
        }
    }
}

/// Whether the request reads only and comes with the page's cookie.
pub(crate) fn allows(request: &HttpRequest, plane: &Plane) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    reads && is_known(request, plane)
}

fn is_known(request: &HttpRequest, plane: &Plane) -> bool {
    cookies(request).any(|value| hash(value) == hash(&session(plane)))
}

/// What forms carry on the page that answers this request; nothing where nobody is signed in.
pub(crate) fn form_key(request: &HttpRequest) -> String {
    let plane = request.app_data::<web::Data<Plane>>().filter(|plane| is_known(request, plane));
    plane.map(|plane| plane.vault.form_key(&session(plane))).unwrap_or_default()
}

/// What the cookie holds: made of the operator's token and this control plane's key, so it tells nothing of either.
fn session(plane: &Plane) -> String {
    plane.vault.page_session(&plane.access.operator)
}

/// Browsers keep one set of cookies for all ports of a host, so the name tells them apart.
fn cookie_name(request: &HttpRequest) -> String {
    format!("roundhouse-{}", request.app_config().local_addr().port())
}

fn cookies(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let name = cookie_name(request);
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    headers
        .flat_map(|value| value.split(';'))
        .filter_map(move |pair| pair.trim().strip_prefix(&name)?.strip_prefix('='))
}

fn admitted(request: &HttpRequest, plane: &Plane, location: String) -> SignIn {
    let (name, value) = (cookie_name(request), session(plane));
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict");
    SignIn::Done { cookie, location }
}

fn visitor(request: &HttpRequest) -> Result<Visitor, SignIn> {
    let plane = request.app_data::<web::Data<Plane>>().expect("every route is given the plane");
    let (token, location) = without_token(request);
    match token {
        Some(token) if plane.access.is_operator(&token) => Err(admitted(request, plane, location)),
        Some(_) => Err(SignIn::Refused),
        None if allows(request, plane) => Ok(Visitor),
        None => Err(SignIn::Needed),
    }
}

/// The token in the address, and the address without it.
fn without_token(request: &HttpRequest) -> (Option<String>, String) {
    let query = request.query_string();
    let token = web::Query::<TokenForm>::from_query(query).ok().map(|form| form.into_inner().token);
    let others: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    let others = others.join("&");
    let query = if others.is_empty() { String::new() } else { format!("?{others}") };
    // One slash in front: `//host` would lead to another host.
    let path = request.path().trim_start_matches('/');
    (token, format!("/{path}{query}"))
}

impl FromRequest for Visitor {
    type Error = SignIn;
    type Future = Ready<Result<Self, SignIn>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(visitor(request))
    }
}

impl FromRequest for Reading {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, body: &mut Payload) -> Self::Future {
        let plane = request.app_data::<web::Data<Plane>>().expect("every route is given the plane");
        if allows(request, plane) {
            return ready(Ok(Self));
        }
        ready(Operator::from_request(request, body).into_inner().map(|_| Self))
    }
}

impl<F: DeserializeOwned + 'static> FromRequest for Posted<F> {
    type Error = NoPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, NoPage>>>>;

    fn from_request(request: &HttpRequest, body: &mut Payload) -> Self::Future {
        let (key, form) = (form_key(request), web::Form::<Keyed<F>>::from_request(request, body));
        Box::pin(async move {
            if key.is_empty() {
                return Err(SignIn::Needed.into());
            }
            let form = form.await.map_err(|error| Refusal::Bad(format!("the form: {error}")))?.into_inner();
            let own = hash(&form.key) == hash(&key);
            own.then_some(Self(form.form)).ok_or_else(|| stale().into())
        })
    }
}

fn stale() -> Refusal {
    Refusal::Conflict("the form is from another sign-in: open the page again".to_owned())
}

/// A token as a form or an address gives it.
#[derive(Deserialize)]
pub(crate) struct TokenForm {
    token: String,
}

/// `POST /session`: the token from the form.
pub(crate) async fn open(
    request: HttpRequest,
    plane: web::Data<Plane>,
    form: web::Form<TokenForm>,
) -> HttpResponse {
    if plane.access.is_operator(form.token.trim()) {
        admitted(&request, &plane, "/".to_owned()).error_response()
    } else {
        SignIn::Refused.error_response()
    }
}
