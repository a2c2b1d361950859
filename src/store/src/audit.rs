//! What was done by whom, as it was told: lines are added and read, never changed, and go with their age.

use crate::{Store, StoreError, batch::Batch, columns::int};
use sqlx::{Row, sqlite::SqliteRow};

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the order; given by the store.
    pub number: u64,
    /// When.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What, as a word.
    pub action: String,
    /// Where; `*`: with what belongs to none.
    pub organization: String,
    /// To what.
    pub subject: String,
}

impl AuditRow {
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str =
            "INSERT INTO audit (at_ms, actor, action, organization, subject) VALUES (?, ?, ?, ?, ?)";
        let query = batch.statement(SQL).bind(self.at_ms).bind(&self.actor).bind(&self.action);
        query.bind(&self.organization).bind(&self.subject);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let number: i64 = row.try_get("number")?;
        Ok(Self {
            number: number.unsigned_abs(),
            at_ms: row.try_get("at_ms")?,
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            organization: row.try_get("organization")?,
            subject: row.try_get("subject")?,
        })
    }
}

/// Those before then, and of the others the oldest, until the rest is at most that many.
pub(crate) fn forget(batch: &mut Batch, before_ms: i64, most: u64) {
    const MANY: &str = "DELETE FROM audit WHERE number <= (SELECT coalesce(max(number), 0) - ? FROM audit)";
    batch.statement("DELETE FROM audit WHERE at_ms < ?").bind(before_ms);
    batch.statement(MANY).bind(int(most));
}

impl Store {
    /// The newest lines, of one organization or of all, from before that one on; at most that many.
    pub async fn audit(
        &self,
        organization: Option<&str>,
        before: Option<u64>,
        most: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str = "SELECT * FROM audit WHERE (?1 IS NULL OR organization = ?1) \
                           AND (?2 IS NULL OR number < ?2) ORDER BY number DESC LIMIT ?3";
        let query = sqlx::query(SQL).bind(organization).bind(before.map(int)).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(AuditRow::read).collect()
    }
}
