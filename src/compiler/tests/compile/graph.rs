//! The graph of a workflow: whatever jobs require, what comes of it has no circle, and nothing else is refused.

use crate::shown::inputs;
use compiler::examine;
use proptest::prelude::*;
use std::{collections::HashSet, fmt::Write as _};

/// Jobs that require each other so.
fn text(requires: &[Vec<usize>]) -> String {
    let mut text =
        "version: 2.1\njobs: {j: {machine: true, steps: [checkout]}}\nworkflows:\n  w:\n    jobs:\n"
            .to_owned();
    for (job, required) in requires.iter().enumerate() {
        let names: Vec<String> = required.iter().map(|required| format!("n{required}")).collect();
        let _ = writeln!(text, "      - j: {{name: n{job}, requires: [{}]}}", names.join(", "));
    }
    text
}

/// Whether each job can come after all that it requires: those that can are taken, until no more can.
fn has_an_order(requires: &[HashSet<usize>]) -> bool {
    let mut done = HashSet::new();
    loop {
        let ready: Vec<usize> = (0..requires.len())
            .filter(|job| !done.contains(job) && requires[*job].is_subset(&done))
            .collect();
        if ready.is_empty() {
            return done.len() == requires.len();
        }
        done.extend(ready);
    }
}

/// For each of some jobs, which of them it requires.
fn shape() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (1..9_usize).prop_flat_map(|jobs| prop::collection::vec(prop::collection::vec(0..jobs, 0..3), jobs))
}

proptest! {
    #[test]
    fn a_workflow_is_drawn_exactly_if_it_has_no_circle(requires in shape()) {
        let text = text(&requires);
        let compilation = examine("config.yml", &text, &inputs());
        let sets: Vec<HashSet<usize>> = requires.iter().map(|required| required.iter().copied().collect()).collect();
        let said: Vec<&str> = compilation.said.iter().map(|one| one.message.as_str()).collect();
        match compilation.pipeline {
            Some(pipeline) => {
                let jobs = &pipeline.workflows[0].jobs;
                let place = |name: &str| jobs.iter().position(|job| job.name == name).expect("it is one of them");
                let found: Vec<HashSet<usize>> =
                    jobs.iter().map(|job| job.requires.iter().map(|one| place(&one.job)).collect()).collect();
                prop_assert!(has_an_order(&found), "{text}");
                prop_assert_eq!(found, sets, "{}", text);
            }
            None => {
                prop_assert!(!has_an_order(&sets), "{text}\n{said:?}");
                prop_assert!(said.iter().any(|said| said.contains("wait for one another")), "{said:?}");
            }
        }
    }
}
