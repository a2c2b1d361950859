//! SSH keys of projects, their private halves sealed.

use crate::{ProjectId, Store, StoreError, batch::Batch};
use sqlx::{Row, sqlite::SqliteRow};

/// An SSH key of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKeyRow {
    /// Whose.
    pub project: ProjectId,
    /// MD5 of its public half, with colons.
    pub fingerprint: String,
    /// `SHA256:` and base64.
    pub sha256: String,
    /// Whether jobs check out with it; else they ask for it.
    pub checkout: bool,
    /// Where it is used; none: everywhere.
    pub hostname: Option<String>,
    /// As in `authorized_keys`.
    pub public_key: String,
    /// The private half.
    pub sealed: Vec<u8>,
    /// When it was taken.
    pub created_ms: i64,
}

impl SshKeyRow {
    /// A conflict where the project has it already.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO ssh_keys (project, fingerprint, sha256, checkout, hostname, public_key, \
                           sealed, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        batch
            .statement(SQL)
            .bind(self.project.0)
            .bind(&self.fingerprint)
            .bind(&self.sha256)
            .bind(self.checkout)
            .bind(self.hostname.as_deref())
            .bind(&self.public_key)
            .bind(self.sealed.as_slice())
            .bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            project: ProjectId(row.try_get("project")?),
            fingerprint: row.try_get("fingerprint")?,
            sha256: row.try_get("sha256")?,
            checkout: row.try_get("checkout")?,
            hostname: row.try_get("hostname")?,
            public_key: row.try_get("public_key")?,
            sealed: row.try_get("sealed")?,
            created_ms: row.try_get("created_ms")?,
        })
    }
}

pub(crate) fn remove(batch: &mut Batch, project: ProjectId, fingerprint: &str) {
    let query = batch.statement("DELETE FROM ssh_keys WHERE project = ? AND fingerprint = ?");
    query.bind(project.0).bind(fingerprint);
}

impl Store {
    /// The SSH keys of a project, the newest last.
    pub async fn ssh_keys(&self, project: ProjectId) -> Result<Vec<SshKeyRow>, StoreError> {
        const SQL: &str = "SELECT * FROM ssh_keys WHERE project = ? ORDER BY created_ms, fingerprint";
        let rows = sqlx::query(SQL).bind(project.0).fetch_all(&self.readers).await?;
        rows.iter().map(SshKeyRow::read).collect()
    }
}
