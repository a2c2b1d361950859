//! Policies of organizations: given, read, switched on and off, and asked about configurations.

use crate::{
    audit::{Deed, line},
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        people::Who,
    },
    refusal::Refusal,
};
use policies::{Answer, Compiled, Judge, JudgeError, Question, Source};
use protocol::policies::{Asked, Decided, Decision, Difference, Policy};
use ring::digest::{SHA256, SHA512, digest};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt::Write as _,
};
use store::{BundleOfPolicies, DecisionRow, PolicyChange, PolicyText, PolicyTexts, Write};
use uuid::Uuid;

/// The newest this many decisions of an organization are kept, whatever their age.
pub(crate) const MOST_DECISIONS: u64 = 100_000;

/// Policies as they are asked: their texts alone.
pub(crate) fn texts(policies: &PolicyTexts) -> BTreeMap<String, String> {
    policies.iter().map(|(name, policy)| (name.clone(), policy.content.clone())).collect()
}

/// In hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    digits(digest(&SHA256, text.as_bytes()).as_ref())
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As the API shows them.
pub(crate) fn shown(policies: PolicyTexts) -> BTreeMap<String, Policy> {
    let policy = |(name, text): (String, PolicyText)| {
        let created_at = rfc3339(text.created_ms);
        (name.clone(), Policy { name, content: text.content, created_at, created_by: text.created_by })
    };
    policies.into_iter().map(policy).collect()
}

fn difference(old: &PolicyTexts, new: &BTreeMap<String, String>) -> Difference {
    let created = new.keys().filter(|name| !old.contains_key(*name)).cloned().collect();
    let deleted = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    let is_other =
        |(name, text): &(&String, &String)| old.get(*name).is_some_and(|was| was.content != **text);
    let modified = new.iter().filter(is_other).map(|(name, _)| name.clone()).collect();
    Difference { created, deleted, modified }
}

/// A policy whose text stays is as old as it was.
fn dated(old: &PolicyTexts, new: BTreeMap<String, String>, by: &Who, now_ms: i64) -> PolicyTexts {
    let dated = |(name, content): (String, String)| {
        let same = old.get(&name).filter(|was| was.content == content).cloned();
        let policy =
            same.unwrap_or_else(|| PolicyText { content, created_ms: now_ms, created_by: by.login() });
        (name, policy)
    };
    new.into_iter().map(dated).collect()
}

/// What could not be asked now may be later; what the policies themselves did not survive is theirs.
fn unanswered(error: &JudgeError) -> Refusal {
    Refusal::Undecided(error.to_string())
}

/// An answer to another question.
fn no_answer() -> Refusal {
    Refusal::Undecided("the policies gave no answer to the question".to_owned())
}

/// Each by the SHA-512 of its text.
fn hashed(policies: PolicyTexts) -> BTreeMap<String, String> {
    let hashed = |(name, policy): (String, PolicyText)| {
        (name, digits(digest(&SHA512, policy.content.as_bytes()).as_ref()))
    };
    policies.into_iter().map(hashed).collect()
}

fn told(row: DecisionRow, policies: BTreeMap<String, String>) -> Decided {
    Decided {
        id: row.id.to_string(),
        created_at: rfc3339(row.at_ms),
        decision: row.decision,
        metadata: row.metadata,
        policies,
        input_sha256: row.input,
        time_taken_ms: row.took_ms,
    }
}

impl Plane {
    pub(crate) fn judge(&self) -> Result<&Judge, Refusal> {
        self.rules.judge.as_ref().ok_or_else(|| {
            Refusal::Missing("there are no policies here: only `roundhouse server` has them".to_owned())
        })
    }

    /// Whether files are policies, and what would change with them in the place of those that are there.
    async fn compared(
        &self,
        organization: &str,
        files: BTreeMap<String, String>,
    ) -> Result<(PolicyTexts, BTreeMap<String, String>, Difference), Refusal> {
        let new = match self.judge()?.ask(organization, &Question::Check(files)).await {
            Ok(Answer::Policies(policies)) => policies,
            Ok(Answer::Faults(faults)) => {
                return Err(Refusal::Bad(format!("these are no policies: {}", faults.join("\n"))));
            }
            Err(error) if error.is_lasting() => return Err(Refusal::Bad(error.to_string())),
            Err(error) => return Err(unanswered(&error)),
            Ok(_) => return Err(no_answer()),
        };
        let old = self.store.policy_rules(organization).await?.policies;
        let difference = difference(&old, &new);
        Ok((old, new, difference))
    }

    /// What an upload would change.
    pub(crate) async fn compare_policies(
        &self,
        organization: &str,
        files: BTreeMap<String, String>,
    ) -> Result<Difference, Refusal> {
        Ok(self.compared(organization, files).await?.2)
    }

    /// Puts policies in the place of those that are there.
    pub(crate) async fn push_policies(
        &self,
        by: &Who,
        organization: &str,
        files: BTreeMap<String, String>,
    ) -> Result<Difference, Refusal> {
        let (old, new, difference) = self.compared(organization, files).await?;
        let Difference { created, deleted, modified } = &difference;
        let count = new.len();
        let told = format!(
            "{count} policies; created: {}; deleted: {}; modified: {}",
            created.join(", "),
            deleted.join(", "),
            modified.join(", ")
        );
        let mut writes = vec![line(by, Deed::PoliciesGiven, organization, &told)];
        // What is as it was is kept once, however often it is given.
        if difference != Difference::default() {
            let (id, created_ms) = (Uuid::now_v7(), wall_ms());
            let (organization, policies) = (organization.to_owned(), dated(&old, new, by, created_ms));
            let row = BundleOfPolicies { id, organization, created_ms, policies };
            writes.push(Write::Policy(PolicyChange::Bundle(row)));
        }
        self.write(writes).await?;
        Ok(difference)
    }

    /// Says whether an organization's policies decide about pipelines.
    pub(crate) async fn enforce_policies(
        &self,
        by: &Who,
        organization: &str,
        enabled: bool,
    ) -> Result<(), Refusal> {
        self.judge()?;
        let change = PolicyChange::Enabled(organization.to_owned(), enabled);
        let told = if enabled { "enabled" } else { "disabled" };
        let told = line(by, Deed::PoliciesEnforced, organization, told);
        self.write(vec![Write::Policy(change), told]).await?;
        Ok(())
    }

    /// What policies say; where they end before they do, that they cannot.
    pub(crate) async fn asked(
        &self,
        (organization, policies): (&str, BTreeMap<String, String>),
        source: Source,
        metadata: Value,
    ) -> Result<Decision, Refusal> {
        match self.judge()?.ask(organization, &Question::Decide { policies, source, metadata }).await {
            Ok(Answer::Decision(decision)) => Ok(decision),
            Err(error) if error.is_lasting() => Ok(Decision::error(error.to_string())),
            Err(error) => Err(unanswered(&error)),
            Ok(_) => Err(no_answer()),
        }
    }

    /// What an organization's policies say of a configuration that is no pipeline's; of one that compiles, also of what it
    /// comes to.
    pub(crate) async fn decide(&self, organization: &str, asked: Asked) -> Result<Decision, Refusal> {
        let metadata = asked.metadata.unwrap_or_else(|| json!({}));
        if !metadata.is_object() {
            return Err(Refusal::Bad("`metadata` is a map".to_owned()));
        }
        let policies = texts(&self.store.policy_rules(organization).await?.policies);
        let config = asked.input.clone();
        let looked = crate::pipelines::processed::Asked {
            config,
            parameters: BTreeMap::new(),
            values: BTreeMap::new(),
        };
        let compiled = self.process(looked).await?.ok();
        let source = Source { written: asked.input, compiled: Compiled::Unless(compiled) };
        self.asked((organization, policies), source, metadata).await
    }

    /// Decisions with the policies that made them, each set of which is read once.
    pub(crate) async fn told_of_decisions(&self, rows: Vec<DecisionRow>) -> Result<Vec<Decided>, Refusal> {
        let mut known = HashMap::new();
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            if let Entry::Vacant(new) = known.entry(row.bundle) {
                new.insert(hashed(self.policies_of(&row).await?));
            }
            let policies = known[&row.bundle].clone();
            all.push(told(row, policies));
        }
        Ok(all)
    }

    /// One of them.
    pub(crate) async fn told_of_decision(&self, row: DecisionRow) -> Result<Decided, Refusal> {
        let policies = hashed(self.policies_of(&row).await?);
        Ok(told(row, policies))
    }

    /// The policies that made a decision.
    pub(crate) async fn policies_of(&self, row: &DecisionRow) -> Result<PolicyTexts, Refusal> {
        let Some(id) = row.bundle else { return Ok(PolicyTexts::new()) };
        Ok(self.store.policy_bundle(id).await?.unwrap_or_default())
    }
}
