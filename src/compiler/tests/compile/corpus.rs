//! Real configurations, where they lie beside the project: none is a panic, and what is refused is refused by name.

use compiler::{Inputs, compile};
use std::{fs, path::PathBuf};

#[test]
fn real_configurations_compile_or_are_refused_by_name() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/configs");
    let Ok(entries) = fs::read_dir(&corpus) else {
        eprintln!("skipped: there is no {}", corpus.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let inputs = Inputs { native: true, ..Inputs::default() };
        let (pipeline, diagnostics) = compile(&text, &inputs);
        let name = file.file_name().unwrap().to_string_lossy();
        for refusal in diagnostics.iter().filter(|diagnostic| diagnostic.message.contains("supported")) {
            assert!(refusal.message.contains('`'), "{name}: {}", refusal.message);
        }
        assert_eq!(pipeline.is_none(), diagnostics.iter().any(yaml::Diagnostic::is_error), "{name}");
    }
}
