//! Contents over HTTP: signed URLs both ways, artifacts by name, and ranges of logs held open until they grow.

use crate::{
    api::may::{TheJob, TheTask},
    bundle,
    logs::{LogName, Range as LogRange},
    plane::{Plane, clock::wall_ms},
    ranges::Asked,
    refusal::Refusal,
    web::session::Reading,
};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    error::Error,
    http::header::{self, HeaderName},
    web::{self, ServiceConfig, get, put},
};
use blobs::{Access, Content, Joined, Scope, SignatureError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use protocol::{
    Digest, JobId, StepNumber,
    http::{PartQuery, SignedQuery},
    marks::LogTimes,
    transfer::{self, PART, Parts, is_safe_path},
};
use serde::Deserialize;
use std::{ops::Range, time::Duration};
use store::FoundArtifact;

/// The most bytes of one range of a log.
const MOST: usize = 4 * 1024 * 1024;
/// The longest that a call is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The routes of contents.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/blobs/{scope}/{digest}", put().to(store))
        .route("/blobs/{scope}/{digest}", get().to(fetch))
        .route("/api/v3/artifacts/{job}/{index}/{path:.+}", get().to(artifact))
        .route("/api/v3/tasks/{task}/steps/{step}/log", get().to(log))
        .route("/api/v3/tasks/{task}/steps/{step}/times", get().to(times));
}

#[derive(Deserialize)]
struct Named {
    scope: String,
    digest: String,
}

/// A signed URL that was looked through.
struct Signed {
    scope: Scope,
    digest: Digest,
    access: Access,
}

fn signed(plane: &Plane, put: bool, named: Named, query: &SignedQuery) -> Result<Signed, Forbidden> {
    let scope = Scope::from_segment(&named.scope).ok_or(SignatureError::Forged)?;
    let digest = Digest::try_from(named.digest).map_err(|_| SignatureError::Forged)?;
    let access = plane.signer.verify(put, &scope, &digest, query, wall_ms())?;
    Ok(Signed { scope, digest, access })
}

/// A URL that allows nothing, as an answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Forbidden(#[from] SignatureError);

impl actix_web::ResponseError for Forbidden {
    fn error_response(&self) -> HttpResponse {
        HttpResponse::Forbidden().json(protocol::http::ErrorBody { message: self.to_string() })
    }
}

/// `PUT` of a signed URL: the content, verified and on disk when this is answered.
async fn store(
    plane: web::Data<Plane>,
    named: web::Path<Named>,
    query: web::Query<SignedQuery>,
    parts: web::Query<PartQuery>,
    request: HttpRequest,
    mut body: web::Payload,
) -> Result<HttpResponse, Error> {
    let Signed { scope, digest, access } = signed(&plane, true, named.into_inner(), &query)?;
    let _room = plane.bodies.admit(&request)?;
    let size = match access {
        Access::Put { size } => Some(size),
        Access::Get => None,
    };
    if let (PartQuery { part: Some(_), .. } | PartQuery { join: Some(true), .. }, Some(size)) =
        (&*parts, size)
    {
        let content = transfer::Content { digest, size };
        return store_part(&plane, (&scope, &content), parts.into_inner(), body).await;
    }
    let mut writer = plane.blobs.write(&scope, digest, size).await.map_err(Refusal::from)?;
    while let Some(piece) = body.next().await {
        writer.push(piece?).await.map_err(Refusal::from)?;
    }
    writer.finish().await.map_err(Refusal::from)?;
    Ok(HttpResponse::Ok().finish())
}

/// A part, or the word that all of them were sent. What is whole already is not written again.
async fn store_part(
    plane: &Plane,
    (scope, content): (&Scope, &transfer::Content),
    query: PartQuery,
    mut body: web::Payload,
) -> Result<HttpResponse, Error> {
    let PartQuery { part: Some(number), sha256, .. } = query else {
        return match plane.blobs.join(scope, content).await.map_err(Refusal::from)? {
            Joined::Whole => Ok(HttpResponse::Ok().finish()),
            Joined::Missing => Err(Refusal::Conflict("some parts are not here: ask which".to_owned()).into()),
        };
    };
    let sha256 = sha256.filter(|_| !Parts::range(content.size, PART, number).is_empty());
    let sha256 =
        sha256.ok_or_else(|| Refusal::Bad("the content has no such part, or no `sha256`".to_owned()))?;
    let mut writer = plane.blobs.part(scope, content, (number, sha256)).await.map_err(Refusal::from)?;
    while let Some(piece) = body.next().await {
        writer.push(piece?).await.map_err(Refusal::from)?;
    }
    writer.finish().await.map_err(Refusal::from)?;
    Ok(HttpResponse::Ok().finish())
}

/// `GET` of a signed URL: the content.
async fn fetch(
    plane: web::Data<Plane>,
    named: web::Path<Named>,
    query: web::Query<SignedQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let Signed { scope, digest, .. } = signed(&plane, false, named.into_inner(), &query)?;
    let content = plane.blobs.read(&scope, &digest).await.map_err(Refusal::from)?;
    let content = content.ok_or_else(|| Refusal::Missing(format!("there is no content {digest} here")))?;
    let size = content.size();
    let about = transfer::Content { digest, size };
    let asked = Asked::of(&request, &about);
    let mut answer = asked.answer(&about);
    answer.content_type("application/octet-stream");
    if asked == Asked::Known {
        return Ok(answer.finish());
    }
    Ok(send(answer, content.part(asked.range(size)).await.map_err(Refusal::from)?))
}

fn send(mut answer: HttpResponseBuilder, content: Content) -> HttpResponse {
    answer.no_chunking(content.size()).streaming(pieces(content))
}

fn pieces(content: Content) -> impl Stream<Item = Result<Bytes, Refusal>> {
    stream::try_unfold(content, |mut content| async {
        let piece = content.next().await?;
        Ok(piece.map(|piece| (piece, content)))
    })
}

/// Of a job's task.
#[derive(Deserialize)]
pub(crate) struct ArtifactName {
    pub(crate) job: String,
    pub(crate) index: u32,
    pub(crate) path: String,
}

/// `GET /api/v3/artifacts/{job}/{index}/{path}`: what a job stored, shown only where it can do nothing.
async fn artifact(
    _: Reading<TheJob>,
    plane: web::Data<Plane>,
    name: web::Path<ArtifactName>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    shown(&plane, &name, &request, tell).await
}

/// An artifact, or what the call wants of it, under a head that says what may be done with it.
pub(crate) async fn shown(
    plane: &Plane,
    name: &ArtifactName,
    request: &HttpRequest,
    tell: impl FnOnce(&mut HttpResponseBuilder, &str),
) -> Result<HttpResponse, Refusal> {
    let (scope, found) = find(plane, name).await?.ok_or_else(no_artifact)?;
    let size = found.artifact.content.size;
    let asked = Asked::of(request, &found.artifact.content);
    let range = asked.range(size);
    let mut answer = asked.answer(&found.artifact.content);
    tell(&mut answer, &name.path);
    if range.is_empty() {
        return Ok(answer.finish());
    }
    let digest = found.place.as_ref().map_or(&found.artifact.content.digest, |place| &place.bundle);
    let content = plane.blobs.read(&scope, digest).await?.ok_or_else(no_artifact)?;
    let Some(place) = found.place else { return Ok(send(answer, content.part(range).await?)) };
    let frame = place.start..place.start.saturating_add(place.stored);
    let read = web::block(move || bundle::member(&content.into_file(), &frame, size)).await;
    let bytes = read.map_err(std::io::Error::other).flatten().map_err(|error| {
        Refusal::Unavailable(format!("the artifact cannot be read from its bundle: {error}"))
    })?;
    Ok(answer.body(Bytes::from(bytes).slice(places(&range))))
}

/// Of a member, which is small.
fn places(range: &Range<u64>) -> Range<usize> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    place(range.start)..place(range.end)
}

/// What an artifact is, and that it can do nothing.
fn tell(answer: &mut HttpResponseBuilder, path: &str) {
    let (kind, shown) = kind(path);
    let file = path.rsplit('/').next().unwrap_or("artifact");
    let file: String =
        file.chars().map(|c| if c.is_ascii_graphic() && !"\"\\;%".contains(c) { c } else { '_' }).collect();
    let disposition = format!("{}; filename=\"{file}\"", if shown { "inline" } else { "attachment" });
    answer
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"));
}

fn no_artifact() -> Refusal {
    Refusal::Missing("there is no such artifact".to_owned())
}

async fn find(plane: &Plane, name: &ArtifactName) -> Result<Option<(Scope, FoundArtifact)>, Refusal> {
    let Ok(job) = name.job.parse::<JobId>() else { return Ok(None) };
    if !is_safe_path(&name.path) {
        return Ok(None);
    }
    let Some((_, _, project)) = plane.store.job(job).await? else { return Ok(None) };
    let found = plane.store.artifact_of_job(job, name.index, &name.path).await?;
    Ok(found.map(|found| (Scope::project(&project), found)))
}

/// The type an artifact is sent as, and whether a browser may show it: text and plain pictures only.
fn kind(path: &str) -> (&'static str, bool) {
    let extension = path.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(_, end)| end);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "md" | "csv" | "tsv" | "yml" | "yaml" | "toml" | "diff" | "patch" | "xml"
        | "json" | "jsonl" | "info" | "out" | "err" => ("text/plain; charset=utf-8", true),
        "png" => ("image/png", true),
        "jpg" | "jpeg" => ("image/jpeg", true),
        "gif" => ("image/gif", true),
        "webp" => ("image/webp", true),
        _ => ("application/octet-stream", false),
    }
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    wait_ms: u64,
    limit: Option<usize>,
}

/// `GET /api/v3/tasks/{task}/steps/{step}/log`: raw bytes from an offset on, held open while there are none.
async fn log(
    _: Reading<TheTask>,
    plane: web::Data<Plane>,
    name: web::Path<(String, u32)>,
    query: web::Query<LogQuery>,
) -> Result<HttpResponse, Refusal> {
    let missing = || Refusal::Missing("there is no such task".to_owned());
    let task = name.0.parse().map_err(|_| missing())?;
    let log = LogName { task, step: StepNumber(name.1) };
    let range = LogRange { offset: query.offset, limit: query.limit.unwrap_or(MOST).clamp(1, MOST) };
    let wait = Duration::from_millis(query.wait_ms).min(LONGEST_WAIT);
    let mut closing = plane.closing.clone();
    let piece = tokio::select! {
        piece = plane.logs.read(log, range, wait) => piece?,
        // A control plane that stops keeps nobody waiting.
        _ = closing.wait_for(|closing| *closing) => plane.logs.read(log, range, Duration::ZERO).await?,
    };
    let piece = piece.ok_or_else(missing)?;
    let mut answer = HttpResponse::Ok();
    if piece.terminal {
        answer.insert_header(("X-Terminal", "true"));
    }
    Ok(answer
        .content_type("application/octet-stream")
        .insert_header(("X-Log-Length", piece.length.to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(piece.bytes))
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    offset: u64,
    length: Option<u64>,
}

/// `GET /api/v3/tasks/{task}/steps/{step}/times`: when the bytes of a part of a log were written.
async fn times(
    _: Reading<TheTask>,
    plane: web::Data<Plane>,
    name: web::Path<(String, u32)>,
    part: web::Query<Part>,
) -> Result<web::Json<LogTimes>, Refusal> {
    let missing = || Refusal::Missing("there is no such task".to_owned());
    let task = name.0.parse().map_err(|_| missing())?;
    let log = LogName { task, step: StepNumber(name.1) };
    let end = part.length.map_or(u64::MAX, |length| part.offset.saturating_add(length));
    plane.logs.times(log, part.offset..end).await?.map(web::Json).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_and_pictures_are_shown() {
        for (path, shown) in [("a/b.txt", true), ("shot.PNG", true), ("report.json", true)] {
            assert_eq!(kind(path).1, shown, "{path}");
        }
        for path in ["index.html", "a.svg", "x.pdf", "program", "a.txt/b", "x.htm", "x.xhtml", "x.js"] {
            assert_eq!(kind(path), ("application/octet-stream", false), "{path}");
        }
    }
}
