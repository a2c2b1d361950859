//! What is set for an organization: its contexts, its projects with their repositories and parts in the queue, and to those
//! who may change it who its people are. No value is shown, of a project's variable its end.

use super::{
    response::{NoPage, Sheet, page as html},
    session::Visitor,
};
use crate::{
    api::may::{Stated, TheOrganization},
    plane::{
        Plane,
        people::{Right, Who, canonical},
    },
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{contexts::masked, people::organization, queue::ProjectRules, webhook::Repository};
use std::collections::{BTreeMap, BTreeSet};
use store::Owner;

/// So many projects are looked at, and shown of one organization.
const LOOKED_AT: u32 = 10_000;
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "organizations.html")]
struct Organizations<'s> {
    sheet: &'s Sheet,
    /// Each with how many projects it has.
    all: Vec<(String, usize)>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    name: String,
    contexts: Vec<Context>,
    projects: Vec<Project>,
    more: usize,
    people: Option<Vec<(String, &'static str)>>,
}

struct Context {
    name: String,
    variables: Vec<String>,
    restrictions: Vec<String>,
}

struct Project {
    name: String,
    repository: Option<Repository>,
    rules: ProjectRules,
    /// Each with the end of its value.
    variables: Vec<(String, String)>,
}

/// `GET /settings`.
pub(crate) async fn all(
    visitor: Visitor<Stated>,
    request: HttpRequest,
    plane: web::Data<Plane>,
) -> Result<HttpResponse, NoPage> {
    let sheet = &Sheet::of(&request);
    let all = organizations(&plane, &visitor.who).await?.into_iter();
    let all = all.map(|(name, projects)| (name, projects.len())).collect();
    Ok(html(StatusCode::OK, sheet, &Organizations { sheet, all }))
}

/// `GET /settings/{organization}`.
pub(crate) async fn page(
    visitor: Visitor<TheOrganization>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    asked: web::Path<String>,
) -> Result<HttpResponse, NoPage> {
    let (sheet, name) = (&Sheet::of(&request), canonical(&asked));
    let mut known = organizations(&plane, &visitor.who).await?;
    let names = known.remove(&name).ok_or_else(|| {
        NoPage::Refused(Refusal::Missing(format!("no project of the organization {name} is known")))
    })?;
    let repositories = plane.repositories().await?;
    let mut projects = Vec::new();
    for name in names.iter().take(SHOWN) {
        let repository = repositories.iter().find(|one| one.project == *name).cloned();
        projects.push(project(&plane, name, repository).await?);
    }
    let page = Page {
        sheet,
        contexts: contexts(&plane, &name).await?,
        more: names.len().saturating_sub(SHOWN),
        people: people(&plane, &visitor.who, &name),
        projects,
        name,
    };
    Ok(html(StatusCode::OK, sheet, &page))
}

/// Those that somebody may see, with their projects.
async fn organizations(plane: &Plane, who: &Who) -> Result<BTreeMap<String, BTreeSet<String>>, Refusal> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for project in plane.store.projects("", LOOKED_AT).await?.into_iter().filter(|name| who.sees(name)) {
        all.entry(canonical(organization(&project))).or_default().insert(project);
    }
    let sees = |name: &String| who.in_organization(name) >= Some(Right::View);
    for name in plane.contexts.organizations().into_iter().filter(sees) {
        all.entry(name).or_default();
    }
    Ok(all)
}

async fn contexts(plane: &Plane, organization: &str) -> Result<Vec<Context>, Refusal> {
    let mut contexts = Vec::new();
    for row in plane.contexts.of(organization) {
        let restrictions = plane.contexts.by_id(row.id).map(|known| known.restrictions).unwrap_or_default();
        let variables = plane.store.variables(Owner::Context(row.id)).await?;
        contexts.push(Context {
            name: row.name,
            variables: variables.into_iter().map(|variable| variable.name).collect(),
            restrictions: restrictions
                .iter()
                .map(|one| format!("{} {}", one.kind.name(), one.value))
                .collect(),
        });
    }
    Ok(contexts)
}

async fn project(plane: &Plane, name: &str, repository: Option<Repository>) -> Result<Project, Refusal> {
    let rules = plane.rules_of(name).await?;
    let id = plane.projects.get(&plane.store, name).await?.id;
    let owner = Owner::Project(id);
    let opened = plane.opened_variables(owner).await?;
    let variables = opened.into_iter().map(|one| (one.name, masked(&one.value))).collect();
    Ok(Project { name: name.to_owned(), repository, rules, variables })
}

/// By login, each with the role in the organization; to those who may give roles.
fn people(plane: &Plane, who: &Who, organization: &str) -> Option<Vec<(String, &'static str)>> {
    if who.in_organization(organization) < Some(Right::Administer) {
        return None;
    }
    let all = plane.access.people().into_iter();
    let with = all.filter_map(|one| Some((one.row.login.clone(), one.roles.get(organization)?.name())));
    Some(with.collect())
}
