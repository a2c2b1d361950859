//! Published orbs: a version is written once, a development version as often as its author likes.

use crate::{Store, StoreError, batch::Batch, columns::digest, registry};
use protocol::Digest;
use sqlx::{Row, sqlite::SqliteRow};

/// A published orb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrbRow {
    /// `namespace/name`.
    pub name: String,
    /// `1.2.3` or `dev:x`.
    pub version: String,
    /// SHA-256 of the source.
    pub digest: Digest,
    /// Its packed text.
    pub source: String,
    /// When this source was published.
    pub published_ms: i64,
}

impl OrbRow {
    /// Changes no row where the version is there with another source.
    pub(crate) fn publish(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO orbs (name, version, digest, source, published_ms, id) \
                           VALUES (?, ?, ?, ?, ?, randomblob(16)) \
                           ON CONFLICT (name, version) DO UPDATE SET digest = excluded.digest, \
                           source = excluded.source, published_ms = \
                           iif(digest = excluded.digest, published_ms, excluded.published_ms) \
                           WHERE digest = excluded.digest OR version LIKE 'dev:%'";
        registry::package(batch, &self.name, self.published_ms);
        batch
            .statement(SQL)
            .bind(&self.name)
            .bind(&self.version)
            .bind(self.digest.as_str())
            .bind(&self.source)
            .bind(self.published_ms);
    }

    pub(crate) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            digest: digest(row, "digest")?,
            source: row.try_get("source")?,
            published_ms: row.try_get("published_ms")?,
        })
    }
}

impl Store {
    /// Names, versions and times of all published orbs, or of one, without their sources.
    pub async fn orbs(&self, name: Option<&str>) -> Result<Vec<(String, String, i64)>, StoreError> {
        const SQL: &str = "SELECT name, version, published_ms FROM orbs WHERE ?1 IS NULL OR name = ?1 \
                           ORDER BY name, version";
        let rows = sqlx::query(SQL).bind(name).fetch_all(&self.readers).await?;
        let read = |row: &SqliteRow| {
            Ok((row.try_get("name")?, row.try_get("version")?, row.try_get("published_ms")?))
        };
        rows.iter().map(read).collect()
    }

    /// A published orb by its exact version.
    pub async fn orb(&self, name: &str, version: &str) -> Result<Option<OrbRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM orbs WHERE name = ? AND version = ?").bind(name).bind(version);
        query.fetch_optional(&self.readers).await?.as_ref().map(OrbRow::read).transpose()
    }
}
