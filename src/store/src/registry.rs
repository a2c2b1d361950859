//! The registry of orbs: namespaces, the orbs in them whether a version is published or not yet, and versions by their ids.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, json, optional_uuid, uuid},
};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// A namespace of orbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whose it is; none: it is known by what was published or imported in it alone.
    pub organization: Option<String>,
    /// Since when.
    pub created_ms: i64,
}

/// An orb, of which nothing may be published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRow {
    /// Its id.
    pub id: Uuid,
    /// `namespace/name`.
    pub name: String,
    /// Its namespace.
    pub namespace: NamespaceRow,
    /// Since when.
    pub created_ms: i64,
}

/// A published version of an orb, without its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// Its id: a development version keeps it when another source takes its place.
    pub id: Uuid,
    /// `namespace/name`.
    pub name: String,
    /// `1.2.3` or `dev:x`.
    pub version: String,
    /// When its source was published.
    pub published_ms: i64,
}

/// Which orbs are looked for, in the order of their names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shelf<'s> {
    /// Of this namespace alone.
    pub namespace: Option<&'s str>,
    /// Only those whose names come later than this.
    pub after: &'s str,
}

/// A namespace is there from the first on that is told of it.
pub(crate) fn namespace(batch: &mut Batch, name: &str, created_ms: i64) {
    const SQL: &str = "INSERT INTO orb_namespaces (name, id, organization, created_ms) \
                       VALUES (?, randomblob(16), NULL, ?) ON CONFLICT (name) DO NOTHING";
    batch.statement(SQL).bind(name).bind(created_ms);
}

/// Gives a namespace that is nobody's to an organization.
pub(crate) fn own_namespace(batch: &mut Batch, name: &str, organization: &str, created_ms: i64) {
    const SQL: &str = "UPDATE orb_namespaces SET organization = ? WHERE name = ? AND organization IS NULL";
    namespace(batch, name, created_ms);
    batch.statement(SQL).bind(organization).bind(name);
}

/// The same of an orb, whose name begins with that of its namespace.
pub(crate) fn package(batch: &mut Batch, name: &str, created_ms: i64) {
    const SQL: &str = "INSERT INTO orb_packages (name, namespace, id, created_ms) \
                       VALUES (?, ?, randomblob(16), ?) ON CONFLICT (name) DO NOTHING";
    let (own, _) = name.split_once('/').unwrap_or((name, ""));
    namespace(batch, own, created_ms);
    batch.statement(SQL).bind(name).bind(own).bind(created_ms);
}

const NAMESPACE: &str = "SELECT id, name, organization, created_ms FROM orb_namespaces";
const PACKAGE: &str = "SELECT p.id, p.name, p.created_ms, n.id AS namespace_id, n.name AS namespace, \
                       n.organization, n.created_ms AS namespace_ms \
                       FROM orb_packages p JOIN orb_namespaces n ON n.name = p.namespace";
const VERSION: &str = "SELECT id, name, version, published_ms FROM orbs";

impl Store {
    /// A namespace by its name.
    pub async fn namespace(&self, name: &str) -> Result<Option<NamespaceRow>, StoreError> {
        let sql = format!("{NAMESPACE} WHERE name = ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name);
        query.fetch_optional(&self.readers).await?.as_ref().map(namespace_row).transpose()
    }

    /// A namespace by its id.
    pub async fn namespace_by_id(&self, id: Uuid) -> Result<Option<NamespaceRow>, StoreError> {
        let sql = format!("{NAMESPACE} WHERE id = ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bytes(&id));
        query.fetch_optional(&self.readers).await?.as_ref().map(namespace_row).transpose()
    }

    /// An orb by its name.
    pub async fn package(&self, name: &str) -> Result<Option<PackageRow>, StoreError> {
        let sql = format!("{PACKAGE} WHERE p.name = ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name);
        query.fetch_optional(&self.readers).await?.as_ref().map(package_row).transpose()
    }

    /// An orb by its id.
    pub async fn package_by_id(&self, id: Uuid) -> Result<Option<PackageRow>, StoreError> {
        let sql = format!("{PACKAGE} WHERE p.id = ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bytes(&id));
        query.fetch_optional(&self.readers).await?.as_ref().map(package_row).transpose()
    }

    /// Orbs by their names, at most that many.
    pub async fn packages(&self, shelf: Shelf<'_>, most: u32) -> Result<Vec<PackageRow>, StoreError> {
        let sql = format!(
            "{PACKAGE} WHERE p.name > ?1 AND (?2 IS NULL OR p.namespace = ?2) ORDER BY p.name LIMIT ?3"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(shelf.after).bind(shelf.namespace).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(package_row).collect()
    }

    /// How many orbs there are, in a namespace or in all.
    pub async fn count_packages(&self, namespace: Option<&str>) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT count(*) AS count FROM orb_packages WHERE ?1 IS NULL OR namespace = ?1";
        let row = sqlx::query(SQL).bind(namespace).fetch_one(&self.readers).await?;
        crate::columns::count(&row, "count")
    }

    /// The published versions of these orbs, in no order that means anything.
    pub async fn versions(&self, names: &[&str]) -> Result<Vec<VersionRow>, StoreError> {
        let sql = format!("{VERSION} WHERE name IN (SELECT value FROM json_each(?)) ORDER BY name, version");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(json(&names));
        query.fetch_all(&self.readers).await?.iter().map(version_row).collect()
    }

    /// A published version by its id.
    pub async fn version_by_id(&self, id: Uuid) -> Result<Option<VersionRow>, StoreError> {
        let sql = format!("{VERSION} WHERE id = ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bytes(&id));
        query.fetch_optional(&self.readers).await?.as_ref().map(version_row).transpose()
    }
}

fn namespace_row(row: &SqliteRow) -> Result<NamespaceRow, StoreError> {
    Ok(NamespaceRow {
        id: uuid(row, "id")?,
        name: row.try_get("name")?,
        organization: row.try_get("organization")?,
        created_ms: row.try_get("created_ms")?,
    })
}

fn package_row(row: &SqliteRow) -> Result<PackageRow, StoreError> {
    let namespace = NamespaceRow {
        id: uuid(row, "namespace_id")?,
        name: row.try_get("namespace")?,
        organization: row.try_get("organization")?,
        created_ms: row.try_get("namespace_ms")?,
    };
    let (name, created_ms) = (row.try_get("name")?, row.try_get("created_ms")?);
    Ok(PackageRow { id: uuid(row, "id")?, name, namespace, created_ms })
}

fn version_row(row: &SqliteRow) -> Result<VersionRow, StoreError> {
    let unreadable = || StoreError::Unreadable { column: "id", message: "a published orb has none".into() };
    Ok(VersionRow {
        id: optional_uuid(row, "id")?.ok_or_else(unreadable)?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        published_ms: row.try_get("published_ms")?,
    })
}
