//! A log as plain text, whole or a part of it, sent piece by piece; and, where that is asked for, each line after the time at
//! which it was written.

mod timed;

use super::{address::Address, response::NoPage, session::Visitor};
use crate::{
    api::may::TheTask,
    logs::{LogName, Logs, Range},
    plane::Plane,
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    error::Error,
    http::header::{self, HeaderName},
    web,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use protocol::{StepNumber, TaskId};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// Bytes that are read at once.
const PIECE: usize = 1024 * 1024;

/// Which part of a log; nothing said: all that is stored.
#[derive(Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    offset: u64,
    length: Option<u64>,
    /// Whether each line begins with its time.
    #[serde(default)]
    times: bool,
}

/// `GET /tasks/{task}/steps/{step}/raw`.
pub(crate) async fn log(
    _: Visitor<TheTask>,
    plane: web::Data<Plane>,
    Address((task, step)): Address<(TaskId, u32)>,
    part: web::Query<Part>,
) -> Result<HttpResponse, NoPage> {
    let missing = || Refusal::Missing("there is no such task".to_owned());
    let name = LogName { task, step: StepNumber(step) };
    let nothing = Range { offset: u64::MAX, limit: 0 };
    let known =
        plane.logs.read(name, nothing, Duration::ZERO).await.map_err(Refusal::from)?.ok_or_else(missing)?;
    let end = part.length.map_or(known.length, |length| part.offset.saturating_add(length)).min(known.length);
    let size = end.saturating_sub(part.offset);
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("inline; filename=\"{task}-{step}.log\"")))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"));
    let plane = plane.into_inner();
    Ok(match part.times {
        true => answer.streaming(timed::pieces(plane, name, part.offset..end)),
        false => answer.no_chunking(size).streaming(pieces(plane, name, part.offset, end)),
    })
}

/// A part of a log that is stored, read as it is sent.
pub(crate) fn pieces(
    plane: Arc<Plane>,
    name: LogName,
    from: u64,
    to: u64,
) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(from, move |offset| {
        let plane = plane.clone();
        async move {
            let Some(left) = to.checked_sub(offset).filter(|left| *left > 0) else { return Ok(None) };
            let bytes = piece(&plane.logs, name, offset, left).await?;
            let next = offset + bytes.len() as u64;
            Ok(Some((bytes, next)))
        }
    })
}

async fn piece(logs: &Logs, name: LogName, offset: u64, left: u64) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
    let piece = logs.read(name, Range { offset, limit }, Duration::ZERO).await?;
    match piece {
        Some(piece) if !piece.bytes.is_empty() => Ok(piece.bytes.into()),
        _ => Err(Refusal::Missing("the log is gone".to_owned())),
    }
}
