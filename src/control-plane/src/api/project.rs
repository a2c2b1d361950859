//! Projects and their pipelines, in the shapes of the public API v2.
//!
//! A project is named in a path as it is (`gh/acme/app`) or with its slashes encoded.

use super::{
    MAX_WORDS, json as json_config,
    may::{Act, May, Of, Stated, Status, ThePipeline, TheProject, View},
    paging::{Page, PageQuery, after},
    slug,
    tagged::Tagged,
    trigger,
    workflow::shown_workflow,
};
use crate::{
    audit::Deed,
    plane::{Plane, clock::rfc3339, projects::stable_id},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::{
    PipelineId,
    api::{GitValues, PipelineView},
    task::Source,
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Belonging, PipelineRow, Wanted};

/// So many pipelines has one page.
const PAGE: u32 = 20;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v2/pipeline").route(get().to(pipelines)))
        .service(resource("/api/v2/pipeline/{id}").route(get().to(pipeline)))
        .service(resource("/api/v2/pipeline/{id}/workflow").route(get().to(workflows)))
        .service(resource("/api/v2/pipeline/{id}/cancel").route(post().to(cancel)))
        .service(
            resource("/api/v2/project/{slug:.+}/pipeline")
                .app_data(json_config(MAX_WORDS))
                .route(get().to(of_project))
                .route(post().to(trigger::older)),
        )
        .service(resource("/api/v2/project/{slug:.+}/pipeline/mine").route(get().to(mine)))
        .service(resource("/api/v2/project/{slug:.+}/pipeline/{number}").route(get().to(numbered)));
}

/// Registered behind everything else below a project: its pattern takes any path.
pub(super) fn project_route(config: &mut ServiceConfig) {
    config.service(resource("/api/v2/project/{slug:.+}").route(get().to(project)));
}

/// What pipelines are wanted.
#[derive(Debug, Deserialize)]
struct Which {
    branch: Option<String>,
    #[serde(rename = "org-slug")]
    organization: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

async fn pipelines(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    which: Query<Which>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let begins = match &which.organization {
        Some(organization) => {
            caller.within(&plane, &Of::Organization(organization.clone())).await?;
            Some(slug::projects_of(&plane, organization).await?)
        }
        None => None,
    };
    let begins = begins.as_deref();
    let within = caller.who.sees_within();
    listed(&plane, Wanted { begins, within, before: which.page.before()?, ..Wanted::default() }).await
}

async fn of_project(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    which: Query<Which>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let project = slug::project(&plane, &slug).await?;
    let (project, branch) = (Some(project.as_str()), which.branch.as_deref());
    listed(&plane, Wanted { project, branch, before: which.page.before()?, ..Wanted::default() }).await
}

/// Those that whoever asks has had made.
async fn mine(
    caller: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    which: Query<Which>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let (project, by) = (slug::project(&plane, &slug).await?, caller.who.actor());
    let (project, by) = (Some(project.as_str()), Some(&by));
    listed(&plane, Wanted { project, by, before: which.page.before()?, ..Wanted::default() }).await
}

/// One more is read than a page has: whether there is a next one is then known.
async fn listed(plane: &Plane, wanted: Wanted<'_>) -> Result<Tagged<Page<Value>>, Refusal> {
    let mut rows = plane.store.pipelines(wanted, PAGE + 1).await?;
    let is_last = rows.len() <= PAGE as usize;
    rows.truncate(PAGE as usize);
    let last = rows.last().filter(|_| !is_last);
    let next_page_token = last.map(|(_, row)| after(row.created_ms, row.id));
    let items = rows.iter().map(|(project, row)| shown(project, row)).collect();
    Ok(Tagged(Page { items, next_page_token }))
}

async fn pipeline(
    _: May<View, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Tagged<Value>, Refusal> {
    one(&plane, *id).await
}

async fn numbered(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, u64)>,
) -> Result<Tagged<Value>, Refusal> {
    let (asked, number) = path.into_inner();
    let project = slug::project(&plane, &asked).await?;
    let found = plane.store.pipeline_by_number(&project, number).await?;
    one(&plane, found.ok_or_else(|| Refusal::Missing(format!("{project} has no pipeline {number}")))?).await
}

async fn one(plane: &Plane, id: PipelineId) -> Result<Tagged<Value>, Refusal> {
    let (project, row) = plane.store.pipeline_row(id).await?.ok_or_else(|| no_pipeline(id))?;
    Ok(Tagged(shown(&project, &row)))
}

fn shown(project: &str, row: &PipelineRow) -> Value {
    let error = |message: &String| json!({ "type": "config", "message": message });
    let created = rfc3339(row.created_ms);
    known(json!({
        "id": row.id,
        "number": row.number,
        "project_slug": project,
        "state": row.state,
        "errors": row.errors.iter().map(error).collect::<Vec<_>>(),
        "created_at": created,
        "trigger": {
            "type": trigger_type(&row.git),
            "received_at": created,
            "actor": { "login": row.actor.login(), "avatar_url": null },
        },
        "vcs": vcs(&row.git, &row.source),
    }))
}

/// In the public words.
fn trigger_type(git: &GitValues) -> &'static str {
    match &git.trigger {
        None => "api",
        Some(trigger) if trigger.schedule.is_some() => "scheduled_pipeline",
        Some(_) => "webhook",
    }
}

/// What is known of the commit, if anything is.
fn vcs(git: &GitValues, source: &Source) -> Option<Value> {
    let (url, revision) = match source {
        Source::Git { url, revision, .. } => (Some(url), Some(revision)),
        _ => (git.url.as_ref(), git.revision.as_ref()),
    };
    let url = url.map(|url| without_password(url));
    let commit = Some(&git.commit).filter(|commit| !commit.subject.is_empty());
    (url.is_some() || revision.is_some()).then(|| {
        known(json!({
            "provider_name": provider(url.as_deref().unwrap_or_default()),
            "origin_repository_url": url,
            "target_repository_url": url,
            "revision": revision,
            "branch": git.branch,
            "tag": git.tag,
            "commit": commit.map(|commit| json!({ "subject": commit.subject, "body": commit.body })),
        }))
    })
}

/// What is null in an object is left out of it.
pub(super) fn known(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// An address over HTTP without who comes there: a token may stand in it.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("http")) else {
        return url.to_owned();
    };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
}

fn provider(url: &str) -> &'static str {
    let known = [("github.com", "GitHub"), ("gitlab.com", "GitLab"), ("bitbucket.org", "Bitbucket")];
    known.iter().find(|(word, _)| url.contains(word)).map_or("Git", |(_, name)| name)
}

async fn workflows(
    _: May<Status, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let pipeline: PipelineView = plane.view(*id).await?.ok_or_else(|| no_pipeline(*id))?;
    let shown = pipeline.workflows.iter().map(|workflow| shown_workflow(&pipeline, workflow));
    Ok(Tagged(Page::whole(shown.collect())))
}

async fn cancel(
    caller: May<Act, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<HttpResponse, Refusal> {
    if !plane.store.has_pipeline(*id).await? {
        return Err(no_pipeline(*id));
    }
    plane.cancel(*id).await?;
    plane.tell_of_run(&caller.who, Deed::Canceled, Belonging::Pipeline(id.0)).await?;
    Ok(super::workflow::accepted())
}

async fn project(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
) -> Result<Tagged<Value>, Refusal> {
    let slug = slug::project(&plane, &slug).await?;
    Ok(Tagged(described(&plane, &slug).await?))
}

/// A project by its own name.
pub(super) async fn described(plane: &Plane, slug: &str) -> Result<Value, Refusal> {
    let newest = plane.store.pipelines(Wanted { project: Some(slug), ..Wanted::default() }, 1).await?;
    let git = newest.into_iter().next().map(|(_, row)| row.git).unwrap_or_default();
    let (url, organization) = (git.url.as_deref().map(without_password), slug::organization(slug));
    Ok(json!({
        "id": stable_id(slug),
        "slug": slug,
        "name": slug::last(slug),
        "organization_name": slug::last(organization),
        "organization_slug": organization,
        "organization_id": stable_id(organization),
        "vcs_info": {
            "vcs_url": url,
            "provider": provider(url.as_deref().unwrap_or_default()),
            "default_branch": git.default_branch,
        },
    }))
}

fn no_pipeline(id: PipelineId) -> Refusal {
    Refusal::Missing(format!("there is no pipeline {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_who_comes_there() {
        for (url, shown) in [
            ("https://me:secret@example.org/acme/app.git", "https://example.org/acme/app.git"),
            ("https://secret@example.org", "https://example.org"),
            ("http://example.org/a@b", "http://example.org/a@b"),
            ("git@example.org:acme/app.git", "git@example.org:acme/app.git"),
            ("ssh://git@example.org/acme/app", "ssh://git@example.org/acme/app"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
