//! What pipelines of a project are made of, and by what, in the shapes of the public APIs v3 and v2: one definition, that of
//! its repository, and as triggers the repository's webhook and the schedules.

use super::{
    may::{May, Of, Stated, TheProjectOfId, View},
    paging::Page,
    slug, unoffered,
    v3::{List, Thing, enveloped},
};
use crate::{
    plane::{Plane, clock::rfc3339, projects::stable_id},
    refusal::Refusal,
    triggers::PATH,
};
use actix_web::{
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::repository::without_password;
use serde::Deserialize;
use serde_json::{Value, json};
use store::RepositoryRow;
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v3/triggers")
                .wrap(from_fn(enveloped))
                .route(get().to(triggers))
                .route(post().to(unoffered::trigger)),
        )
        .service(
            resource("/api/v2/projects/{id}/pipeline-definitions")
                .route(get().to(older_listed))
                .route(post().to(unoffered::definition)),
        )
        .service(
            resource("/api/v2/projects/{id}/pipeline-definitions/{definition}").route(get().to(older_one)),
        )
        .service(
            resource("/api/v2/projects/{id}/pipeline-definitions/{definition}/triggers")
                .route(get().to(older_triggers))
                .route(post().to(unoffered::trigger)),
        );
}

/// The id of a project's one definition.
pub(super) fn definition_id(project: &str) -> Uuid {
    stable_id(&format!("{project}: its pipeline definition"))
}

/// A project whose repository is known, which so has a definition.
struct Defined {
    project: String,
    repository: RepositoryRow,
}

impl Defined {
    async fn of(plane: &Plane, project: Uuid) -> Result<Option<Self>, Refusal> {
        let project = slug::project_of_id(plane, project).await?;
        let repository = plane.store.repository(&project).await?;
        Ok(repository.map(|repository| Self { project, repository }))
    }

    fn id(&self) -> Uuid {
        definition_id(&self.project)
    }

    fn full_name(&self) -> String {
        full_name(&self.repository.url).to_owned()
    }

    fn description(&self) -> String {
        format!("of {}", without_password(&self.repository.url))
    }

    fn newer(&self) -> Thing {
        let vcs = json!({ "provider": self.repository.provider.name(), "repo_full_name": self.full_name() });
        let attributes = json!({
            "name": slug::last(&self.project),
            "description": self.description(),
            "created_at": rfc3339(self.repository.created_ms),
            "config": { "type": "vcs", "file_path": PATH, "vcs": vcs },
            "checkout": { "type": "vcs", "vcs": vcs },
        });
        let references = json!({ "project": { "id": stable_id(&self.project) } });
        Thing { id: self.id(), attributes, references }
    }

    fn older(&self) -> Value {
        let (provider, repo) = (self.repository.provider.name(), json!({ "full_name": self.full_name() }));
        json!({
            "id": self.id(),
            "name": slug::last(&self.project),
            "description": self.description(),
            "created_at": rfc3339(self.repository.created_ms),
            "config_source": { "provider": provider, "repo": repo, "file_path": PATH },
            "checkout_source": { "provider": provider, "repo": repo },
        })
    }

    /// Its webhook's, which makes pipelines of pushes; and of pull requests too where that has no name of its own.
    fn webhook(&self) -> Trigger {
        Trigger {
            id: stable_id(&format!("{}: its webhook", self.project)),
            created_at: rfc3339(self.repository.created_ms),
            preset: (!self.repository.pull_requests).then_some("all-pushes"),
            schedule: None,
        }
    }

    async fn triggers(&self, plane: &Plane) -> Result<Vec<Trigger>, Refusal> {
        let schedules = plane.schedules_of(&self.project).await?.into_iter().map(|schedule| Trigger {
            id: schedule.id,
            created_at: schedule.created_at,
            preset: None,
            schedule: Some(schedule.name),
        });
        Ok(std::iter::once(self.webhook()).chain(schedules).collect())
    }
}

/// What makes pipelines of a project.
struct Trigger {
    id: Uuid,
    created_at: String,
    /// The events that it is for, where others have a word for them.
    preset: Option<&'static str>,
    /// The name of the schedule; none: the repository's webhook.
    schedule: Option<String>,
}

impl Trigger {
    fn newer(&self, of: &Defined) -> Thing {
        let event = match &self.schedule {
            Some(name) => json!({ "type": "schedule", "schedule": { "name": name } }),
            None => json!({
                "type": "vcs",
                "vcs": { "provider": of.repository.provider.name(), "repo_full_name": of.full_name() },
                "filter": self.preset.map(|preset| json!({ "preset": preset })),
            }),
        };
        let attributes = json!({ "is_disabled": false, "created_at": self.created_at, "event": event });
        let references =
            json!({ "project": { "id": stable_id(&of.project) }, "pipeline": { "id": of.id() } });
        Thing { id: self.id, attributes, references }
    }

    fn older(&self, of: &Defined) -> Value {
        let source = match &self.schedule {
            Some(name) => json!({ "provider": "schedule", "schedule": { "name": name } }),
            None => json!({
                "provider": of.repository.provider.name(),
                "repo": { "full_name": of.full_name() },
            }),
        };
        json!({
            "id": self.id,
            "created_at": self.created_at,
            "event_source": source,
            "event_preset": self.preset,
            "disabled": false,
        })
    }
}

/// `owner/name` of a repository's address.
fn full_name(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map(|(_, rest)| rest);
    let path = match behind_scheme {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.split_once(':').map_or(url, |(_, path)| path),
    };
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

/// Of which project, and of which of its definitions.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    #[serde(rename = "filter[project_id]")]
    project: Option<Uuid>,
    #[serde(rename = "filter[pipeline_id]")]
    definition: Option<Uuid>,
}

impl Filter {
    async fn defined(&self, caller: &May<View, Stated>, plane: &Plane) -> Result<Option<Defined>, Refusal> {
        let project = self
            .project
            .ok_or_else(|| Refusal::Bad("say of which project: `filter[project_id]`".to_owned()))?;
        caller.within(plane, &Of::ProjectOfId(project)).await?;
        let defined = Defined::of(plane, project).await?;
        Ok(defined.filter(|defined| self.definition.is_none_or(|wanted| wanted == defined.id())))
    }
}

/// The project's definition, if its repository is known.
pub(super) async fn listed(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<List<Thing>>, Refusal> {
    let defined = filter.defined(&caller, &plane).await?;
    Ok(Json(List::whole(defined.iter().map(Defined::newer))))
}

async fn triggers(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    filter: Query<Filter>,
) -> Result<Json<List<Thing>>, Refusal> {
    let Some(defined) = filter.defined(&caller, &plane).await? else { return Ok(Json(List::whole([]))) };
    let triggers = defined.triggers(&plane).await?;
    Ok(Json(List::whole(triggers.iter().map(|trigger| trigger.newer(&defined)))))
}

async fn older_listed(
    _: May<View, TheProjectOfId>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Page<Value>>, Refusal> {
    let defined = Defined::of(&plane, *id).await?;
    Ok(Json(Page::whole(defined.iter().map(Defined::older).collect())))
}

async fn meant(plane: &Plane, (project, definition): (Uuid, Uuid)) -> Result<Defined, Refusal> {
    let found = Defined::of(plane, project).await?.filter(|defined| defined.id() == definition);
    found.ok_or_else(|| Refusal::Missing(format!("the project has no definition {definition}")))
}

async fn older_one(
    _: May<View, TheProjectOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, Uuid)>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(meant(&plane, *path).await?.older()))
}

async fn older_triggers(
    _: May<View, TheProjectOfId>,
    plane: Data<Plane>,
    path: Path<(Uuid, Uuid)>,
) -> Result<Json<Page<Value>>, Refusal> {
    let defined = meant(&plane, *path).await?;
    let triggers = defined.triggers(&plane).await?;
    Ok(Json(Page::whole(triggers.iter().map(|trigger| trigger.older(&defined)).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_called_as_its_address_ends() {
        for (url, name) in [
            ("https://github.com/acme/app.git", "acme/app"),
            ("https://me:secret@git.example:8443/deep/acme/app/", "deep/acme/app"),
            ("git@github.com:acme/app.git", "acme/app"),
            ("ssh://git@git.example/acme/app", "acme/app"),
            ("/srv/git/app.git", "srv/git/app"),
            ("https://git.example", ""),
        ] {
            assert_eq!(full_name(url), name);
        }
    }
}
