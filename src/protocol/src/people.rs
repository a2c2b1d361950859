//! People, what they may do in which organization, and the tokens by which they and projects call.
//!
//! | call | who | body → answer |
//! |---|---|---|
//! | `GET,POST /api/v3/people`, `DELETE …/{login}` | admins of everything | → [`Items`](crate::api::Items) of [`Person`]; [`NewPerson`] → 201 [`Person`] |
//! | `PUT,DELETE /api/v3/people/{login}/identity` | admins of everything | [`NewIdentity`] → [`Person`] |
//! | `PUT,DELETE /api/v3/people/{login}/accounts/{account}` | admins of everything | → [`Person`] |
//! | `GET,POST /api/v3/people/{login}/tokens`, `DELETE …/{id}` | the person, admins of everything | → [`Items`](crate::api::Items) of [`ApiToken`]; [`NewApiToken`] → 201 [`ApiToken`] |
//! | `GET /api/v3/audit?organization=&page-token=` | admins of it | → pages of [`Done`], the newest first |
//! | `GET,PUT,DELETE /api/v3/members/{organization}[?login=]` | who is in it; its admins | → [`Items`](crate::api::Items) of [`Member`]; [`Member`] |
//! | `GET,POST,DELETE /api/v3/project-tokens/{project}[?id=]` | admins of its organization | → [`Items`](crate::api::Items) of [`ApiToken`]; [`NewApiToken`] → 201 [`ApiToken`] |

use serde::{Deserialize, Serialize};

/// The name of all organizations together, and of what belongs to none: the control plane itself.
pub const EVERYWHERE: &str = "*";
/// How whoever calls may name themselves in an address.
pub const ME: &str = "me";
/// The most letters of a login.
pub const LONGEST_LOGIN: usize = 64;
/// The longest name of an account at a provider, in bytes.
pub const LONGEST_ACCOUNT: usize = 100;

/// What somebody may do in an organization. Each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees pipelines, logs, artifacts, tests.
    Viewer,
    /// Starts, cancels, approves and runs again.
    Member,
    /// Gives rights, keys, tokens, and runs its resource classes.
    Admin,
}

impl Role {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Member, Self::Admin].into_iter().find(|role| role.name() == name)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

/// What a project's token opens, as CircleCI's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// How its pipelines and workflows stand.
    Status,
    /// All of them, read only.
    ViewBuilds,
    /// To start, cancel and run them again too.
    All,
}

impl Scope {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::ViewBuilds => "view-builds",
            Self::All => "all",
        }
    }
}

/// Somebody who is to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// Short, and nobody else's.
    pub login: String,
    /// In full; by default the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Given by the control plane.
    pub id: String,
    /// Short, and nobody else's.
    pub login: String,
    /// In full.
    pub name: String,
    /// RFC 3339.
    pub created_at: String,
    /// Of each organization.
    pub roles: Vec<Member>,
    /// Who they are at the provider where people sign in; none: they come by tokens alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// `gh/ada`: accounts at providers of repositories that are theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
}

/// Who somebody is at a provider of OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// As it calls them, for good; none: they are whoever comes first with the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// By which they were to be known, or as the provider had it at the last sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// As the provider named them at the last sign-in.
    pub groups: Vec<String>,
    /// RFC 3339, of the last sign-in; none: they never came.
    pub signed_in_at: Option<String>,
}

/// Who somebody is to be at the provider: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewIdentity {
    /// An address that the provider says it has verified: whoever comes first with it is the person from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// As the provider calls them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Somebody's role in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Whose.
    pub login: String,
    /// `gh/acme`, or `*` for every one; in a call its address says it.
    #[serde(default)]
    pub organization: String,
    /// What they may do there.
    pub role: Role,
}

/// A token to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewApiToken {
    /// For people.
    pub name: String,
    /// Of a project's: what it opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// A token of a person or a project. `token` is there only in the answer that makes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Given by the control plane.
    pub id: String,
    /// For people.
    pub name: String,
    /// How it begins: enough to know it again, and of no use otherwise.
    pub prefix: String,
    /// Of a project's: what it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// RFC 3339.
    pub created_at: String,
    /// About when it was used last; none: never.
    pub used_at: Option<String>,
    /// When it ends, of a sign-in on the page; none: it does not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The secret, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What a new key came to: `POST /api/v3/server/rotate-key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// So many values were sealed with it.
    pub values: u64,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its place in the order.
    pub number: u64,
    /// RFC 3339.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What, as a word: `token.create`.
    pub action: String,
    /// Where; `*`: with what belongs to no organization.
    pub organization: String,
    /// To what.
    pub subject: String,
}

/// Without what nobody else may know.
impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiToken").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a text can be a login: letters, digits, `.`, `-`, `_` and `@`, and not a word that means whoever calls.
pub fn is_login(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
    !text.is_empty()
        && text.len() <= LONGEST_LOGIN
        && text != ME
        && !text.starts_with(['-', '.'])
        && text.chars().all(is_part)
}

/// Whether a text can be the name of an account at a provider of repositories.
pub fn is_account_name(text: &str) -> bool {
    let is_part = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    (1..=LONGEST_ACCOUNT).contains(&text.len()) && text.chars().all(is_part)
}

/// The organization of a project: of `gh/acme/app` that is `gh/acme`.
pub fn organization(project: &str) -> &str {
    project.rsplit_once('/').map_or(project, |(organization, _)| organization)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_those_below_it_may() {
        assert!(Role::Admin > Role::Member && Role::Member > Role::Viewer);
    }

    #[test]
    fn a_login_is_one_plain_word() {
        for good in ["ada", "ada.l@example.org", "a-b_c", "7"] {
            assert!(is_login(good), "{good}");
        }
        for bad in ["", "me", "a b", "a/b", "ä", "-a", "..", &"x".repeat(65)] {
            assert!(!is_login(bad), "{bad}");
        }
    }
}
