//! Who calls without a person's rights: anybody, a launch-agent of a resource class, or the holder of a task. People: `may`.

use super::{
    base64,
    may::{Administer, Everything, May},
};
use crate::{
    bodies::{Room, announced},
    plane::{Plane, token},
    refusal::Refusal,
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest, ResponseError,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::AUTHORIZATION,
    middleware::Next,
    web::{Bytes, Data},
};
use protocol::{ResourceClass, http::Lease};
use std::{future::Future, pin::Pin, sync::Arc};

/// Where `Authorization` may be a token and nothing else.
const GRAPHQL: &str = "/graphql-unstable";

/// A caller without a token: what it may do is in what it sends.
#[derive(Debug)]
pub(crate) struct Anybody {
    pub(crate) body: Bytes,
    _room: Room,
}

/// A caller who may do everything: what no other type is named for is theirs alone.
pub(crate) type Operator = May<Administer, Everything>;

/// A caller with a token of this resource class.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) class: ResourceClass,
    _room: Room,
}

/// A caller with the token of this lease.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) lease: Lease,
    pub(crate) token: String,
    _room: Room,
}

pub(super) fn plane(request: &HttpRequest) -> &Arc<Plane> {
    request.app_data::<Data<Plane>>().expect("every server has its plane")
}

/// The token of a call: `Bearer`, `Basic token:`, `Circle-Token`, or to version 1.1 `?circle-token=`.
pub(super) fn token(request: &HttpRequest) -> Option<String> {
    token_of_headers(request).or_else(|| token_of_query(request))
}

/// As clients of version 1.1 of the public API send it, and to nothing else: an address is kept in more places than a header.
fn token_of_query(request: &HttpRequest) -> Option<String> {
    let is_old = request.path().starts_with("/api/v1.1/");
    let pairs = request.query_string().split('&').filter(|_| is_old);
    pairs.filter_map(|pair| pair.strip_prefix("circle-token=")).map(str::to_owned).next()
}

fn token_of_headers(request: &HttpRequest) -> Option<String> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    if let Some(token) = header("Circle-Token") {
        return Some(token.to_owned());
    }
    let authorization = header(AUTHORIZATION.as_str())?;
    let Some((scheme, credentials)) = authorization.split_once(' ') else {
        // As the older command line sends it with GraphQL, and with nothing else.
        return (request.path() == GRAPHQL).then(|| authorization.to_owned());
    };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    let decoded = String::from_utf8(base64::decode(credentials)?).ok()?;
    scheme.eq_ignore_ascii_case("basic").then(|| decoded.trim_end_matches(':').to_owned())
}

impl FromRequest for Anybody {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (plane, body) = (plane(request).clone(), payload.take());
        let announced = announced(request).unwrap_or_default();
        Box::pin(async move {
            let (body, room) = plane.bodies.read(announced, body).await?;
            Ok(Self { body, _room: room })
        })
    }
}

impl FromRequest for Runner {
    type Error = Refusal;
    type Future = std::future::Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let class = token(request).and_then(|token| plane(request).access.class_of(&token));
        let admitted = |class| Ok(Self { class, _room: plane(request).bodies.admit(request)? });
        std::future::ready(class.ok_or(Refusal::Unknown).and_then(admitted))
    }
}

impl FromRequest for Task {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(known) = request.extensions_mut().remove::<Self>() {
            return Box::pin(std::future::ready(Ok(known)));
        }
        let (plane, token) = (plane(request).clone(), token(request));
        let room = plane.bodies.admit(request);
        Box::pin(async move {
            let token = token.ok_or(Refusal::Unknown)?;
            // First, so that a call for which there is no room keeps the lease as well.
            let lease = plane.lease_of(&token).await?;
            Ok(Self { lease, token, _room: room? })
        })
    }
}

/// Looks at the token of a call before anything else of it: a token may have to be looked up, and a stranger is not to
/// hear meanwhile what is wrong with their body.
pub(super) async fn holder_first(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    match request.extract::<Task>().await {
        Ok(task) => drop(request.extensions_mut().insert(task)),
        Err(refusal) => {
            let response = refusal.error_response();
            return Ok(request.into_response(response).map_into_right_body());
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

impl Plane {
    /// The lease that a task token stands for. One that was superseded is told so, also after a restart.
    async fn lease_of(&self, token: &str) -> Result<Lease, Refusal> {
        let hash = token::hash(token);
        if let Some(lease) = self.renew_own(&hash) {
            return Ok(lease);
        }
        let row = self.store.lease(&hash).await?.ok_or(Refusal::Unknown)?;
        if row.current != row.epoch && !failpoints::Guard::Fencing.is_out() {
            return Err(Refusal::fenced());
        }
        if row.outcome.is_none() && self.core().place(row.task).is_none() {
            return Err(Refusal::being_read());
        }
        Ok(Lease { task_id: row.task, epoch: row.epoch })
    }
}
