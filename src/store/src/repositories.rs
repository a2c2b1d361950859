//! Repositories of projects, the secrets of their webhooks sealed, and which webhooks were seen.

use crate::{
    ProjectId, Store, StoreError,
    batch::Batch,
    columns::{optional_word, word},
    statuses,
};
use protocol::{
    ResourceClass,
    webhook::{Forks, JobsCheckOutWith, Provider, Statuses},
};
use sqlx::{Row, sqlite::SqliteRow};

/// So many webhooks of each project are remembered.
const MOST: i64 = 10_000;

/// The repository of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Whose.
    pub project: ProjectId,
    /// Its address.
    pub url: String,
    /// Who keeps it.
    pub provider: Provider,
    /// The class for jobs that name none.
    pub class: Option<ResourceClass>,
    /// Whether pull requests make pipelines too.
    pub pull_requests: bool,
    /// What becomes of pull requests of forks.
    pub forks: Forks,
    /// The secret of its webhooks.
    pub sealed: Vec<u8>,
    /// The provider's token, sealed.
    pub token: Option<Vec<u8>>,
    /// With what its jobs check it out over https.
    pub jobs_check_out_with: JobsCheckOutWith,
    /// Of what the provider is told.
    pub statuses: Statuses,
    /// Where; none: at the repository's host.
    pub api: Option<String>,
    /// When it was named.
    pub created_ms: i64,
}

impl RepositoryRow {
    /// In the place of the one that the project has.
    pub(crate) fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT OR REPLACE INTO repositories (project, url, provider, class, pull_requests, forks, sealed, \
                           token, jobs_check_out_with, statuses, api, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        if self.token.is_none() {
            statuses::remove(batch, self.project);
        }
        batch
            .statement(SQL)
            .bind(self.project.0)
            .bind(&self.url)
            .bind(self.provider.name())
            .bind(self.class.as_ref().map(ToString::to_string))
            .bind(self.pull_requests)
            .bind(self.forks.name())
            .bind(self.sealed.as_slice())
            .bind(self.token.as_deref())
            .bind(self.jobs_check_out_with.name())
            .bind(self.statuses.name())
            .bind(self.api.as_deref())
            .bind(self.created_ms);
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            project: ProjectId(row.try_get("project")?),
            url: row.try_get("url")?,
            provider: word(row, "provider")?,
            class: optional_word(row, "class")?,
            pull_requests: row.try_get("pull_requests")?,
            forks: word(row, "forks")?,
            sealed: row.try_get("sealed")?,
            token: row.try_get("token")?,
            jobs_check_out_with: word(row, "jobs_check_out_with")?,
            statuses: word(row, "statuses")?,
            api: row.try_get("api")?,
            created_ms: row.try_get("created_ms")?,
        })
    }
}

pub(crate) fn remove(batch: &mut Batch, project: ProjectId) {
    statuses::remove(batch, project);
    crate::schedules::forget_project(batch, project);
    batch.statement("DELETE FROM repositories WHERE project = ?").bind(project.0);
}

/// Remembers a webhook, and forgets those that came long before it.
pub(crate) fn delivered(batch: &mut Batch, project: ProjectId, hash: &[u8; 32], at_ms: i64) {
    const FORGET: &str = "DELETE FROM deliveries WHERE project = ? AND hash IN (SELECT hash FROM deliveries \
                          WHERE project = ? ORDER BY at_ms DESC LIMIT -1 OFFSET ?)";
    let insert = batch.statement("INSERT OR REPLACE INTO deliveries (project, hash, at_ms) VALUES (?, ?, ?)");
    insert.bind(project.0).bind(hash.as_slice()).bind(at_ms);
    batch.statement(FORGET).bind(project.0).bind(project.0).bind(MOST);
}

pub(crate) fn forget_delivered(batch: &mut Batch, project: ProjectId, hash: &[u8; 32]) {
    let forget = batch.statement("DELETE FROM deliveries WHERE project = ? AND hash = ?");
    forget.bind(project.0).bind(hash.as_slice());
}

impl Store {
    /// All repositories, with the names of their projects.
    pub async fn repositories(&self) -> Result<Vec<(String, RepositoryRow)>, StoreError> {
        const SQL: &str = "SELECT p.name, r.* FROM repositories r JOIN projects p ON p.id = r.project \
                           ORDER BY p.name";
        let rows = sqlx::query(SQL).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, RepositoryRow::read(row)?))).collect()
    }

    /// The repository of a project.
    pub async fn repository(&self, project: &str) -> Result<Option<RepositoryRow>, StoreError> {
        const SQL: &str =
            "SELECT r.* FROM repositories r JOIN projects p ON p.id = r.project WHERE p.name = ?";
        let row = sqlx::query(SQL).bind(project).fetch_optional(&self.readers).await?;
        row.as_ref().map(RepositoryRow::read).transpose()
    }

    /// Whether a webhook, or one of its events, was seen before.
    pub async fn was_delivered(&self, project: ProjectId, hash: &[u8; 32]) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE project = ? AND hash = ?) AS seen";
        let query = sqlx::query(SQL).bind(project.0).bind(hash.as_slice());
        Ok(query.fetch_one(&self.readers).await?.try_get("seen")?)
    }
}
