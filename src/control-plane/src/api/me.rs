//! Who calls, and for whom, in the shapes of the public APIs v2 and v1.1. All callers of these are one: the operator.

use super::{auth::Operator, slug::organization, tagged::Tagged};
use crate::{plane::Plane, plane::projects::stable_id, refusal::Refusal};
use actix_web::web::{Data, Path, ServiceConfig, get, resource};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// As the operator is called in a trigger too.
pub(super) const LOGIN: &str = "operator";
/// So many projects are looked at for their organizations.
const PROJECTS: u32 = 10_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1.1/me").route(get().to(me)))
        .service(resource("/api/v2/me").route(get().to(me)))
        .service(resource("/api/v2/me/collaborations").route(get().to(collaborations)))
        .service(resource("/api/v2/user/{id}").route(get().to(user)));
}

async fn me(_: Operator) -> Tagged<Value> {
    Tagged(operator())
}

fn operator() -> Value {
    json!({ "id": stable_id(LOGIN), "login": LOGIN, "name": LOGIN })
}

async fn user(_: Operator, id: Path<Uuid>) -> Result<Tagged<Value>, Refusal> {
    match *id == stable_id(LOGIN) {
        true => Ok(Tagged(operator())),
        false => Err(Refusal::Missing(format!("there is no user {id}"))),
    }
}

/// The organizations of the projects that are known.
async fn collaborations(_: Operator, plane: Data<Plane>) -> Result<Tagged<Vec<Value>>, Refusal> {
    let projects = plane.store.projects("", PROJECTS).await?;
    let slugs: BTreeSet<_> = projects.iter().map(|project| organization(project)).collect();
    let shown = |slug: &str| {
        let (kind, name) = slug.split_once('/').unwrap_or(("", slug));
        json!({ "id": stable_id(slug), "vcs-type": kind, "name": name, "avatar_url": null, "slug": slug })
    };
    Ok(Tagged(slugs.into_iter().map(shown).collect()))
}
