//! Where orbs are published: a folder of this machine, or a control plane for all who use it.

use super::{Addresses, server};
use crate::{
    arguments::{OrbStore, Publishing},
    connect::Access,
    failure::{Failure, causes},
};
use compiler::orb::{Missing, Orb, Orbs, Reference};
use orbs::{Store, StoreError};
use std::path::PathBuf;

/// Where orbs are published.
#[derive(Clone)]
pub(crate) enum Shelf {
    /// In a folder.
    Folder(Store, Addresses),
    /// On a control plane.
    Server(Access, Addresses),
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Shelf {
    /// A folder that the command line names, else a control plane that is named, else the folder of this machine.
    pub(crate) fn of(at: &Publishing) -> Result<Self, Failure> {
        let addresses = Addresses::new(at.orbs.prefixes.clone());
        if at.orbs.folder.is_some() && at.connection.host.is_some() {
            return Err(Failure::usage("--orbs and --host: orbs are published in the one or on the other"));
        }
        let server = if at.orbs.folder.is_none() { Access::if_named(&at.connection)? } else { None };
        match server {
            Some(access) => Ok(Self::Server(access, addresses)),
            None => Ok(Self::Folder(folder(&at.orbs)?, addresses)),
        }
    }

    /// As a sentence names it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(store, _) => format!("in {}", store.root().display()),
            Self::Server(access, _) => format!("on {}", access.url()),
        }
    }

    /// Publishes an orb that was found to be right; one of a registry was so there.
    pub(crate) fn publish(
        &self,
        reference: &Reference,
        source: &str,
        is_imported: bool,
    ) -> Result<(), Failure> {
        match self {
            Self::Folder(store, _) => store.publish(reference, source).map(drop).map_err(unusable),
            Self::Server(access, _) => server::publish(access, reference, source, is_imported).map(drop),
        }
    }

    /// All published orbs, as references to each.
    pub(crate) fn list(&self) -> Result<Vec<String>, Failure> {
        let named = |name: &str, version: &str| format!("{name}@{version}");
        Ok(match self {
            Self::Folder(store, _) => {
                let all = store.list().map_err(unusable)?;
                all.iter().map(|one| named(&one.name, &one.version)).collect()
            }
            Self::Server(access, _) => {
                let all = server::list(access)?;
                all.iter().map(|one| named(&one.name, &one.version)).collect()
            }
        })
    }
}

impl Orbs for Shelf {
    fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
        match self {
            Self::Folder(store, _) => store.find(reference),
            Self::Server(access, _) => server::find(access, reference),
        }
    }

    fn at(&self, url: &str) -> Result<Orb, Missing> {
        let (Self::Folder(_, addresses) | Self::Server(_, addresses)) = self;
        addresses.fetch(url)
    }
}

/// The folder of published orbs: as given, else the environment's, else the one in the state folder.
pub(crate) fn folder(given: &OrbStore) -> Result<Store, Failure> {
    let state = || launch_agent::config::default_state_directory(|name| std::env::var(name).ok());
    let of_environment = || std::env::var_os("ROUNDHOUSE_ORBS").filter(|folder| !folder.is_empty());
    let named = given.folder.clone().or_else(|| of_environment().map(PathBuf::from));
    let folder = named.or_else(|| Some(state()?.join("orbs")));
    folder.map(Store::new).ok_or_else(|| Failure::usage("there is no HOME to keep orbs in: give --orbs DIR"))
}

fn unusable(error: StoreError) -> Failure {
    let message = causes(&error);
    match error {
        StoreError::Io { .. } => Failure::machinery(message),
        StoreError::Published(_) | StoreError::NoVersion(_) => Failure::usage(message),
    }
}
