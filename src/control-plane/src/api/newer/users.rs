//! Users: whoever calls, and others by their ids.

use super::shapes::User;
use crate::{
    api::{
        may::{Anything, May, View},
        me,
        v3::{List, Plain, Reference, enveloped},
    },
    plane::{Plane, people::OPERATOR, projects::stable_id},
    refusal::Refusal,
};
use actix_web::{
    middleware::from_fn,
    web::{Data, Json, Query, ServiceConfig, get, resource},
};
use protocol::{Actor, people::ME};
use serde::Deserialize;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/api/v3/users").wrap(from_fn(enveloped)).route(get().to(users)));
}

/// Who.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(rename = "filter[user_id]")]
    id: Option<String>,
}

async fn users(
    caller: May<View, Anything>,
    plane: Data<Plane>,
    wanted: Query<Wanted>,
) -> Result<Json<List<Plain<User>>>, Refusal> {
    let bad = || Refusal::Bad("say who: `filter[user_id]=me`, or somebody's id".to_owned());
    let user = match wanted.id.as_deref().ok_or_else(bad)? {
        ME => me::User::caller(&caller.who)?,
        id => me::User::by_id(&plane, id.parse().map_err(|_| bad())?)?,
    };
    let me::User { id, login, name } = user;
    Ok(Json(List::whole([Plain { id, attributes: User { login, name } }])))
}

/// Who had something run, if they are a user.
pub(super) fn user(actor: &Actor) -> Option<Reference> {
    let id = match actor {
        Actor::Operator => stable_id(OPERATOR),
        Actor::Person { id, .. } => *id,
        Actor::Account { .. } | Actor::Project { .. } | Actor::Schedule | Actor::Unknown => return None,
    };
    Some(Reference { id })
}
