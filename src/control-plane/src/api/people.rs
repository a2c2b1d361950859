//! Calls about people, their roles in organizations, and the tokens of people and of projects.

use super::may::{Administer, Everything, May, TheOrganization, ThePerson, TheProject, View};
use crate::{
    people::is_same,
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        people::{Somebody, Who, canonical},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, put, resource},
};
use protocol::{
    api::Items,
    people::{ApiToken, EVERYWHERE, Identity, ME, Member, NewApiToken, NewIdentity, NewPerson, Person},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{ApiTokenRow, Bearer, IdentityRow};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/people").route(get().to(everybody)).route(post().to(add)))
        .service(resource("/api/v3/people/{login}").route(delete().to(remove)))
        .service(
            resource("/api/v3/people/{login}/identity")
                .route(put().to(set_identity))
                .route(delete().to(remove_identity)),
        )
        .service(
            resource("/api/v3/people/{login}/accounts/{account:.+}")
                .route(put().to(set_account))
                .route(delete().to(remove_account)),
        )
        .service(
            resource("/api/v3/people/{login}/tokens").route(get().to(tokens)).route(post().to(make_token)),
        )
        .service(resource("/api/v3/people/{login}/tokens/{id}").route(delete().to(remove_token)))
        .service(
            resource("/api/v3/members/{organization:.+}")
                .route(get().to(members))
                .route(put().to(give_role))
                .route(delete().to(take_role)),
        )
        .service(
            resource("/api/v3/project-tokens/{project:.+}")
                .route(get().to(project_tokens))
                .route(post().to(make_project_token))
                .route(delete().to(remove_project_token)),
        );
}

async fn everybody(_: May<View, Everything>, plane: Data<Plane>) -> Json<Items<Person>> {
    Json(Items { items: plane.access.people().iter().map(|one| person(one)).collect() })
}

fn person(somebody: &Somebody) -> Person {
    let row = &somebody.row;
    let roles = somebody.roles.iter().map(|(organization, role)| Member {
        login: row.login.clone(),
        organization: organization.clone(),
        role: *role,
    });
    Person {
        id: row.id.to_string(),
        login: row.login.clone(),
        name: row.name.clone(),
        created_at: rfc3339(row.created_ms),
        roles: roles.collect(),
        identity: somebody.identity.clone().map(identity),
        accounts: somebody.accounts.iter().cloned().collect(),
    }
}

fn identity(row: IdentityRow) -> Identity {
    let IdentityRow { issuer, subject, email, groups, signed_in_ms, .. } = row;
    Identity { issuer, subject, email, groups, signed_in_at: signed_in_ms.map(rfc3339) }
}

async fn add(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    new: Json<NewPerson>,
) -> Result<HttpResponse, Refusal> {
    let made = plane.add_person(&caller.who, new.into_inner()).await?;
    Ok(HttpResponse::Created().json(person(&made)))
}

async fn remove(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    login: Path<String>,
) -> Result<Json<Value>, Refusal> {
    plane.remove_person(&caller.who, &login).await?;
    Ok(deleted())
}

async fn set_identity(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    login: Path<String>,
    new: Json<NewIdentity>,
) -> Result<Json<Person>, Refusal> {
    let changed = plane.clone().into_inner().set_identity(&caller.who, &login, new.into_inner()).await?;
    Ok(Json(person(&changed)))
}

async fn remove_identity(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    login: Path<String>,
) -> Result<Json<Value>, Refusal> {
    plane.remove_identity(&caller.who, &login).await?;
    Ok(deleted())
}

async fn set_account(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<Person>, Refusal> {
    Ok(Json(person(&*plane.clone().into_inner().set_account(&caller.who, &path.0, &path.1).await?)))
}

async fn remove_account(
    caller: May<Administer, Everything>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<Person>, Refusal> {
    Ok(Json(person(&*plane.clone().into_inner().remove_account(&caller.who, &path.0, &path.1).await?)))
}

fn deleted() -> Json<Value> {
    Json(json!({ "message": "Deleted." }))
}

/// Whoever the address names: a login, or the word for whoever calls.
fn named(who: &Who, plane: &Plane, login: &str) -> Result<Arc<Somebody>, Refusal> {
    match who {
        Who::Person(somebody) if login == ME => Ok(somebody.clone()),
        _ => plane.somebody(login),
    }
}

async fn tokens(
    caller: May<Administer, ThePerson>,
    plane: Data<Plane>,
    login: Path<String>,
) -> Result<Json<Items<ApiToken>>, Refusal> {
    let bearer = Bearer::Person(named(&caller.who, &plane, &login)?.row.id);
    Ok(Json(listed(&plane, &bearer)))
}

fn listed(plane: &Plane, bearer: &Bearer) -> Items<ApiToken> {
    let (now, rows) = (wall_ms(), plane.access.api_tokens(|other| is_same(bearer, other)));
    let is_good = |row: &ApiTokenRow| row.expires_ms.is_none_or(|end| now < end);
    Items { items: rows.into_iter().filter(is_good).map(|row| shown(row, None)).collect() }
}

fn shown(row: ApiTokenRow, token: Option<String>) -> ApiToken {
    ApiToken {
        id: row.id.to_string(),
        name: row.name,
        prefix: row.prefix,
        scope: match row.bearer {
            Bearer::Person(_) => None,
            Bearer::Project(_, scope) => Some(scope),
        },
        created_at: rfc3339(row.created_ms),
        used_at: row.used_ms.map(rfc3339),
        expires_at: row.expires_ms.map(rfc3339),
        token,
    }
}

async fn make_token(
    caller: May<Administer, ThePerson>,
    plane: Data<Plane>,
    login: Path<String>,
    new: Json<NewApiToken>,
) -> Result<HttpResponse, Refusal> {
    if new.scope.is_some() {
        return Err(Refusal::Bad("a person's token has no `scope`: it opens what they may".to_owned()));
    }
    let somebody = named(&caller.who, &plane, &login)?;
    let (row, token) = plane.make_token(&caller.who, Bearer::Person(somebody.row.id), &new.name).await?;
    Ok(HttpResponse::Created().json(shown(row, Some(token))))
}

async fn remove_token(
    caller: May<Administer, ThePerson>,
    plane: Data<Plane>,
    path: Path<(String, Uuid)>,
) -> Result<Json<Value>, Refusal> {
    let bearer = Bearer::Person(named(&caller.who, &plane, &path.0)?.row.id);
    plane.remove_api_token(&caller.who, &bearer, path.1).await?;
    Ok(deleted())
}

async fn members(
    _: May<View, TheOrganization>,
    plane: Data<Plane>,
    organization: Path<String>,
) -> Json<Items<Member>> {
    let organization = canonical(&organization);
    let member = |somebody: &Arc<Somebody>| {
        let (login, role) = (somebody.row.login.clone(), *somebody.roles.get(&organization)?);
        Some(Member { login, organization: organization.clone(), role })
    };
    Json(Items { items: plane.access.people().iter().filter_map(member).collect() })
}

async fn give_role(
    caller: May<Administer, TheOrganization>,
    plane: Data<Plane>,
    organization: Path<String>,
    member: Json<Member>,
) -> Result<Json<Member>, Refusal> {
    let Member { login, role, .. } = member.into_inner();
    let organization = written(&organization)?;
    plane.give_role(&caller.who, &login, &organization, Some(role)).await?;
    Ok(Json(Member { login, organization, role }))
}

/// An organization's name as it is kept.
fn written(organization: &str) -> Result<String, Refusal> {
    let is_part = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_control() || c == '*');
    if organization != EVERYWHERE && (organization.len() > 300 || !organization.split('/').all(is_part)) {
        return Err(Refusal::Bad(format!(
            "`{organization}` is no organization: write gh/acme, or `*` for all"
        )));
    }
    Ok(canonical(organization))
}

/// Whose role goes.
#[derive(Debug, Deserialize)]
struct WhoseRole {
    login: String,
}

async fn take_role(
    caller: May<Administer, TheOrganization>,
    plane: Data<Plane>,
    organization: Path<String>,
    whose: Query<WhoseRole>,
) -> Result<Json<Value>, Refusal> {
    plane.give_role(&caller.who, &whose.login, &canonical(&organization), None).await?;
    Ok(deleted())
}

async fn project_tokens(
    _: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
) -> Json<Items<ApiToken>> {
    // Of every scope.
    Json(listed(&plane, &Bearer::Project(canonical(&project), protocol::people::Scope::All)))
}

async fn make_project_token(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    new: Json<NewApiToken>,
) -> Result<HttpResponse, Refusal> {
    let scope = new.scope.ok_or_else(|| {
        Refusal::Bad("say what the token opens: give `scope` as `status`, `view-builds` or `all`".to_owned())
    })?;
    let bearer = Bearer::Project(canonical(&project), scope);
    let (row, token) = plane.make_token(&caller.who, bearer, &new.name).await?;
    Ok(HttpResponse::Created().json(shown(row, Some(token))))
}

/// Which token.
#[derive(Debug, Deserialize)]
struct WhichToken {
    id: Uuid,
}

async fn remove_project_token(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    which: Query<WhichToken>,
) -> Result<Json<Value>, Refusal> {
    let bearer = Bearer::Project(canonical(&project), protocol::people::Scope::All);
    plane.remove_api_token(&caller.who, &bearer, which.id).await?;
    Ok(deleted())
}
