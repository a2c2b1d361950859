//! Resource classes, their tokens, and the runner instances that used them.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, uuid, word},
};
use protocol::ResourceClass;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// A resource class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name as an id.
    pub id: Uuid,
    /// `namespace/name`.
    pub class: ResourceClass,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_ms: i64,
    /// At most so many of its tasks run at once.
    pub max_tasks: Option<u32>,
}

/// A resource class token: its hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name.
    pub id: Uuid,
    /// What it may claim.
    pub class: ResourceClass,
    /// For people.
    pub nickname: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_ms: i64,
}

/// A runner instance of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRow {
    /// Unique in its class.
    pub name: String,
    /// Of its host.
    pub hostname: String,
    /// Of its host, as it sees it.
    pub ip: String,
    /// Of the launch-agent.
    pub version: String,
    /// Its first claim call.
    pub first_connected_ms: i64,
    /// Its last claim call.
    pub last_connected_ms: i64,
    /// When it last got a task.
    pub last_used_ms: Option<i64>,
}

impl ClassRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str =
            "INSERT INTO resource_classes (id, class, description, created_ms) VALUES (?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id))
            .bind(self.class.as_str())
            .bind(&self.description)
            .bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            class: word(row, "class")?,
            description: row.try_get("description")?,
            created_ms: row.try_get("created_ms")?,
            max_tasks: row.try_get("max_tasks")?,
        })
    }
}

pub(crate) fn remove_class(batch: &mut Batch, id: Uuid, force: bool) {
    if force {
        const SQL: &str =
            "DELETE FROM tokens WHERE class = (SELECT class FROM resource_classes WHERE id = ?)";
        batch.statement(SQL).bind(bytes(&id));
    }
    batch.statement("DELETE FROM resource_classes WHERE id = ?").bind(bytes(&id));
}

impl TokenRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO tokens (id, class, nickname, hash, created_ms) VALUES (?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(bytes(&self.id))
            .bind(self.class.as_str())
            .bind(&self.nickname)
            .bind(self.hash.as_slice())
            .bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let hash: &[u8] = row.try_get("hash")?;
        let unreadable = |_| StoreError::Unreadable { column: "hash", message: "not 32 bytes".into() };
        Ok(Self {
            id: uuid(row, "id")?,
            class: word(row, "class")?,
            nickname: row.try_get("nickname")?,
            hash: hash.try_into().map_err(unreadable)?,
            created_ms: row.try_get("created_ms")?,
        })
    }
}

pub(crate) fn remove_token(batch: &mut Batch, id: Uuid) {
    batch.statement("DELETE FROM tokens WHERE id = ?").bind(bytes(&id));
}

impl InstanceRow {
    pub(crate) fn upsert(&self, batch: &mut Batch, class: &ResourceClass) {
        const SQL: &str = "INSERT OR REPLACE INTO instances (class, name, hostname, ip, version, \
                           first_connected_ms, last_connected_ms, last_used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(class.as_str())
            .bind(&self.name)
            .bind(&self.hostname)
            .bind(&self.ip)
            .bind(&self.version)
            .bind(self.first_connected_ms)
            .bind(self.last_connected_ms)
            .bind(self.last_used_ms);
    }

    fn read(row: &SqliteRow) -> Result<(ResourceClass, Self), StoreError> {
        let instance = Self {
            name: row.try_get("name")?,
            hostname: row.try_get("hostname")?,
            ip: row.try_get("ip")?,
            version: row.try_get("version")?,
            first_connected_ms: row.try_get("first_connected_ms")?,
            last_connected_ms: row.try_get("last_connected_ms")?,
            last_used_ms: row.try_get("last_used_ms")?,
        };
        Ok((word(row, "class")?, instance))
    }
}

/// Forgets the instances that were not seen since then.
pub(crate) fn forget_instances(batch: &mut Batch, unseen_since_ms: i64) {
    batch.statement("DELETE FROM instances WHERE last_connected_ms < ?").bind(unseen_since_ms);
}

impl Store {
    /// All resource classes, by name.
    pub async fn classes(&self) -> Result<Vec<ClassRow>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM resource_classes ORDER BY class").fetch_all(&self.readers).await?;
        rows.iter().map(ClassRow::read).collect()
    }

    /// All tokens, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM tokens ORDER BY created_ms, id").fetch_all(&self.readers).await?;
        rows.iter().map(TokenRow::read).collect()
    }

    /// All runner instances, by class and name.
    pub async fn instances(&self) -> Result<Vec<(ResourceClass, InstanceRow)>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM instances ORDER BY class, name").fetch_all(&self.readers).await?;
        rows.iter().map(InstanceRow::read).collect()
    }
}
