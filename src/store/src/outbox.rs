//! What others are to be told: each kind of it lies in a table of its own, until it was told or is given up.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{count, int},
};
use sqlx::Row;

/// A kind of what others are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outbox {
    /// How commits stand, for their providers.
    Statuses,
    /// What ended, for the webhooks of projects.
    Events,
}

/// A statement with the table of a kind between its parts.
macro_rules! on_table {
    ($outbox:expr, $first:literal $(, $rest:literal)*) => {
        match $outbox {
            Outbox::Statuses => concat!($first $(, "statuses", $rest)*),
            Outbox::Events => concat!($first $(, "webhook_events", $rest)*),
        }
    };
}

/// It was told, or is given up.
pub(crate) fn told(batch: &mut Batch, outbox: Outbox, id: i64) {
    batch.statement(on_table!(outbox, "DELETE FROM ", " WHERE id = ?")).bind(id);
}

/// It was tried and is due again then.
pub(crate) fn later(batch: &mut Batch, outbox: Outbox, id: i64, due_ms: i64) {
    let sql = on_table!(outbox, "UPDATE ", " SET tries = tries + 1, due_ms = ? WHERE id = ?");
    batch.statement(sql).bind(due_ms).bind(id);
}

/// Gives up the oldest beyond so many.
pub(crate) fn trim(batch: &mut Batch, outbox: Outbox, most: u64) {
    let sql = on_table!(
        outbox,
        "DELETE FROM ",
        " WHERE id <= (SELECT id FROM ",
        " ORDER BY id DESC LIMIT 1 OFFSET ?)"
    );
    batch.statement(sql).bind(int(most));
}

impl Store {
    /// How many are to be told, sooner or later.
    pub async fn waiting(&self, outbox: Outbox) -> Result<u64, StoreError> {
        let sql = on_table!(outbox, "SELECT count(*) AS waiting FROM ", "");
        count(&sqlx::query(sql).fetch_one(&self.readers).await?, "waiting")
    }

    /// When the next one is due of those that are not yet, if there is any.
    pub async fn next_due_ms(&self, outbox: Outbox, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let sql = on_table!(outbox, "SELECT min(due_ms) AS due FROM ", " WHERE due_ms > ?");
        Ok(sqlx::query(sql).bind(now_ms).fetch_one(&self.readers).await?.try_get("due")?)
    }
}
