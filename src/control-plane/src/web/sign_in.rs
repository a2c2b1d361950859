//! The way to the provider where people sign in, and back from it.

use super::{
    response::{Entrance, Sheet, page as html, turned_away},
    session,
};
use crate::{
    plane::Plane,
    refusal::Refusal,
    sign_in::{Attempt, GOOD_FOR, SignIns, Trouble},
};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::{Data, Query},
};
use askama::Template;
use serde::Deserialize;
use slog::info;

/// Where the visitor wanted to go.
#[derive(Deserialize)]
pub(super) struct Begin {
    #[serde(default)]
    to: String,
}

/// What the provider sends back with a visitor.
#[derive(Deserialize)]
struct Back {
    state: String,
    code: Option<String>,
    /// Which provider, where it says so.
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// It goes on by itself: a browser sends the new cookie only where one of our own pages leads to the next.
#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedIn<'p> {
    sheet: &'p Sheet,
    login: &'p str,
    to: &'p str,
}

/// `GET /sign-in/oidc`: leads to the provider.
pub(crate) async fn begin(request: HttpRequest, plane: Data<Plane>) -> HttpResponse {
    let to = Query::<Begin>::from_query(request.query_string()).map(|begin| begin.into_inner().to);
    match begun(&request, &plane, &to.unwrap_or_default()).await {
        Ok(answer) => answer,
        Err(trouble) => refused(&plane, &trouble),
    }
}

async fn begun(request: &HttpRequest, plane: &Plane, to: &str) -> Result<HttpResponse, Trouble> {
    let sign_ins = sign_ins(plane)?;
    let (address, kept) = sign_ins.begin(&plane.vault, to).await?;
    Ok(session::leading_to(&address, &attempt_cookie(request, plane, &kept, GOOD_FOR)))
}

fn sign_ins(plane: &Plane) -> Result<&SignIns, Refusal> {
    let nowhere = || Refusal::Missing("nobody signs in by a provider here".to_owned());
    plane.sign_ins.as_ref().ok_or_else(nowhere)
}

/// `GET /sign-in/oidc/callback`: whoever the provider knows is signed in as whoever they are here.
pub(crate) async fn back(request: HttpRequest, plane: Data<Plane>) -> HttpResponse {
    let mut answer = match entered(&request, &plane).await {
        Ok(answer) => answer,
        Err(trouble) => refused(&plane, &trouble),
    };
    // Whatever came of it, the attempt is over.
    if plane.sign_ins.is_some()
        && let Ok(over) = HeaderValue::try_from(attempt_cookie(&request, &plane, "", 0))
    {
        answer.headers_mut().append(header::SET_COOKIE, over);
    }
    answer
}

async fn entered(request: &HttpRequest, plane: &Data<Plane>) -> Result<HttpResponse, Trouble> {
    let sign_ins = sign_ins(plane)?;
    let (attempt, code) = returned(request, plane, sign_ins)?;
    let visitor = sign_ins.identity(&attempt, &code).await?;
    let (who, kept) = plane.clone().into_inner().enter(visitor).await?;
    let sheet = &Sheet::of(request);
    let page = SignedIn { sheet, login: &who.login(), to: &attempt.to };
    let mut answer = html(StatusCode::OK, sheet, &page);
    let cookie = session::cookie_of(request, plane, &kept);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// The attempt that a visitor comes back from, with a code. Who came back from none hears none of the words that came along.
fn returned(request: &HttpRequest, plane: &Plane, sign_ins: &SignIns) -> Result<(Attempt, String), Trouble> {
    let back = Query::<Back>::from_query(request.query_string()).map_err(|_| Trouble::Stale)?.into_inner();
    let kept = session::cookies(request, &attempt_name(request)).find_map(|kept| {
        let attempt = sign_ins.attempt(&plane.vault, kept)?;
        attempt.is_of(&back.state).then_some(attempt)
    });
    let attempt = kept.ok_or(Trouble::Stale)?;
    if back.iss.is_some_and(|issuer| issuer != sign_ins.issuer()) {
        return Err(Trouble::Refused(
            "another provider sent you here than the one you were sent to".to_owned(),
        ));
    }
    if let Some(error) = &back.error {
        return Err(Trouble::of_provider(error, back.error_description.as_deref()));
    }
    back.code.map(|code| (attempt, code)).ok_or(Trouble::Stale)
}

/// Beside the page's own cookie, and other than that one sent along where the provider leads back.
fn attempt_name(request: &HttpRequest) -> String {
    format!("{}-sign-in", session::cookie_name(request))
}

fn attempt_cookie(request: &HttpRequest, plane: &Plane, kept: &str, seconds: i64) -> String {
    let (name, secure) = (attempt_name(request), session::secure(plane));
    format!("{name}={kept}; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn refused(plane: &Plane, trouble: &Trouble) -> HttpResponse {
    let (status, title) = match trouble {
        Trouble::Stale => (StatusCode::BAD_REQUEST, "Not signed in"),
        Trouble::Refused(_) => (StatusCode::FORBIDDEN, "Not signed in"),
        Trouble::Nobody(_) => (StatusCode::FORBIDDEN, "Nobody here"),
        Trouble::Provider(_) => (StatusCode::BAD_GATEWAY, "The provider does not answer as it should"),
        Trouble::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Not now"),
        Trouble::Here(refusal) => {
            (refusal.status_code(), refusal.status_code().canonical_reason().unwrap_or("Not here"))
        }
    };
    // What a stranger asks for in vain is no news.
    if !matches!(trouble, Trouble::Stale | Trouble::Here(Refusal::Missing(_))) {
        info!(plane.log, "a sign-in came to nothing"; "why" => %trouble);
    }
    turned_away(status, title, &trouble.to_string(), Some(&Entrance::of(plane, "/")))
}
