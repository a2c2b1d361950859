//! The public registry of orbs: one question, asked as the public command line asks it.

use crate::{
    call::{Call, ClientError},
    transport::Link,
};
use awc::http::Method;
use serde::Deserialize;

/// Asks a registry for orbs, without a token.
#[derive(Debug)]
pub struct Registry {
    link: Link,
}

/// A public orb.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PublicOrb {
    /// The exact version.
    pub version: String,
    /// Its packed text.
    pub source: String,
}

#[derive(Deserialize)]
struct Response {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "orbVersion")]
    orb: Option<PublicOrb>,
}

const QUERY: &str = "query($ref: String!) { orbVersion(orbVersionRef: $ref) { version source } }";

impl Registry {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// The orb of a reference such as `namespace/name@1.2`; none if the registry has none.
    pub async fn orb(&self, reference: &str) -> Result<Option<PublicOrb>, ClientError> {
        let question = serde_json::json!({ "query": QUERY, "variables": { "ref": reference } });
        let call = Call::open(Method::POST, "/graphql-unstable").json(&question);
        let response: Response = call.send(&self.link).await?.read()?;
        Ok(response.data.and_then(|data| data.orb))
    }
}
