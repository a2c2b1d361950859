//! Calls about config policies of organizations.

use crate::{
    Operator,
    call::{Call, ClientError, escaped},
};
use awc::http::Method;
use protocol::policies::{
    ANSWERED_WITHIN_MS, Asked, CONTEXT, Decided, Decision, Difference, Enforcement, NewBundle, Policy,
};
use serde::Deserialize;
use std::collections::BTreeMap;

fn place(organization: &str, what: &str) -> String {
    format!("/api/v2/owner/{}/context/{CONTEXT}/{what}", escaped(organization))
}

impl Operator {
    /// The ids of the organizations that the caller knows, by their slugs.
    pub async fn organizations(&self) -> Result<BTreeMap<String, String>, ClientError> {
        #[derive(Deserialize)]
        struct Organization {
            id: String,
            slug: String,
        }
        let all: Vec<Organization> = self.get("/api/v2/me/collaborations").send(&self.link).await?.read()?;
        Ok(all.into_iter().map(|one| (one.slug, one.id)).collect())
    }

    /// Puts policies in the place of those of the organization with this id, or says what that would change.
    pub async fn push_policies(
        &self,
        organization: &str,
        new: &NewBundle,
        dry: bool,
    ) -> Result<Difference, ClientError> {
        let dry = if dry { "?dry=true" } else { "" };
        let path = place(organization, &format!("policy-bundle{dry}"));
        self.create(&path).json(new).held(ANSWERED_WITHIN_MS).send(&self.link).await?.read()
    }

    /// All policies.
    pub async fn policies(&self, organization: &str) -> Result<BTreeMap<String, Policy>, ClientError> {
        self.get(place(organization, "policy-bundle")).send(&self.link).await?.read()
    }

    /// What they say of a configuration.
    pub async fn decide(&self, organization: &str, asked: &Asked) -> Result<Decision, ClientError> {
        let call = self.create(&place(organization, "decision")).json(asked);
        call.held(ANSWERED_WITHIN_MS).send(&self.link).await?.read()
    }

    /// What they decided, the newest first: up to a hundred without so many of the newest, as far as this query wants them.
    pub async fn decisions(
        &self,
        organization: &str,
        query: &[(&str, String)],
        offset: usize,
    ) -> Result<Vec<Decided>, ClientError> {
        let wanted: String =
            query.iter().map(|(name, value)| format!("&{name}={}", escaped(value))).collect();
        let path = place(organization, &format!("decision?offset={offset}{wanted}"));
        self.get(path).send(&self.link).await?.read()
    }

    /// Whether they decide about pipelines.
    pub async fn policy_settings(&self, organization: &str) -> Result<Enforcement, ClientError> {
        self.get(place(organization, "decision/settings")).send(&self.link).await?.read()
    }

    /// Says whether they do.
    pub async fn enforce_policies(
        &self,
        organization: &str,
        enabled: bool,
    ) -> Result<Enforcement, ClientError> {
        let path = place(organization, "decision/settings");
        let call = Call::new(Method::PATCH, path, &self.token).json(&Enforcement { enabled });
        call.send(&self.link).await?.read()
    }
}
