//! A store looked at as it was at one moment, and never changed: for checks and copies, also beside a running writer.

use crate::{
    ChunkRow, OpenError, OrbRow, StoreError,
    columns::{bytes, count, digest, int, small, uuid},
    open,
};
use futures_util::TryStreamExt;
use protocol::{StepNumber, TaskId, transfer::Content};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};
use std::path::Path;

/// The most faults that the database itself is asked for.
const MOST_FAULTS: usize = 100;

/// A store that is looked at.
#[derive(Debug)]
pub struct Look {
    connection: SqliteConnection,
}

/// A content that a row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContent {
    /// Which row, for people.
    pub by: String,
    /// Whose content; none: the control plane's own, a sealed log.
    pub project: Option<String>,
    /// Which.
    pub content: Content,
}

/// A log and where its frames lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlace {
    /// Of which task.
    pub task: TaskId,
    /// Of which step.
    pub step: StepNumber,
    /// The sealed object, if it is sealed.
    pub sealed: Option<Content>,
    /// Where its frames in the file or object end; none: all of them lie in the store.
    pub file_end: Option<u64>,
}

/// Each artifact that is a content of its own, and each bundle of artifacts: the words for it, the project, digest and size.
const ARTIFACTS: &str = "\
    SELECT 'the artifact `' || a.path || '` of task ' AS words, a.task AS id, q.name AS project, a.digest, a.size \
    FROM artifacts a JOIN tasks t ON t.id = a.task JOIN jobs j ON j.id = t.job \
    JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline JOIN projects q ON q.id = p.project \
    WHERE a.bundle IS NULL \
    UNION ALL \
    SELECT 'the bundle ' || b.request || ' of artifacts of task ', b.task, q.name, b.digest, b.size \
    FROM bundles b JOIN tasks t ON t.id = b.task JOIN jobs j ON j.id = t.job \
    JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline JOIN projects q ON q.id = p.project";

/// The same of a store that is older than bundles.
const ARTIFACTS_ALONE: &str = "\
    SELECT 'the artifact `' || a.path || '` of task ' AS words, a.task AS id, q.name AS project, a.digest, a.size \
    FROM artifacts a JOIN tasks t ON t.id = a.task JOIN jobs j ON j.id = t.job \
    JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline JOIN projects q ON q.id = p.project";

/// Artifacts that no bundle has where their rows say, one line each.
const BUNDLE_FAULTS: &str = "SELECT a.task, a.path FROM artifacts a LEFT JOIN bundles b ON b.task = a.task \
    AND b.request = a.bundle WHERE a.bundle IS NOT NULL \
    AND (b.size IS NULL OR a.start IS NULL OR a.stored IS NULL OR a.start + a.stored > b.size)";

/// Each other row that names a content.
const NAMED: &str = "\
    SELECT 'the workspace layer ' || l.request || ' of task ' AS words, l.task AS id, q.name AS project, l.digest, l.size \
    FROM layers l JOIN tasks t ON t.id = l.task JOIN jobs j ON j.id = t.job \
    JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline JOIN projects q ON q.id = p.project \
    UNION ALL \
    SELECT 'the cache `' || c.key || '` of ' || q.name, NULL, q.name, c.digest, c.size \
    FROM caches c JOIN projects q ON q.id = c.project \
    UNION ALL \
    SELECT 'the source of pipeline ', p.id, q.name, json_extract(p.source, '$.archive.digest'), \
    json_extract(p.source, '$.archive.size') FROM pipelines p JOIN projects q ON q.id = p.project \
    WHERE json_extract(p.source, '$.archive.digest') IS NOT NULL \
    UNION ALL \
    SELECT 'the log of step ' || l.step || ' of task ', l.task, NULL, l.digest, l.size \
    FROM logs l WHERE l.digest IS NOT NULL";

/// Faults of logs: which log, and what is wrong with it.
const LOG_FAULTS: [&str; 5] = [
    "SELECT task, step, 'has no bytes from ' || reached || ' to ' || start AS fault FROM (SELECT task, step, start, \
     lag(start + length, 1, 0) OVER (PARTITION BY task, step ORDER BY start) AS reached FROM chunks) \
     WHERE start > reached",
    "SELECT task, step, 'has its bytes from ' || start || ' to ' || reached || ' twice' AS fault FROM \
     (SELECT task, step, start, lag(start + length, 1, 0) OVER (PARTITION BY task, step ORDER BY start) AS reached \
     FROM chunks) WHERE start < reached",
    "SELECT l.task, l.step, 'has ' || l.length || ' bytes, its chunks ' || coalesce(max(c.start + c.length), 0) \
     AS fault FROM logs l LEFT JOIN chunks c ON c.task = l.task AND c.step = l.step GROUP BY l.task, l.step \
     HAVING l.length <> coalesce(max(c.start + c.length), 0)",
    "SELECT c.task, c.step, 'has chunks and no length' AS fault FROM chunks c LEFT JOIN logs l \
     ON l.task = c.task AND l.step = c.step WHERE l.task IS NULL GROUP BY c.task, c.step",
    "SELECT task, step, 'has no frame for its byte ' || start AS fault FROM chunks \
     WHERE (frame IS NULL) = (file_offset IS NULL) OR length(frame) <> stored",
];

impl Look {
    /// Looks at the store in this file.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        let mut connection = open::look(path).await?;
        open::judge(path, &mut connection).await?;
        Ok(Self { connection })
    }

    /// Lets all that is asked from now on be of one moment.
    pub async fn hold(&mut self) -> Result<(), StoreError> {
        sqlx::query("BEGIN").execute(&mut self.connection).await?;
        Ok(())
    }

    /// Ends the look. Nothing was written, so there is nothing that it could lose.
    pub async fn close(self) {
        let _ = self.connection.close().await;
    }

    /// What is wrong with the database, its rows and the indexes of logs, one line each.
    pub async fn faults(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = format!("PRAGMA integrity_check({MOST_FAULTS})");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?;
        let said = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        if said != ["ok"] {
            // Nothing else that is read from it can be believed.
            return Ok(said.into_iter().map(|fault| fault.replace('\n', " ")).collect());
        }
        let mut faults = self.foreign_keys().await?;
        for sql in LOG_FAULTS {
            let rows = sqlx::query(sql).fetch_all(&mut self.connection).await?;
            faults.extend(rows.iter().map(log_fault).collect::<Result<Vec<_>, _>>()?);
        }
        if self.has("bundles").await? {
            let rows = sqlx::query(BUNDLE_FAULTS).fetch_all(&mut self.connection).await?;
            faults.extend(rows.iter().map(bundle_fault).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(faults)
    }

    /// Whether a store of its age has a table.
    async fn has(&mut self, table: &str) -> Result<bool, StoreError> {
        let known = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").bind(table);
        Ok(known.fetch_optional(&mut self.connection).await?.is_some())
    }

    async fn foreign_keys(&mut self) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT \"table\" AS child, parent, count(*) AS rows FROM pragma_foreign_key_check \
                           GROUP BY child, parent";
        let rows = sqlx::query(SQL).fetch_all(&mut self.connection).await?;
        let fault = |row: &SqliteRow| {
            let (child, parent): (String, String) = (row.try_get("child")?, row.try_get("parent")?);
            Ok(format!("{} rows of `{child}` belong to no row of `{parent}`", count(row, "rows")?))
        };
        rows.iter().map(fault).collect()
    }

    /// Shows each content that a row names.
    pub async fn contents(&mut self, mut each: impl FnMut(NamedContent)) -> Result<(), StoreError> {
        let artifacts = if self.has("bundles").await? { ARTIFACTS } else { ARTIFACTS_ALONE };
        for sql in [artifacts, NAMED] {
            let mut rows = sqlx::query(sql).fetch(&mut self.connection);
            while let Some(row) = rows.try_next().await? {
                each(named(&row)?);
            }
        }
        Ok(())
    }

    /// Shows each published orb; none of a store that is older than orbs.
    pub async fn orbs(&mut self, mut each: impl FnMut(OrbRow)) -> Result<(), StoreError> {
        if !self.has("orbs").await? {
            return Ok(());
        }
        let mut rows = sqlx::query("SELECT * FROM orbs ORDER BY name, version").fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            each(OrbRow::read(&row)?);
        }
        Ok(())
    }

    /// All logs that have any byte.
    pub async fn logs(&mut self) -> Result<Vec<LogPlace>, StoreError> {
        const SQL: &str = "SELECT l.task, l.step, l.digest, l.size, max(c.file_offset + c.stored) AS file_end \
                           FROM logs l LEFT JOIN chunks c ON c.task = l.task AND c.step = l.step \
                           GROUP BY l.task, l.step";
        let rows = sqlx::query(SQL).fetch_all(&mut self.connection).await?;
        rows.iter().map(log_place).collect()
    }

    /// The chunks of a log from a byte on, at most that many.
    pub async fn chunks(
        &mut self,
        log: &LogPlace,
        from: u64,
        most: u32,
    ) -> Result<Vec<ChunkRow>, StoreError> {
        const SQL: &str =
            "SELECT * FROM chunks WHERE task = ? AND step = ? AND start >= ? ORDER BY start LIMIT ?";
        let query = sqlx::query(SQL).bind(bytes(&log.task.0)).bind(log.step.0).bind(int(from)).bind(most);
        query.fetch_all(&mut self.connection).await?.iter().map(ChunkRow::read).collect()
    }

    /// Copies the whole of it, as it is at one moment, into a new file.
    pub async fn copy_to(&mut self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_str().ok_or_else(|| StoreError::Unreadable {
            column: "path of a copy",
            message: "not UTF-8".into(),
        })?;
        sqlx::query("VACUUM INTO ?").bind(path).execute(&mut self.connection).await?;
        Ok(())
    }
}

fn bundle_fault(row: &SqliteRow) -> Result<String, StoreError> {
    let (task, path) = (TaskId(uuid(row, "task")?), row.try_get::<String, _>("path")?);
    Ok(format!("the artifact `{path}` of task {task} lies in no bundle that is there"))
}

fn log_fault(row: &SqliteRow) -> Result<String, StoreError> {
    let fault: String = row.try_get("fault")?;
    Ok(format!("the log of step {} of task {} {fault}", small(row, "step")?, uuid(row, "task")?))
}

fn named(row: &SqliteRow) -> Result<NamedContent, StoreError> {
    let words: String = row.try_get("words")?;
    let id: Option<&[u8]> = row.try_get("id")?;
    let id = if id.is_some() { uuid(row, "id")?.to_string() } else { String::new() };
    Ok(NamedContent {
        by: words + &id,
        project: row.try_get("project")?,
        content: Content { digest: digest(row, "digest")?, size: count(row, "size")? },
    })
}

fn log_place(row: &SqliteRow) -> Result<LogPlace, StoreError> {
    let (size, file_end): (Option<i64>, Option<i64>) = (row.try_get("size")?, row.try_get("file_end")?);
    let sealed = match size {
        Some(size) => Some(Content { digest: digest(row, "digest")?, size: size.unsigned_abs() }),
        None => None,
    };
    Ok(LogPlace {
        task: TaskId(uuid(row, "task")?),
        step: StepNumber(small(row, "step")?),
        sealed,
        file_end: file_end.map(i64::unsigned_abs),
    })
}
