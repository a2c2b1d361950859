//! Contexts of organizations and variables of projects, in the shapes of CircleCI's API v2.
//!
//! | call | body → answer |
//! |---|---|
//! | `GET,POST /api/v2/context[?owner-id=&owner-slug=]` | → pages of [`Context`]; [`NewContext`] → [`Context`] |
//! | `GET,DELETE /api/v2/context/{id}` | → [`Context`] |
//! | `GET /api/v2/context/{id}/environment-variable`, `PUT,DELETE …/{name}` | → pages of [`ContextVariable`]; [`Value`] → [`ContextVariable`] |
//! | `GET,POST /api/v2/context/{id}/restrictions`, `DELETE …/{restriction}` | → pages of [`Restriction`]; [`NewRestriction`] → 201 [`Restriction`] |
//! | `GET,POST /api/v2/project/{slug}/envvar`, `GET,DELETE …/{name}` | → pages of [`ProjectVariable`]; the same → 201 |

use serde::{Deserialize, Serialize};

/// The longest name of a context, the most variables of a context or a project, the longest value, the most contexts of an
/// organization, the most restrictions of a context.
pub const LONGEST_CONTEXT: usize = 200;
/// Of one context or project.
pub const MOST_VARIABLES: usize = 100;
/// In bytes.
pub const LONGEST_VALUE: usize = 32 * 1024;
/// Of one organization.
pub const MOST_CONTEXTS: usize = 500;
/// Of one context.
pub const MOST_RESTRICTIONS: usize = 50;

/// A context to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewContext {
    /// In its organization.
    pub name: String,
    /// Whose.
    pub owner: ContextOwner,
}

/// An organization, by its slug or its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContextOwner {
    /// `gh/acme`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// As `me/collaborations` tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `organization`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Given by the control plane.
    pub id: String,
    /// In its organization.
    pub name: String,
    /// RFC 3339.
    pub created_at: String,
}

/// A variable of a context, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextVariable {
    /// Its name.
    pub variable: String,
    /// Of its context.
    pub context_id: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// The value of a variable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// It.
    pub value: String,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(***)")
    }
}

/// A variable of a project: in answers with a value of which only the end is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectVariable {
    /// Its name.
    pub name: String,
    /// Its value; in answers `xxxx1234`.
    pub value: String,
}

/// Without what nobody else may know.
impl std::fmt::Debug for ProjectVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectVariable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How the value of a restriction is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestrictionKind {
    /// The id of a project.
    Project,
    /// An expression over pipeline values.
    Expression,
    /// The name of a group, as the provider has it where people sign in; or the id of the organization: whoever has a role in it.
    Group,
    /// A role in the organization, or one that may more.
    Role,
}

impl RestrictionKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Expression => "expression",
            Self::Group => "group",
            Self::Role => "role",
        }
    }
}

/// A restriction to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRestriction {
    /// `project`, `expression`, `group` or `role`.
    pub restriction_type: String,
    /// As its kind means it.
    pub restriction_value: String,
}

/// What is to hold where a context is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// Given by the control plane.
    pub id: String,
    /// Of which context.
    pub context_id: String,
    /// Of a project: its name, where it is known.
    pub name: Option<String>,
    /// How its value is meant.
    pub restriction_type: RestrictionKind,
    /// The id of a project, an expression, the name of a group, a role.
    pub restriction_value: String,
}

/// A value as it is shown: its last four letters, where it has twice as many.
pub fn masked(value: &str) -> String {
    let letters = value.chars().count();
    let shown: String = if letters < 8 { String::new() } else { value.chars().skip(letters - 4).collect() };
    format!("xxxx{shown}")
}

/// Whether a text can be the name of a variable.
pub fn is_variable(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.len() <= 300
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_value_only_the_end_is_shown_and_of_a_short_one_nothing() {
        for (value, shown) in
            [("", "xxxx"), ("1234567", "xxxx"), ("12345678", "xxxx5678"), ("pässwörter", "xxxxrter")]
        {
            assert_eq!(masked(value), shown);
        }
    }

    #[test]
    fn a_variable_has_a_name_that_shells_take() {
        assert!(["A", "_a1", "PATH"].into_iter().all(is_variable));
        assert!(!["", "1A", "A-B", "A B", "Ä", "A=B"].into_iter().any(is_variable));
    }
}
