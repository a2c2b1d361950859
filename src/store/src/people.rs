//! People, their roles in organizations, who they are elsewhere, and the tokens of people and of projects.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, json, optional_uuid, optional_word, structure, uuid, word},
};
use protocol::people::{Role, Scope};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// Their name as an id.
    pub id: Uuid,
    /// Short, and nobody else's.
    pub login: String,
    /// In full.
    pub name: String,
    /// Since when they are known.
    pub created_ms: i64,
}

/// Somebody's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Whose.
    pub person: Uuid,
    /// Where; `*`: everywhere.
    pub organization: String,
    /// What they may.
    pub role: Role,
}

/// Who somebody is at a provider of OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRow {
    /// Who.
    pub person: Uuid,
    /// The provider.
    pub issuer: String,
    /// As it calls them; none: they are whoever comes first with the e-mail address.
    pub subject: Option<String>,
    /// In small letters.
    pub email: Option<String>,
    /// As the provider named them at the last sign-in.
    pub groups: Vec<String>,
    /// When that was.
    pub signed_in_ms: Option<i64>,
}

/// An account at a provider of repositories that is somebody's: what it pushes, they have pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// `gh/ada`, in small letters.
    pub account: String,
    /// Whose.
    pub person: Uuid,
}

/// Who a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A person, with all that they may.
    Person(Uuid),
    /// A project, as far as the scope goes.
    Project(String, Scope),
}

/// A token of a person or a project: its hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Who it stands for.
    pub bearer: Bearer,
    /// For people.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_ms: i64,
    /// About when it was used last.
    pub used_ms: Option<i64>,
    /// When it ends: of a sign-in on the page.
    pub expires_ms: Option<i64>,
}

/// A change of people and their rights. Its number is how many rows it changed.
#[derive(Clone, Debug)]
pub enum Rights {
    /// Somebody new; a conflict where the login is another's.
    Person(PersonRow),
    /// Somebody goes, with their roles, their identity, their accounts and their tokens.
    RemovePerson(Uuid),
    /// A role, in the place of the one they have there.
    Member(MemberRow),
    /// Somebody has no role there any more.
    RemoveMember(Uuid, String),
    /// Who somebody is elsewhere, in the place of whoever that was; a conflict where it is another's.
    Identity(IdentityRow),
    /// Somebody is nobody elsewhere any more, and signed in no longer.
    RemoveIdentity(Uuid),
    /// An account is somebody's; a conflict where it is another's.
    Account(AccountRow),
    /// It is nobody's any more.
    RemoveAccount(String),
    /// A new token.
    Token(ApiTokenRow),
    /// A token stands for nothing any more.
    RemoveToken(Uuid),
    /// A token was used.
    TokenUsed(Uuid, i64),
}

impl Rights {
    pub(crate) fn add_to(&self, batch: &mut Batch) {
        match self {
            Self::Person(row) => row.insert(batch),
            Self::RemovePerson(id) => remove_person(batch, *id),
            Self::Member(row) => row.upsert(batch),
            Self::RemoveMember(person, organization) => {
                let query = batch.statement("DELETE FROM members WHERE person = ? AND organization = ?");
                query.bind(bytes(person)).bind(organization.as_str());
            }
            Self::Identity(row) => row.upsert(batch),
            Self::RemoveIdentity(person) => remove_identity(batch, *person),
            Self::Account(row) => row.insert(batch),
            Self::RemoveAccount(account) => {
                batch.statement("DELETE FROM accounts WHERE account = ?").bind(account.as_str());
            }
            Self::Token(row) => row.insert(batch),
            Self::RemoveToken(id) => {
                batch.statement("DELETE FROM api_tokens WHERE id = ?").bind(bytes(id));
            }
            Self::TokenUsed(id, at_ms) => {
                let query = batch.statement("UPDATE api_tokens SET used_ms = ? WHERE id = ?");
                query.bind(*at_ms).bind(bytes(id));
            }
        }
    }
}

/// The person last: their row's is the number.
fn remove_person(batch: &mut Batch, id: Uuid) {
    // Whoever has this login later did not make them.
    const SCHEDULES: &str =
        "UPDATE schedules SET actor = 'system' WHERE login = (SELECT login FROM people WHERE id = ?)";
    batch.statement(SCHEDULES).bind(bytes(&id));
    batch.statement("DELETE FROM api_tokens WHERE person = ?").bind(bytes(&id));
    batch.statement("DELETE FROM members WHERE person = ?").bind(bytes(&id));
    batch.statement("DELETE FROM identities WHERE person = ?").bind(bytes(&id));
    batch.statement("DELETE FROM accounts WHERE person = ?").bind(bytes(&id));
    batch.statement("DELETE FROM people WHERE id = ?").bind(bytes(&id));
}

fn remove_identity(batch: &mut Batch, person: Uuid) {
    const SIGN_INS: &str = "DELETE FROM api_tokens WHERE person = ? AND expires_ms IS NOT NULL";
    batch.statement(SIGN_INS).bind(bytes(&person));
    batch.statement("DELETE FROM identities WHERE person = ?").bind(bytes(&person));
}

impl PersonRow {
    fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO people (id, login, name, created_ms) VALUES (?, ?, ?, ?)";
        let query = batch.statement(SQL);
        query.bind(bytes(&self.id)).bind(&self.login).bind(&self.name).bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            login: row.try_get("login")?,
            name: row.try_get("name")?,
            created_ms: row.try_get("created_ms")?,
        })
    }
}

impl MemberRow {
    fn upsert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT OR REPLACE INTO members (person, organization, role) VALUES (?, ?, ?)";
        let query = batch.statement(SQL);
        query.bind(bytes(&self.person)).bind(&self.organization).bind(self.role.name());
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            person: uuid(row, "person")?,
            organization: row.try_get("organization")?,
            role: word(row, "role")?,
        })
    }
}

impl IdentityRow {
    fn upsert(&self, batch: &mut Batch) {
        // What is another's stays theirs: that is a conflict.
        const SQL: &str = "INSERT INTO identities (person, issuer, subject, email, member_of, signed_in_ms) \
                           VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (person) DO UPDATE SET issuer = excluded.issuer, \
                           subject = excluded.subject, email = excluded.email, member_of = excluded.member_of, \
                           signed_in_ms = excluded.signed_in_ms";
        let query = batch.statement(SQL).bind(bytes(&self.person)).bind(&self.issuer);
        query.bind(&self.subject).bind(&self.email).bind(json(&self.groups)).bind(self.signed_in_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            person: uuid(row, "person")?,
            issuer: row.try_get("issuer")?,
            subject: row.try_get("subject")?,
            email: row.try_get("email")?,
            groups: structure(row, "member_of")?,
            signed_in_ms: row.try_get("signed_in_ms")?,
        })
    }
}

impl AccountRow {
    fn insert(&self, batch: &mut Batch) {
        let query = batch.statement("INSERT INTO accounts (account, person) VALUES (?, ?)");
        query.bind(&self.account).bind(bytes(&self.person));
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self { account: row.try_get("account")?, person: uuid(row, "person")? })
    }
}

impl ApiTokenRow {
    fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO api_tokens (id, person, project, scope, name, prefix, hash, created_ms, \
                           expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let (person, project, scope) = match &self.bearer {
            Bearer::Person(id) => (Some(bytes(id)), None, None),
            Bearer::Project(project, scope) => (None, Some(project.as_str()), Some(scope.name())),
        };
        let query = batch.statement(SQL).bind(bytes(&self.id)).bind(person).bind(project).bind(scope);
        query.bind(&self.name).bind(&self.prefix).bind(self.hash.as_slice());
        query.bind(self.created_ms).bind(self.expires_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let unreadable =
            |column: &'static str, message: &str| StoreError::Unreadable { column, message: message.into() };
        let project: Option<String> = row.try_get("project")?;
        let bearer = match (optional_uuid(row, "person")?, project, optional_word(row, "scope")?) {
            (Some(person), None, None) => Bearer::Person(person),
            (None, Some(project), Some(scope)) => Bearer::Project(project, scope),
            _ => return Err(unreadable("project", "neither a person's nor a project's")),
        };
        let hash: &[u8] = row.try_get("hash")?;
        Ok(Self {
            id: uuid(row, "id")?,
            bearer,
            name: row.try_get("name")?,
            prefix: row.try_get("prefix")?,
            hash: hash.try_into().map_err(|_| unreadable("hash", "not 32 bytes"))?,
            created_ms: row.try_get("created_ms")?,
            used_ms: row.try_get("used_ms")?,
            expires_ms: row.try_get("expires_ms")?,
        })
    }
}

impl Store {
    /// Everybody.
    pub async fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM people ORDER BY login").fetch_all(&self.readers).await?;
        rows.iter().map(PersonRow::read).collect()
    }

    /// All roles.
    pub async fn members(&self) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM members").fetch_all(&self.readers).await?;
        rows.iter().map(MemberRow::read).collect()
    }

    /// Who people are elsewhere.
    pub async fn identities(&self) -> Result<Vec<IdentityRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM identities").fetch_all(&self.readers).await?;
        rows.iter().map(IdentityRow::read).collect()
    }

    /// Which accounts are whose.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM accounts").fetch_all(&self.readers).await?;
        rows.iter().map(AccountRow::read).collect()
    }

    /// All tokens of people and projects.
    pub async fn api_tokens(&self) -> Result<Vec<ApiTokenRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_tokens").fetch_all(&self.readers).await?;
        rows.iter().map(ApiTokenRow::read).collect()
    }
}
