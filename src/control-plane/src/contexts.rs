//! Contexts and variables that the control plane keeps: who may use them, and their values, which are opened for a task's
//! holder alone.

mod gate;

use crate::{
    audit::{Deed, line},
    plane::{
        Plane,
        clock::wall_ms,
        live::Pipeline,
        people::{Who, canonical},
    },
    refusal::Refusal,
};
use compiler::Inputs;
pub(crate) use gate::Gate;
use protocol::{
    api::{NewPipeline, Variables},
    contexts::{
        LONGEST_CONTEXT, LONGEST_VALUE, MOST_CONTEXTS, MOST_RESTRICTIONS, MOST_VARIABLES, NewRestriction,
        RestrictionKind, is_variable,
    },
    people::{Role, organization},
    pipeline::{Job, Pipeline as Compiled},
    task::Variable,
};
use std::sync::{PoisonError, RwLock};
use store::{
    Command, ContextRow, Owner, ProjectId, RestrictionRow, Secret, Store, StoreError, VariableRow, Write,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The longest expression, in bytes.
const LONGEST_EXPRESSION: usize = 4096;
/// Somebody else was there first.
const GONE: &str = "it is gone meanwhile";
/// The longest name of a group, in bytes.
const LONGEST_GROUP: usize = 300;

/// A context and what is to hold where it is used.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) row: ContextRow,
    pub(crate) restrictions: Vec<RestrictionRow>,
}

/// All contexts, as they are in the store; none of their values.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    all: RwLock<Vec<Known>>,
}

impl Contexts {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let contexts = Self::default();
        store.contexts().await?.into_iter().for_each(|row| contexts.apply(&Secret::Context(row)));
        store.restrictions().await?.into_iter().for_each(|row| contexts.apply(&Secret::Restriction(row)));
        Ok(contexts)
    }

    fn apply(&self, change: &Secret) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Secret::Context(row) => all.push(Known { row: row.clone(), restrictions: Vec::new() }),
            Secret::RemoveContext(id) => all.retain(|known| known.row.id != *id),
            Secret::Restriction(row) => {
                let of = all.iter_mut().filter(|known| known.row.id == row.context);
                of.for_each(|known| known.restrictions.push(row.clone()));
            }
            Secret::RemoveRestriction(id) => {
                all.iter_mut().for_each(|known| known.restrictions.retain(|row| row.id != *id));
            }
            Secret::Variable(_) | Secret::RemoveVariable(..) => {}
        }
    }

    fn find(&self, is_it: impl Fn(&ContextRow) -> bool) -> Option<Known> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|known| is_it(&known.row)).cloned()
    }

    /// A context by its id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Known> {
        self.find(|row| row.id == id)
    }

    /// The one that jobs of a project mean by a name.
    pub(crate) fn of_project(&self, project: &str, name: &str) -> Option<Known> {
        let own = canonical(organization(project));
        self.find(|row| row.organization == own && row.name == name)
    }

    /// Those of an organization, by name.
    pub(crate) fn of(&self, organization: &str) -> Vec<ContextRow> {
        let (own, all) = (canonical(organization), self.all.read().unwrap_or_else(PoisonError::into_inner));
        let mut rows: Vec<_> =
            all.iter().filter(|known| known.row.organization == own).map(|known| known.row.clone()).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// The organizations that have any.
    pub(crate) fn organizations(&self) -> Vec<String> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|known| known.row.organization.clone()).collect()
    }
}

/// Whose variables are meant, and how others are told of them.
#[derive(Clone, Debug)]
pub(crate) struct Whose {
    pub(crate) owner: Owner,
    /// `gh/acme`.
    organization: String,
    /// The context or the project.
    name: String,
}

impl Whose {
    pub(crate) fn context(known: &Known) -> Self {
        let ContextRow { id, organization, name, .. } = known.row.clone();
        Self { owner: Owner::Context(id), organization, name: format!("the context {name}") }
    }

    pub(crate) fn project(id: ProjectId, name: &str) -> Self {
        let organization = organization(name).to_owned();
        Self { owner: Owner::Project(id), organization, name: name.to_owned() }
    }
}

/// A sealed value opens for its owner and under its own name only.
pub(crate) fn bound(owner: Owner, name: &str) -> Vec<u8> {
    match owner {
        Owner::Context(id) => format!("context variable {id} {name}"),
        Owner::Project(id) => format!("project variable {} {name}", id.0),
    }
    .into_bytes()
}

impl Plane {
    /// Changes contexts or variables, and tells of it in the same write.
    async fn change_secrets(
        &self,
        by: &Who,
        change: Secret,
        told: (Deed, &str, &str),
        twice: &str,
    ) -> Result<(), Refusal> {
        let (deed, organization, subject) = told;
        let writes = vec![Write::Secret(change.clone()), line(by, deed, organization, subject)];
        let (tell, told) = oneshot::channel();
        let contexts = self.contexts.clone();
        // In the order in which they lie on disk, and in force before anybody is answered.
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            if result.is_ok() {
                contexts.apply(&change);
            }
            let _ = tell.send(result);
        });
        self.store.submit(Command { guard: None, writes, done });
        match told.await.unwrap_or(Err(StoreError::Stopped)) {
            Err(StoreError::Conflict(_)) => Err(Refusal::Conflict(twice.to_owned())),
            other => Ok(other.map(drop)?),
        }
    }

    /// Makes a context, with no variables yet, for all of its organization.
    pub(crate) async fn make_context(
        &self,
        by: &Who,
        organization: &str,
        name: &str,
    ) -> Result<ContextRow, Refusal> {
        let is_plain =
            !name.is_empty() && name.len() <= LONGEST_CONTEXT && !name.chars().any(char::is_control);
        if !is_plain || name.trim() != name {
            return Err(Refusal::Bad(format!(
                "a context's name wants 1 to {LONGEST_CONTEXT} bytes on one line"
            )));
        }
        let organization = canonical(organization);
        if self.contexts.of(&organization).len() >= MOST_CONTEXTS {
            return Err(Refusal::Conflict(format!("{organization} has {MOST_CONTEXTS} contexts already")));
        }
        let (id, created_ms) = (Uuid::now_v7(), wall_ms());
        let row = ContextRow { id, organization: organization.clone(), name: name.to_owned(), created_ms };
        let twice = format!("{organization} has a context `{name}` already");
        let told = (Deed::ContextMade, organization.as_str(), name);
        self.change_secrets(by, Secret::Context(row.clone()), told, &twice).await?;
        Ok(row)
    }

    /// Removes a context with all that it has.
    pub(crate) async fn remove_context(&self, by: &Who, known: &Known) -> Result<(), Refusal> {
        let told = (Deed::ContextRemoved, known.row.organization.as_str(), known.row.name.as_str());
        self.change_secrets(by, Secret::RemoveContext(known.row.id), told, GONE).await
    }

    /// Has a context used only where something holds.
    pub(crate) async fn restrict(
        &self,
        by: &Who,
        known: &Known,
        new: NewRestriction,
    ) -> Result<RestrictionRow, Refusal> {
        let (kind, value) = restriction(new)?;
        if known.restrictions.len() >= MOST_RESTRICTIONS {
            return Err(Refusal::Conflict(format!(
                "the context has {MOST_RESTRICTIONS} restrictions already"
            )));
        }
        let row = RestrictionRow { id: Uuid::now_v7(), context: known.row.id, kind, value };
        let subject = format!("{}: {} {}", known.row.name, kind.name(), row.value);
        let told = (Deed::ContextRestricted, known.row.organization.as_str(), subject.as_str());
        let twice = "the context has this restriction already";
        self.change_secrets(by, Secret::Restriction(row.clone()), told, twice).await?;
        Ok(row)
    }

    /// Takes a restriction away.
    pub(crate) async fn unrestrict(&self, by: &Who, known: &Known, id: Uuid) -> Result<(), Refusal> {
        let found = known.restrictions.iter().find(|row| row.id == id);
        let row = found.ok_or_else(|| Refusal::Missing(format!("the context has no restriction {id}")))?;
        let subject = format!("{}: {} {}", known.row.name, row.kind.name(), row.value);
        let told = (Deed::ContextUnrestricted, known.row.organization.as_str(), subject.as_str());
        self.change_secrets(by, Secret::RemoveRestriction(id), told, GONE).await
    }

    /// Gives a variable a value, in the place of the one that it has.
    pub(crate) async fn set_variable(
        &self,
        by: &Who,
        whose: &Whose,
        (name, value): (&str, &str),
    ) -> Result<VariableRow, Refusal> {
        if !is_variable(name) {
            return Err(Refusal::Bad(format!(
                "`{name}` is no name of a variable: letters, digits and `_`, no digit first"
            )));
        }
        if value.len() > LONGEST_VALUE || value.contains('\0') {
            return Err(Refusal::Bad(format!("a value wants at most {LONGEST_VALUE} bytes, and no NUL")));
        }
        let known = self.store.variables(whose.owner).await?;
        let before = known.iter().find(|row| row.name == name);
        if before.is_none() && known.len() >= MOST_VARIABLES {
            return Err(Refusal::Conflict(format!("there are {MOST_VARIABLES} variables already")));
        }
        let now = wall_ms();
        let row = VariableRow {
            owner: whose.owner,
            name: name.to_owned(),
            sealed: self.vault.seal_for(&bound(whose.owner, name), value.as_bytes()),
            created_ms: before.map_or(now, |row| row.created_ms),
            updated_ms: now,
        };
        let subject = format!("{}: {name}", whose.name);
        let told = (Deed::VariableSet, whose.organization.as_str(), subject.as_str());
        self.change_secrets(by, Secret::Variable(row.clone()), told, GONE).await?;
        Ok(row)
    }

    /// Takes a variable away.
    pub(crate) async fn remove_variable(&self, by: &Who, whose: &Whose, name: &str) -> Result<(), Refusal> {
        let known = self.store.variables(whose.owner).await?;
        if !known.iter().any(|row| row.name == name) {
            return Err(Refusal::Missing(format!("there is no variable {name}")));
        }
        let subject = format!("{}: {name}", whose.name);
        let told = (Deed::VariableRemoved, whose.organization.as_str(), subject.as_str());
        self.change_secrets(by, Secret::RemoveVariable(whose.owner, name.to_owned()), told, GONE).await
    }

    /// The variables of a context or a project with their values.
    pub(crate) async fn opened_variables(&self, owner: Owner) -> Result<Vec<Variable>, Refusal> {
        let opened = |row: VariableRow| {
            let text = self.vault.unseal_for(&bound(owner, &row.name), &row.sealed).ok();
            let value = text.and_then(|text| String::from_utf8(text).ok()).ok_or_else(|| {
                Refusal::Unavailable(format!(
                    "the variable {} was sealed with another key of this server",
                    row.name
                ))
            })?;
            Ok(Variable { name: row.name, value, secret: true })
        };
        self.store.variables(owner).await?.into_iter().map(opened).collect()
    }

    /// All that a job of a pipeline is given: what is kept for its project comes before what came with the pipeline, and a
    /// context that came takes the place of the one that is kept.
    pub(crate) async fn variables_of(&self, pipeline: &Pipeline, job: &Job) -> Result<Variables, Refusal> {
        let mut all = pipeline.variables.clone();
        // What strangers wrote is given nothing that is kept.
        if pipeline.git.fork().is_some() {
            return Ok(all);
        }
        let kept = self.opened_variables(Owner::Project(pipeline.project)).await?;
        all.environment.splice(0..0, kept);
        for name in &job.contexts {
            let known = self.contexts.of_project(&pipeline.project_name, name);
            if let Some(known) = known.filter(|_| !all.contexts.contains_key(name)) {
                let values = self.opened_variables(Owner::Context(known.row.id)).await?;
                all.contexts.insert(name.clone(), values);
            }
        }
        Ok(all)
    }
}

fn restriction(new: NewRestriction) -> Result<(RestrictionKind, String), Refusal> {
    let NewRestriction { restriction_type, restriction_value: value } = new;
    match restriction_type.as_str() {
        "project" => match value.parse::<Uuid>() {
            Ok(id) => Ok((RestrictionKind::Project, id.to_string())),
            Err(_) => Err(Refusal::Bad(format!(
                "`{value}` is no id of a project: GET /api/v2/project/{{slug}} tells it"
            ))),
        },
        "expression" if value.len() > LONGEST_EXPRESSION => {
            Err(Refusal::Bad(format!("an expression wants at most {LONGEST_EXPRESSION} bytes")))
        }
        "expression" => match compiler::holds(&value, &Inputs::default()) {
            Ok(_) => Ok((RestrictionKind::Expression, value)),
            Err(wrong) => Err(Refusal::Bad(format!("the expression cannot be read: {wrong}"))),
        },
        "group" if (1..=LONGEST_GROUP).contains(&value.len()) && !value.chars().any(char::is_control) => {
            Ok((RestrictionKind::Group, value))
        }
        "group" => Err(Refusal::Bad(format!("a group's name wants 1 to {LONGEST_GROUP} bytes on one line"))),
        "role" => match Role::named(&value) {
            Some(role) => Ok((RestrictionKind::Role, role.name().to_owned())),
            None => Err(Refusal::Bad(format!("`{value}` is no role: `viewer`, `member` and `admin` are"))),
        },
        other => Err(Refusal::Bad(format!(
            "restrictions of the type `{other}` are not offered: `project`, `expression`, `group` and `role` are"
        ))),
    }
}

impl Plane {
    /// A job whose context is not there runs without its variables, and that is said.
    pub(crate) fn missing_contexts(&self, new: &NewPipeline, compiled: &Compiled) -> Vec<String> {
        let is_there = |name: &String| {
            new.contexts.contains_key(name) || self.contexts.of_project(&new.project, name).is_some()
        };
        let jobs = compiled.workflows.iter().flat_map(|workflow| &workflow.jobs);
        let named = jobs.flat_map(|job| job.contexts.iter().map(move |context| (context, &job.name)));
        let missing = named.filter(|(context, _)| !is_there(context));
        missing
            .map(|(context, job)| {
                format!(
                    "{}: warning: the job `{job}` uses the context `{context}`, which was not given and is not kept \
                     here: its variables are not set\n",
                    new.config_path
                )
            })
            .collect()
    }
}
