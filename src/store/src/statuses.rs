//! What the providers of commits are to be told, until they were: of each commit and context in order.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{small, word},
};
use protocol::webhook::{CommitState, Provider, Statuses};
use sqlx::{Row, sqlite::SqliteRow};

/// How something stands that ran a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// Whose.
    pub project: ProjectId,
    /// The repository that the commit was taken from: only of the project's own its provider is told.
    pub url: String,
    /// What it is of; none: of what the provider is told in any case.
    pub of: Option<Statuses>,
    /// The commit.
    pub revision: String,
    /// What stands so.
    pub context: String,
    /// How.
    pub state: CommitState,
    /// For people.
    pub description: String,
    /// The path of its page.
    pub page: String,
    /// Since when, in milliseconds since 1970.
    pub made_ms: i64,
}

/// What is due to be told, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueStatus {
    /// Its place in the order.
    pub id: i64,
    /// Whose.
    pub project: ProjectId,
    /// The project's name.
    pub name: String,
    /// The commit.
    pub revision: String,
    /// What stands so.
    pub context: String,
    /// How.
    pub state: CommitState,
    /// For people.
    pub description: String,
    /// The path of its page.
    pub page: String,
    /// Since when.
    pub made_ms: i64,
    /// How often it was tried.
    pub tries: u32,
    /// Who is told.
    pub provider: Provider,
    /// The repository.
    pub url: String,
    /// Where; none: at the repository's host.
    pub api: Option<String>,
    /// The provider's token.
    pub sealed: Vec<u8>,
}

impl StatusRow {
    /// If the project's provider is told of it.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO statuses (project, revision, context, state, description, page, made_ms, due_ms, \
                           tries) SELECT project, ?, ?, ?, ?, ?, ?, 0, 0 FROM repositories WHERE project = ? AND url = ? \
                           AND token IS NOT NULL AND statuses <> 'nothing' AND statuses = coalesce(?, statuses)";
        batch
            .statement(SQL)
            .bind(&self.revision)
            .bind(&self.context)
            .bind(self.state.name())
            .bind(&self.description)
            .bind(&self.page)
            .bind(self.made_ms)
            .bind(self.project.0)
            .bind(&self.url)
            .bind(self.of.map(Statuses::name));
    }
}

impl DueStatus {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.try_get("id")?,
            project: ProjectId(row.try_get("project")?),
            name: row.try_get("name")?,
            revision: row.try_get("revision")?,
            context: row.try_get("context")?,
            state: word(row, "state")?,
            description: row.try_get("description")?,
            page: row.try_get("page")?,
            made_ms: row.try_get("made_ms")?,
            tries: small(row, "tries")?,
            provider: word(row, "provider")?,
            url: row.try_get("url")?,
            api: row.try_get("api")?,
            sealed: row.try_get("token")?,
        })
    }
}

pub(crate) fn remove(batch: &mut Batch, project: ProjectId) {
    batch.statement("DELETE FROM statuses WHERE project = ?").bind(project.0);
}

impl Store {
    /// What is due to be told by now, the oldest first: at most so many, of each project so many, and of each commit and
    /// context the oldest alone, for those behind it wait for it.
    pub async fn due_statuses(
        &self,
        now_ms: i64,
        most: u32,
        of_each: u32,
    ) -> Result<Vec<DueStatus>, StoreError> {
        const SQL: &str = "SELECT s.*, p.name, r.provider, r.url, r.api, r.token FROM (SELECT d.*, row_number() OVER \
                           (PARTITION BY d.project ORDER BY d.id) AS place FROM statuses d WHERE d.due_ms <= ? AND NOT EXISTS \
                           (SELECT 1 FROM statuses o WHERE o.project = d.project AND o.revision = d.revision \
                           AND o.context = d.context AND o.id < d.id)) s JOIN repositories r ON r.project = s.project \
                           JOIN projects p ON p.id = s.project WHERE r.token IS NOT NULL AND s.place <= ? \
                           ORDER BY s.id LIMIT ?";
        let query = sqlx::query(SQL).bind(now_ms).bind(of_each).bind(most);
        query.fetch_all(&self.readers).await?.iter().map(DueStatus::read).collect()
    }
}
