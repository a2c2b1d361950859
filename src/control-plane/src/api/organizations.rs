//! Organizations by their names and ids, and what of them can be set: in the shapes of the public APIs v3 and v2.

use super::{
    MAX_WORDS, json as json_config,
    may::{Administer, May, Stated, TheOrganization, TheOrganizationOfId, View},
    project,
    settled::{Change, settled},
    slug,
    v3::{Entity, List, Thing, enveloped},
};
use crate::{
    plane::{
        Plane,
        people::{Right, Who},
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, get, post, resource},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/orgs").wrap(from_fn(enveloped)).route(get().to(listed)))
        .service(resource("/api/v3/orgs/{id}/settings").wrap(from_fn(enveloped)).route(get().to(settings)))
        .service(
            resource("/api/v3/orgs/{id}/update-settings")
                .wrap(from_fn(enveloped))
                .app_data(json_config(MAX_WORDS))
                .route(post().to(change)),
        )
        .service(
            resource("/api/v2/organization/{organization:.+}/project")
                .app_data(json_config(MAX_WORDS))
                .route(post().to(make_project)),
        );
}

/// Which organization is looked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(rename = "filter[slug]")]
    slug: Option<String>,
    #[serde(rename = "filter[id]")]
    id: Option<Uuid>,
}

/// The one that is looked for, or none: so whoever may not see it learns nothing.
async fn listed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    wanted: Query<Wanted>,
) -> Result<Json<List<Thing>>, Refusal> {
    let found = match (&wanted.slug, wanted.id) {
        (Some(slug), None) => slug::known_organization(&plane, slug).await?,
        (None, Some(id)) => plane.organization_of_id(id).await?,
        _ => return Err(Refusal::Bad("say which: `filter[slug]` or `filter[id]`".to_owned())),
    };
    let seen = found.filter(|name| is_seen(&caller.who, name));
    Ok(Json(List::whole(seen.iter().map(|name| shown(name)))))
}

/// Whether somebody may know of an organization.
pub(super) fn is_seen(who: &Who, organization: &str) -> bool {
    who.in_organization(organization) >= Some(Right::View)
}

fn shown(name: &str) -> Thing {
    let (host, _) = name.split_once('/').unwrap_or(("", name));
    let attributes = json!({ "name": slug::last(name), "slug": name, "vcs_type": host });
    Thing::alone(stable_id(name), attributes)
}

async fn settings(
    _: May<View, TheOrganizationOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Entity<Thing>>, Refusal> {
    slug::organization_of_id(&plane, *id).await?;
    Ok(Json(Entity { data: Thing::alone(*id, as_they_are()) }))
}

/// None of them is changed by a call: each has to be as it is.
async fn change(
    _: May<Administer, TheOrganizationOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
    change: Json<Change>,
) -> Result<Json<Entity<Thing>>, Refusal> {
    slug::organization_of_id(&plane, *id).await?;
    let now = as_they_are();
    settled(&now, change.iter(), "an organization has no settings of its own here")?;
    Ok(Json(Entity { data: Thing::alone(*id, now) }))
}

/// What every organization may here, and nobody can change.
fn as_they_are() -> Value {
    json!({
        "enable_ai_agents": false,
        "enable_ai_error_summarization": false,
        "enable_certified_public_orbs": true,
        "enable_chunk_ip_ranges": false,
        "enable_image_brownouts": false,
        "enable_minor_ai_features": false,
        "enable_private_orbs": false,
        "enable_resource_class_brownouts": false,
        "enable_uncertified_public_orbs": true,
        "enable_unversioned_config": true,
        "is_bitbucket_workspace_member_org_member": false,
        "is_context_group_restriction_required": false,
        "is_runner_terms_of_service_accepted": true,
        "is_running_disabled": false,
        "is_user_checkout_keys_disabled": true,
    })
}

/// A project that nothing has run of yet.
#[derive(Debug, Deserialize)]
struct NewProject {
    name: String,
}

async fn make_project(
    caller: May<Administer, TheOrganization>,
    plane: Data<Plane>,
    asked: Path<String>,
    new: Json<NewProject>,
) -> Result<HttpResponse, Refusal> {
    let organization = slug::known_organization(&plane, &asked).await?.unwrap_or_else(|| asked.clone());
    let name = format!("{organization}/{}", new.name);
    if slug::known(&plane, &name).await?.is_some() {
        return Err(Refusal::Conflict(format!("there is a project {name} already")));
    }
    plane.make_project(&caller.who, &organization, &new.name).await?;
    Ok(HttpResponse::Created().json(project::described(&plane, &name).await?))
}
