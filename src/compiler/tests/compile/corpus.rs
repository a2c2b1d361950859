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

/// What comes of a configuration where no orb is at hand, as the documentation tells it.
fn told(name: &str, text: &str) -> String {
    let compilation = examine(name, text, &inputs());
    let first = compilation.said.iter().find(|one| one.is_error());
    let missed: Vec<String> = compilation
        .missed
        .iter()
        .filter_map(|one| one.message.split('`').nth(1))
        .map(|orb| format!("`{orb}`"))
        .collect();
    let outcome = match (first, compilation.expanded.is_some()) {
        (Some(error), _) => format!("refused: {}", error.message),
        (None, true) => "whole".to_owned(),
        (None, false) => format!("wants {}", missed.join(", ")),
    };
    let name = name.trim_end_matches(".yml").replacen("__", "/", 1);
    format!("| {name} | {} |\n", outcome.replace('|', "\\|"))
}

#[test]
fn the_documentation_tells_what_comes_of_each_real_configuration() {
    let corpus = corpus();
    if corpus.is_empty() {
        return;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let written = fs::read_to_string(&path).expect("the documentation is there");
    let rows: String = corpus.iter().map(|(name, text)| told(name, text)).collect();
    let (before, _) = written.split_once(ROWS).expect("the table is there");
    let meant = format!("{before}{ROWS}{rows}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &meant).expect("the documentation can be written");
    } else {
        assert_eq!(written, meant, "UPDATE_DOCS=1 writes the table anew");
    }
}

/// The head of the table.
const ROWS: &str = "| configuration | outcome |\n|---|---|\n";
