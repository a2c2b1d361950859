//! Projects' and classes' parts in the queue, and the settings of projects in the public shape.

use super::{
    may::{Administer, May, TheClass, TheProject, View},
    slug,
};
use crate::{
    audit::{Deed, line},
    plane::{Plane, people::Who},
    refusal::Refusal,
};
use actix_web::web::{Data, Json, Path, ServiceConfig, get, patch, put, resource};
use protocol::{
    people::{EVERYWHERE, organization},
    queue::{ClassLimit, ProjectRules},
    webhook::{Forks, Statuses},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::RepositoryRow;
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/projects/{project:.+}/queue").route(get().to(rules)).route(put().to(rule)))
        .service(resource("/api/v3/runner/resource/{id}/limit").route(put().to(limit)))
        .service(
            resource("/api/v2/project/{slug:.+}/settings")
                .route(get().to(settings))
                .route(patch().to(change_settings)),
        );
}

async fn rules(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
) -> Result<Json<ProjectRules>, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    plane.rules_of(&project).await.map(Json)
}

async fn rule(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    rules: Json<ProjectRules>,
) -> Result<Json<ProjectRules>, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    ruled(&plane, &caller.who, &project, *rules).await
}

/// Sets a project's part in the queue, and tells of it.
pub(crate) async fn ruled(
    plane: &Plane,
    who: &Who,
    project: &str,
    rules: ProjectRules,
) -> Result<Json<ProjectRules>, Refusal> {
    let told = line(who, Deed::QueueRuled, organization(project), project);
    plane.rule(project, rules, told).await?;
    Ok(Json(rules))
}

async fn limit(
    caller: May<Administer, TheClass>,
    plane: Data<Plane>,
    id: Path<Uuid>,
    limit: Json<ClassLimit>,
) -> Result<Json<ClassLimit>, Refusal> {
    let missing = || Refusal::Missing("there is no such resource class".to_owned());
    let class = plane.access.class(*id).ok_or_else(missing)?;
    let told = line(&caller.who, Deed::ClassLimited, EVERYWHERE, class.as_str());
    plane.limit_class((*id, &class), limit.max_tasks, told).await?;
    Ok(Json(*limit))
}

/// What is to be changed of them.
#[derive(Debug, Deserialize)]
struct Change {
    #[serde(default)]
    advanced: Map<String, Value>,
}

/// The setting of [`ProjectRules::cancel_redundant`].
const AUTOCANCEL: &str = "autocancel_builds";

async fn settings(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
) -> Result<Json<Value>, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    let rules = plane.rules_of(&project).await?;
    Ok(Json(shown(rules, plane.store.repository(&project).await?.as_ref())))
}

/// Whatever else is given has to be as it is.
async fn change_settings(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    change: Json<Change>,
) -> Result<Json<Value>, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    let (mut rules, repository) = (plane.rules_of(&project).await?, plane.store.repository(&project).await?);
    let now = shown(rules, repository.as_ref());
    for (name, value) in &change.advanced {
        if name == AUTOCANCEL {
            let no_boolean = || Refusal::Bad(format!("`advanced.{AUTOCANCEL}` is a boolean"));
            rules.cancel_redundant = value.as_bool().ok_or_else(no_boolean)?;
        } else if now["advanced"].get(name) != Some(value) {
            return Err(Refusal::Bad(format!(
                "`advanced.{name}` is not changed by this call: see `roundhouse project create`"
            )));
        }
    }
    ruled(&plane, &caller.who, &project, rules).await?;
    Ok(Json(shown(rules, repository.as_ref())))
}

fn shown(rules: ProjectRules, repository: Option<&RepositoryRow>) -> Value {
    let has = |is: fn(&RepositoryRow) -> bool| repository.is_some_and(is);
    json!({ "advanced": {
        AUTOCANCEL: rules.cancel_redundant,
        "build_fork_prs": has(|row| row.forks != Forks::Never),
        "build_prs_only": false,
        "disable_ssh": true,
        "forks_receive_secret_env_vars": false,
        "oss": false,
        "set_github_status": has(tells_statuses),
        "setup_workflows": true,
        "write_settings_requires_admin": true,
        "pr_only_branch_overrides": [],
    }})
}

/// Whether the provider is told how commits stand.
pub(super) fn tells_statuses(row: &RepositoryRow) -> bool {
    row.statuses != Statuses::Nothing
}
