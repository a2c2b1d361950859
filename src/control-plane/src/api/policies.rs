//! Config policies of an organization, in the shapes of the public API v2: `ownerID` is the organization's id.

use super::{
    json as json_config,
    may::{Act, Administer, May, TheOrganizationOfId, View},
    paging::MOST,
    slug,
    trends::moment,
};
use crate::{
    bodies::MAX_JSON,
    plane::{Plane, people::canonical},
    policies::shown,
    refusal::Refusal,
};
use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::StatusCode,
    web::{Data, Json, Path, Query, ServiceConfig, get, patch, post, resource},
};
use protocol::policies::{
    Asked, CONTEXT, Decided, Decision, Enforcement, LONGEST_BUNDLE, NewBundle, Policy, Status,
};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, fmt};
use store::{DecisionRow, WantedDecisions};
use uuid::Uuid;

/// The largest body with policies: in JSON a letter may take six.
const MAX_BUNDLE: usize = 6 * LONGEST_BUNDLE;
const _: () = assert!(MAX_BUNDLE <= MAX_JSON, "no body is longer");

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/owner/{owner}/context/{context}/policy-bundle")
                .app_data(json_config(MAX_BUNDLE))
                .route(get().to(bundle))
                .route(post().to(push)),
        )
        .service(
            // Older clients ask for all of them by an empty name.
            resource("/api/v2/owner/{owner}/context/{context}/policy-bundle/").route(get().to(bundle)),
        )
        .service(
            resource("/api/v2/owner/{owner}/context/{context}/policy-bundle/{name}").route(get().to(policy)),
        )
        .service(
            resource("/api/v2/owner/{owner}/context/{context}/decision")
                .app_data(json_config(MAX_JSON))
                .route(get().to(decisions))
                .route(post().to(decide)),
        )
        .service(
            resource("/api/v2/owner/{owner}/context/{context}/decision/settings")
                .route(get().to(settings))
                .route(patch().to(enforce)),
        )
        .service(resource("/api/v2/owner/{owner}/context/{context}/decision/{id}").route(get().to(decision)))
        .service(
            resource("/api/v2/owner/{owner}/context/{context}/decision/{id}/policy-bundle")
                .route(get().to(bundle_of)),
        );
}

/// A refusal that older clients read as well: they look for `error`.
#[derive(Debug)]
struct Said(Refusal);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Into<Refusal>> From<E> for Said {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ResponseError for Said {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        match &self.0 {
            Refusal::Bad(why) => HttpResponse::BadRequest().json(json!({ "error": why, "message": why })),
            Refusal::Missing(why) => HttpResponse::NotFound().json(json!({ "error": why, "message": why })),
            other => other.error_response(),
        }
    }
}

/// The organization, where the context is the one that there is.
async fn organization(plane: &Plane, owner: Uuid, context: &str) -> Result<String, Refusal> {
    if context != CONTEXT {
        return Err(Refusal::Bad(format!("there is no context `{context}` of policies: it is `{CONTEXT}`")));
    }
    plane.judge()?;
    Ok(canonical(&slug::organization_of_id(plane, owner).await?))
}

#[derive(Debug, Deserialize)]
struct Dry {
    #[serde(default)]
    dry: bool,
}

async fn push(
    caller: May<Administer, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
    dry: Query<Dry>,
    new: Json<NewBundle>,
) -> Result<HttpResponse, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    let files = new.into_inner().policies;
    if dry.dry {
        return Ok(HttpResponse::Ok().json(plane.compare_policies(&organization, files).await?));
    }
    Ok(HttpResponse::Created().json(plane.push_policies(&caller.who, &organization, files).await?))
}

async fn bundle(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
) -> Result<Json<BTreeMap<String, Policy>>, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    Ok(Json(shown(plane.store.policy_rules(&organization).await?.policies)))
}

async fn policy(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String, String)>,
) -> Result<Json<Policy>, Said> {
    let (owner, context, name) = path.into_inner();
    let organization = organization(&plane, owner, &context).await?;
    let found = shown(plane.store.policy_rules(&organization).await?.policies).remove(&name);
    Ok(Json(found.ok_or_else(|| Refusal::Missing(format!("there is no policy {name}")))?))
}

/// Which decisions.
#[derive(Debug, Deserialize)]
struct Which {
    status: Option<Status>,
    after: Option<String>,
    before: Option<String>,
    branch: Option<String>,
    project_id: Option<String>,
    #[serde(default)]
    offset: u64,
}

impl Which {
    fn wanted(self) -> Result<WantedDecisions, Refusal> {
        let read = |name: &str, text: Option<String>| {
            let no_time = |text: &String| Refusal::Bad(format!("`{name}`: `{text}` is no time of RFC 3339"));
            text.map(|text| moment(&text).ok_or_else(|| no_time(&text))).transpose()
        };
        Ok(WantedDecisions {
            status: self.status,
            after_ms: read("after", self.after)?,
            before_ms: read("before", self.before)?,
            branch: self.branch,
            project: self.project_id,
            offset: self.offset,
        })
    }
}

async fn decisions(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
    which: Query<Which>,
) -> Result<Json<Vec<Decided>>, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    let rows = plane.store.decisions(&organization, &which.into_inner().wanted()?, MOST).await?;
    Ok(Json(plane.told_of_decisions(rows).await?))
}

async fn decide(
    _: May<Act, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
    asked: Json<Asked>,
) -> Result<Json<Decision>, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    Ok(Json(plane.decide(&organization, asked.into_inner()).await?))
}

async fn row(plane: &Plane, path: Path<(Uuid, String, String)>) -> Result<DecisionRow, Refusal> {
    let (owner, context, id) = path.into_inner();
    let organization = organization(plane, owner, &context).await?;
    let missing = || Refusal::Missing(format!("there is no decision {id}"));
    let known: Uuid = id.parse().map_err(|_| missing())?;
    plane.store.decision(&organization, known).await?.ok_or_else(missing)
}

async fn decision(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String, String)>,
) -> Result<Json<Decided>, Said> {
    let row = row(&plane, path).await?;
    Ok(Json(plane.told_of_decision(row).await?))
}

async fn bundle_of(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String, String)>,
) -> Result<Json<BTreeMap<String, Policy>>, Said> {
    let row = row(&plane, path).await?;
    Ok(Json(shown(plane.policies_of(&row).await?)))
}

async fn settings(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
) -> Result<Json<Enforcement>, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    Ok(Json(Enforcement { enabled: plane.store.has_policies_enabled(&organization).await? }))
}

async fn enforce(
    caller: May<Administer, TheOrganizationOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, String)>,
    given: Json<Enforcement>,
) -> Result<Json<Enforcement>, Said> {
    let organization = organization(&plane, path.0, &path.1).await?;
    plane.enforce_policies(&caller.who, &organization, given.enabled).await?;
    Ok(given)
}
