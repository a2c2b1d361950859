//! `roundhouse orb`: orbs as files, and the folder of published ones.

use crate::{
    arguments::{OrbCommand, OrbStore},
    connect::block_on,
    failure::{Failure, OrFail, causes},
    follow::words::counted,
    say,
};
use client::{Proxies, PublicOrb, Registry, Settings, Transport};
use compiler::{
    Inputs,
    orb::{Missing, Orbs, Reference, Wanted},
};
use orbs::{PackError, Store, StoreError};
use protocol::api::GivenOrb;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Does what is asked with orbs.
pub(crate) fn orb(command: &OrbCommand) -> Result<(), Failure> {
    match command {
        OrbCommand::Validate { path, orbs } => {
            valid(path, &store(orbs)?)?;
            say::print(format_args!("Orb at {} is valid.\n", path.display()))
        }
        OrbCommand::Pack { path } => say::print(orbs::pack_orb(path).map_err(unpacked)?),
        OrbCommand::Publish { reference, path, orbs } => publish(reference, path, &store(orbs)?),
        OrbCommand::Import { references, registry, orbs } => import(references, registry, &store(orbs)?),
        OrbCommand::List { orbs } => list(&store(orbs)?),
        OrbCommand::Source { reference, orbs } => source(reference, &store(orbs)?),
    }
}

fn list(store: &Store) -> Result<(), Failure> {
    let all = store.list().map_err(unusable)?;
    let lines: String = all.iter().map(|one| format!("{}@{}\n", one.name, one.version)).collect();
    say::print(lines)
}

fn source(reference: &Reference, store: &Store) -> Result<(), Failure> {
    let missing =
        |missing: Missing| Failure::usage(format!("{reference}: {}; {}", missing.reason, missing.help));
    say::print(store.find(reference).map_err(missing)?.source)
}

/// The folder of published orbs: as given, else the one in the state folder.
pub(crate) fn store(given: &OrbStore) -> Result<Store, Failure> {
    let state = || launch_agent::config::default_state_directory(|name| std::env::var(name).ok());
    let folder = given.folder.clone().or_else(|| Some(state()?.join("orbs")));
    folder.map(Store::new).ok_or_else(|| Failure::usage("there is no HOME to keep orbs in: give --orbs DIR"))
}

/// A store that remembers what was taken from it: a pipeline is sent with the orbs that it uses.
#[derive(Debug)]
pub(crate) struct Lent {
    store: Store,
    given: Mutex<Vec<GivenOrb>>,
}

impl Lent {
    /// Nothing taken yet.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, given: Mutex::default() }
    }

    /// What was taken.
    pub(crate) fn given(&self) -> Vec<GivenOrb> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Orbs for Lent {
    fn find(&self, reference: &Reference) -> Result<compiler::orb::Orb, Missing> {
        let orb = self.store.find(reference)?;
        let (reference, version, source) = (reference.to_string(), orb.version.clone(), orb.source.clone());
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.iter().all(|other| other.reference != reference) {
            given.push(GivenOrb { reference, version, source });
        }
        Ok(orb)
    }
}

/// The source of an orb that is right.
fn valid(path: &Path, store: &Store) -> Result<String, Failure> {
    let source = orbs::pack_orb(path).map_err(unpacked)?;
    let shown = path.display().to_string();
    let inputs = Inputs { orbs: Some(Arc::new(store.clone())), ..Inputs::default() };
    let trial = compiler::examine_orb(&shown, &source, &inputs);
    let all = trial.said.iter().chain(&trial.missed);
    let rendered: Vec<String> = all.clone().map(|one| trial.sources.render(one)).collect();
    if trial.expanded.is_none() {
        let errors = all.filter(|one| one.is_error()).count();
        return Err(Failure::invalid(
            format!("{shown} is no valid orb: {}", counted(errors, "error")),
            rendered,
        ));
    }
    for warning in rendered {
        say::note(format_args!("{}\n", warning.trim_end()));
    }
    Ok(source)
}

fn publish(reference: &Reference, path: &Path, store: &Store) -> Result<(), Failure> {
    let published = store.publish(reference, &valid(path, store)?).map_err(unusable)?;
    let (name, version) = (published.name, published.version);
    say::print(format_args!("Orb {name}@{version} is published in {}.\n", store.root().display()))
}

/// Fetches orbs and the orbs that these use.
fn import(references: &[Reference], registry: &str, store: &Store) -> Result<(), Failure> {
    let mut settings = Settings::new(registry);
    settings.proxies = Proxies::from_environment().or_usage("the proxy of the environment")?;
    settings.patience = Duration::from_secs(10);
    let transport = Transport::new(settings).or_usage("--registry")?;
    block_on(async {
        let client = transport.registry();
        let mut open: Vec<Reference> = references.to_vec();
        let mut seen = BTreeSet::new();
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let orb = fetched(&client, &reference, registry).await?;
            open.extend(used(&orb.source));
            keep(&reference, &orb, store)?;
        }
        Ok(())
    })
}

async fn fetched(client: &Registry, reference: &Reference, registry: &str) -> Result<PublicOrb, Failure> {
    let advice = format!(
        "where {registry} cannot be reached, write the orb's source to a file and publish it: `roundhouse orb publish {}@1.2.3 FILE`",
        reference.name
    );
    match client.orb(&reference.to_string()).await {
        Ok(Some(orb)) => Ok(orb),
        Ok(None) => Err(Failure::usage(format!("{registry} has no public orb {reference}"))),
        Err(error) => {
            Err(Failure::machinery(format!("cannot fetch {reference}: {}; {advice}", causes(&error))))
        }
    }
}

fn keep(reference: &Reference, orb: &PublicOrb, store: &Store) -> Result<(), Failure> {
    let wanted: Wanted = orb
        .version
        .parse()
        .or_machinery(format!("the registry's version `{}` of {reference}", orb.version))?;
    let exact = Reference { name: reference.name.clone(), wanted };
    store.publish(&exact, &orb.source).map_err(unusable)?;
    say::print(format_args!("Orb {exact} is imported into {}.\n", store.root().display()))
}

/// The published orbs that an orb's source names.
fn used(source: &str) -> Vec<Reference> {
    let root = yaml::parse(source).0;
    let orbs = root.as_ref().and_then(|root| root.get("orbs")).map(yaml::Node::entries).unwrap_or_default();
    orbs.iter().filter_map(|(_, written)| written.text()?.parse().ok()).collect()
}

/// Why a folder could not be packed, as a command's failure.
pub(crate) fn unpacked(error: PackError) -> Failure {
    let message = causes(&error);
    match error {
        PackError::Yaml { diagnostics, .. } => Failure::invalid(message, diagnostics),
        _ => Failure::usage(message),
    }
}

fn unusable(error: StoreError) -> Failure {
    let message = causes(&error);
    match error {
        StoreError::Io { .. } => Failure::machinery(message),
        StoreError::Published(_) | StoreError::NoVersion(_) => Failure::usage(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orb_brings_the_orbs_that_it_names() {
        let used = used("orbs: {a: x/a@1.2.3, b: {commands: {}}, c: x/c@1}\n");
        assert_eq!(used.iter().map(Reference::to_string).collect::<Vec<_>>(), ["x/a@1.2.3", "x/c@1"]);
    }

    #[test]
    fn what_was_taken_from_the_store_is_given_along_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        store.publish(&"a/b@1.2.3".parse().unwrap(), "x").unwrap();
        let lent = Lent::new(store);
        for reference in ["a/b@1", "a/b@1", "a/c@1"] {
            let _ = lent.find(&reference.parse().unwrap());
        }
        let given: Vec<_> = lent.given().into_iter().map(|orb| (orb.reference, orb.version)).collect();
        assert_eq!(given, [("a/b@1".to_owned(), "1.2.3".to_owned())]);
    }

    #[test]
    fn an_orb_is_published_once_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (path, store) = (folder.path().join("orb.yml"), Store::new(folder.path().join("orbs")));
        let reference: Reference = "acme/tools@1.0.0".parse().unwrap();
        std::fs::write(&path, "commands: {c: {steps: [none]}}\n").unwrap();
        let failure = publish(&reference, &path, &store).unwrap_err();
        assert_eq!(failure.status, protocol::exit::JOB_FAILED);
        assert!(failure.diagnostics[0].contains("there is no step `none`"), "{:?}", failure.diagnostics);
        std::fs::write(&path, "commands: {c: {steps: [checkout]}}\n").unwrap();
        publish(&reference, &path, &store).unwrap();
        assert!(store.find(&reference).is_ok());
    }
}
