//! Projects by their names and ids and what of them can be set, in the shapes of the public API v3; and lists of them, in that
//! of version 1.1.

use super::{
    MAX_WORDS, json as json_config,
    may::{Administer, May, Stated, TheProject, TheProjectOfId, View},
    queue,
    settled::{Change, settled},
    slug,
    v3::{Entity, List, Reference, Thing, enveloped},
};
use crate::{
    plane::{
        Plane,
        people::Who,
        projects::{HOSTS, stable_id},
    },
    refusal::Refusal,
};
use actix_web::{
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::{queue::ProjectRules, webhook::Forks};
use serde::Deserialize;
use serde_json::{Value, json};
use store::RepositoryRow;
use uuid::Uuid;

/// So many projects are listed at most, for version 1.1 has no pages.
const PROJECTS: u32 = 10_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/projects").wrap(from_fn(enveloped)).route(get().to(listed)))
        .service(resource("/api/v3/projects/{id}").wrap(from_fn(enveloped)).route(get().to(project)))
        .service(
            resource("/api/v3/projects/{id}/settings").wrap(from_fn(enveloped)).route(get().to(settings)),
        )
        .service(
            resource("/api/v3/projects/{id}/update-settings")
                .wrap(from_fn(enveloped))
                .app_data(json_config(MAX_WORDS))
                .route(post().to(change)),
        )
        .service(resource("/api/v1.1/projects").route(get().to(followed)))
        .service(resource("/api/v1.1/project/{slug:.+}/follow").route(post().to(follow)));
}

/// Which project is looked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(rename = "filter[slug]")]
    slug: Option<String>,
    #[serde(rename = "filter[org_id]")]
    organization: Option<Uuid>,
    #[serde(rename = "filter[name]")]
    name: Option<String>,
}

/// The one that is looked for, or none: so whoever may not see it learns nothing.
async fn listed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    wanted: Query<Wanted>,
) -> Result<Json<List<Thing>>, Refusal> {
    let asked = match wanted.into_inner() {
        Wanted { slug: Some(slug), organization: None, name: None } => Some(slug),
        Wanted { slug: None, organization: Some(id), name: Some(name) } => {
            plane.organization_of_id(id).await?.map(|organization| format!("{organization}/{name}"))
        }
        _ => {
            let why = "say which: `filter[slug]`, or `filter[org_id]` and `filter[name]`";
            return Err(Refusal::Bad(why.to_owned()));
        }
    };
    let found = match asked {
        Some(asked) => slug::known(&plane, &asked).await?,
        None => None,
    };
    let seen = found.filter(|name| caller.who.sees(name));
    Ok(Json(List::whole(seen.iter().map(|name| shown(name)))))
}

fn shown(name: &str) -> Thing {
    let organization = Reference { id: stable_id(slug::organization(name)) };
    Thing {
        id: stable_id(name),
        attributes: json!({ "name": slug::last(name), "slug": name }),
        references: json!({ "org": organization }),
    }
}

async fn project(
    _: May<View, TheProjectOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Entity<Thing>>, Refusal> {
    Ok(Json(Entity { data: shown(&slug::project_of_id(&plane, *id).await?) }))
}

async fn settings(
    _: May<View, TheProjectOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Entity<Thing>>, Refusal> {
    let name = slug::project_of_id(&plane, *id).await?;
    let (rules, repository) = (plane.rules_of(&name).await?, plane.store.repository(&name).await?);
    Ok(Json(Entity { data: Thing::alone(*id, attributes(rules, repository.as_ref())) }))
}

/// The setting of [`ProjectRules::cancel_redundant`].
const AUTOCANCEL: &str = "enable_auto_cancel_redundant_workflows";

/// Whatever else is given has to be as it is.
async fn change(
    caller: May<Administer, TheProjectOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
    change: Json<Change>,
) -> Result<Json<Entity<Thing>>, Refusal> {
    let name = slug::project_of_id(&plane, *id).await?;
    let (mut rules, repository) = (plane.rules_of(&name).await?, plane.store.repository(&name).await?);
    let others = change.iter().filter(|(setting, _)| *setting != AUTOCANCEL);
    settled(&attributes(rules, repository.as_ref()), others, "see `roundhouse project create`")?;
    if let Some(wanted) = change.get(AUTOCANCEL) {
        let no_boolean = || Refusal::Bad(format!("`{AUTOCANCEL}` is a boolean"));
        rules.cancel_redundant = wanted.as_bool().ok_or_else(no_boolean)?;
        queue::ruled(&plane, &caller.who, &name, rules).await?;
    }
    Ok(Json(Entity { data: Thing::alone(*id, attributes(rules, repository.as_ref())) }))
}

fn attributes(rules: ProjectRules, repository: Option<&RepositoryRow>) -> Value {
    let has = |is: fn(&RepositoryRow) -> bool| repository.is_some_and(is);
    json!({
        AUTOCANCEL: rules.cancel_redundant,
        "can_pass_secrets_to_fork_pr_jobs": false,
        "can_set_github_status": has(queue::tells_statuses),
        "enable_ai_error_summarization": false,
        "enable_building_fork_prs": has(|row| row.forks != Forks::Never),
        "enable_dynamic_config": true,
        "enable_unversioned_config": true,
        "is_admin_required_for_writing_settings": true,
        "is_build_prs_only": false,
        "is_oss": false,
        "is_running_disabled": false,
        "is_ssh_disabled": true,
        "pr_only_branch_overrides": [],
    })
}

/// Whoever sees a project follows it.
async fn followed(caller: May<View, Stated>, plane: Data<Plane>) -> Result<Json<Vec<Value>>, Refusal> {
    let seen = match &caller.who {
        Who::Project { project, .. } => {
            slug::known(&plane, project).await?.filter(|name| caller.who.sees(name)).into_iter().collect()
        }
        who => plane.store.projects_within(who.sees_within(), PROJECTS).await?,
    };
    Ok(Json(seen.iter().map(|name| in_older_words(name)).collect()))
}

fn in_older_words(name: &str) -> Value {
    let (host, _) = name.split_once('/').unwrap_or(("", name));
    let same = HOSTS.iter().find(|names| names.contains(&host));
    let (organization, own) = (slug::last(slug::organization(name)), slug::last(name));
    json!({
        "slug": name,
        "name": own,
        "vcs_type": same.map_or(host, |names| names[1]),
        "username": organization,
        "reponame": own,
    })
}

async fn follow(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
) -> Result<Json<Value>, Refusal> {
    slug::project(&plane, &asked).await?;
    Ok(Json(json!({ "followed": true, "following": true })))
}
