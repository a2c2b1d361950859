//! The kinds of restrictions that a context can be given on the page.

use super::Set;
use crate::{plane::projects::stable_id, refusal::Refusal};

/// One kind: how it is called, what is typed there, and what that is to the call that takes it.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) typed: &'static str,
    value: fn(&str, &Set) -> Result<String, Refusal>,
}

/// All of them: one more is one more line.
pub(crate) const KINDS: [Kind; 4] = [
    Kind { name: "project", typed: "the name of a project", value: by_name },
    Kind { name: "expression", typed: "an expression over pipeline values", value: as_typed },
    Kind { name: "group", typed: "a group of people at the provider where they sign in", value: as_typed },
    Kind { name: "role", typed: "viewer, member or admin, or one that may more", value: as_typed },
];

/// What the value that was typed is to the call. Of a kind that is not offered here that call says so.
pub(super) fn value(kind: &str, typed: &str, set: &Set) -> Result<String, Refusal> {
    let known = KINDS.iter().find(|one| one.name == kind);
    known.map_or_else(|| Ok(typed.to_owned()), |kind| (kind.value)(typed, set))
}

/// People know projects by their names.
fn by_name(typed: &str, set: &Set) -> Result<String, Refusal> {
    match set.projects.get(typed) {
        Some(name) => Ok(stable_id(name).to_string()),
        None => Err(Refusal::Bad(format!("{} has no project `{typed}`", set.name))),
    }
}

fn as_typed(typed: &str, _: &Set) -> Result<String, Refusal> {
    Ok(typed.to_owned())
}
