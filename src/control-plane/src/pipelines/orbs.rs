//! Orbs that are published here for all: taken, listed, found, and at hand to the compiler beside those that come with a
//! pipeline.

use crate::{
    plane::{Plane, clock::wall_ms},
    refusal::Refusal,
};
use compiler::{
    Inputs,
    orb::{Missing, Orb, Orbs, Reference, newest},
};
use protocol::{
    Digest,
    api::{FoundOrb, GivenOrb, NewOrb, PublishedOrb, Refused},
};
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use store::{OrbRow, Store, StoreError, Write};
use tokio::runtime::Handle;

/// The largest source of an orb.
pub(crate) const MAX_SOURCE: usize = 4 * 1024 * 1024;

impl Plane {
    /// Publishes an orb, once it is right. A version that is there with the same source stays as it is.
    pub(crate) async fn publish_orb(&self, new: NewOrb) -> Result<PublishedOrb, Refusal> {
        let NewOrb { source, is_imported, .. } = new;
        let reference = parsed(&new.reference)?;
        if !reference.is_version() {
            let message = format!("{reference} is no version to publish: write @1.2.3 or @dev:name");
            return Err(Refusal::Bad(message));
        }
        if source.len() > MAX_SOURCE {
            let message = format!("{reference} has {} bytes, of which {MAX_SOURCE} are taken", source.len());
            return Err(Refusal::Bad(message));
        }
        if !is_imported {
            self.check_orb(&reference, &source).await?;
        }
        let (name, version) = (reference.name.clone(), reference.wanted.to_string());
        let (digest, published_ms) = (digest_of(&source), wall_ms());
        let row = OrbRow { name: name.clone(), version: version.clone(), digest, source, published_ms };
        if self.write(vec![Write::Orb(Box::new(row))]).await? == [0] {
            let message = format!(
                "{reference} is published already with another source: publish the next version, or @dev:name to try \
                 things out"
            );
            return Err(Refusal::Conflict(message));
        }
        Ok(PublishedOrb { name, version, published_ms })
    }

    /// All that is published.
    pub(crate) async fn orbs(&self) -> Result<Vec<PublishedOrb>, Refusal> {
        let rows = self.store.orbs(None).await?.into_iter();
        Ok(rows.map(|(name, version, published_ms)| PublishedOrb { name, version, published_ms }).collect())
    }

    /// The published orb that a reference names.
    pub(crate) async fn orb(&self, reference: &str) -> Result<FoundOrb, Refusal> {
        let reference = parsed(reference)?;
        match kept(&self.store, &reference).await? {
            Ok(Orb { version, source }) => Ok(FoundOrb { version, source }),
            Err(missing) => Err(Refusal::Missing(missing.reason)),
        }
    }

    /// What the compiler finds orbs by: those that came with a pipeline, and then those that are published here.
    pub(super) fn orbs_beside(&self, given: Vec<GivenOrb>) -> Arc<dyn Orbs> {
        let (store, others) = (self.store.clone(), self.rules.orbs.clone());
        Arc::new(AtHand { given, store, others, runtime: Handle::current() })
    }

    async fn check_orb(&self, reference: &Reference, source: &str) -> Result<(), Refusal> {
        let refused = |diagnostics| {
            let message = format!("{reference} is no valid orb");
            Refusal::Diagnosed(Refused { message, diagnostics })
        };
        self.examined_orb(reference.to_string(), source.to_owned()).await?.map_err(refused)
    }

    /// Whether an orb is right, called so in what is said of it: else each error with its place.
    pub(crate) async fn examined_orb(
        &self,
        name: String,
        source: String,
    ) -> Result<Result<(), Vec<String>>, Refusal> {
        let inputs = Inputs { orbs: Some(self.orbs_beside(Vec::new())), ..Inputs::default() };
        let checking = tokio::task::spawn_blocking(move || {
            let trial = compiler::examine_orb(&name, &source, &inputs);
            let all = trial.said.iter().chain(&trial.missed).filter(|one| one.is_error());
            let rendered = || all.map(|one| trial.sources.render(one)).collect();
            trial.expanded.is_some().then_some(()).ok_or_else(rendered)
        });
        let broken = |_| Refusal::Unavailable("the compiler failed: please report this orb".to_owned());
        checking.await.map_err(broken)
    }
}

fn parsed(reference: &str) -> Result<Reference, Refusal> {
    reference.parse().map_err(|error| Refusal::Bad(format!("`{reference}` names no orb: {error}")))
}

/// SHA-256 of an orb's source.
pub(crate) fn digest_of(source: &str) -> Digest {
    let hash = digest(&SHA256, source.as_bytes());
    Digest::of_bytes(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
}

/// The newest published version that fits a reference.
async fn kept(store: &Store, reference: &Reference) -> Result<Result<Orb, Missing>, StoreError> {
    let rows = store.orbs(Some(&reference.name)).await?;
    let versions: Vec<&str> = rows.iter().map(|(_, version, _)| version.as_str()).collect();
    let Some(version) = newest(&reference.wanted, versions.iter().copied()) else {
        return Ok(Err(missing(reference, &versions)));
    };
    let row = store.orb(&reference.name, version).await?;
    Ok(row.map(|row| Orb { version: row.version, source: row.source }).ok_or_else(|| missing(reference, &[])))
}

fn missing(reference: &Reference, versions: &[&str]) -> Missing {
    let reason = match versions {
        [] => "the control plane has no orb of this name".to_owned(),
        versions => format!("the control plane has only {}", versions.join(", ")),
    };
    let help = format!(
        "`roundhouse orb import {reference}`, for the control plane or where the pipeline is started"
    );
    Missing { reason, help }
}

#[derive(Debug)]
struct AtHand {
    given: Vec<GivenOrb>,
    store: Store,
    /// Where whoever started this control plane has orbs.
    others: Option<Arc<dyn Orbs>>,
    runtime: Handle,
}

impl AtHand {
    fn given(&self, written: &str) -> Option<Orb> {
        let found = self.given.iter().find(|orb| orb.reference == written)?;
        Some(Orb { version: found.version.clone(), source: found.source.clone() })
    }
}

/// Asked on a thread for blocking work only.
impl Orbs for AtHand {
    fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
        if let Some(orb) = self.given(&reference.to_string()) {
            return Ok(orb);
        }
        let failed = |error: StoreError| Missing { reason: error.to_string(), help: "try again".to_owned() };
        let kept = self.runtime.block_on(kept(&self.store, reference)).map_err(failed)?;
        let kept = kept.map_err(|missing| Missing {
            reason: format!("it did not come with the pipeline, and {}", missing.reason),
            ..missing
        });
        kept.or_else(|missing| self.others.as_ref().map_or(Err(missing), |others| others.find(reference)))
    }

    fn at(&self, url: &str) -> Result<Orb, Missing> {
        let missing = || Missing {
            reason: "it did not come with the pipeline".to_owned(),
            help: "allow its address where the pipeline is started: `--orb-url PREFIX`".to_owned(),
        };
        let others = || self.others.as_ref().map_or_else(|| Err(missing()), |others| others.at(url));
        self.given(url).map_or_else(others, Ok)
    }
}
