//! Statements that go to SQLite together: the way to its thread and back takes longer than most of them.

use crate::StoreError;
use futures_util::TryStreamExt;
use sqlx::{
    Arguments, AssertSqlSafe, Either, Encode, Executor, Row, Sqlite, SqliteConnection, Type,
    sqlite::SqliteArguments,
};

/// So many go at once: enough for nearly every command, few enough that what is prepared for a long one serves all its parts.
const MOST: usize = 16;

/// Statements with their values, in order. Their parameters are plain `?`, for numbered ones would count from the first
/// statement's.
#[derive(Default)]
pub(crate) struct Batch {
    parts: Vec<Part>,
}

/// What goes at once.
#[derive(Default)]
struct Part {
    sql: String,
    values: SqliteArguments,
    /// Of each statement, whether it is the last one of a write.
    ends: Vec<bool>,
}

impl Batch {
    /// Adds one of this program's own statements; its values follow.
    pub(crate) fn statement(&mut self, sql: &'static str) -> &mut Self {
        debug_assert!(!sql.contains("?1"), "a numbered parameter: {sql}");
        if self.parts.last().is_none_or(|part| part.ends.len() == MOST) {
            self.parts.push(Part::default());
        }
        let part = self.last();
        part.sql.push_str(sql);
        part.sql.push(';');
        part.ends.push(false);
        self
    }

    /// The next value of the last statement.
    pub(crate) fn bind<'v>(&mut self, value: impl Encode<'v, Sqlite> + Type<Sqlite>) -> &mut Self {
        self.last().values.add(value).expect("numbers, texts and bytes can be encoded");
        self
    }

    /// What the last statement says is the number of a write: the value it returns, or how many rows it changed.
    pub(crate) fn end_write(&mut self) {
        if let Some(end) = self.last().ends.last_mut() {
            *end = true;
        }
    }

    fn last(&mut self) -> &mut Part {
        self.parts.last_mut().expect("a statement comes first")
    }

    /// Carries them out up to the first that fails, and gives the number of each write.
    pub(crate) async fn run(self, db: &mut SqliteConnection) -> Result<Vec<u64>, StoreError> {
        let mut numbers = Vec::new();
        for part in self.parts {
            part.run(db, &mut numbers).await?;
        }
        Ok(numbers)
    }
}

impl Part {
    async fn run(self, db: &mut SqliteConnection, numbers: &mut Vec<u64>) -> Result<(), StoreError> {
        let (mut ends, mut returned) = (self.ends.into_iter(), None);
        let mut results = db.fetch_many(sqlx::query_with(AssertSqlSafe(self.sql), self.values));
        while let Some(result) = results.try_next().await? {
            match result {
                Either::Right(row) => returned = Some(row.try_get::<i64, _>(0)?.unsigned_abs()),
                Either::Left(done) => {
                    let number = returned.take().unwrap_or_else(|| done.rows_affected());
                    numbers.extend((ends.next() == Some(true)).then_some(number));
                }
            }
        }
        Ok(())
    }
}
