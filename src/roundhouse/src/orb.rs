//! `roundhouse orb`: orbs as files, and where they are published.

mod addresses;
mod lent;
mod server;
mod shelf;

pub(crate) use lent::Lent;

use crate::{
    arguments::{OrbCommand, OrbStore},
    connect::{Access, block_on},
    failure::{Failure, OrFail, causes},
    follow::words::counted,
    say,
};
use addresses::{Addresses, elsewhere};
use client::{PublicOrb, Transport};
use compiler::{
    Inputs,
    orb::{Missing, Orbs, Reference, Wanted},
};
use orbs::PackError;
use shelf::Shelf;
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// Does what is asked with orbs.
pub(crate) fn orb(command: &OrbCommand) -> Result<(), Failure> {
    match command {
        OrbCommand::Validate { path, at } => {
            valid(path, &Shelf::of(at)?)?;
            say::print(format_args!("Orb at {} is valid.\n", path.display()))
        }
        OrbCommand::Pack { path } => say::print(orbs::pack_orb(path).map_err(unpacked)?),
        OrbCommand::Publish { reference, path, at } => publish(reference, path, &Shelf::of(at)?),
        OrbCommand::Import { references, registry, at } => import(references, registry, &Shelf::of(at)?),
        OrbCommand::List { at } => list(&Shelf::of(at)?),
        OrbCommand::Source { reference, at } => source(reference, &Shelf::of(at)?),
    }
}

/// The orbs at hand to a configuration: of the folder, of a control plane that is named, of allowed addresses.
pub(crate) fn at_hand(given: &OrbStore, server: Option<Access>) -> Result<Lent, Failure> {
    Ok(Lent::new(shelf::folder(given)?, server, Addresses::new(given.prefixes.clone())))
}

fn list(shelf: &Shelf) -> Result<(), Failure> {
    let lines: String = shelf.list()?.iter().map(|one| format!("{one}\n")).collect();
    say::print(lines)
}

fn source(reference: &Reference, shelf: &Shelf) -> Result<(), Failure> {
    let missing =
        |missing: Missing| Failure::usage(format!("{reference}: {}; {}", missing.reason, missing.help));
    say::print(shelf.find(reference).map_err(missing)?.source)
}

/// The source of an orb that is right.
fn valid(path: &Path, shelf: &Shelf) -> Result<String, Failure> {
    let source = orbs::pack_orb(path).map_err(unpacked)?;
    let shown = path.display().to_string();
    let inputs = Inputs { orbs: Some(Arc::new(shelf.clone())), ..Inputs::default() };
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

fn publish(reference: &Reference, path: &Path, shelf: &Shelf) -> Result<(), Failure> {
    shelf.publish(reference, &valid(path, shelf)?, false)?;
    say::print(format_args!("Orb {reference} is published {}.\n", shelf.name()))
}

/// Fetches orbs and the orbs that these use.
fn import(references: &[Reference], registry: &str, shelf: &Shelf) -> Result<(), Failure> {
    let transport = Transport::new(elsewhere(registry)?).or_usage("--registry")?;
    let mut open: Vec<Reference> = references.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(reference) = open.pop() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        let orb = fetched(&transport, &reference)?;
        open.extend(used(&orb.source));
        keep(&reference, &orb, shelf)?;
    }
    Ok(())
}

fn fetched(transport: &Transport, reference: &Reference) -> Result<PublicOrb, Failure> {
    let registry = transport.url();
    let advice = format!(
        "where {registry} cannot be reached, write the orb's source to a file and publish it: `roundhouse orb publish {}@1.2.3 FILE`",
        reference.name
    );
    block_on(async {
        match transport.registry().orb(&reference.to_string()).await {
            Ok(Some(orb)) => Ok(orb),
            Ok(None) => Err(Failure::usage(format!("{registry} has no public orb {reference}"))),
            Err(error) => {
                Err(Failure::machinery(format!("cannot fetch {reference}: {}; {advice}", causes(&error))))
            }
        }
    })
}

fn keep(reference: &Reference, orb: &PublicOrb, shelf: &Shelf) -> Result<(), Failure> {
    let wanted: Wanted = orb
        .version
        .parse()
        .or_machinery(format!("the registry's version `{}` of {reference}", orb.version))?;
    let exact = Reference { name: reference.name.clone(), wanted };
    shelf.publish(&exact, &orb.source, true)?;
    say::print(format_args!("Orb {exact} is published {}.\n", shelf.name()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use orbs::Store;

    #[test]
    fn an_orb_brings_the_orbs_that_it_names() {
        let used = used("orbs: {a: x/a@1.2.3, b: {commands: {}}, c: x/c@1}\n");
        assert_eq!(used.iter().map(Reference::to_string).collect::<Vec<_>>(), ["x/a@1.2.3", "x/c@1"]);
    }

    #[test]
    fn an_orb_is_published_once_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orb.yml");
        let shelf = Shelf::Folder(Store::new(folder.path().join("orbs")), Addresses::default());
        let reference: Reference = "acme/tools@1.0.0".parse().unwrap();
        std::fs::write(&path, "commands: {c: {steps: [none]}}\n").unwrap();
        let failure = publish(&reference, &path, &shelf).unwrap_err();
        assert_eq!(failure.status, protocol::exit::JOB_FAILED);
        assert!(failure.diagnostics[0].contains("there is no step `none`"), "{:?}", failure.diagnostics);
        std::fs::write(&path, "commands: {c: {steps: [checkout]}}\n").unwrap();
        publish(&reference, &path, &shelf).unwrap();
        assert!(shelf.find(&reference).is_ok());
    }
}
