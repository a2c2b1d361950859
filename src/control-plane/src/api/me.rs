//! Who calls, and for whom, in the shapes of the public APIs v2 and v1.1.

use super::{
    may::{Anything, May, View},
    slug::organization,
    tagged::Tagged,
};
use crate::{
    plane::{
        Plane,
        people::{OPERATOR, Somebody, Who},
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::web::{Data, Path, ServiceConfig, get, resource};
use async_graphql::SimpleObject;
use protocol::people::EVERYWHERE;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// So many projects of those that the caller sees are looked at for their organizations.
const PROJECTS: u32 = 10_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1.1/me").route(get().to(me)))
        .service(resource("/api/v2/me").route(get().to(me)))
        .service(resource("/api/v2/me/collaborations").route(get().to(collaborations)))
        .service(resource("/api/v2/user/{id}").route(get().to(user)));
}

/// Somebody, as far as others are told.
#[derive(Debug, Serialize, SimpleObject)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) login: String,
    pub(super) name: String,
}

impl User {
    fn operator() -> Self {
        Self { id: stable_id(OPERATOR), login: OPERATOR.to_owned(), name: OPERATOR.to_owned() }
    }

    fn of(somebody: &Somebody) -> Self {
        let row = &somebody.row;
        Self { id: row.id, login: row.login.clone(), name: row.name.clone() }
    }

    /// Whoever calls.
    pub(super) fn caller(who: &Who) -> Result<Self, Refusal> {
        match who {
            Who::Person(somebody) => Ok(Self::of(somebody)),
            Who::Operator => Ok(Self::operator()),
            Who::Approver | Who::Project { .. } => {
                Err(Refusal::Forbidden("this token is nobody's: call with a person's".to_owned()))
            }
        }
    }

    /// Somebody by their id.
    pub(super) fn by_id(plane: &Plane, id: Uuid) -> Result<Self, Refusal> {
        if id == stable_id(OPERATOR) {
            return Ok(Self::operator());
        }
        let people = plane.access.people();
        let found = people.iter().find(|somebody| somebody.row.id == id);
        found
            .map(|somebody| Self::of(somebody))
            .ok_or_else(|| Refusal::Missing(format!("there is no user {id}")))
    }
}

async fn me(caller: May<View, Anything>) -> Result<Tagged<User>, Refusal> {
    User::caller(&caller.who).map(Tagged)
}

async fn user(_: May<View, Anything>, plane: Data<Plane>, id: Path<Uuid>) -> Result<Tagged<User>, Refusal> {
    User::by_id(&plane, *id).map(Tagged)
}

/// The organizations in which the caller has a role, and of the others those whose projects they see.
async fn collaborations(
    caller: May<View, Anything>,
    plane: Data<Plane>,
) -> Result<Tagged<Vec<Value>>, Refusal> {
    let seen = plane.store.projects_within(caller.who.sees_within(), PROJECTS).await?;
    let mut slugs: BTreeSet<_> = seen.iter().map(|project| organization(project).to_owned()).collect();
    if let Who::Person(somebody) = &caller.who {
        let own = somebody.roles.keys().filter(|name| *name != EVERYWHERE);
        let known = |name: &str| slugs.iter().any(|slug| crate::plane::people::canonical(slug) == name);
        let own: Vec<_> = own.filter(|name| !known(name)).cloned().collect();
        slugs.extend(own);
    }
    let shown = |slug: &String| {
        let (kind, name) = slug.split_once('/').unwrap_or(("", slug));
        json!({ "id": stable_id(slug), "vcs-type": kind, "name": name, "avatar_url": null, "slug": slug })
    };
    Ok(Tagged(slugs.iter().map(shown).collect()))
}
