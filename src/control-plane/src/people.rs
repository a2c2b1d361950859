//! People and their rights, made and taken away: each change is one write, and what it takes away is good no longer once
//! it is on disk.

use crate::{
    audit::{Deed, line},
    plane::{
        Plane,
        clock::wall_ms,
        people::{OPERATOR, Somebody, Who, canonical},
        token,
    },
    refusal::Refusal,
};
use protocol::people::{EVERYWHERE, LONGEST_LOGIN, NewPerson, Role, is_account_name, is_login, organization};
use std::sync::Arc;
use store::{AccountRow, ApiTokenRow, Bearer, MemberRow, PersonRow, Rights, StoreError, Write};
use uuid::Uuid;

/// The most people, and the most tokens of one person or project.
const MOST_PEOPLE: usize = 10_000;
const MOST_TOKENS: usize = 100;
/// The most accounts of one person.
const MOST_ACCOUNTS: usize = 20;
/// What [`Actor::login`](protocol::Actor::login) says of those who are no persons, and what others take for a name of theirs.
const RESERVED: [&str; 4] = [OPERATOR, "approver", "system-actor", "unknown"];
/// The most letters of a name.
const LONGEST_NAME: usize = 100;
/// How tokens of people and of projects begin.
const PERSONAL: &str = "RHPAT";
const OF_PROJECT: &str = "RHPRJ";

impl Plane {
    /// Somebody by their login.
    pub(crate) fn somebody(&self, login: &str) -> Result<Arc<Somebody>, Refusal> {
        let found = self.access.people().into_iter().find(|somebody| somebody.row.login == login);
        found.ok_or_else(|| Refusal::Missing(format!("nobody here has the login {login}")))
    }

    /// Makes somebody known, with no right yet.
    pub(crate) async fn add_person(self: &Arc<Self>, by: &Who, new: NewPerson) -> Result<Somebody, Refusal> {
        let row = person_row(new)?;
        if self.access.people().len() >= MOST_PEOPLE {
            return Err(Refusal::Conflict(format!(
                "{MOST_PEOPLE} people are known already: remove some first"
            )));
        }
        let change = vec![
            Write::Rights(Rights::Person(row.clone())),
            line(by, Deed::PersonMade, EVERYWHERE, &row.login),
        ];
        self.change_access(change).await.map_err(|error| taken(&row, error))?;
        Ok(Somebody::of(row))
    }

    /// The first of all, who may do everything, with a token.
    pub(crate) async fn add_first(self: &Arc<Self>, login: &str) -> Result<String, Refusal> {
        let row = person_row(NewPerson { login: login.to_owned(), name: None })?;
        let (made, token) = new_token(Bearer::Person(row.id), "first sign-in");
        let member = MemberRow { person: row.id, organization: EVERYWHERE.to_owned(), role: Role::Admin };
        let changes = [Rights::Person(row.clone()), Rights::Member(member), Rights::Token(made)];
        let told = line(
            &Who::Operator,
            Deed::PersonMade,
            EVERYWHERE,
            &format!("{login}, the first admin, by the link"),
        );
        let changes = changes.into_iter().map(Write::Rights).chain([told]).collect();
        self.change_access(changes).await.map_err(|error| taken(&row, error))?;
        Ok(token)
    }

    /// Forgets somebody, with their roles and tokens.
    pub(crate) async fn remove_person(self: &Arc<Self>, by: &Who, login: &str) -> Result<(), Refusal> {
        let id = self.somebody(login)?.row.id;
        let told = line(by, Deed::PersonRemoved, EVERYWHERE, login);
        self.change_access(vec![Write::Rights(Rights::RemovePerson(id)), told]).await?;
        Ok(())
    }

    /// Gives somebody a role in an organization in the place of the one they have there, or takes that away.
    pub(crate) async fn give_role(
        self: &Arc<Self>,
        by: &Who,
        login: &str,
        organization: &str,
        role: Option<Role>,
    ) -> Result<(), Refusal> {
        let somebody = self.somebody(login)?;
        let (person, organization) = (somebody.row.id, organization.to_owned());
        let told = match role {
            Some(role) => line(by, Deed::RoleGiven, &organization, &format!("{login}: {}", role.name())),
            None => line(by, Deed::RoleTaken, &organization, login),
        };
        let change = match role {
            Some(role) => Rights::Member(MemberRow { person, organization, role }),
            None if somebody.roles.contains_key(&organization) => Rights::RemoveMember(person, organization),
            None => return Err(Refusal::Missing(format!("{login} has no role in {organization}"))),
        };
        self.change_access(vec![Write::Rights(change), told]).await?;
        Ok(())
    }

    /// Says whose an account at a provider is: what it pushes, they have pushed.
    pub(crate) async fn set_account(
        self: &Arc<Self>,
        by: &Who,
        login: &str,
        named: &str,
    ) -> Result<Arc<Somebody>, Refusal> {
        let parts = named.split_once('/');
        let Some((host, name)) = parts.filter(|(host, name)| !host.is_empty() && is_account_name(name))
        else {
            return Err(Refusal::Bad(format!("`{named}` is no account: write gh/ada")));
        };
        let (somebody, account) = (self.somebody(login)?, account(&format!("{host}/{name}")));
        if somebody.accounts.contains(&account) {
            return Ok(somebody);
        }
        if somebody.accounts.len() >= MOST_ACCOUNTS {
            return Err(Refusal::Conflict(format!("{login} has {MOST_ACCOUNTS} accounts already")));
        }
        let told = line(by, Deed::AccountSet, EVERYWHERE, &format!("{login}: {account}"));
        let row = AccountRow { account: account.clone(), person: somebody.row.id };
        let changed = self.change_access(vec![Write::Rights(Rights::Account(row)), told]).await;
        changed.map_err(|error| match error {
            StoreError::Conflict(_) => Refusal::Conflict(format!("{account} is somebody's already")),
            other => other.into(),
        })?;
        self.somebody(login)
    }

    /// An account is nobody's any more.
    pub(crate) async fn remove_account(
        self: &Arc<Self>,
        by: &Who,
        login: &str,
        named: &str,
    ) -> Result<Arc<Somebody>, Refusal> {
        let account = account(named);
        if !self.somebody(login)?.accounts.contains(&account) {
            return Err(Refusal::Missing(format!("{account} is not {login}'s")));
        }
        let told = line(by, Deed::AccountRemoved, EVERYWHERE, &format!("{login}: {account}"));
        self.change_access(vec![Write::Rights(Rights::RemoveAccount(account)), told]).await?;
        self.somebody(login)
    }

    /// Makes a token; its text is told this once.
    pub(crate) async fn make_token(
        self: &Arc<Self>,
        by: &Who,
        bearer: Bearer,
        name: &str,
    ) -> Result<(ApiTokenRow, String), Refusal> {
        let own = self.access.api_tokens(|other| is_same(&bearer, other));
        if own.iter().filter(|row| row.expires_ms.is_none()).count() >= MOST_TOKENS {
            return Err(Refusal::Conflict(format!(
                "there are {MOST_TOKENS} such tokens already: remove some of them first"
            )));
        }
        let (row, token) = new_token(bearer, &plain(name, "`name`")?);
        let told = self.line_of_token(by, Deed::TokenMade, &row);
        self.change_access(vec![Write::Rights(Rights::Token(row.clone())), told]).await?;
        Ok((row, token))
    }

    /// Removes a token of whoever: it stands for nothing any more.
    pub(crate) async fn remove_api_token(
        self: &Arc<Self>,
        by: &Who,
        bearer: &Bearer,
        id: Uuid,
    ) -> Result<(), Refusal> {
        let found = self.access.api_token(id).filter(|(row, _)| is_same(bearer, &row.bearer));
        let (row, _) = found.ok_or_else(|| Refusal::Missing(format!("there is no token {id}")))?;
        let told = self.line_of_token(by, Deed::TokenRemoved, &row);
        self.change_access(vec![Write::Rights(Rights::RemoveToken(id)), told]).await?;
        Ok(())
    }

    fn line_of_token(&self, by: &Who, deed: Deed, row: &ApiTokenRow) -> Write {
        let token = format!("the token `{}` ({}…)", row.name, row.prefix);
        match &row.bearer {
            Bearer::Project(project, scope) => {
                let scope = scope.name();
                line(by, deed, organization(project), &format!("{project}: {token} of the scope {scope}"))
            }
            Bearer::Person(id) => {
                let people = self.access.people();
                let login =
                    people.iter().find(|one| one.row.id == *id).map_or("", |one| one.row.login.as_str());
                line(by, deed, EVERYWHERE, &format!("{login}: {token}"))
            }
        }
    }
}

/// An account by the first name of its host, and in small letters: providers tell no two apart by those.
pub(crate) fn account(named: &str) -> String {
    canonical(&named.to_lowercase())
}

fn taken(row: &PersonRow, error: StoreError) -> Refusal {
    match error {
        StoreError::Conflict(_) => {
            Refusal::Conflict(format!("the login {} is somebody's already", row.login))
        }
        other => other.into(),
    }
}

fn person_row(new: NewPerson) -> Result<PersonRow, Refusal> {
    let NewPerson { login, name } = new;
    if !is_login(&login) {
        return Err(Refusal::Bad(format!(
            "`{login}` is no login: it wants 1 to {LONGEST_LOGIN} letters, digits, and `.`, `-`, `_`, `@` between them"
        )));
    }
    if RESERVED.contains(&&*login) {
        return Err(Refusal::Bad(format!("`{login}` is what is told where no person had something done")));
    }
    let name = plain(name.as_deref().unwrap_or(&login), "`name`")?;
    Ok(PersonRow { id: Uuid::now_v7(), login, name, created_ms: wall_ms() })
}

fn plain(text: &str, what: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Refusal::Bad(format!("{what} wants 1 to {LONGEST_NAME} letters on one line")));
    }
    Ok(text.to_owned())
}

fn new_token(bearer: Bearer, name: &str) -> (ApiTokenRow, String) {
    let kind = match bearer {
        Bearer::Person(_) => PERSONAL,
        Bearer::Project(..) => OF_PROJECT,
    };
    let (text, prefix) = token::new_token_of(kind);
    let row = ApiTokenRow {
        id: Uuid::now_v7(),
        bearer,
        name: name.to_owned(),
        prefix,
        hash: token::hash(&text),
        created_ms: wall_ms(),
        used_ms: None,
        expires_ms: None,
    };
    (row, text)
}

/// Whether two tokens are the same person's or project's.
pub(crate) fn is_same(one: &Bearer, other: &Bearer) -> bool {
    match (one, other) {
        (Bearer::Person(one), Bearer::Person(other)) => one == other,
        (Bearer::Project(one, _), Bearer::Project(other, _)) => one == other,
        _ => false,
    }
}
