//! Orbs of elsewhere: a public registry, asked one question as the public command line asks it, or any address.

use crate::{
    call::{Call, ClientError},
    transport::Link,
};
use awc::http::Method;
use serde::Deserialize;

/// Asks for orbs, without a token.
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

    /// The text at an address. A redirect is none: it may lead elsewhere than was allowed.
    pub async fn text(&self, url: &str) -> Result<String, ClientError> {
        let answer = Call::open(Method::GET, url).send(&self.link).await?;
        if !answer.status.is_success() {
            return Err(ClientError::Nothing { what: answer.what, status: answer.status.as_u16() });
        }
        let no_text = |what| ClientError::Unexpected { what, why: "it is no UTF-8".to_owned() };
        String::from_utf8(answer.body.to_vec()).map_err(|_| no_text(answer.what))
    }
}
