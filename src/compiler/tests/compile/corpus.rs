//! Real configurations, where they lie beside the project: none is a panic, and what is refused is refused by name.

use compiler::{Inputs, examine};
use std::{fs, path::PathBuf};

/// The configurations with their names; none where the corpus is not there.
fn corpus() -> Vec<(String, String)> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/configs");
    let Ok(entries) = fs::read_dir(&corpus) else {
        eprintln!("skipped: there is no {}", corpus.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let name = |file: &PathBuf| file.file_name().expect("a file has a name").to_string_lossy().into_owned();
    files
        .iter()
        .map(|file| (name(file), fs::read_to_string(file).expect("a configuration is text")))
        .collect()
}

/// As on a branch, without orbs.
fn inputs() -> Inputs {
    Inputs { native: false, ..crate::shown::inputs() }
}

#[test]
fn real_configurations_compile_or_are_refused_by_name() {
    for (name, text) in corpus() {
        let compilation = examine(&name, &text, &crate::shown::inputs());
        let said = compilation.to_run();
        for refusal in said.iter().filter(|diagnostic| diagnostic.message.contains("supported")) {
            assert!(refusal.message.contains('`'), "{name}: {}", refusal.message);
        }
        assert_eq!(compilation.pipeline.is_none(), said.iter().any(yaml::Diagnostic::is_error), "{name}");
    }
}

#[test]
fn a_real_configuration_processed_again_is_unchanged() {
    for (name, text) in corpus() {
        let Some(expanded) = examine(&name, &text, &inputs()).expanded else { continue };
        let once = expanded.text();
        let again = examine(&name, &once, &inputs());
        let said: String = again.said.iter().map(|one| again.sources.render(one)).collect();
        let twice = again.expanded.unwrap_or_else(|| panic!("{name}: {said}"));
        assert_eq!(once, twice.text(), "{name}");
        assert_eq!(expanded.workflows, twice.workflows, "{name}");
    }
}

#[test]
#[ignore = "prints what comes of each real configuration"]
fn table() {
    for (name, text) in corpus() {
        let before = std::time::Instant::now();
        let compilation = examine(&name, &text, &inputs());
        let took = before.elapsed();
        let errors = compilation.said.iter().filter(|one| one.is_error());
        let errors: Vec<String> =
            errors.map(|one| compilation.sources.render(one).replace('\n', "\n      ")).collect();
        let state = if compilation.expanded.is_some() {
            "whole"
        } else if errors.is_empty() {
            "orbs"
        } else {
            "WRONG"
        };
        println!("{state} {took:?} {name} {}", errors.join(""));
    }
}
