//! What an admin changes on the page of their organization: forms that say what is to be done, carried out as the calls of
//! the same name do it.

use super::{Opened, Page, Set, kinds};
use crate::{
    api::{
        may::{Administer, TheOrganization},
        queue::ruled,
    },
    contexts::{Known, Whose},
    plane::{Plane, people::Who},
    refusal::Refusal,
    web::{
        in_url,
        response::{NoPage, Sheet, page as html},
        session::Posted,
    },
};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
    web,
};
use askama::Template;
use protocol::{contexts::NewRestriction, people::Role, queue::ProjectRules};
use serde::Deserialize;
use uuid::Uuid;

/// What a form does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    #[default]
    MakeContext,
    RemoveContext,
    SetVariable,
    RemoveVariable,
    Restrict,
    Unrestrict,
    GiveRole,
    TakeRole,
    Rule,
}

impl Act {
    /// As forms say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MakeContext => "make_context",
            Self::RemoveContext => "remove_context",
            Self::SetVariable => "set_variable",
            Self::RemoveVariable => "remove_variable",
            Self::Restrict => "restrict",
            Self::Unrestrict => "unrestrict",
            Self::GiveRole => "give_role",
            Self::TakeRole => "take_role",
            Self::Rule => "rule",
        }
    }
}

/// A form as it was typed: what its act needs of it.
#[derive(Default, Deserialize)]
pub(crate) struct Change {
    pub(super) act: Act,
    /// The id of the context that it is about, or the name of the project.
    #[serde(default)]
    pub(super) context: String,
    #[serde(default)]
    pub(super) project: String,
    /// Of a context, a variable.
    #[serde(default)]
    pub(super) name: String,
    /// Of a variable, a restriction.
    #[serde(default)]
    pub(super) value: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) restriction: String,
    #[serde(default)]
    pub(super) login: String,
    #[serde(default)]
    pub(super) role: String,
    #[serde(default)]
    pub(super) priority: String,
    #[serde(default)]
    pub(super) max_tasks: String,
    #[serde(default)]
    pub(super) cancel_redundant: String,
    /// Whether what cannot be taken back was asked for a second time.
    #[serde(default)]
    sure: String,
}

/// Asks once more.
#[derive(Template)]
#[template(path = "sure.html")]
struct Sure<'s> {
    sheet: &'s Sheet,
    name: &'s str,
    question: &'s str,
    fields: Vec<(&'static str, &'s str)>,
    back: String,
}

/// `POST /settings/{organization}`.
pub(crate) async fn change(
    Posted { who, form, .. }: Posted<TheOrganization, Change, Administer>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    asked: web::Path<String>,
) -> Result<HttpResponse, NoPage> {
    let (sheet, set) = (&Sheet::of(&request), Set::of(&plane, &who, &asked).await?);
    let refusal = match form.question(&plane, &set) {
        Ok(Some(question)) if form.sure.is_empty() => return Ok(form.asks(sheet, &set, &question)),
        Ok(_) => match form.carried_out(&plane, &who, &set).await {
            Ok(opened) => return Ok(see(&set.address(&opened))),
            Err(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    let (status, why) = (refusal.status_code(), refusal.to_string());
    let page = Page::of(&plane, &who, sheet, set, form.opened()).await?;
    Ok(html(status, sheet, &page.refused(form, why)))
}

fn see(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish()
}

impl Change {
    /// What of the page was open around it.
    fn opened(&self) -> Opened {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Opened { context: some(&self.context), project: some(&self.project) }
    }

    /// What is asked before it is done, where something is lost by it.
    fn question(&self, plane: &Plane, set: &Set) -> Result<Option<String>, Refusal> {
        Ok(match self.act {
            Act::RemoveContext => {
                let name = set.context(plane, &self.context)?.row.name;
                Some(format!("Delete the context {name} with its variables and restrictions"))
            }
            Act::RemoveVariable => {
                Some(format!("Remove the variable {}: nobody can read its value again", self.name))
            }
            Act::Unrestrict => {
                let known = set.context(plane, &self.context)?;
                let row = known.restrictions.iter().find(|row| row.id.to_string() == self.restriction);
                let what = row.map(|row| set.told(row)).unwrap_or_default();
                Some(format!(
                    "Let the context {} be used also where this does not hold: {what}",
                    known.row.name
                ))
            }
            Act::TakeRole => Some(format!("Take the role of {} in {} away", self.login, set.name)),
            Act::MakeContext | Act::SetVariable | Act::Restrict | Act::GiveRole | Act::Rule => None,
        })
    }

    fn asks(&self, sheet: &Sheet, set: &Set, question: &str) -> HttpResponse {
        let fields = [
            ("act", self.act.name()),
            ("context", &self.context),
            ("project", &self.project),
            ("name", &self.name),
            ("restriction", &self.restriction),
            ("login", &self.login),
            ("sure", "yes"),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let sure = Sure { sheet, name: &set.name, question, fields, back: set.address(&self.opened()) };
        html(StatusCode::OK, sheet, &sure)
    }

    /// Done as the call of the same name does it; what of the page is open afterwards.
    async fn carried_out(&self, plane: &web::Data<Plane>, who: &Who, set: &Set) -> Result<Opened, Refusal> {
        match self.act {
            Act::MakeContext => {
                let made = plane.make_context(who, &set.name, &self.name).await?;
                return Ok(Opened { context: Some(made.id.to_string()), project: None });
            }
            Act::RemoveContext => {
                plane.remove_context(who, &set.context(plane, &self.context)?).await?;
                return Ok(Opened::default());
            }
            Act::SetVariable => {
                let given = (self.name.as_str(), &*with_line_feeds(&self.value));
                plane.set_variable(who, &self.whose(plane, set).await?, given).await?;
            }
            Act::RemoveVariable => {
                plane.remove_variable(who, &self.whose(plane, set).await?, &self.name).await?
            }
            Act::Restrict => {
                plane.restrict(who, &set.context(plane, &self.context)?, self.restriction(set)?).await?;
            }
            Act::Unrestrict => {
                let missing = |_| Refusal::Missing("the context has no such restriction".to_owned());
                let id: Uuid = self.restriction.parse().map_err(missing)?;
                plane.unrestrict(who, &set.context(plane, &self.context)?, id).await?;
            }
            Act::GiveRole => plane.give_role(who, &self.login, &set.name, Some(self.role()?)).await?,
            Act::TakeRole => plane.give_role(who, &self.login, &set.name, None).await?,
            Act::Rule => _ = ruled(plane, who, set.project(&self.project)?, self.rules()?).await?,
        }
        Ok(self.opened())
    }

    async fn whose(&self, plane: &Plane, set: &Set) -> Result<Whose, Refusal> {
        if self.project.is_empty() {
            return Ok(Whose::context(&set.context(plane, &self.context)?));
        }
        let name = set.project(&self.project)?;
        Ok(Whose::project(plane.projects.get(&plane.store, name).await?.id, name))
    }

    fn restriction(&self, set: &Set) -> Result<NewRestriction, Refusal> {
        let restriction_value = kinds::value(&self.kind, &self.value, set)?;
        Ok(NewRestriction { restriction_type: self.kind.clone(), restriction_value })
    }

    fn role(&self) -> Result<Role, Refusal> {
        Role::named(&self.role)
            .ok_or_else(|| Refusal::Bad(format!("`{}` is no role: viewer, member, admin", self.role)))
    }

    fn rules(&self) -> Result<ProjectRules, Refusal> {
        let number = |text: &str| Refusal::Bad(format!("`{text}` is no whole number of that kind"));
        let max_tasks = match self.max_tasks.trim() {
            "" => None,
            most => Some(most.parse().map_err(|_| number(most))?),
        };
        let priority = self.priority.trim();
        let priority = priority.parse().map_err(|_| number(priority))?;
        Ok(ProjectRules { priority, max_tasks, cancel_redundant: !self.cancel_redundant.is_empty() })
    }

    /// The queue's form with this in it.
    pub(super) fn of_rules(priority: &str, max_tasks: &str, cancel_redundant: bool) -> Self {
        let cancel_redundant = if cancel_redundant { "true".to_owned() } else { String::new() };
        let (priority, max_tasks) = (priority.to_owned(), max_tasks.to_owned());
        Self { priority, max_tasks, cancel_redundant, ..Self::default() }
    }

    /// Without what nobody is shown.
    pub(super) fn without_secrets(mut self) -> Self {
        if self.act == Act::SetVariable {
            self.value.clear();
        }
        self
    }
}

/// Browsers end the lines of a form by two characters each, where whoever typed them meant one.
fn with_line_feeds(value: &str) -> String {
    value.replace("\r\n", "\n")
}

impl Set {
    /// Of this organization and no other, by its id.
    pub(super) fn context(&self, plane: &Plane, id: &str) -> Result<Known, Refusal> {
        let known = id.parse().ok().and_then(|id| plane.contexts.by_id(id));
        let own = known.filter(|known| known.row.organization == self.name);
        own.ok_or_else(|| Refusal::Missing("there is no such context".to_owned()))
    }

    /// The same of a project, by its name.
    fn project(&self, name: &str) -> Result<&str, Refusal> {
        let own = self.projects.get(name).map(String::as_str);
        own.ok_or_else(|| Refusal::Missing(format!("there is no project {name}")))
    }

    /// Where this is open.
    pub(super) fn address(&self, opened: &Opened) -> String {
        let query = match opened {
            Opened { context: Some(id), .. } => format!("?context={}#opened", in_url(id)),
            Opened { project: Some(name), .. } => format!("?project={}#opened", in_url(name)),
            _ => String::new(),
        };
        format!("/settings/{}{query}", in_url(&self.name))
    }
}
