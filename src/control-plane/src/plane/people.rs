//! Who people and programs are that call with a token of their own, and what they may where.
//!
//! ```text
//! role:   viewer ── view     member ── act        admin ── administer      in one organization, or in every one (`*`)
//! scope:  status ── status   view-builds ── view  all ── act               of one project
//! ```

use super::projects::{HOSTS, stable_id};
use protocol::{
    Actor,
    people::{EVERYWHERE, Role, Scope, organization},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use store::{ApiTokenRow, Bearer, IdentityRow, MemberRow, PersonRow, Rights, Store, StoreError};
use uuid::Uuid;

use super::token::TokenHash;

/// The login of whoever has the operator's token.
pub(crate) const OPERATOR: &str = "operator";
/// A token's last use is noted this exactly.
const USED_MS: i64 = 60_000;

/// What somebody may do. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// To see how pipelines and workflows stand.
    Status,
    /// To see all of them.
    View,
    /// To start, cancel, approve and run them again.
    Act,
    /// To give rights, keys and tokens.
    Administer,
}

impl From<Role> for Right {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::View,
            Role::Member => Self::Act,
            Role::Admin => Self::Administer,
        }
    }
}

impl From<Scope> for Right {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Status => Self::Status,
            Scope::ViewBuilds => Self::View,
            Scope::All => Self::Act,
        }
    }
}

impl Right {
    /// The least role that has it.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Status | Self::View => Role::Viewer,
            Self::Act => Role::Member,
            Self::Administer => Role::Admin,
        }
    }
}

/// Somebody who is known, and their roles.
#[derive(Clone, Debug)]
pub(crate) struct Somebody {
    pub(crate) row: PersonRow,
    /// By organizations, as [`canonical`] names them.
    pub(crate) roles: BTreeMap<String, Role>,
    /// Who they are where people sign in.
    pub(crate) identity: Option<IdentityRow>,
    /// Whose accounts at providers are theirs: `gh/ada`.
    pub(crate) accounts: BTreeSet<String>,
}

impl Somebody {
    /// Somebody new.
    pub(crate) fn of(row: PersonRow) -> Self {
        Self { row, roles: BTreeMap::new(), identity: None, accounts: BTreeSet::new() }
    }

    /// As whoever had something run.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Person { id: self.row.id, login: self.row.login.clone() }
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Whoever has the operator's token: an admin of everything.
    Operator,
    /// Whoever has the token that approves, and does nothing else.
    Approver,
    /// A person, by one of their tokens.
    Person(Arc<Somebody>),
    /// A program, by a token of a project.
    Project {
        /// As [`canonical`] names it.
        project: String,
        /// How far it goes.
        scope: Scope,
        /// The token's name.
        name: String,
    },
}

impl Who {
    /// As others are told who did something.
    pub(crate) fn login(&self) -> String {
        match self {
            Self::Operator => OPERATOR.to_owned(),
            Self::Approver => "approver".to_owned(),
            Self::Person(somebody) => somebody.row.login.clone(),
            Self::Project { project, name, .. } => format!("a token of {project}: {name}"),
        }
    }

    /// As whoever has something run.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::Approver => Actor::Account { login: self.login() },
            Self::Person(somebody) => somebody.actor(),
            Self::Project { .. } => Actor::Project { name: self.login() },
        }
    }

    /// What they may everywhere, and with what belongs to no organization.
    pub(crate) fn everywhere(&self) -> Option<Right> {
        match self {
            Self::Operator => Some(Right::Administer),
            Self::Person(somebody) => somebody.roles.get(EVERYWHERE).map(|role| (*role).into()),
            Self::Approver | Self::Project { .. } => None,
        }
    }

    /// What they may in an organization.
    pub(crate) fn in_organization(&self, name: &str) -> Option<Right> {
        let own = match self {
            Self::Person(somebody) => somebody.roles.get(&canonical(name)).map(|role| Right::from(*role)),
            _ => None,
        };
        own.max(self.everywhere())
    }

    /// What they may with a project.
    pub(crate) fn in_project(&self, name: &str) -> Option<Right> {
        match self {
            Self::Project { project, scope, .. } => (canonical(name) == *project).then(|| (*scope).into()),
            _ => self.in_organization(organization(name)),
        }
    }

    /// What they may with the resource classes of a namespace: they belong to the organizations of that name.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Option<Right> {
        let Self::Person(somebody) = self else { return self.everywhere() };
        let is_its = |name: &str| name == EVERYWHERE || name.rsplit('/').next() == Some(namespace);
        somebody.roles.iter().filter(|(name, _)| is_its(name)).map(|(_, role)| Right::from(*role)).max()
    }

    /// Whether they may see all of a project.
    pub(crate) fn sees(&self, project: &str) -> bool {
        self.in_project(project) >= Some(Right::View)
    }

    /// How the names of all projects begin that they may see; none: all are theirs to see.
    pub(crate) fn sees_within(&self) -> Option<Vec<String>> {
        if self.everywhere() >= Some(Right::View) {
            return None;
        }
        let Self::Person(somebody) = self else { return Some(Vec::new()) };
        Some(somebody.roles.keys().flat_map(|name| names(name)).map(|name| format!("{name}/")).collect())
    }
}

/// An organization or a project by the first name of its host: however it is written, its rights are the same.
pub(crate) fn canonical(name: &str) -> String {
    names(name).next().unwrap_or_else(|| name.to_owned())
}

/// By which users are asked for.
pub(crate) fn id_of(actor: &Actor) -> Uuid {
    match actor {
        Actor::Person { id, .. } => *id,
        // Anybody may call an account as nobody else is called here.
        Actor::Account { login } => stable_id(&format!("account {login}")),
        other => stable_id(other.login()),
    }
}

/// All its names, the canonical one first.
pub(crate) fn names(name: &str) -> impl Iterator<Item = String> {
    let (host, rest) = name.split_once('/').unwrap_or(("", name));
    let same = HOSTS.iter().find(|names| names.contains(&host));
    let all = same.into_iter().flatten().map(|host| format!("{host}/{rest}")).collect::<Vec<_>>();
    let own = all.is_empty().then(|| name.to_owned());
    own.into_iter().chain(all)
}

/// A token, and about when it was used last.
#[derive(Debug)]
struct Held {
    row: ApiTokenRow,
    used_ms: AtomicI64,
}

/// Everybody who is known, and their tokens, as they are in the store.
#[derive(Debug, Default)]
pub(crate) struct People {
    people: HashMap<Uuid, Arc<Somebody>>,
    tokens: HashMap<TokenHash, Held>,
}

impl People {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut all = Self::default();
        store.people().await?.into_iter().for_each(|row| all.apply(Rights::Person(row)));
        store.members().await?.into_iter().for_each(|row| all.apply(Rights::Member(row)));
        store.identities().await?.into_iter().for_each(|row| all.apply(Rights::Identity(row)));
        store.accounts().await?.into_iter().for_each(|row| all.apply(Rights::Account(row)));
        store.api_tokens().await?.into_iter().for_each(|row| all.apply(Rights::Token(row)));
        Ok(all)
    }

    /// Whoever a token of this hash stands for, and the token's id if its use is to be noted.
    pub(crate) fn who(&self, hash: &TokenHash, now_ms: i64) -> Option<(Who, Option<Uuid>)> {
        let held = self.tokens.get(hash).filter(|held| held.is_good(now_ms))?;
        let who = self.bearer(&held.row)?;
        let last = held.used_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(last) >= USED_MS
            && held.used_ms.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        Some((who, is_due.then_some(held.row.id)))
    }

    fn bearer(&self, row: &ApiTokenRow) -> Option<Who> {
        match &row.bearer {
            Bearer::Person(id) => self.people.get(id).cloned().map(Who::Person),
            Bearer::Project(project, scope) => {
                Some(Who::Project { project: project.clone(), scope: *scope, name: row.name.clone() })
            }
        }
    }

    /// A token by its id, and whoever it stands for.
    pub(crate) fn token(&self, id: Uuid, now_ms: i64) -> Option<(&ApiTokenRow, Who)> {
        let held = self.tokens.values().find(|held| held.row.id == id && held.is_good(now_ms))?;
        Some((&held.row, self.bearer(&held.row)?))
    }

    /// The tokens of whoever, oldest first, also those that have ended.
    pub(crate) fn tokens(&self, is_theirs: impl Fn(&Bearer) -> bool) -> Vec<ApiTokenRow> {
        let own = self.tokens.values().filter(|held| is_theirs(&held.row.bearer));
        let mut rows: Vec<_> = own.map(Held::row).collect();
        rows.sort_by_key(|row| (row.created_ms, row.id));
        rows
    }

    /// Somebody by their id.
    pub(crate) fn person(&self, id: Uuid) -> Option<Arc<Somebody>> {
        self.people.get(&id).cloned()
    }

    /// Whose an account is.
    pub(crate) fn of_account(&self, account: &str) -> Option<Arc<Somebody>> {
        self.people.values().find(|somebody| somebody.accounts.contains(account)).cloned()
    }

    /// Everybody, by login.
    pub(crate) fn all(&self) -> Vec<Arc<Somebody>> {
        let mut all: Vec<_> = self.people.values().cloned().collect();
        all.sort_by(|a, b| a.row.login.cmp(&b.row.login));
        all
    }

    pub(crate) fn apply(&mut self, change: Rights) {
        match change {
            Rights::Person(row) => {
                self.people.insert(row.id, Arc::new(Somebody::of(row)));
            }
            Rights::RemovePerson(id) => {
                self.people.remove(&id);
                self.tokens.retain(|_, held| held.row.bearer != Bearer::Person(id));
            }
            Rights::Member(MemberRow { person, organization, role }) => {
                self.change(person, |somebody| {
                    somebody.roles.insert(organization, role);
                });
            }
            Rights::RemoveMember(person, organization) => {
                self.change(person, |somebody| {
                    somebody.roles.remove(&organization);
                });
            }
            Rights::Identity(row) => self.change(row.person, |somebody| somebody.identity = Some(row)),
            Rights::RemoveIdentity(person) => {
                self.change(person, |somebody| somebody.identity = None);
                let is_sign_in =
                    |row: &ApiTokenRow| row.bearer == Bearer::Person(person) && row.expires_ms.is_some();
                self.tokens.retain(|_, held| !is_sign_in(&held.row));
            }
            Rights::Account(row) => self.change(row.person, |somebody| {
                somebody.accounts.insert(row.account);
            }),
            Rights::RemoveAccount(account) => {
                for somebody in self.people.values_mut().filter(|one| one.accounts.contains(&account)) {
                    Arc::make_mut(somebody).accounts.remove(&account);
                }
            }
            Rights::Token(row) => {
                let used_ms = AtomicI64::new(row.used_ms.unwrap_or_default());
                self.tokens.insert(row.hash, Held { row, used_ms });
            }
            Rights::RemoveToken(id) => self.tokens.retain(|_, held| held.row.id != id),
            // Noted here before it is written.
            Rights::TokenUsed(..) => {}
        }
    }

    fn change(&mut self, person: Uuid, change: impl FnOnce(&mut Somebody)) {
        if let Some(somebody) = self.people.get_mut(&person) {
            change(Arc::make_mut(somebody));
        }
    }
}

impl Held {
    /// Whether it has not ended.
    fn is_good(&self, now_ms: i64) -> bool {
        self.row.expires_ms.is_none_or(|end| now_ms < end)
    }

    /// With its last use as it is known here.
    fn row(&self) -> ApiTokenRow {
        let used = self.used_ms.load(Ordering::Relaxed);
        ApiTokenRow { used_ms: (used > 0).then_some(used), ..self.row.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(roles: &[(&str, Role)]) -> Who {
        let row = PersonRow { id: Uuid::nil(), login: "ada".into(), name: "Ada".into(), created_ms: 0 };
        let roles = roles.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
        Who::Person(Arc::new(Somebody { roles, ..Somebody::of(row) }))
    }

    #[test]
    fn a_role_holds_in_its_organization_by_every_name_of_the_host_and_nowhere_else() {
        let ada = person(&[("gh/acme", Role::Member)]);
        for name in ["gh/acme/app", "github/acme/app", "github.com/acme/app"] {
            assert_eq!(ada.in_project(name), Some(Right::Act), "{name}");
        }
        for name in ["gl/acme/app", "gh/acme/deep/app", "gh/acmes/app", "gh/acme", "acme/app", "app", ""] {
            assert_eq!(ada.in_project(name), None, "{name}");
        }
        assert_eq!((ada.everywhere(), ada.in_namespace("acme")), (None, Some(Right::Act)));
        assert_eq!(ada.in_namespace("acmes"), None);
    }

    #[test]
    fn the_greater_of_two_roles_counts_and_everywhere_is_everywhere() {
        let ada = person(&[("*", Role::Viewer), ("gh/acme", Role::Admin)]);
        assert_eq!(ada.in_project("gh/acme/app"), Some(Right::Administer));
        assert_eq!(ada.in_project("gl/other/app"), Some(Right::View));
        assert_eq!(
            (ada.in_namespace("acme"), ada.in_namespace("x")),
            (Some(Right::Administer), Some(Right::View))
        );
        assert_eq!((ada.sees_within(), person(&[]).sees_within()), (None, Some(Vec::new())));
    }

    #[test]
    fn a_projects_token_opens_its_project_as_far_as_its_scope_goes() {
        let token = |scope| Who::Project { project: "gh/acme/app".into(), scope, name: String::new() };
        assert_eq!(token(Scope::Status).in_project("github.com/acme/app"), Some(Right::Status));
        assert!(!token(Scope::Status).sees("gh/acme/app") && token(Scope::ViewBuilds).sees("gh/acme/app"));
        assert_eq!(token(Scope::All).in_project("gh/acme/app"), Some(Right::Act));
        assert_eq!(token(Scope::All).in_project("gh/acme/other"), None);
        assert_eq!(token(Scope::All).in_organization("gh/acme"), None);
    }

    #[test]
    fn a_sign_in_ends_by_its_time_and_with_the_identity_and_a_token_does_not() {
        let mut people = People::default();
        let row = PersonRow { id: Uuid::nil(), login: "ada".into(), name: "Ada".into(), created_ms: 0 };
        people.apply(Rights::Person(row));
        let mut token = |digit: u8, expires_ms| {
            let id = Uuid::from_u128(digit.into());
            let (bearer, name, prefix) = (Bearer::Person(Uuid::nil()), String::new(), String::new());
            let (hash, created_ms, used_ms) = ([digit; 32], 0, None);
            people.apply(Rights::Token(ApiTokenRow {
                id,
                bearer,
                name,
                prefix,
                hash,
                created_ms,
                used_ms,
                expires_ms,
            }));
            id
        };
        let (kept, signed_in) = (token(1, None), token(2, Some(10)));
        assert!(people.token(signed_in, 9).is_some() && people.who(&[2; 32], 9).is_some());
        assert!(people.token(signed_in, 10).is_none() && people.who(&[2; 32], 10).is_none());
        people.apply(Rights::RemoveIdentity(Uuid::nil()));
        assert!(people.token(signed_in, 0).is_none() && people.token(kept, i64::MAX).is_some());
    }
}
