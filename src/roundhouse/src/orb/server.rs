//! Orbs of a control plane, asked one after the other on this thread.

use crate::{
    connect::{Access, block_on, failed},
    failure::Failure,
};
use compiler::orb::{Missing, Orb, Reference};
use protocol::api::{FoundOrb, NewOrb, PublishedOrb};

/// The orb that a reference names.
pub(crate) fn find(access: &Access, reference: &Reference) -> Result<Orb, Missing> {
    let asked = reference.to_string();
    let found = block_on(async { access.operator().orb(&asked).await.map_err(failed) });
    let missing = |failure: Failure| Missing {
        reason: failure.message,
        help: format!("`roundhouse orb import {asked} --host {}` fetches a public orb for all", access.url()),
    };
    let FoundOrb { version, source } = found.map_err(missing)?;
    Ok(Orb { version, source })
}

/// Publishes an orb; one of a registry is taken as it is.
pub(crate) fn publish(
    access: &Access,
    reference: &Reference,
    source: &str,
    is_imported: bool,
) -> Result<PublishedOrb, Failure> {
    let orb = NewOrb { reference: reference.to_string(), source: source.to_owned(), is_imported };
    let published = block_on(async { access.operator().publish_orb(&orb).await.map_err(failed) });
    published.map_err(|failure| match failure.diagnostics.is_empty() {
        true => failure,
        // What is wrong is what was to be published, not how it was asked for.
        false => Failure::invalid(failure.message, failure.diagnostics),
    })
}

/// All published orbs.
pub(crate) fn list(access: &Access) -> Result<Vec<PublishedOrb>, Failure> {
    block_on(async { access.operator().orbs().await.map_err(failed) })
}
