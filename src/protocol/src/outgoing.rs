//! Webhooks that the control plane sends: of which project's ends whom it tells, in the shapes of the public API v2.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// So many webhooks has one project.
pub const MOST_WEBHOOKS: usize = 20;
/// What stands in answers in the place of a secret.
pub const MASK: &str = "****";

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A workflow is over.
    WorkflowCompleted,
    /// A job is over.
    JobCompleted,
}

impl Event {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkflowCompleted => "workflow-completed",
            Self::JobCompleted => "job-completed",
        }
    }
}

/// Of what something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKind {
    /// A project.
    #[default]
    Project,
}

/// Whose ends are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The project's, as `GET /api/v2/project/{slug}` shows it.
    pub id: Uuid,
    /// Of what it is the id.
    #[serde(rename = "type")]
    pub kind: ScopeKind,
}

impl Scope {
    /// The project of this id.
    pub fn of_project(id: &str) -> Result<Self, uuid::Error> {
        Ok(Self { id: id.parse()?, kind: ScopeKind::Project })
    }
}

/// A webhook that is to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewWebhook {
    /// As people call it.
    pub name: String,
    /// Of what is told; at least one.
    pub events: Vec<Event>,
    /// Who is told: `https://` or `http://`.
    pub url: String,
    /// Whether their certificate has to be one that is trusted.
    #[serde(default = "yes")]
    pub verify_tls: bool,
    /// By which they know that it was told by this control plane; none or empty: nothing is signed.
    #[serde(default)]
    pub signing_secret: Option<String>,
    /// Whose.
    pub scope: Scope,
}

fn yes() -> bool {
    true
}

/// A change of a webhook; what is none stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookChange {
    /// As people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Of what is told.
    #[serde(default)]
    pub events: Option<Vec<Event>>,
    /// Who is told.
    #[serde(default)]
    pub url: Option<String>,
    /// Whether their certificate has to be one that is trusted.
    #[serde(default)]
    pub verify_tls: Option<bool>,
    /// Another one; empty: none any more.
    #[serde(default)]
    pub signing_secret: Option<String>,
    /// Its own: it stays with its project.
    #[serde(default)]
    pub scope: Option<Scope>,
}

/// A webhook, without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Webhook {
    /// Its name as an id.
    pub id: Uuid,
    /// As people call it.
    pub name: String,
    /// Of what is told.
    pub events: Vec<Event>,
    /// Who is told.
    pub url: String,
    /// Whether their certificate has to be one that is trusted.
    pub verify_tls: bool,
    /// [`MASK`] where there is one, else empty.
    pub signing_secret: String,
    /// Whose.
    pub scope: Scope,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// Without what nobody else may know: an address may be a secret too.
macro_rules! debug_by_name {
    ($($shape:ident)*) => {$(
        impl fmt::Debug for $shape {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($shape)).field("name", &self.name).finish_non_exhaustive()
            }
        }
    )*};
}

debug_by_name!(NewWebhook WebhookChange Webhook);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_webhook_is_read_in_the_public_shape_and_shows_no_secret() {
        let text = r#"{"name": "n", "events": ["workflow-completed", "job-completed"], "url": "https://a.example/s3cret",
            "verify-tls": false, "signing-secret": "s3cret",
            "scope": {"id": "84996744-a854-4f5e-aea3-04e2851dc1d2", "type": "project"}}"#;
        let new: NewWebhook = serde_json::from_str(text).unwrap();
        assert!(!new.verify_tls && !format!("{new:?}").contains("s3cret"));
        assert_eq!(
            new.events.iter().map(|event| event.name()).collect::<Vec<_>>(),
            ["workflow-completed", "job-completed"]
        );
        for wrong in [
            text.replace("\"project\"", "\"organization\""),
            text.replace("job-completed", "job-started"),
            text.replace("\"name\"", "\"nickname\""),
        ] {
            assert!(serde_json::from_str::<NewWebhook>(&wrong).is_err(), "{wrong}");
        }
    }
}
