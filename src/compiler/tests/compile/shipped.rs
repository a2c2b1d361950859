//! The configurations that the project ships compile without a word.

use crate::shown::{inputs, outcome};
use std::{fs, path::Path};

#[test]
fn the_shipped_configurations_compile_without_a_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let examples = fs::read_dir(root.join("config/examples")).expect("the examples are there");
    let folders = examples.map(|entry| entry.expect("a folder can be read").path()).chain([root.clone()]);
    let mut inputs = inputs();
    inputs.native = false;
    for folder in folders {
        let file = folder.join(".circleci/config.yml");
        let text = fs::read_to_string(&file).expect("an example has a configuration");
        let outcome = outcome(&text, &inputs);
        assert!(outcome.starts_with("workflow "), "{}\n{outcome}", file.display());
    }
}
