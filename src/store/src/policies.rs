//! Policies of organizations: each upload as a whole, which one holds and whether it decides, and what was decided by which.

use crate::{
    Store, StoreError,
    batch::Batch,
    columns::{bytes, count, int, json, optional_uuid, structure, uuid},
};
use protocol::policies::{Decision, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row, sqlite::SqliteRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// One policy of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// In Rego.
    pub content: String,
    /// Since when it has this text.
    pub created_ms: i64,
    /// By whose hand.
    pub created_by: String,
}

/// Policies by name.
pub type PolicyTexts = BTreeMap<String, PolicyText>;

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleOfPolicies {
    /// Its name as an id.
    pub id: Uuid,
    /// Whose.
    pub organization: String,
    /// When.
    pub created_ms: i64,
    /// All that holds from then on.
    pub policies: PolicyTexts,
}

/// What holds in an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRules {
    /// Whether its policies decide about pipelines.
    pub enabled: bool,
    /// The upload; none: there was never one.
    pub bundle: Option<Uuid>,
    /// All of it.
    pub policies: PolicyTexts,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// Its name as an id.
    pub id: Uuid,
    /// Whose policies.
    pub organization: String,
    /// When.
    pub at_ms: i64,
    /// By which upload; none: there was none.
    pub bundle: Option<Uuid>,
    /// Of a pipeline of this branch.
    pub branch: Option<String>,
    /// Of a pipeline of the project with this id.
    pub project: String,
    /// What.
    pub decision: Decision,
    /// What the policies were told of the pipeline.
    pub metadata: Value,
    /// SHA-256 of the configuration, in hexadecimal digits.
    pub input: String,
    /// How long it took.
    pub took_ms: u64,
}

/// Which decisions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedDecisions {
    /// Of this status.
    pub status: Option<Status>,
    /// Later than this.
    pub after_ms: Option<i64>,
    /// Earlier than this.
    pub before_ms: Option<i64>,
    /// Of this branch.
    pub branch: Option<String>,
    /// Of the project with this id.
    pub project: Option<String>,
    /// Without so many of the newest.
    pub offset: u64,
}

/// A change of policies and decisions. Its number is how many rows it changed.
#[derive(Clone, Debug)]
pub enum PolicyChange {
    /// An upload that holds from now on.
    Bundle(BundleOfPolicies),
    /// Whether an organization's policies decide.
    Enabled(String, bool),
    /// A decision.
    Decision(Box<DecisionRow>),
    /// Forgets decisions of before then, and of each organization all but the newest; and uploads that neither hold nor decided anything.
    Forget {
        /// Then.
        before_ms: i64,
        /// So many of an organization stay at most.
        most: u64,
    },
}

impl PolicyChange {
    pub(crate) fn add_to(&self, batch: &mut Batch) {
        const ENABLED: &str = "INSERT INTO policy_rules (organization, enabled) VALUES (?, ?) \
                               ON CONFLICT (organization) DO UPDATE SET enabled = excluded.enabled";
        match self {
            Self::Bundle(row) => row.insert(batch),
            Self::Enabled(organization, enabled) => {
                batch.statement(ENABLED).bind(organization).bind(*enabled);
            }
            Self::Decision(row) => row.insert(batch),
            Self::Forget { before_ms, most } => forget(batch, *before_ms, *most),
        }
    }
}

fn forget(batch: &mut Batch, before_ms: i64, most: u64) {
    // Each organization's newest that goes is looked for once.
    const MANY: &str = "WITH goes (organization, number) AS MATERIALIZED (SELECT o.organization, \
                        (SELECT d.number FROM policy_decisions d WHERE d.organization = o.organization \
                        ORDER BY d.number DESC LIMIT 1 OFFSET ?) \
                        FROM (SELECT DISTINCT organization FROM policy_decisions) o) \
                        DELETE FROM policy_decisions WHERE number IN (SELECT d.number FROM goes \
                        JOIN policy_decisions d ON d.organization = goes.organization AND d.number <= goes.number)";
    const BUNDLES: &str = "DELETE FROM policy_bundles AS b WHERE b.created_ms < ? \
                           AND NOT EXISTS (SELECT 1 FROM policy_rules r WHERE r.bundle = b.id) \
                           AND NOT EXISTS (SELECT 1 FROM policy_decisions d WHERE d.bundle = b.id)";
    batch.statement("DELETE FROM policy_decisions WHERE at_ms < ?").bind(before_ms);
    batch.statement(MANY).bind(int(most));
    batch.statement(BUNDLES).bind(before_ms);
}

impl BundleOfPolicies {
    fn insert(&self, batch: &mut Batch) {
        const BUNDLE: &str =
            "INSERT INTO policy_bundles (id, organization, created_ms, policies) VALUES (?, ?, ?, ?)";
        const HOLDS: &str = "INSERT INTO policy_rules (organization, enabled, bundle) VALUES (?, 0, ?) \
                             ON CONFLICT (organization) DO UPDATE SET bundle = excluded.bundle";
        let query = batch.statement(BUNDLE).bind(bytes(&self.id)).bind(&self.organization);
        query.bind(self.created_ms).bind(json(&self.policies));
        batch.statement(HOLDS).bind(&self.organization).bind(bytes(&self.id));
    }
}

impl DecisionRow {
    fn insert(&self, batch: &mut Batch) {
        const SQL: &str = "INSERT INTO policy_decisions (id, organization, at_ms, bundle, status, branch, project, decision, \
                           metadata, input, took_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = batch.statement(SQL).bind(bytes(&self.id)).bind(&self.organization).bind(self.at_ms);
        let query = query.bind(self.bundle.as_ref().map(bytes)).bind(self.decision.status.name());
        let query = query.bind(self.branch.as_deref()).bind(&self.project).bind(json(&self.decision));
        query.bind(json(&self.metadata)).bind(&self.input).bind(int(self.took_ms));
    }

    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: uuid(row, "id")?,
            organization: row.try_get("organization")?,
            at_ms: row.try_get("at_ms")?,
            bundle: optional_uuid(row, "bundle")?,
            branch: row.try_get("branch")?,
            project: row.try_get("project")?,
            decision: structure(row, "decision")?,
            metadata: structure(row, "metadata")?,
            input: row.try_get("input")?,
            took_ms: count(row, "took_ms")?,
        })
    }
}

impl Store {
    /// What holds in an organization.
    pub async fn policy_rules(&self, organization: &str) -> Result<PolicyRules, StoreError> {
        const SQL: &str = "SELECT r.enabled, r.bundle, b.policies FROM policy_rules r \
                           LEFT JOIN policy_bundles b ON b.id = r.bundle WHERE r.organization = ?";
        let row = sqlx::query(SQL).bind(organization).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(PolicyRules::default()) };
        let bundle = optional_uuid(&row, "bundle")?;
        let policies = if bundle.is_some() { structure(&row, "policies")? } else { PolicyTexts::default() };
        Ok(PolicyRules { enabled: row.try_get("enabled")?, bundle, policies })
    }

    /// Whether an organization's policies decide: without reading them.
    pub async fn has_policies_enabled(&self, organization: &str) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM policy_rules WHERE organization = ? AND enabled) AS found";
        let row = sqlx::query(SQL).bind(organization).fetch_one(&self.readers).await?;
        Ok(row.try_get("found")?)
    }

    /// An upload by its id.
    pub async fn policy_bundle(&self, id: Uuid) -> Result<Option<PolicyTexts>, StoreError> {
        let query = sqlx::query("SELECT policies FROM policy_bundles WHERE id = ?").bind(bytes(&id));
        let row = query.fetch_optional(&self.readers).await?;
        row.map(|row| structure(&row, "policies")).transpose()
    }

    /// Decisions of an organization, the newest first, at most that many.
    pub async fn decisions(
        &self,
        organization: &str,
        wanted: &WantedDecisions,
        most: u32,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM policy_decisions WHERE organization = ?1 AND (?2 IS NULL OR status = ?2) \
                           AND (?3 IS NULL OR at_ms > ?3) AND (?4 IS NULL OR at_ms < ?4) \
                           AND (?5 IS NULL OR branch = ?5) AND (?6 IS NULL OR project = ?6) \
                           ORDER BY number DESC LIMIT ?7 OFFSET ?8";
        let query = sqlx::query(SQL).bind(organization).bind(wanted.status.map(Status::name));
        let query = query.bind(wanted.after_ms).bind(wanted.before_ms).bind(wanted.branch.as_deref());
        let query = query.bind(wanted.project.as_deref()).bind(most).bind(int(wanted.offset));
        query.fetch_all(&self.readers).await?.iter().map(DecisionRow::read).collect()
    }

    /// One of them.
    pub async fn decision(&self, organization: &str, id: Uuid) -> Result<Option<DecisionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM policy_decisions WHERE organization = ? AND id = ?";
        let row = sqlx::query(SQL).bind(organization).bind(bytes(&id)).fetch_optional(&self.readers).await?;
        row.as_ref().map(DecisionRow::read).transpose()
    }
}
