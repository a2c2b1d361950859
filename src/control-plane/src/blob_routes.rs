//! Contents over HTTP: signed URLs both ways, artifacts by name, and ranges of logs held open until they grow.

use crate::{
    logs::{LogName, Range},
    plane::{Plane, clock::wall_ms},
    refusal::Refusal,
    web::session::Reading,
};
use actix_web::{
    HttpRequest, HttpResponse,
    error::Error,
    http::header::{self, HeaderName},
    web::{self, ServiceConfig, get, put},
};
use blobs::{Access, Content, Scope, SignatureError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use protocol::{Digest, JobId, StepNumber, http::SignedQuery, transfer::is_safe_path};
use serde::Deserialize;
use std::time::Duration;

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
        .route("/api/v3/tasks/{task}/steps/{step}/log", get().to(log));
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
    request: HttpRequest,
    mut body: web::Payload,
) -> Result<HttpResponse, Error> {
    let Signed { scope, digest, access } = signed(&plane, true, named.into_inner(), &query)?;
    let _room = plane.bodies.admit(&request)?;
    let size = match access {
        Access::Put { size } => Some(size),
        Access::Get => None,
    };
    let mut writer = plane.blobs.write(&scope, digest, size).await.map_err(Refusal::from)?;
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
) -> Result<HttpResponse, Error> {
    let Signed { scope, digest, .. } = signed(&plane, false, named.into_inner(), &query)?;
    let content = plane.blobs.read(&scope, &digest).await.map_err(Refusal::from)?;
    let content = content.ok_or_else(|| Refusal::Missing(format!("there is no content {digest} here")))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .no_chunking(content.size())
        .streaming(pieces(content)))
}

fn pieces(content: Content) -> impl Stream<Item = Result<Bytes, Refusal>> {
    stream::try_unfold(content, |mut content| async {
        let piece = content.next().await?;
        Ok(piece.map(|piece| (piece, content)))
    })
}

#[derive(Deserialize)]
struct ArtifactName {
    job: String,
    index: u32,
    path: String,
}

/// `GET /api/v3/artifacts/{job}/{index}/{path}`: what a job stored, shown only where it can do nothing.
async fn artifact(
    _: Reading,
    plane: web::Data<Plane>,
    name: web::Path<ArtifactName>,
) -> Result<HttpResponse, Refusal> {
    let (scope, digest) = find(&plane, &name).await?.ok_or_else(no_artifact)?;
    let content = plane.blobs.read(&scope, &digest).await?.ok_or_else(no_artifact)?;
    let (kind, shown) = kind(&name.path);
    let file = name.path.rsplit('/').next().unwrap_or("artifact");
    let file: String =
        file.chars().map(|c| if c.is_ascii_graphic() && !"\"\\;%".contains(c) { c } else { '_' }).collect();
    let disposition = format!("{}; filename=\"{file}\"", if shown { "inline" } else { "attachment" });
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .no_chunking(content.size())
        .streaming(pieces(content)))
}

fn no_artifact() -> Refusal {
    Refusal::Missing("there is no such artifact".to_owned())
}

async fn find(plane: &Plane, name: &ArtifactName) -> Result<Option<(Scope, Digest)>, Refusal> {
    let Ok(job) = name.job.parse::<JobId>() else { return Ok(None) };
    if !is_safe_path(&name.path) {
        return Ok(None);
    }
    let Some((_, _, project)) = plane.store.job(job).await? else { return Ok(None) };
    let artifact = plane.store.artifact_of_job(job, name.index, &name.path).await?;
    Ok(artifact.map(|artifact| (Scope::project(&project), artifact.content.digest)))
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
    _: Reading,
    plane: web::Data<Plane>,
    name: web::Path<(String, u32)>,
    query: web::Query<LogQuery>,
) -> Result<HttpResponse, Refusal> {
    let missing = || Refusal::Missing("there is no such task".to_owned());
    let task = name.0.parse().map_err(|_| missing())?;
    let log = LogName { task, step: StepNumber(name.1) };
    let range = Range { offset: query.offset, limit: query.limit.unwrap_or(MOST).clamp(1, MOST) };
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
