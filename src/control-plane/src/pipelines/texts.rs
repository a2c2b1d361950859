//! The configuration that a pipeline was made of, as it was written and as the compiler has it.
//!
//! It lies sealed, as its variables do: what somebody wrote into it may be a password.

use super::hidden;
use crate::{plane::Plane, refusal::Refusal, secrets::Vault};
use protocol::{PipelineId, api::Variables};
use serde::{Deserialize, Serialize};
use store::Write;

/// How much smaller it is made, of 22.
const LEVEL: i32 = 3;
/// No pair of configurations is longer, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// In the shape of the public API v2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Texts {
    /// As it was written.
    source: String,
    /// With everything filled in; empty where it was never compiled.
    compiled: String,
    /// The same of what it continued, if it did.
    #[serde(default, rename = "setup-config", skip_serializing_if = "Option::is_none")]
    setup: Option<String>,
    #[serde(default, rename = "compiled-setup-config", skip_serializing_if = "Option::is_none")]
    compiled_setup: Option<String>,
}

impl Texts {
    pub(super) fn new(source: &str, compiled: String) -> Self {
        Self { source: source.to_owned(), compiled, setup: None, compiled_setup: None }
    }

    /// Of a pipeline that began with this, and goes on with that: without what only its jobs are to know.
    pub(super) fn continued(self, source: &str, compiled: String, variables: &Variables) -> Self {
        let masker = hidden::masker(variables);
        let hide = |text: String| hidden::hide(text, &masker);
        Self {
            source: hide(source.to_owned()),
            compiled: hide(compiled),
            setup: Some(self.source),
            compiled_setup: Some(self.compiled),
        }
    }

    /// To be remembered with its pipeline.
    pub(super) fn write(&self, vault: &Vault, pipeline: PipelineId) -> Write {
        let text = serde_json::to_vec(self).expect("it has only texts");
        let small = zstd::bulk::compress(&text, LEVEL).expect("zstd compresses any text");
        Write::Configuration(pipeline, vault.seal_for(&bound(pipeline), &small))
    }
}

/// It opens for its pipeline only.
pub(crate) fn bound(pipeline: PipelineId) -> Vec<u8> {
    format!("configuration of {pipeline}").into_bytes()
}

impl Plane {
    /// That of a pipeline; none where there was none, or it was made before they were kept.
    pub(crate) async fn configuration(&self, pipeline: PipelineId) -> Result<Option<Texts>, Refusal> {
        let Some(sealed) = self.store.configuration(pipeline).await? else { return Ok(None) };
        let unreadable =
            || Refusal::Unavailable(format!("the configuration of {pipeline} was sealed with another key"));
        let small = self.vault.unseal_for(&bound(pipeline), &sealed).map_err(|_| unreadable())?;
        let text = zstd::bulk::decompress(&small, LONGEST).map_err(|_| unreadable())?;
        serde_json::from_slice(&text).map(Some).map_err(|_| unreadable())
    }
}
