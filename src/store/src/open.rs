//! Opening a store: refuses what is not ours before anything is written to it.

use crate::{OpenError, Store, error::primary_code, writer::Writer};
use failpoints::Guard;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// «RndH»: marks the file as ours.
const APPLICATION: i32 = 0x526e_6448;
const BUSY: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
/// SQLite begins its log anew after 1,000 pages, or a little later.
const LOG: u64 = 1_100 * (4096 + 24);
/// A file up to this size is checked as a whole; it takes well under a tenth of a second.
const CHECKED_WHOLE: u64 = 16 * 1024 * 1024;

pub(crate) async fn open(path: &Path) -> Result<Store, OpenError> {
    inspect(path).await?;
    let connection = prepare(path).await.map_err(|error| refused(path, error))?;
    // Without it commits are slower, and nothing else.
    let _ = stretch_log(path);
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        // A file does not go away as a server does.
        .test_before_acquire(false)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(|error| refused(path, error))?;
    let (commands, requests) = mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "when it ends, every command is answered `Stopped`")]
    tokio::spawn(Writer::new(connection).run(requests));
    Ok(Store { commands, readers })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging()
}

async fn prepare(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if Guard::Fsync.is_out() { SqliteSynchronous::Off } else { SqliteSynchronous::Full })
        .foreign_keys(true)
        .pragma("application_id", APPLICATION.to_string());
    let mut connection = SqliteConnection::connect_with(&options).await?;
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })?;
    Ok(connection)
}

/// Makes the log of writes as long as it gets between two checkpoints: a commit over what is there waits for its own bytes,
/// one that makes the file longer also for the file system's journal, and for all that others have in it.
fn stretch_log(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let mut log = File::options().append(true).open(name)?;
    let length = log.metadata()?.len();
    // Frames end where one is not of the log's present salt: what follows them is never read.
    let zeros = vec![0; usize::try_from(LOG.saturating_sub(length)).unwrap_or_default()];
    if let Err(error) = log.write_all(&zeros) {
        log.set_len(length)?;
        return Err(error);
    }
    log.sync_data()
}

/// Looks at a file that is there, without a change to it.
async fn inspect(path: &Path) -> Result<(), OpenError> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(path, sqlx::Error::Io(error))),
    };
    if size == 0 {
        return Ok(());
    }
    recover(path).await?;
    let mut connection = look(path).await?;
    let mut verdict = judge(path, &mut connection).await;
    if verdict.is_ok() && size <= CHECKED_WHOLE {
        verdict = check(path, &mut connection).await;
    }
    // Nothing was written: there is nothing that closing could lose.
    let _ = connection.close().await;
    verdict
}

/// A crash while the file was made leaves a journal of its first pages, which whoever reads them has to take back.
async fn recover(path: &Path) -> Result<(), OpenError> {
    if !beside(path, "-journal").exists() {
        return Ok(());
    }
    let asked = |error| refused(path, error);
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(asked)?;
    let _: i32 = number(&mut connection, "SELECT count(*) FROM sqlite_schema").await.map_err(asked)?;
    connection.close().await.map_err(asked)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that changes nothing. Where no other has left anything beside the file, it leaves nothing either.
pub(crate) async fn look(path: &Path) -> Result<SqliteConnection, OpenError> {
    let alone = ["-wal", "-journal"].iter().all(|suffix| !beside(path, suffix).exists());
    let options = options(path).read_only(true).immutable(alone);
    SqliteConnection::connect_with(&options).await.map_err(|error| refused(path, error))
}

/// Whether this is a store of ours, and none that only a newer version understands.
pub(crate) async fn judge(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let asked = |error| refused(path, error);
    let application: i32 = number(connection, "PRAGMA application_id").await.map_err(asked)?;
    let tables: i32 = number(connection, "SELECT count(*) FROM sqlite_schema").await.map_err(asked)?;
    if application != APPLICATION {
        // A crash between the first open and its first commit leaves an empty database, which is anybody's.
        return if tables == 0 { Ok(()) } else { Err(OpenError::Foreign { path: path.to_owned() }) };
    }
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let query = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let found: i64 = if tables == 0 { 0 } else { number(connection, query).await.map_err(asked)? };
    if found > known { Err(OpenError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

async fn check(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(connection).await;
    let message: String = row.and_then(|row| row.try_get(0)).map_err(|error| refused(path, error))?;
    if message == "ok" { Ok(()) } else { Err(OpenError::Corrupt { path: path.to_owned(), message }) }
}

async fn number<T>(connection: &mut SqliteConnection, query: &'static str) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    sqlx::query(query).fetch_one(connection).await?.try_get(0)
}

fn refused(path: &Path, error: sqlx::Error) -> OpenError {
    const CORRUPT: i64 = 11;
    const NOT_A_DATABASE: i64 = 26;
    let path = path.to_owned();
    match primary_code(&error) {
        Some(CORRUPT | NOT_A_DATABASE) => OpenError::Corrupt { path, message: error.to_string() },
        _ => OpenError::Refused { path, source: error.into() },
    }
}
