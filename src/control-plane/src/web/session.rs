//! Who may see the page: whoever has shown the operator's token or one of their own, and keeps a cookie of it.
//!
//! The cookie is no token: it opens the page and what the page reads, as far as its owner may see it, and is good for as
//! long as the token is. What changes something is a form that was posted with a key made of the cookie, which only this
//! control plane's own pages show: no other page can post in a visitor's name, also where a browser sends the cookie along.
//! Nor can one sign a visitor in: as whom they act is theirs to say.

use super::response::{Entrance, NoPage, turned_away};
use crate::{
    api::may::{Act, Anything, May, Named, Needs, Subject, View},
    audit::Deed,
    bodies::Room,
    plane::{
        Plane,
        people::{Right, Who},
        token::{TokenHash, are_same, hash},
    },
    refusal::Refusal,
};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError,
    dev::Payload,
    http::{Method, StatusCode, header},
    web,
};
use protocol::people::EVERYWHERE;
use serde::{Deserialize, de::DeserializeOwned};
use std::{future::Future, marker::PhantomData, pin::Pin, sync::Arc};
use store::{ApiTokenRow, Bearer};

/// A request by somebody who may see what the page shows.
#[derive(Debug)]
pub(crate) struct Visitor<S> {
    pub(crate) who: Who,
    _of: PhantomData<S>,
}

/// A request to read, by a token or by the page's cookie.
#[derive(Debug)]
pub(crate) struct Reading<S> {
    _of: PhantomData<S>,
}

/// A form that a visitor posted from a page that was shown to them, and who has the right to that: to act, if nothing else is
/// said.
#[derive(Debug)]
pub(crate) struct Posted<S, F, R = Act> {
    pub(crate) who: Who,
    pub(crate) form: F,
    _room: Room,
    _needs: PhantomData<(R, S)>,
}

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
    #[error("open the address that `roundhouse` printed, or give the operator's token or yours here")]
    Needed(Entrance),
    /// A token came that is nobody's.
    #[error("that is no token of this control plane's operator or people")]
    Refused(Entrance),
    /// Another site sent the visitor here with a token.
    #[error("another site led here with a token: open the address itself, or give the token here")]
    Led(Entrance),
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
            Self::Needed(_) | Self::Refused(_) | Self::Led(_) => StatusCode::UNAUTHORIZED,
            Self::Done { .. } => StatusCode::SEE_OTHER,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Done { cookie, location } => leading_to(location, cookie),
            Self::Needed(entrance) | Self::Refused(entrance) | Self::Led(entrance) => {
                turned_away(self.status_code(), "Who is there?", &self.to_string(), Some(entrance))
            }
        }
    }
}

/// Leads elsewhere with another cookie.
pub(super) fn leading_to(location: &str, cookie: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::SET_COOKIE, cookie))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// Whose cookie came with a request that only reads.
fn known(request: &HttpRequest, plane: &Plane) -> Option<Who> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if reads { signed_in(request, plane).map(|(who, _)| who) } else { None }
}

/// Whose cookie came, and the cookie.
fn signed_in<'r>(request: &'r HttpRequest, plane: &Plane) -> Option<(Who, &'r str)> {
    cookies(request, &cookie_name(request)).find_map(|value| Some((holder(plane, value)?, value)))
}

/// What forms carry on the page that answers this request; nothing where nobody is signed in.
pub(crate) fn form_key(request: &HttpRequest) -> String {
    let plane = plane(request);
    signed_in(request, &plane).map(|(_, cookie)| plane.vault.form_key(cookie)).unwrap_or_default()
}

/// A cookie names its token, except the operator's.
fn holder(plane: &Plane, value: &str) -> Option<Who> {
    let (held, who) = match value.split_once('.') {
        None => (plane.access.operator, Who::Operator),
        Some((id, _)) => {
            let (row, who) = plane.access.api_token(id.parse().ok()?)?;
            (row.hash, who)
        }
    };
    let tag = value.rsplit('.').next().unwrap_or_default();
    are_same(&hash(tag), &hash(&session(plane, &held))).then_some(who)
}

/// What proves a cookie: made of the token's hash and this control plane's key, so it tells nothing of either.
fn session(plane: &Plane, token: &TokenHash) -> String {
    plane.vault.page_session(token)
}

/// Whoever shows a token of their own, or the operator's, and their cookie.
pub(super) fn cookie(request: &HttpRequest, plane: &Plane, token: &str) -> Option<(Who, String)> {
    let hash = hash(token);
    let who = plane.who(token)?;
    let cookie = match &who {
        Who::Operator => with_value(request, plane, &session(plane, &hash)),
        Who::Person(_) => {
            let rows = plane.access.api_tokens(|bearer| matches!(bearer, Bearer::Person(_)));
            cookie_of(request, plane, &rows.into_iter().find(|row| row.hash == hash)?)
        }
        Who::Approver | Who::Project { .. } => return None,
    };
    Some((who, cookie))
}

/// The cookie of whoever this token of a person stands for.
pub(super) fn cookie_of(request: &HttpRequest, plane: &Plane, token: &ApiTokenRow) -> String {
    with_value(request, plane, &format!("{}.{}", token.id, session(plane, &token.hash)))
}

fn with_value(request: &HttpRequest, plane: &Plane, value: &str) -> String {
    let (name, secure) = (cookie_name(request), secure(plane));
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// Where people find the page by https, its cookies go no other way.
pub(super) fn secure(plane: &Plane) -> &'static str {
    let is_private = plane.rules.page.as_ref().is_some_and(|page| page.starts_with("https://"));
    if is_private { "; Secure" } else { "" }
}

/// Browsers keep one set of cookies for all ports of a host, so the name tells them apart.
pub(super) fn cookie_name(request: &HttpRequest) -> String {
    format!("roundhouse-{}", request.app_config().local_addr().port())
}

/// The values of all cookies of a name.
pub(super) fn cookies<'r>(request: &'r HttpRequest, name: &str) -> impl Iterator<Item = &'r str> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    headers
        .flat_map(|value| value.split(';'))
        .filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// How whoever visits comes in.
enum Coming {
    /// They are known.
    Known(Who),
    /// They show a token now, and go on to where it is not in the address.
    SigningIn(Who, SignIn),
    /// They are not let in.
    Out(SignIn),
}

fn coming(request: &HttpRequest, plane: &Plane) -> Coming {
    let (token, location) = without_token(request);
    if token.is_some() && is_led(request) {
        return Coming::Out(SignIn::Led(Entrance::of(plane, &location)));
    }
    match token.map(|token| cookie(request, plane, &token)) {
        Some(Some((who, cookie))) => Coming::SigningIn(who, SignIn::Done { cookie, location }),
        Some(None) => Coming::Out(SignIn::Refused(Entrance::of(plane, &location))),
        None => match known(request, plane) {
            Some(who) => Coming::Known(who),
            None => Coming::Out(SignIn::Needed(Entrance::of(plane, &location))),
        },
    }
}

/// Whether a page of another site makes the browser ask; browsers that do not say so are believed.
fn is_led(request: &HttpRequest) -> bool {
    request.headers().get("Sec-Fetch-Site").is_some_and(|site| site == "cross-site")
}

impl Plane {
    async fn tell_of_sign_in(&self, who: &Who) -> Result<(), Refusal> {
        self.tell_of(who, Deed::SignedIn, (EVERYWHERE, "the page")).await
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

fn plane(request: &HttpRequest) -> Arc<Plane> {
    request.app_data::<web::Data<Plane>>().expect("every route is given the plane").clone().into_inner()
}

impl<S: Subject> FromRequest for Visitor<S> {
    type Error = NoPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, NoPage>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (plane, of) = (plane(request), S::of(&Named::of(request)));
        let coming = coming(request, &plane);
        Box::pin(async move {
            let who = match coming {
                Coming::Known(who) => who,
                Coming::SigningIn(who, done) => {
                    plane.tell_of_sign_in(&who).await?;
                    return Err(done.into());
                }
                Coming::Out(why) => return Err(why.into()),
            };
            plane.allow(&who, Right::View, &of).await?;
            Ok(Self { who, _of: PhantomData })
        })
    }
}

impl<S: Subject> FromRequest for Reading<S> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, body: &mut Payload) -> Self::Future {
        let plane = plane(request);
        let Some(who) = known(request, &plane) else {
            let may = May::<View, S>::from_request(request, body);
            return Box::pin(async move { may.await.map(|_| Self { _of: PhantomData }) });
        };
        let of = S::of(&Named::of(request));
        Box::pin(async move {
            plane.allow(&who, Right::View, &of).await?;
            Ok(Self { _of: PhantomData })
        })
    }
}

impl<S: Subject, F: DeserializeOwned + 'static, R: Needs> FromRequest for Posted<S, F, R> {
    type Error = NoPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, NoPage>>>>;

    fn from_request(request: &HttpRequest, body: &mut Payload) -> Self::Future {
        let (plane, of) = (plane(request), S::of(&Named::of(request)));
        let (key, form) = (form_key(request), web::Form::<Keyed<F>>::from_request(request, body));
        let visitor = signed_in(request, &plane).map(|(who, _)| (who, plane.bodies.admit(request)));
        Box::pin(async move {
            let (who, room) = visitor.ok_or_else(|| SignIn::Needed(Entrance::of(&plane, "/")))?;
            plane.allow(&who, R::RIGHT, &of).await?;
            let room = room?;
            let form = form.await.map_err(|error| Refusal::Bad(format!("the form: {error}")))?.into_inner();
            if !are_same(&hash(&form.key), &hash(&key)) {
                return Err(stale().into());
            }
            Ok(Self { who, form: form.form, _room: room, _needs: PhantomData })
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
) -> Result<HttpResponse, NoPage> {
    if is_led(&request) {
        return Err(SignIn::Led(Entrance::of(&plane, "/")).into());
    }
    let found = cookie(&request, &plane, form.token.trim());
    let (who, cookie) = found.ok_or_else(|| SignIn::Refused(Entrance::of(&plane, "/")))?;
    plane.tell_of_sign_in(&who).await?;
    Ok(SignIn::Done { cookie, location: "/".to_owned() }.error_response())
}

/// `POST /sign-out`: the cookie goes, and with it what a sign-in at the provider is kept as.
pub(crate) async fn close(
    Posted { who, .. }: Posted<Anything, Nothing>,
    request: HttpRequest,
    plane: web::Data<Plane>,
) -> Result<HttpResponse, NoPage> {
    let kept = signed_in(&request, &plane).and_then(|(_, cookie)| cookie.split_once('.')?.0.parse().ok());
    plane.clone().into_inner().sign_out(&who, kept).await?;
    Ok(leading_to("/", &(with_value(&request, &plane, "") + "; Max-Age=0")))
}
