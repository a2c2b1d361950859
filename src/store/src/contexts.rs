//! Contexts of organizations, who may use them, and variables of contexts and projects, their values sealed.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, uuid, word},
};
use protocol::contexts::RestrictionKind;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// A context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Whose.
    pub organization: String,
    /// In its organization.
    pub name: String,
    /// When it was made.
    pub created_ms: i64,
}

/// What is to hold where a context is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictionRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Of which context.
    pub context: Uuid,
    /// How its value is meant.
    pub kind: RestrictionKind,
    /// As its kind means it.
    pub value: String,
}

/// Whose a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A context's.
    Context(Uuid),
    /// A project's.
    Project(ProjectId),
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableRow {
    /// Whose.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// Its value.
    pub sealed: Vec<u8>,
    /// When it was first given.
    pub created_ms: i64,
    /// When it was given last.
    pub updated_ms: i64,
}

/// A change of contexts and variables. Its number is how many rows it changed.
#[derive(Clone, Debug)]
pub enum Secret {
    /// A new context; a conflict where the organization has one of this name.
    Context(ContextRow),
    /// One goes, with its variables and restrictions.
    RemoveContext(Uuid),
    /// A new restriction; a conflict where the context has it.
    Restriction(RestrictionRow),
    /// One goes.
    RemoveRestriction(Uuid),
    /// A variable, in the place of the one of this name.
    Variable(VariableRow),
    /// One goes.
    RemoveVariable(Owner, String),
}

impl Secret {
    pub(crate) fn add_to(&self, batch: &mut Batch) {
        match self {
            Self::Context(row) => row.insert(batch),
            Self::RemoveContext(id) => remove_context(batch, *id),
            Self::Restriction(row) => row.insert(batch),
            Self::RemoveRestriction(id) => {
                batch.statement("DELETE FROM restrictions WHERE id = ?").bind(bytes(id));
            }
            Self::Variable(row) => row.upsert(batch),
            Self::RemoveVariable(owner, name) => match owner {
                Owner::Context(id) => {
                    let query =
                        batch.statement("DELETE FROM context_variables WHERE context = ? AND name = ?");
                    query.bind(bytes(id)).bind(name.as_str());
                }
                Owner::Project(id) => {
                    let query =
                        batch.statement("DELETE FROM project_variables WHERE project = ? AND name = ?");
                    query.bind(id.0).bind(name.as_str());
                }
            },
        }
    }
}

/// The context last: its row's is the number.
fn remove_context(batch: &mut Batch, id: Uuid) {
    batch.statement("DELETE FROM restrictions WHERE context = ?").bind(bytes(&id));
    batch.statement("DELETE FROM context_variables WHERE context = ?").bind(bytes(&id));
    batch.statement("DELETE FROM contexts WHERE id = ?").bind(bytes(&id));
}

impl ContextRow {
    fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO contexts (id, organization, name, created_ms) VALUES (?, ?, ?, ?)";
        let query = batch.statement(SQL);
        query.bind(bytes(&self.id)).bind(&self.organization).bind(&self.name).bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            organization: row.try_get("organization")?,
            name: row.try_get("name")?,
            created_ms: row.try_get("created_ms")?,
        })
    }
}

impl RestrictionRow {
    fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO restrictions (id, context, kind, value) VALUES (?, ?, ?, ?)";
        let query = batch.statement(SQL).bind(bytes(&self.id)).bind(bytes(&self.context));
        query.bind(self.kind.name()).bind(&self.value);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            context: uuid(row, "context")?,
            kind: word(row, "kind")?,
            value: row.try_get("value")?,
        })
    }
}

impl VariableRow {
    fn upsert(&self, batch: &mut Batch) {
        const CONTEXT: &str = "INSERT INTO context_variables (context, name, sealed, created_ms, updated_ms) \
                               VALUES (?, ?, ?, ?, ?) ON CONFLICT (context, name) DO UPDATE SET \
                               sealed = excluded.sealed, updated_ms = excluded.updated_ms";
        const PROJECT: &str = "INSERT INTO project_variables (project, name, sealed, created_ms, updated_ms) \
                               VALUES (?, ?, ?, ?, ?) ON CONFLICT (project, name) DO UPDATE SET \
                               sealed = excluded.sealed, updated_ms = excluded.updated_ms";
        let query = match &self.owner {
            Owner::Context(id) => batch.statement(CONTEXT).bind(bytes(id)),
            Owner::Project(id) => batch.statement(PROJECT).bind(id.0),
        };
        query.bind(&self.name).bind(self.sealed.as_slice()).bind(self.created_ms).bind(self.updated_ms);
    }

    fn read(owner: Owner, row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            owner,
            name: row.try_get("name")?,
            sealed: row.try_get("sealed")?,
            created_ms: row.try_get("created_ms")?,
            updated_ms: row.try_get("updated_ms")?,
        })
    }
}

impl Store {
    /// All contexts, by organization and name.
    pub async fn contexts(&self) -> Result<Vec<ContextRow>, StoreError> {
        const SQL: &str = "SELECT * FROM contexts ORDER BY organization, name";
        sqlx::query(SQL).fetch_all(&self.readers).await?.iter().map(ContextRow::read).collect()
    }

    /// All restrictions.
    pub async fn restrictions(&self) -> Result<Vec<RestrictionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM restrictions ORDER BY id";
        sqlx::query(SQL).fetch_all(&self.readers).await?.iter().map(RestrictionRow::read).collect()
    }

    /// The variables of a context or a project, by name.
    pub async fn variables(&self, owner: Owner) -> Result<Vec<VariableRow>, StoreError> {
        const CONTEXT: &str = "SELECT * FROM context_variables WHERE context = ? ORDER BY name";
        const PROJECT: &str = "SELECT * FROM project_variables WHERE project = ? ORDER BY name";
        let rows = match &owner {
            Owner::Context(id) => sqlx::query(CONTEXT).bind(bytes(id)).fetch_all(&self.readers).await?,
            Owner::Project(id) => sqlx::query(PROJECT).bind(id.0).fetch_all(&self.readers).await?,
        };
        rows.iter().map(|row| VariableRow::read(owner, row)).collect()
    }
}
