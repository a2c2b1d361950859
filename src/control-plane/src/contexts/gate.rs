//! Whether a job may have the contexts that it names: they may be for some projects, some pipelines and some people only.

use super::{Contexts, Known};
use crate::plane::{
    Plane,
    access::Access,
    clock::wall_ms,
    live::Pipeline,
    people::{Right, Somebody, Who, canonical, names},
    projects::stable_id,
};
use compiler::Inputs;
use protocol::{Actor, contexts::RestrictionKind, people::Role, pipeline::Job};
use std::sync::Arc;
use store::RestrictionRow;

/// So long after a sign-in the groups that the provider named then still count, in milliseconds.
const GROUPS_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// All that says so, for all pipelines.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    contexts: Arc<Contexts>,
    access: Arc<Access>,
}

impl Plane {
    pub(crate) fn gate(&self) -> Gate {
        Gate { contexts: self.contexts.clone(), access: self.access.clone() }
    }
}

impl Gate {
    /// Why a job that these have had run may not have the contexts that it names, if it may not. Those that came with the
    /// pipeline are its own.
    pub(crate) fn refusal(&self, pipeline: &Pipeline, job: &Job, by: &[&Actor]) -> Option<String> {
        let given = &pipeline.variables.contexts;
        let kept = job.contexts.iter().filter(|name| !given.contains_key(*name));
        let mut known = kept.filter_map(|name| self.contexts.of_project(&pipeline.project_name, name));
        known.find_map(|known| {
            let why = elsewhere(&known.restrictions, pipeline).or_else(|| self.for_others(&known, by))?;
            Some(format!("the context `{}` may not be used here: {why}", known.row.name))
        })
    }

    /// Each of those who had the job run must be one of the people that a context is for.
    fn for_others(&self, known: &Known, by: &[&Actor]) -> Option<String> {
        let organization = &known.row.organization;
        let is_of_people =
            |row: &&RestrictionRow| matches!(row.kind, RestrictionKind::Group | RestrictionKind::Role);
        let of: Vec<_> = known.restrictions.iter().filter(is_of_people).collect();
        let is_one =
            |actor: &Actor| of.is_empty() || of.iter().any(|row| self.is_for(row, organization, actor));
        let stranger = by.iter().find(|actor| !is_one(actor))?;
        let whom: Vec<_> = of.iter().map(|row| words(row, organization)).collect();
        Some(format!("it is for {}, and that {} is not", whom.join(" or "), stranger.login()))
    }

    fn is_for(&self, row: &RestrictionRow, organization: &str, actor: &Actor) -> bool {
        let somebody = match actor {
            // Who could take the restriction away.
            Actor::Operator => return true,
            Actor::Person { id, .. } => self.access.person(*id),
            _ => None,
        };
        let Some(somebody) = somebody else { return false };
        let right = Who::Person(somebody.clone()).in_organization(organization);
        match row.kind {
            RestrictionKind::Role => right.is_some() && right >= Role::named(&row.value).map(Right::from),
            _ if is_id_of(&row.value, organization) => right.is_some(),
            _ => is_in_group(&somebody, &row.value, wall_ms()),
        }
    }
}

fn is_in_group(somebody: &Somebody, group: &str, now_ms: i64) -> bool {
    let Some(identity) = &somebody.identity else { return false };
    let is_fresh = identity.signed_in_ms.is_some_and(|at| now_ms.saturating_sub(at) < GROUPS_MS);
    is_fresh && identity.groups.iter().any(|one| one == group)
}

/// An organization is a group as well, by its id: that of all who have a role in it.
fn is_id_of(value: &str, organization: &str) -> bool {
    names(organization).any(|name| stable_id(&name).to_string() == value)
}

fn words(row: &RestrictionRow, organization: &str) -> String {
    match row.kind {
        RestrictionKind::Role => format!("whoever has the role `{}` in {organization}", row.value),
        _ if is_id_of(&row.value, organization) => format!("whoever has a role in {organization}"),
        _ => format!("the group `{}`", row.value),
    }
}

/// Of the projects that a context is for the job's must be one, and each of its expressions must hold.
fn elsewhere(restrictions: &[RestrictionRow], pipeline: &Pipeline) -> Option<String> {
    let of = |kind| restrictions.iter().filter(move |row| row.kind == kind);
    let name = &pipeline.project_name;
    let own = [stable_id(name).to_string(), stable_id(&canonical(name)).to_string()];
    let mut projects = of(RestrictionKind::Project).peekable();
    if projects.peek().is_some() && !projects.any(|row| own.contains(&row.value)) {
        return Some(format!("it is for other projects than {name}"));
    }
    let mut expressions = of(RestrictionKind::Expression).peekable();
    if pipeline.git.is_claimed && expressions.peek().is_some() {
        let why = "it is for pipelines of some branches or tags, and which this is of is only what its maker says, who is no admin";
        return Some(why.to_owned());
    }
    let inputs = Inputs {
        id: Some(pipeline.id),
        number: pipeline.number,
        project: name.clone(),
        git: pipeline.git.clone(),
        ..Inputs::default()
    };
    expressions.find_map(|row| match compiler::holds(&row.value, &inputs) {
        Ok(true) => None,
        Ok(false) => Some(format!("`{}` does not hold", row.value)),
        Err(wrong) => Some(format!("`{}` cannot be read: {wrong}", row.value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{IdentityRow, PersonRow};
    use uuid::Uuid;

    #[test]
    fn a_group_counts_for_thirty_days_after_the_sign_in_that_named_it() {
        let person = Uuid::now_v7();
        let identity = |signed_in_ms| IdentityRow {
            person,
            issuer: "https://id.example".to_owned(),
            subject: Some("1".to_owned()),
            email: None,
            groups: vec!["deployers".to_owned()],
            signed_in_ms,
        };
        let row = PersonRow { id: person, login: "ada".to_owned(), name: "Ada".to_owned(), created_ms: 0 };
        let with =
            |signed_in_ms| Somebody { identity: Some(identity(signed_in_ms)), ..Somebody::of(row.clone()) };
        for (somebody, group, is_in) in [
            (with(Some(1)), "deployers", true),
            (with(Some(0)), "deployers", false),
            (with(None), "deployers", false),
            (with(Some(1)), "all", false),
            (Somebody::of(row.clone()), "deployers", false),
        ] {
            assert_eq!(is_in_group(&somebody, group, GROUPS_MS), is_in, "{somebody:?} {group}");
        }
    }
}
