//! The orbs at hand: those of the folder, then those of the control plane, and those of allowed addresses. What a control
//! plane cannot have itself is sent along with a pipeline.

use super::{Addresses, server};
use crate::connect::Access;
use compiler::orb::{Missing, Orb, Orbs, Reference};
use orbs::Store;
use protocol::api::GivenOrb;
use std::sync::{Mutex, PoisonError};

/// A store that remembers what was taken from it.
pub(crate) struct Lent {
    folder: Store,
    server: Option<Access>,
    addresses: Addresses,
    given: Mutex<Vec<GivenOrb>>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Lent {
    /// Nothing taken yet.
    pub(crate) fn new(folder: Store, server: Option<Access>, addresses: Addresses) -> Self {
        Self { folder, server, addresses, given: Mutex::default() }
    }

    /// What was taken that a control plane does not have.
    pub(crate) fn given(&self) -> Vec<GivenOrb> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn give(&self, reference: String, orb: &Orb) {
        let (version, source) = (orb.version.clone(), orb.source.clone());
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.iter().all(|other| other.reference != reference) {
            given.push(GivenOrb { reference, version, source });
        }
    }
}

impl Orbs for Lent {
    fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
        let missing = match self.folder.find(reference) {
            Ok(orb) => {
                self.give(reference.to_string(), &orb);
                return Ok(orb);
            }
            Err(missing) => missing,
        };
        let Some(server) = &self.server else { return Err(missing) };
        server::find(server, reference).map_err(|there| Missing {
            reason: format!("{}, and {}", missing.reason, there.reason),
            help: there.help,
        })
    }

    fn at(&self, url: &str) -> Result<Orb, Missing> {
        let orb = self.addresses.fetch(url)?;
        self.give(url.to_owned(), &orb);
        Ok(orb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_from_the_folder_is_given_along_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        store.publish(&"a/b@1.2.3".parse().unwrap(), "x").unwrap();
        let lent = Lent::new(store, None, Addresses::default());
        for reference in ["a/b@1", "a/b@1", "a/c@1"] {
            let _ = lent.find(&reference.parse().unwrap());
        }
        let given: Vec<_> = lent.given().into_iter().map(|orb| (orb.reference, orb.version)).collect();
        assert_eq!(given, [("a/b@1".to_owned(), "1.2.3".to_owned())]);
        assert!(lent.at("https://acme.example/x.yml").is_err());
        assert_eq!(lent.given().len(), 1);
    }
}
