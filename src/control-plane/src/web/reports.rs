//! Reports that a job stored as artifacts (coverage, test results), opened in a browser as their makers mean them.
//!
//! ```text
//! /jobs/{job}/{index}/artifacts/{path}            asks who is there, and leads to
//! /reports/{until}-{key}/{job}/{index}/{path}     shows it to whoever has the address, as long as that is good
//! ```
//!
//! A report has scripts, and they are a job's. It is shown with an origin of its own (CSP `sandbox` without
//! `allow-same-origin`), so it has no cookie; what it loads comes by the key in its own address, and it reaches no other
//! part of this control plane.

use super::{address::Address, job::in_url, response::NoPage, session::Visitor};
use crate::{
    api::may::TheJob,
    blob_routes::{ArtifactName, shown},
    plane::{Plane, clock::wall_ms, token::hash},
    refusal::Refusal,
};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{self, HeaderName},
    web,
};
use serde::Deserialize;

/// What its scripts may do in the browser.
const SANDBOX: &str = "sandbox allow-scripts allow-popups allow-modals";
/// What it may bring in itself.
const INLINE: &str = "data: blob: 'unsafe-inline' 'unsafe-eval'";
/// How long an address shows a report.
const GOOD_MS: i64 = 12 * 60 * 60 * 1000;

/// `GET /jobs/{job}/{index}/artifacts/{path}`.
pub(crate) async fn open(
    _: Visitor<TheJob>,
    plane: web::Data<Plane>,
    Address(name): Address<ArtifactName>,
) -> Result<HttpResponse, NoPage> {
    let until = wall_ms() + GOOD_MS;
    let (key, path) = (key(&plane, until, &name), in_url(&name.path));
    let location = format!("/reports/{until}-{key}/{}/{}/{path}", in_url(&name.job), name.index);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

fn key(plane: &Plane, until: i64, name: &ArtifactName) -> String {
    plane.vault.report_key(&format!("{until} {} {}", name.job, name.index))
}

#[derive(Deserialize)]
pub(crate) struct Held {
    held: String,
    job: String,
    /// What is no number is answered by a page as well.
    index: String,
    path: String,
}

/// `GET /reports/{until}-{key}/{job}/{index}/{path}`.
pub(crate) async fn report(
    request: HttpRequest,
    plane: web::Data<Plane>,
    place: web::Path<Held>,
) -> Result<HttpResponse, NoPage> {
    let Held { held, job, index, path } = place.into_inner();
    let named = index.parse().ok().map(|index| ArtifactName { job, index, path });
    let stale =
        || Refusal::Missing("this address is not good any more: open the report from its job".to_owned());
    let name = named.filter(|name| is_good(&plane, &held, name)).ok_or_else(stale)?;
    let root = root(&request, &held, &name);
    Ok(shown(&plane, &name, &request, |answer, path| tell(answer, path, &root)).await?)
}

fn is_good(plane: &Plane, held: &str, name: &ArtifactName) -> bool {
    let Some((until, given)) = held.split_once('-') else { return false };
    let Ok(until) = until.parse::<i64>() else { return false };
    hash(given) == hash(&key(plane, until, name)) && wall_ms() < until
}

/// Whence a report may load: what lies beside it, by the same key.
fn root(request: &HttpRequest, held: &str, name: &ArtifactName) -> String {
    let (host, job) = (request.connection_info().clone(), in_url(&name.job));
    format!("{}://{}/reports/{held}/{job}/{}/", host.scheme(), host.host(), name.index)
}

fn tell(answer: &mut HttpResponseBuilder, path: &str, root: &str) {
    let rules = format!("{SANDBOX}; default-src {root} {INLINE}; form-action 'none'; base-uri 'none'");
    answer
        .content_type(mime_guess::from_path(path).first_or_octet_stream())
        .insert_header((header::CONTENT_SECURITY_POLICY, rules))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Fonts, modules and data are asked for by an origin that is none; the key in the address lets them in.
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"));
}
