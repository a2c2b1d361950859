//! What is set for an organization: its contexts, its projects with their repositories and parts in the queue; to those who may
//! change it who its people are, and the forms to do so. No value is shown, of a project's variable its end.

mod change;
mod kinds;

pub(crate) use change::change;
pub(crate) use kinds::KINDS;

use super::{
    in_url,
    response::{NoPage, Sheet, page as html},
    session::Visitor,
};
use crate::{
    api::may::{Stated, TheOrganization},
    plane::{
        Plane,
        people::{Right, Who, canonical},
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use change::Change;
use protocol::{
    contexts::{LONGEST_VALUE, RestrictionKind, masked},
    people::{Role, organization},
    queue::ProjectRules,
    webhook::Repository,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use store::{Owner, RestrictionRow};
use uuid::Uuid;

/// So many projects are looked at, and shown of one organization.
const LOOKED_AT: u32 = 10_000;
const SHOWN: usize = 200;

/// Of the longest value, each byte of which may be written as three.
pub(crate) const LONGEST_FORM: usize = 3 * LONGEST_VALUE + 8 * 1024;
/// From the least on.
pub(crate) const ROLES: [Role; 3] = [Role::Viewer, Role::Member, Role::Admin];

#[derive(Template)]
#[template(path = "organizations.html")]
struct Organizations<'s> {
    sheet: &'s Sheet,
    /// Each with how many projects it has.
    all: Vec<(String, usize)>,
}

/// An organization that is there, with its projects.
struct Set {
    name: String,
    projects: BTreeSet<String>,
}

/// Of which context or project the forms are shown.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Opened {
    context: Option<String>,
    project: Option<String>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    set: Set,
    /// Whether there are forms.
    admin: bool,
    /// Where they lead to.
    action: String,
    /// Why what was typed was not done.
    why: String,
    typed: Change,
    /// What was typed where nothing was.
    nothing: Change,
    contexts: Vec<Context>,
    context: Option<OpenedContext>,
    projects: Vec<Project>,
    project: Option<Project>,
    more: usize,
    people: Option<Vec<(String, &'static str)>>,
}

struct Context {
    id: String,
    name: String,
    variables: Vec<String>,
    restrictions: Vec<String>,
}

struct OpenedContext {
    id: String,
    name: String,
    variables: Vec<String>,
    /// Each with its id.
    restrictions: Vec<(String, String)>,
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
    opened: web::Query<Opened>,
) -> Result<HttpResponse, NoPage> {
    let (sheet, set) = (&Sheet::of(&request), Set::of(&plane, &visitor.who, &asked).await?);
    let page = Page::of(&plane, &visitor.who, sheet, set, opened.into_inner()).await?;
    Ok(html(StatusCode::OK, sheet, &page))
}

impl Set {
    async fn of(plane: &Plane, who: &Who, asked: &str) -> Result<Self, Refusal> {
        let name = canonical(asked);
        let projects = organizations(plane, who).await?.remove(&name);
        let missing = || Refusal::Missing(format!("no project of the organization {name} is known"));
        let projects = projects.ok_or_else(missing)?;
        Ok(Self { name, projects })
    }

    /// A restriction as people know it.
    fn told(&self, row: &RestrictionRow) -> String {
        let named = |name: &&String| stable_id(name).to_string() == row.value;
        let named = self.projects.iter().find(named).filter(|_| row.kind == RestrictionKind::Project);
        format!("{} {}", row.kind.name(), named.unwrap_or(&row.value))
    }
}

impl<'s> Page<'s> {
    async fn of(
        plane: &Plane,
        who: &Who,
        sheet: &'s Sheet,
        set: Set,
        opened: Opened,
    ) -> Result<Self, Refusal> {
        let repositories = plane.repositories().await?;
        let mut projects = Vec::new();
        for name in set.projects.iter().take(SHOWN) {
            let repository = repositories.iter().find(|one| one.project == *name).cloned();
            projects.push(project(plane, name, repository).await?);
        }
        let opened_project = opened.project.filter(|name| set.projects.contains(name));
        let project = match opened_project {
            Some(name) => Some(project(plane, &name, None).await?),
            None => None,
        };
        Ok(Self {
            sheet,
            admin: who.in_organization(&set.name) >= Some(Right::Administer),
            action: format!("/settings/{}", in_url(&set.name)),
            why: String::new(),
            typed: Change::default(),
            nothing: Change::default(),
            contexts: contexts(plane, &set).await?,
            context: opened_context(plane, &set, opened.context).await?,
            more: set.projects.len().saturating_sub(SHOWN),
            people: people(plane, who, &set.name),
            projects,
            project,
            set,
        })
    }

    /// The same where something was refused: what was typed is there still.
    fn refused(self, typed: Change, why: String) -> Self {
        Self { typed: typed.without_secrets(), why, ..self }
    }

    /// What was typed into the form of this act.
    fn typed(&self, act: &str) -> &Change {
        let is_it = !self.why.is_empty() && self.typed.act.name() == act;
        if is_it { &self.typed } else { &self.nothing }
    }

    /// The same of the queue's, which else has what is set.
    fn rules(&self, project: &Project) -> Change {
        let (rules, typed) = (project.rules, self.typed("rule"));
        if typed.project == project.name {
            return Change::of_rules(&typed.priority, &typed.max_tasks, !typed.cancel_redundant.is_empty());
        }
        let most = rules.max_tasks.map(|most| most.to_string()).unwrap_or_default();
        Change::of_rules(&rules.priority.to_string(), &most, rules.cancel_redundant)
    }
}

/// Those that somebody may see, with their projects.
async fn organizations(plane: &Plane, who: &Who) -> Result<BTreeMap<String, BTreeSet<String>>, Refusal> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for project in plane.store.projects_within(who.sees_within(), LOOKED_AT).await? {
        all.entry(canonical(organization(&project))).or_default().insert(project);
    }
    let sees = |name: &String| who.in_organization(name) >= Some(Right::View);
    for name in plane.contexts.organizations().into_iter().filter(sees) {
        all.entry(name).or_default();
    }
    Ok(all)
}

async fn contexts(plane: &Plane, set: &Set) -> Result<Vec<Context>, Refusal> {
    let mut contexts = Vec::new();
    for row in plane.contexts.of(&set.name) {
        let restrictions = plane.contexts.by_id(row.id).map(|known| known.restrictions).unwrap_or_default();
        contexts.push(Context {
            id: row.id.to_string(),
            name: row.name,
            variables: variables_of(plane, row.id).await?,
            restrictions: restrictions.iter().map(|row| set.told(row)).collect(),
        });
    }
    Ok(contexts)
}

async fn variables_of(plane: &Plane, context: Uuid) -> Result<Vec<String>, Refusal> {
    let variables = plane.store.variables(Owner::Context(context)).await?;
    Ok(variables.into_iter().map(|variable| variable.name).collect())
}

/// None where there is no such context of this organization.
async fn opened_context(
    plane: &Plane,
    set: &Set,
    id: Option<String>,
) -> Result<Option<OpenedContext>, Refusal> {
    let Some(known) = id.and_then(|id| set.context(plane, &id).ok()) else { return Ok(None) };
    let restrictions = known.restrictions.iter().map(|row| (row.id.to_string(), set.told(row)));
    Ok(Some(OpenedContext {
        id: known.row.id.to_string(),
        variables: variables_of(plane, known.row.id).await?,
        restrictions: restrictions.collect(),
        name: known.row.name,
    }))
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
