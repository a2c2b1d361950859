//! All that lies sealed: read, and sealed anew where it is still what was read.

use crate::{
    Owner, ProjectId, Store, StoreError,
    batch::Batch,
    columns::{bytes, uuid},
};
use protocol::PipelineId;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// What of a row lies sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedName {
    /// The variables of a pipeline.
    Pipeline(PipelineId),
    /// What a pipeline was made of.
    Configuration(PipelineId),
    /// The private half of an SSH key.
    SshKey(ProjectId, String),
    /// The secret of a project's webhooks.
    Repository(ProjectId),
    /// The token by which its commits are told how they stand.
    StatusToken(ProjectId),
    /// What signs the webhook that a project has sent.
    Webhook(Uuid),
    /// The value of a variable.
    Variable(Owner, String),
}

/// What each pipeline may have sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfPipelines {
    /// Those that its jobs are given.
    Variables,
    /// What it was made of.
    Configurations,
}

/// A value that is sealed anew; a conflict with nothing: where it has changed meanwhile, it stays as it is.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// Which.
    pub name: SealedName,
    /// As it was read.
    pub old: Vec<u8>,
    /// As it is to be.
    pub new: Vec<u8>,
}

impl Resealed {
    pub(crate) fn add_to(&self, batch: &mut Batch) {
        let sql = match &self.name {
            SealedName::Pipeline(_) => "UPDATE secrets SET sealed = ? WHERE sealed = ? AND pipeline = ?",
            SealedName::Configuration(_) => {
                "UPDATE configurations SET sealed = ? WHERE sealed = ? AND pipeline = ?"
            }
            SealedName::SshKey(..) => {
                "UPDATE ssh_keys SET sealed = ? WHERE sealed = ? AND project = ? AND fingerprint = ?"
            }
            SealedName::Repository(_) => {
                "UPDATE repositories SET sealed = ? WHERE sealed = ? AND project = ?"
            }
            SealedName::StatusToken(_) => "UPDATE repositories SET token = ? WHERE token = ? AND project = ?",
            SealedName::Webhook(_) => "UPDATE webhooks SET sealed = ? WHERE sealed = ? AND id = ?",
            SealedName::Variable(Owner::Context(_), _) => {
                "UPDATE context_variables SET sealed = ? WHERE sealed = ? AND context = ? AND name = ?"
            }
            SealedName::Variable(Owner::Project(_), _) => {
                "UPDATE project_variables SET sealed = ? WHERE sealed = ? AND project = ? AND name = ?"
            }
        };
        let query = batch.statement(sql).bind(self.new.as_slice()).bind(self.old.as_slice());
        match &self.name {
            SealedName::Pipeline(id) | SealedName::Configuration(id) => query.bind(bytes(&id.0)),
            SealedName::Repository(id) | SealedName::StatusToken(id) => query.bind(id.0),
            SealedName::Webhook(id) => query.bind(bytes(id)),
            SealedName::SshKey(id, name) | SealedName::Variable(Owner::Project(id), name) => {
                query.bind(id.0).bind(name.as_str())
            }
            SealedName::Variable(Owner::Context(id), name) => query.bind(bytes(id)).bind(name.as_str()),
        };
    }
}

type Found = Vec<(SealedName, Vec<u8>)>;

pub(crate) fn insert_secrets(batch: &mut Batch, pipeline: PipelineId, sealed: &[u8]) {
    let query = batch.statement("INSERT OR REPLACE INTO secrets (pipeline, sealed) VALUES (?, ?)");
    query.bind(bytes(&pipeline.0)).bind(sealed);
}

pub(crate) fn insert_configuration(batch: &mut Batch, pipeline: PipelineId, sealed: &[u8]) {
    let query = batch.statement("INSERT OR REPLACE INTO configurations (pipeline, sealed) VALUES (?, ?)");
    query.bind(bytes(&pipeline.0)).bind(sealed);
}

impl Store {
    /// What is sealed of pipelines behind that one, at most that many.
    pub async fn sealed_pipelines(
        &self,
        what: OfPipelines,
        behind: Option<PipelineId>,
        most: u32,
    ) -> Result<Found, StoreError> {
        let (sql, name): (_, fn(PipelineId) -> SealedName) = match what {
            OfPipelines::Variables => (
                "SELECT pipeline, sealed FROM secrets WHERE pipeline > ? ORDER BY pipeline LIMIT ?",
                SealedName::Pipeline,
            ),
            OfPipelines::Configurations => (
                "SELECT pipeline, sealed FROM configurations WHERE pipeline > ? ORDER BY pipeline LIMIT ?",
                SealedName::Configuration,
            ),
        };
        let behind = behind.map_or_else(Vec::new, |id| bytes(&id.0).to_vec());
        let rows = sqlx::query(sql).bind(behind).bind(most).fetch_all(&self.readers).await?;
        let named = |row: &SqliteRow| Ok((name(PipelineId(uuid(row, "pipeline")?)), row.try_get("sealed")?));
        rows.iter().map(named).collect()
    }

    /// What a pipeline was made of, if that is kept.
    pub async fn configuration(&self, pipeline: PipelineId) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query("SELECT sealed FROM configurations WHERE pipeline = ?");
        let row = query.bind(bytes(&pipeline.0)).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("sealed")).transpose()?)
    }

    /// All else that is sealed: there is a bounded number of it for each project and organization.
    pub async fn sealed(&self) -> Result<Found, StoreError> {
        let project = |row: &SqliteRow| Ok::<_, StoreError>(ProjectId(row.try_get("project")?));
        let mut all = Found::new();
        for row in self.every("SELECT project, fingerprint, sealed FROM ssh_keys").await? {
            all.push((
                SealedName::SshKey(project(&row)?, row.try_get("fingerprint")?),
                row.try_get("sealed")?,
            ));
        }
        for row in self.every("SELECT project, sealed FROM repositories").await? {
            all.push((SealedName::Repository(project(&row)?), row.try_get("sealed")?));
        }
        for row in self.every("SELECT project, token FROM repositories WHERE token IS NOT NULL").await? {
            all.push((SealedName::StatusToken(project(&row)?), row.try_get("token")?));
        }
        for row in self.every("SELECT id, sealed FROM webhooks WHERE sealed IS NOT NULL").await? {
            all.push((SealedName::Webhook(uuid(&row, "id")?), row.try_get("sealed")?));
        }
        for row in self.every("SELECT context, name, sealed FROM context_variables").await? {
            let owner = Owner::Context(uuid(&row, "context")?);
            all.push((SealedName::Variable(owner, row.try_get("name")?), row.try_get("sealed")?));
        }
        for row in self.every("SELECT project, name, sealed FROM project_variables").await? {
            let owner = Owner::Project(project(&row)?);
            all.push((SealedName::Variable(owner, row.try_get("name")?), row.try_get("sealed")?));
        }
        Ok(all)
    }

    async fn every(&self, sql: &'static str) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(sqlx::query(sql).fetch_all(&self.readers).await?)
    }
}
