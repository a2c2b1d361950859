//! Troubles on demand: errors, delays and cut connections, by path.

use crate::control_plane::Shared;
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody, SizedStream},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
    web::{Bytes, Data},
};
use std::{io, time::Duration};

/// What a call meets instead of, before or after being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This status with a sentence, and nothing done.
    Status(u16),
    /// 429 with this `Retry-After` in seconds.
    Busy(u64),
    /// 404 with an empty body, as for a token nobody knows.
    Refused,
    /// Served, but only after this long.
    Delay(Duration),
    /// The connection is cut before anything is done.
    Cut,
    /// It is served, and the connection is cut instead of the answer.
    CutAfter,
}

pub(crate) async fn meet(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let shared = request.app_data::<Data<Shared>>().cloned().expect("the app has its state");
    let (method, path) = (request.method().to_string(), request.path().to_owned());
    let trouble = shared.with(|state| state.next_trouble(&path));
    let answer = match trouble {
        Some(Trouble::Status(status)) => request.into_response(told(status)),
        Some(Trouble::Busy(seconds)) => request.into_response(busy(seconds)),
        Some(Trouble::Refused) => request.into_response(HttpResponse::NotFound().finish()),
        Some(Trouble::Cut) => request.into_response(cut()),
        Some(Trouble::CutAfter) => next.call(request).await?.into_response(cut()),
        Some(Trouble::Delay(time)) => {
            tokio::time::sleep(time).await;
            next.call(request).await?.map_into_boxed_body()
        }
        None => next.call(request).await?.map_into_boxed_body(),
    };
    shared.with(|state| state.calls.push((format!("{method} {path}"), answer.status().as_u16())));
    Ok(answer)
}

fn told(status: u16) -> HttpResponse {
    let status = StatusCode::from_u16(status).expect("a test names a status");
    HttpResponse::build(status).json(serde_json::json!({"message": "trouble, as ordered"}))
}

fn busy(seconds: u64) -> HttpResponse {
    HttpResponse::TooManyRequests().insert_header(("Retry-After", seconds.to_string())).finish()
}

/// An answer that breaks off: the server closes the connection over a body that fails.
fn cut() -> HttpResponse {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("cut, as ordered")) });
    HttpResponse::Ok().body(SizedStream::new(1 << 20, broken))
}
