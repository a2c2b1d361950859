//! Contexts and variables of projects, in the shapes of the public API v2. No answer has a value: of a project's variable it
//! shows the end.

use super::{
    may::{Administer, May, Of, Stated, TheContext, TheProject, View},
    paging::{Page, PageQuery},
    slug,
};
use crate::{
    contexts::{Known, Whose},
    plane::{Plane, clock::rfc3339, people::canonical},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, put, resource},
};
use protocol::contexts::{
    Context, ContextOwner, ContextVariable, NewContext, NewRestriction, ProjectVariable, Restriction,
    RestrictionKind, Value as Given, masked,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{ContextRow, Owner, RestrictionRow, VariableRow};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v2/context").route(get().to(contexts)).route(post().to(make)))
        .service(resource("/api/v2/context/{context}").route(get().to(context)).route(delete().to(remove)))
        .service(resource("/api/v2/context/{context}/environment-variable").route(get().to(variables)))
        .service(
            resource("/api/v2/context/{context}/environment-variable/{name}")
                .route(put().to(set))
                .route(delete().to(unset)),
        )
        .service(
            resource("/api/v2/context/{context}/restrictions")
                .route(get().to(restrictions))
                .route(post().to(restrict)),
        )
        .service(resource("/api/v2/context/{context}/restrictions/{id}").route(delete().to(unrestrict)))
        .service(
            resource("/api/v2/project/{slug:.+}/envvar")
                .route(get().to(of_project))
                .route(post().to(set_of_project)),
        )
        .service(
            resource("/api/v2/project/{slug:.+}/envvar/{name}")
                .route(get().to(one_of_project))
                .route(delete().to(unset_of_project)),
        );
}

/// Whose contexts.
#[derive(Debug, Deserialize)]
struct Owned {
    #[serde(rename = "owner-slug")]
    slug: Option<String>,
    #[serde(rename = "owner-id")]
    id: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

/// The organization that is meant.
async fn owner(plane: &Plane, owner: ContextOwner) -> Result<String, Refusal> {
    if owner.kind.as_deref().is_some_and(|kind| kind != "organization") {
        return Err(Refusal::Bad("contexts are of organizations: `type` is `organization`".to_owned()));
    }
    if let Some(slug) = owner.slug {
        return Ok(canonical(&slug));
    }
    let id = owner.id.ok_or_else(|| Refusal::Bad("say whose: give the owner's slug or id".to_owned()))?;
    let missing = || Refusal::Missing(format!("there is no organization {id}"));
    let id: Uuid = id.parse().map_err(|_| missing())?;
    Ok(canonical(&slug::organization_of_id(plane, id).await?))
}

async fn contexts(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    which: Query<Owned>,
) -> Result<Json<Page<Context>>, Refusal> {
    let Owned { slug, id, page } = which.into_inner();
    let organization = owner(&plane, ContextOwner { slug, id, kind: None }).await?;
    caller.within(&plane, &Of::Organization(organization.clone())).await?;
    Ok(Json(page.cut(plane.contexts.of(&organization).into_iter().map(shown))?))
}

fn shown(row: ContextRow) -> Context {
    Context { id: row.id.to_string(), name: row.name, created_at: rfc3339(row.created_ms) }
}

async fn make(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    new: Json<NewContext>,
) -> Result<Json<Context>, Refusal> {
    let NewContext { name, owner: whose } = new.into_inner();
    let organization = owner(&plane, whose).await?;
    caller.within(&plane, &Of::Organization(organization.clone())).await?;
    Ok(Json(shown(plane.make_context(&caller.who, &organization, &name).await?)))
}

fn found(plane: &Plane, id: &str) -> Result<Known, Refusal> {
    let known = id.parse().ok().and_then(|id: Uuid| plane.contexts.by_id(id));
    known.ok_or_else(|| Refusal::Missing("there is no such context".to_owned()))
}

async fn context(
    _: May<View, TheContext>,
    plane: Data<Plane>,
    id: Path<String>,
) -> Result<Json<Context>, Refusal> {
    Ok(Json(shown(found(&plane, &id)?.row)))
}

async fn remove(
    caller: May<Administer, TheContext>,
    plane: Data<Plane>,
    id: Path<String>,
) -> Result<Json<Value>, Refusal> {
    plane.remove_context(&caller.who, &found(&plane, &id)?).await?;
    Ok(told("Context deleted."))
}

fn told(message: &str) -> Json<Value> {
    Json(json!({ "message": message }))
}

async fn variables(
    _: May<View, TheContext>,
    plane: Data<Plane>,
    id: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ContextVariable>>, Refusal> {
    let known = found(&plane, &id)?;
    let rows = plane.store.variables(Owner::Context(known.row.id)).await?;
    Ok(Json(page.cut(rows.into_iter().map(|row| variable(&known, row)))?))
}

fn variable(known: &Known, row: VariableRow) -> ContextVariable {
    ContextVariable {
        variable: row.name,
        context_id: known.row.id.to_string(),
        created_at: rfc3339(row.created_ms),
        updated_at: rfc3339(row.updated_ms),
    }
}

async fn set(
    caller: May<Administer, TheContext>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
    given: Json<Given>,
) -> Result<Json<ContextVariable>, Refusal> {
    let known = found(&plane, &path.0)?;
    let given = (path.1.as_str(), given.value.as_str());
    let row = plane.set_variable(&caller.who, &Whose::context(&known), given).await?;
    Ok(Json(variable(&known, row)))
}

async fn unset(
    caller: May<Administer, TheContext>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let whose = Whose::context(&found(&plane, &path.0)?);
    plane.remove_variable(&caller.who, &whose, &path.1).await?;
    Ok(told("Environment variable deleted."))
}

async fn restrictions(
    _: May<View, TheContext>,
    plane: Data<Plane>,
    id: Path<String>,
) -> Result<Json<Page<Restriction>>, Refusal> {
    let known = found(&plane, &id)?;
    let mut items = Vec::with_capacity(known.restrictions.len());
    for row in known.restrictions {
        items.push(restriction(&plane, row).await?);
    }
    Ok(Json(Page::whole(items)))
}

async fn restriction(plane: &Plane, row: RestrictionRow) -> Result<Restriction, Refusal> {
    let name = match (row.kind, row.value.parse()) {
        (RestrictionKind::Project, Ok(id)) => plane.project_of_id(id).await?,
        _ => None,
    };
    Ok(Restriction {
        id: row.id.to_string(),
        context_id: row.context.to_string(),
        name,
        restriction_type: row.kind,
        restriction_value: row.value,
    })
}

async fn restrict(
    caller: May<Administer, TheContext>,
    plane: Data<Plane>,
    id: Path<String>,
    new: Json<NewRestriction>,
) -> Result<HttpResponse, Refusal> {
    let row = plane.restrict(&caller.who, &found(&plane, &id)?, new.into_inner()).await?;
    Ok(HttpResponse::Created().json(restriction(&plane, row).await?))
}

async fn unrestrict(
    caller: May<Administer, TheContext>,
    plane: Data<Plane>,
    path: Path<(String, Uuid)>,
) -> Result<Json<Value>, Refusal> {
    plane.unrestrict(&caller.who, &found(&plane, &path.0)?, path.1).await?;
    Ok(told("Restriction deleted."))
}

/// A project that is known, by any name of its host.
async fn known_project(plane: &Plane, asked: &str) -> Result<Whose, Refusal> {
    let name = slug::project(plane, asked).await?;
    let id = plane.projects.get(&plane.store, &name).await?.id;
    Ok(Whose::project(id, &name))
}

async fn shown_variables(plane: &Plane, whose: &Whose) -> Result<Vec<ProjectVariable>, Refusal> {
    let opened = plane.opened_variables(whose.owner).await?;
    let shown = opened.into_iter().map(|one| ProjectVariable { value: masked(&one.value), name: one.name });
    Ok(shown.collect())
}

async fn of_project(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ProjectVariable>>, Refusal> {
    let whose = known_project(&plane, &asked).await?;
    Ok(Json(page.cut(shown_variables(&plane, &whose).await?.into_iter())?))
}

async fn one_of_project(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<ProjectVariable>, Refusal> {
    let whose = known_project(&plane, &path.0).await?;
    let found = shown_variables(&plane, &whose).await?.into_iter().find(|one| one.name == path.1);
    found.map(Json).ok_or_else(|| Refusal::Missing(format!("there is no variable {}", path.1)))
}

async fn set_of_project(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    new: Json<ProjectVariable>,
) -> Result<HttpResponse, Refusal> {
    // One that has run nothing yet is made.
    let name = slug::project(&plane, &asked).await.unwrap_or_else(|_| asked.clone());
    let id = plane.projects.get(&plane.store, &name).await?.id;
    let ProjectVariable { name: variable, value } = new.into_inner();
    plane.set_variable(&caller.who, &Whose::project(id, &name), (&variable, &value)).await?;
    Ok(HttpResponse::Created().json(ProjectVariable { value: masked(&value), name: variable }))
}

async fn unset_of_project(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let whose = known_project(&plane, &path.0).await?;
    plane.remove_variable(&caller.who, &whose, &path.1).await?;
    Ok(told("Environment variable deleted."))
}
