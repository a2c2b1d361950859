//! Texts that are no configuration.

use crate::check;

check! {
    an_empty_text: "";
    a_text_that_is_no_map: "- a\n- b\n";
    a_text_that_is_no_yaml: "version: 2.1\njobs:\n  build: [\n";
    no_version: "jobs:\n  build: {machine: true, steps: [checkout]}\n";
    a_version_of_long_ago: "version: 1\njobs: {}\n";
    newer_sections_in_an_older_version: "version: 2\norbs: {a: b/c@1}\ncommands: {}\njobs:\n  build: {machine: true, executor: x, steps: [a/b]}\n";
    sections_of_the_wrong_shape: "version: 2.1\njobs: [build]\ncommands: x\nexecutors: 1\nparameters: []\nworkflows: [x]\n";
    misspelt_sections: "version: 2.1\nx-anchors: {}\nreferences: {}\n_parameters: {}\njbos: {}\nworkflow: {}\njobs:\n  build: {machine: true, steps: [checkout]}\n";
    unknown_anchors: "version: 2.1\njobs:\n  build: {machine: true, steps: [*one, *two]}\n";
    doubled_keys: "version: 2.1\njobs:\n  build: {machine: true, steps: [run: a], steps: [run: b]}\n";
}
