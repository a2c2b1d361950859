//! Calls of operators about runners: resource classes, tokens, instances and counts, in the public shapes.

use super::may::{Administer, May, Needs, Of, Stated, TheClass, TheClassOfToken, View};
use crate::{
    audit::{Deed, line},
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        people::Who,
        token,
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, resource},
};
use protocol::{
    ResourceClass,
    api::{Items, Resource, Token},
    people::EVERYWHERE,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{ClassRow, InstanceRow, StoreError, TokenRow, Write};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/runner").route(get().to(instances)))
        .service(resource("/api/v3/runner/tasks").route(get().to(unclaimed)))
        .service(resource("/api/v3/runner/tasks/running").route(get().to(running)))
        .service(
            resource("/api/v3/runner/resource").route(get().to(resources)).route(post().to(create_resource)),
        )
        .service(resource("/api/v3/runner/resource/{id}").route(delete().to(remove_resource)))
        .service(resource("/api/v3/runner/resource/{id}/force").route(delete().to(force_remove_resource)))
        .service(resource("/api/v3/runner/token").route(get().to(tokens)).route(post().to(create_token)))
        .service(resource("/api/v3/runner/token/{id}").route(delete().to(remove_token)));
}

/// What a list is narrowed by; all of one control plane is one organization.
#[derive(Debug, Deserialize)]
struct Filter {
    #[serde(rename = "resource-class")]
    resource_class: Option<ResourceClass>,
    namespace: Option<String>,
    #[serde(rename = "org-id")]
    org_id: Option<String>,
}

impl Filter {
    fn admits(&self, class: &ResourceClass) -> bool {
        self.resource_class.as_ref().is_none_or(|wanted| wanted == class)
            && self.namespace.as_ref().is_none_or(|namespace| namespace == class.namespace())
    }

    fn is_given(&self) -> Result<(), Refusal> {
        if self.resource_class.is_some() || self.namespace.is_some() || self.org_id.is_some() {
            return Ok(());
        }
        Err(Refusal::Bad("say which: give `resource-class`, `namespace` or `org-id`".to_owned()))
    }

    fn class(&self) -> Result<&ResourceClass, Refusal> {
        self.resource_class
            .as_ref()
            .ok_or_else(|| Refusal::Bad("say which: give `resource-class`".to_owned()))
    }
}

fn namespace(class: &ResourceClass) -> Of {
    Of::Namespace(class.namespace().to_owned())
}

fn sees(caller: &May<View, Stated>, class: &ResourceClass) -> bool {
    caller.who.in_namespace(class.namespace()) >= Some(View::RIGHT)
}

async fn instances(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<Items<Value>>, Refusal> {
    filter.is_given()?;
    let all =
        plane.instances.all().into_iter().filter(|(class, _)| filter.admits(class) && sees(&caller, class));
    Ok(Json(Items { items: all.map(instance).collect() }))
}

fn instance((class, row): (ResourceClass, InstanceRow)) -> Value {
    json!({
        "resource_class": class,
        "hostname": row.hostname,
        "name": row.name,
        "first_connected": rfc3339(row.first_connected_ms),
        "last_connected": rfc3339(row.last_connected_ms),
        "last_used": row.last_used_ms.map(rfc3339),
        "ip": row.ip,
        "version": row.version,
    })
}

async fn unclaimed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<Value>, Refusal> {
    caller.within(&plane, &namespace(filter.class()?)).await?;
    let (queued, _) = plane.count(filter.class()?);
    Ok(Json(json!({ "unclaimed_task_count": queued })))
}

async fn running(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<Value>, Refusal> {
    caller.within(&plane, &namespace(filter.class()?)).await?;
    let (_, held) = plane.count(filter.class()?);
    Ok(Json(json!({ "running_runner_tasks": held })))
}

async fn resources(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<Items<Resource>>, Refusal> {
    filter.is_given()?;
    let all = plane
        .access
        .classes()
        .into_iter()
        .filter(|row| filter.admits(&row.class) && sees(&caller, &row.class));
    Ok(Json(Items { items: all.map(shown_class).collect() }))
}

fn shown_class(row: ClassRow) -> Resource {
    let (resource_class, description, max_tasks) = (row.class, row.description, row.max_tasks);
    Resource { id: Some(row.id.to_string()), resource_class, description, max_tasks }
}

async fn create_resource(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    body: Json<Resource>,
) -> Result<HttpResponse, Refusal> {
    let Resource { resource_class: class, description, .. } = body.into_inner();
    caller.within(&plane, &namespace(&class)).await?;
    let row = ClassRow { id: Uuid::now_v7(), class, description, created_ms: wall_ms(), max_tasks: None };
    let exists = "resource class already exists";
    let told = line(&caller.who, Deed::ClassMade, EVERYWHERE, row.class.as_str());
    unless_conflict(plane.change_access(vec![Write::Class(row.clone()), told]).await, exists)?;
    Ok(HttpResponse::Created().json(shown_class(row)))
}

async fn remove_resource(
    caller: May<Administer, TheClass>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Value>, Refusal> {
    remove_class(&caller.who, plane, *id, false).await
}

async fn force_remove_resource(
    caller: May<Administer, TheClass>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Value>, Refusal> {
    remove_class(&caller.who, plane, *id, true).await
}

async fn remove_class(who: &Who, plane: Data<Plane>, id: Uuid, force: bool) -> Result<Json<Value>, Refusal> {
    let remain = "tokens of the resource class remain: remove them first, or force it";
    let class = plane.access.class(id).ok_or_else(|| no_such("resource class"))?;
    let told = line(who, Deed::ClassRemoved, EVERYWHERE, class.as_str());
    unless_conflict(plane.change_access(vec![Write::RemoveClass { id, force }, told]).await, remain)?;
    plane.unlimit_class(&class);
    Ok(deleted())
}

async fn tokens(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<Items<Token>>, Refusal> {
    caller.within(&plane, &namespace(filter.class()?)).await?;
    let rows = plane.access.tokens(filter.class()?);
    Ok(Json(Items { items: rows.into_iter().map(|row| shown_token(row, None)).collect() }))
}

fn shown_token(row: TokenRow, token: Option<String>) -> Token {
    Token {
        id: Some(row.id.to_string()),
        resource_class: row.class,
        nickname: row.nickname,
        token,
        created_at: Some(rfc3339(row.created_ms)),
    }
}

async fn create_token(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    body: Json<Token>,
) -> Result<HttpResponse, Refusal> {
    let Token { resource_class: class, nickname, .. } = body.into_inner();
    caller.within(&plane, &namespace(&class)).await?;
    if !plane.access.has_class(&class) {
        return Err(Refusal::Missing(format!("there is no resource class `{class}`: create it first")));
    }
    let token = token::new_token();
    let (id, hash, created_ms) = (Uuid::now_v7(), token::hash(&token), wall_ms());
    let row = TokenRow { id, class, nickname, hash, created_ms };
    let told = format!("{}: {id} `{}`", row.class, row.nickname);
    let told = line(&caller.who, Deed::RunnerTokenMade, EVERYWHERE, &told);
    plane.change_access(vec![Write::Token(row.clone()), told]).await?;
    Ok(HttpResponse::Created().json(shown_token(row, Some(token))))
}

async fn remove_token(
    caller: May<Administer, TheClassOfToken>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Value>, Refusal> {
    let class = plane.access.class_of_token(*id).ok_or_else(|| no_such("token"))?;
    let told = line(&caller.who, Deed::RunnerTokenRemoved, EVERYWHERE, &format!("{class}: {id}"));
    plane.change_access(vec![Write::RemoveToken(*id), told]).await?;
    Ok(deleted())
}

fn no_such(what: &str) -> Refusal {
    Refusal::Missing(format!("there is no such {what}"))
}

fn deleted() -> Json<Value> {
    Json(json!({ "message": "Deleted." }))
}

fn unless_conflict(result: Result<u64, StoreError>, message: &str) -> Result<u64, Refusal> {
    result.map_err(|error| match error {
        StoreError::Conflict(_) => Refusal::Conflict(message.to_owned()),
        other => other.into(),
    })
}
