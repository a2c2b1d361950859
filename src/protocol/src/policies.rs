//! Config policies of organizations and what they decided, in the shapes of CircleCI's API v2.
//!
//! | call, below `/api/v2/owner/{organization's id}/context/config` | body → answer |
//! |---|---|
//! | `GET,POST /policy-bundle[?dry=true]` | → names to [`Policy`]; [`NewBundle`] → 201, dry 200 [`Difference`] |
//! | `GET /policy-bundle/{name}` | → [`Policy`] |
//! | `GET,POST /decision` | → a list of [`Decided`]; [`Asked`] → [`Decision`] |
//! | `GET /decision/{id}[/policy-bundle]` | → [`Decided`]; names to [`Policy`] |
//! | `GET,PATCH /decision/settings` | → [`Enforcement`]; the same → the same |

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The one context that policies have.
pub const CONTEXT: &str = "config";
/// The most policies of an organization.
pub const MOST_POLICIES: usize = 200;
/// All of them together, in bytes.
pub const LONGEST_BUNDLE: usize = 2_500_000;
/// The most letters of a policy's name.
pub const LONGEST_NAME: usize = 80;

/// Within this a question about policies is answered, whoever else asks: its turn comes, and what they do ends. A call that
/// asks them may be held open for so long.
pub const ANSWERED_WITHIN_MS: u64 = 69_000;

/// Policies to take the place of those that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBundle {
    /// Their texts by the names of their files.
    pub policies: BTreeMap<String, String>,
}

/// What such an upload changes, or would: names of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// New ones.
    pub created: Vec<String>,
    /// Those that go.
    pub deleted: Vec<String>,
    /// Those with another text.
    pub modified: Vec<String>,
}

/// A policy that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// As it calls itself.
    pub name: String,
    /// In Rego.
    pub content: String,
    /// RFC 3339.
    pub created_at: String,
    /// By login.
    pub created_by: String,
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Nothing is wrong.
    #[default]
    Pass,
    /// Something is, and the pipeline runs all the same.
    SoftFail,
    /// Something is, and it does not run.
    HardFail,
    /// The policies cannot say; it does not run either.
    Error,
}

impl Status {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::SoftFail => "SOFT_FAIL",
            Self::HardFail => "HARD_FAIL",
            Self::Error => "ERROR",
        }
    }

    /// Whether a pipeline that was decided on so does not run.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::HardFail | Self::Error)
    }
}

/// Why a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Violation {
    /// Its name.
    pub rule: String,
    /// As the rule says it.
    pub reason: String,
}

/// What an organization's policies say of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it comes to.
    pub status: Status,
    /// Why the policies cannot say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rules that count, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enabled_rules: Vec<String>,
    /// Of rules that are to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hard_failures: Vec<Violation>,
    /// Of rules that are said only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub soft_failures: Vec<Violation>,
}

impl Decision {
    /// One that the policies could not make.
    pub fn error(reason: impl Into<String>) -> Self {
        Self { status: Status::Error, reason: Some(reason.into()), ..Self::default() }
    }
}

/// A configuration to be decided on, and no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// In YAML.
    pub input: String,
    /// What policies have as `data.meta`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// A decision on a pipeline, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Its own.
    pub id: String,
    /// RFC 3339.
    pub created_at: String,
    /// What was decided.
    pub decision: Decision,
    /// What the policies had as `data.meta`.
    pub metadata: Value,
    /// The policies by name, each by the SHA-512 of its text.
    pub policies: BTreeMap<String, String>,
    /// SHA-256 of the configuration as it was written.
    pub input_sha256: String,
    /// How long it took.
    pub time_taken_ms: u64,
}

/// Whether policies decide about pipelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// They do.
    pub enabled: bool,
}
