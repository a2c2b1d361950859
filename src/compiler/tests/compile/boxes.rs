//! The language box by box: what each says in few words, in a test of that name. The table says which test holds which.

mod files;
mod jobs;
mod orbs;
mod parameters;
mod quirks;
mod steps;
mod table;
mod values;
mod workflows;

use crate::shown::{inputs, outcome};
use compiler::examine;

/// A configuration of one job that has these keys.
fn job(keys: &str) -> String {
    format!("version: 2.1\njobs:\n  build: {{{keys}}}\n")
}

/// One job of these steps on a machine.
fn steps(steps: &str) -> String {
    job(&format!("machine: true, steps: [{steps}]"))
}

/// It runs as these lines say, and there is nothing else to say of it.
#[track_caller]
fn runs(text: &str, lines: &[&str]) {
    let outcome = outcome(text, &inputs());
    let found: Vec<&str> = outcome.lines().map(str::trim).collect();
    assert_eq!(found, lines, "{text}\n{outcome}");
}

/// What comes of it has all of this in it.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    let outcome = outcome(text, &inputs());
    for part in parts {
        assert!(outcome.contains(part), "`{part}` is missing:\n{text}\n{outcome}");
    }
}

/// It is right, and nobody has to be warned of anything; it need not be able to run here.
#[track_caller]
fn fits(text: &str) {
    let compilation = examine("config.yml", text, &inputs());
    let said = compilation.said.iter().filter(|one| one.severity != yaml::Severity::Note);
    let said: String = said.map(|one| compilation.sources.render(one)).collect();
    assert!(compilation.expanded.is_some() && said.is_empty(), "{text}\n{said}");
}

/// It is right, and is this once it is processed.
#[track_caller]
fn becomes(text: &str, document: &str) {
    let compilation = examine("config.yml", text, &inputs());
    let said: String = compilation.said.iter().map(|one| compilation.sources.render(one)).collect();
    let processed = compilation.expanded.unwrap_or_else(|| panic!("{text}\n{said}")).text();
    let found = processed.split("\n# Original config.yml file:").next().unwrap_or_default();
    assert_eq!(found, document, "{text}");
}
