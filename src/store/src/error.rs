//! Why a store was not opened, or did not take or give a row.

use std::{path::PathBuf, sync::Arc};

/// A store that was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of this program has written it.
    #[error("the store {} was written by a newer version (its schema {found}, ours {known}): use that version, or another directory", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The last one known here.
        known: i64,
    },
    /// It is no database, or a broken one.
    #[error("the store {} is corrupt ({message}): restore it from a backup, or move it away to begin anew; it was not changed", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the database said.
        message: String,
    },
    /// It is a database of another program.
    #[error("{} is a database, but no store of Roundhouse: name another directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no store {}: name the data directory of a control plane", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system or the database refused.
    #[error("cannot open the store {}: {source}; check the directory's rights and its free space", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A row that was not written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A rule of the tables forbids it: it is there already, or what it belongs to is not.
    #[error("the store refuses a row: {0}")]
    Conflict(Arc<str>),
    /// An earlier write of the same guard and generation failed, so this one no longer fits.
    #[error("an earlier write that this one builds on has failed")]
    Superseded,
    /// The disk is full.
    #[error("the store's disk is full")]
    Full,
    /// The store was closed.
    #[error("the store is closed")]
    Stopped,
    /// A row does not read as what was written.
    #[error("the store has an unreadable {column}: {message}")]
    Unreadable {
        /// Where.
        column: &'static str,
        /// Why.
        message: Arc<str>,
    },
    /// The database failed.
    #[error("the store failed: {0}")]
    Database(Arc<sqlx::Error>),
}

const FULL: i64 = 13;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match primary_code(&error) {
            Some(FULL) => Self::Full,
            _ if is_constraint(&error) => Self::Conflict(error.to_string().into()),
            _ => Self::Database(Arc::new(error)),
        }
    }
}

/// SQLite's primary result code, where the error is SQLite's.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn is_constraint(error: &sqlx::Error) -> bool {
    const CONSTRAINT: i64 = 19;
    primary_code(error) == Some(CONSTRAINT)
}
