//! What the steps of jobs wrote: all of it, from a byte on while it grows, or what of it matters where something failed.
//!
//! A step writes to one terminal, so that it has one stream: its `stdout` is all of that, in order, and its `stderr` is empty.

use super::condensed::condensed;
use crate::{
    api::{
        may::{May, TheJob, View},
        v3::enveloped,
    },
    logs::{LogName, Range},
    plane::Plane,
    ranges::Asked,
    refusal::Refusal,
    web::pieces,
};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{self, CONTENT_RANGE, RANGE},
    middleware::from_fn,
    web::{Data, Path, Query, ServiceConfig, block, get, resource},
};
use protocol::{JobId, StepNumber};
use serde::Deserialize;
use std::time::Duration;

/// Of a log that is condensed, so many of its last bytes are looked at.
const CONDENSED: usize = 1024 * 1024;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/jobs/{id}/stdout").wrap(from_fn(enveloped)).route(get().to(stdout)))
        .service(
            resource("/api/v3/jobs/{id}/stdout/condensed").wrap(from_fn(enveloped)).route(get().to(gist)),
        )
        .service(resource("/api/v3/jobs/{id}/stderr").wrap(from_fn(enveloped)).route(get().to(stderr)));
}

/// Of which step.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(rename = "filter[execution]", default)]
    execution: u32,
    #[serde(rename = "filter[step_num]")]
    step: Option<u32>,
}

/// A log as far as it is stored.
struct Stored {
    name: LogName,
    length: u64,
    is_over: bool,
}

impl Place {
    async fn log(self, plane: &Plane, job: JobId) -> Result<Stored, Refusal> {
        let bad = || Refusal::Bad("say of which step: `filter[step_num]`".to_owned());
        let (execution, step) = (self.execution, StepNumber(self.step.ok_or_else(bad)?));
        let missing = || {
            Refusal::Missing(format!(
                "step {} of execution {execution} of the job {job} has not begun",
                step.0
            ))
        };
        let begun = plane.store.begun_step(job, execution, step).await?.ok_or_else(missing)?;
        let name = LogName { task: begun.task, step };
        let nothing = Range { offset: u64::MAX, limit: 0 };
        let known = plane.logs.read(name, nothing, Duration::ZERO).await?.ok_or_else(missing)?;
        Ok(Stored { name, length: known.length, is_over: known.terminal })
    }
}

/// Bytes as they are; nothing that a browser would show as a page of ours.
fn raw(mut answer: HttpResponseBuilder) -> HttpResponseBuilder {
    answer
        .content_type("application/octet-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer
}

/// A range from where nothing is yet is answered with nothing: whoever follows a log asks for it again and again.
async fn stdout(
    _: May<View, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
    place: Query<Place>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let Stored { name, length, is_over } = place.log(&plane, *id).await?;
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let asked = range.map_or(Asked::Whole, |range| Asked::written(range, length));
    let part = asked.range(length);
    let mut answer = match &asked {
        Asked::Part(part) => {
            let mut answer = HttpResponse::PartialContent();
            answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{length}", part.start, part.end - 1)));
            answer
        }
        _ => HttpResponse::Ok(),
    };
    // Beyond the end, where a range is empty, nothing follows either.
    if is_over && (part.end == length || asked == Asked::Beyond) {
        answer.insert_header(("X-Terminal", "true"));
    }
    let mut answer = raw(answer);
    answer.no_chunking(part.end - part.start);
    Ok(answer.streaming(pieces(plane.into_inner(), name, part.start, part.end)))
}

async fn stderr(
    _: May<View, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
    place: Query<Place>,
) -> Result<HttpResponse, Refusal> {
    let stored = place.log(&plane, *id).await?;
    let mut answer = raw(HttpResponse::Ok());
    if stored.is_over {
        answer.insert_header(("X-Terminal", "true"));
    }
    Ok(answer.finish())
}

async fn gist(
    _: May<View, TheJob>,
    plane: Data<Plane>,
    id: Path<JobId>,
    place: Query<Place>,
) -> Result<HttpResponse, Refusal> {
    let Stored { name, length, .. } = place.log(&plane, *id).await?;
    let offset = length.saturating_sub(CONDENSED as u64);
    let read = plane.logs.read(name, Range { offset, limit: CONDENSED }, Duration::ZERO).await?;
    let bytes = read.map(|piece| piece.bytes).unwrap_or_default();
    // It takes a while, for which whoever else is answered by this thread would wait.
    let told = block(move || condensed(&bytes, offset > 0)).await;
    let untold = |error| Refusal::Unavailable(format!("the output cannot be condensed: {error}"));
    Ok(raw(HttpResponse::Ok()).body(told.map_err(untold)?))
}
