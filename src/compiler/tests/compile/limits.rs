//! No text is a panic, and none is worth more work than it can be meant to.

use crate::shown::{inputs, outcome};
use compiler::examine;
use proptest::prelude::*;
use std::fmt::Write as _;

/// What is said of a text, without its source.
fn said(text: &str) -> String {
    outcome(text, &inputs())
}

#[test]
fn commands_that_multiply_are_stopped() {
    let mut text = "version: 2.1\ncommands:\n  c0: {steps: [run: x]}\n".to_owned();
    for n in 1..40 {
        let calls = vec![format!("c{}", n - 1); 10].join(", ");
        writeln!(text, "  c{n}: {{steps: [{calls}]}}").unwrap();
    }
    text += "jobs:\n  build: {machine: true, steps: [c39]}\n";
    assert!(said(&text).contains("error: the configuration grows too large"), "{}", said(&text));
}

#[test]
fn values_that_multiply_are_stopped() {
    let mut text =
        "version: 2.1\ncommands:\n  c0: {parameters: {x: {type: string}}, steps: [run: x]}\n".to_owned();
    for n in 1..60 {
        let double = "{x: \"<< parameters.x >><< parameters.x >>\"}";
        writeln!(text, "  c{n}: {{parameters: {{x: {{type: string}}}}, steps: [c{}: {double}]}}", n - 1)
            .unwrap();
    }
    text += "jobs:\n  build: {machine: true, steps: [c59: {x: aaaaaaaa}]}\n";
    assert!(said(&text).contains("error: the configuration grows too large"), "{}", said(&text));
}

#[test]
fn steps_that_nest_in_their_own_parameter_are_stopped() {
    let mut text = "version: 2.1\ncommands:\n".to_owned();
    let nest = "[when: {condition: true, steps: [when: {condition: true, steps: << parameters.x >>}]}]";
    writeln!(text, "  c0: {{parameters: {{x: {{type: steps}}}}, steps: << parameters.x >>}}").unwrap();
    for n in 1..90 {
        writeln!(text, "  c{n}: {{parameters: {{x: {{type: steps}}}}, steps: [c{}: {{x: {nest}}}]}}", n - 1)
            .unwrap();
    }
    text += "jobs:\n  build: {machine: true, steps: [c89: {x: [checkout]}]}\n";
    assert!(said(&text).contains("levels"), "{}", said(&text));
}

#[test]
fn matrices_that_multiply_are_stopped() {
    let values = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let mut text = "version: 2.1\njobs:\n  j: {parameters: {v: {type: integer}}, machine: true, steps: [checkout]}\nworkflows:\n  all:\n    jobs:\n".to_owned();
    for n in 0..100 {
        writeln!(text, "      - j: {{name: n{n}, matrix: {{parameters: {{v: [{values}]}}}}}}").unwrap();
    }
    assert!(said(&text).contains("error: the configuration grows too large"));
    let text = text.replace(&format!("v: [{values}]"), &format!("v: [{values}], w: [1, 2]"));
    assert!(said(&text).contains("error: the matrix makes more than 1000 jobs"));
}

#[test]
fn a_thousand_jobs_in_a_row_are_a_graph() {
    let mut text = "version: 2.1\njobs:\n  j: {machine: true, steps: [run: x]}\nworkflows:\n  all:\n    jobs:\n      - j: {name: j0}\n".to_owned();
    for n in 1..1000 {
        writeln!(text, "      - j: {{name: j{n}, requires: [j{}]}}", n - 1).unwrap();
    }
    assert!(said(&text).contains("job j999 after j998 on a machine"));
}

#[test]
fn more_errors_than_anybody_reads_are_cut() {
    let steps = (0..1000).map(|n| format!("s{n}")).collect::<Vec<_>>().join(", ");
    let text = format!("version: 2.1\njobs:\n  build: {{machine: true, steps: [{steps}]}}\n");
    assert_eq!(said(&text).matches(": error: ").count(), 201);
    assert!(said(&text).contains("more than 200 errors: the rest is not shown"));
}

/// What is processed refers to nothing, and stays as it is processed again.
fn stays(text: &str) {
    let Some(expanded) = examine("", text, &inputs()).expanded else { return };
    let once = expanded.text();
    let again = examine("", &once, &inputs());
    let twice = again.expanded.map(|twice| twice.text());
    assert_eq!(twice.as_deref(), Some(once.as_str()), "{text}\n{:?}", again.said);
    let document = once.split("# Original config.yml file:").next().unwrap_or_default();
    assert!(!refers(document), "{text}\n{once}");
}

/// Whether anything in a text refers to a parameter, a value of a matrix or of the pipeline.
fn refers(text: &str) -> bool {
    let names = ["parameters.", "matrix.", "pipeline."];
    text.split("<<").skip(1).any(|rest| {
        let name = rest.trim_start().trim_start_matches(['#', '^', '/']).trim_start();
        names.iter().any(|root| name.starts_with(root))
    })
}

/// Words of the language, so that texts get past the first stage.
const WORDS: &str = "version: 2.1|version: 2|jobs|workflows|commands|executors|parameters|orbs|build|test|steps|run|\
    checkout|when|unless|condition|machine|true|docker|image|requires|matrix|exclude|filters|branches|only|/x/|type|\
    string|enum|default|executor|name|environment|parallelism|A=b|<< parameters.a >>|<< pipeline.number >>|\
    <<# parameters.a >>|<</ parameters.a >>|<< matrix.a >>|equal|not|and|matches|&a|*a|<<|~|1|[]|{}|\\<<|context|pre-steps";

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(WORDS.split('|').collect::<Vec<_>>()).prop_map(str::to_owned)
}

/// Maps and lists of words, as flow YAML.
fn value() -> impl Strategy<Value = String> {
    word().prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((word(), inner), 0..5).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// Steps that are right as a rule.
fn steps() -> impl Strategy<Value = String> {
    let step = prop::sample::select(vec![
        "checkout",
        "run: '<< pipeline.number >>'",
        "run: {command: \"a\\n b\\n\", background: yes}",
        "when: {condition: true, steps: [run: x]}",
        "unless: {condition: 0, steps: [run: {name: y, command: '\\<< x >>'}]}",
        "save_cache: {key: '{{ .Branch }}', paths: [~/x]}",
        "restore-cache: {keys: [a, 'yes']}",
        "setup_remote_docker",
        "store_artifacts: {path: 012}",
    ]);
    prop::collection::vec(step, 1..4).prop_map(|steps| steps.join(", "))
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in any::<String>()) {
        said(&text);
    }

    #[test]
    fn no_arrangement_of_the_words_is_a_panic(jobs in value(), workflows in value(), commands in value(), parameters in value()) {
        let text = format!(
            "version: 2.1\nparameters: {parameters}\ncommands: {{test: {{steps: {commands}}}}}\njobs: {{build: {jobs}, \
             test: {{machine: true, parameters: {parameters}, steps: {jobs}}}}}\nworkflows: {{all: {{jobs: {workflows}}}}}\n"
        );
        said(&text);
        stays(&text);
    }

    #[test]
    fn what_is_processed_stays_as_it_is(steps in steps(), words in "[a-z:#'\" \\\\<>{}\n-]{0,20}") {
        let quoted = serde_json::to_string(&words).expect("a text is JSON");
        stays(&format!(
            "version: 2.1\ncommands: {{c: {{parameters: {{a: {{type: string, default: {quoted}}}}}, steps: [{steps}]}}}}\n\
             jobs:\n  build: {{machine: true, environment: {{A: {quoted}}}, steps: [c, c: {{a: x}}, {steps}]}}\n\
             workflows: {{all: {{jobs: [build, build: {{context: [{quoted}]}}, build: {{name: {quoted}, requires: [build-1]}}]}}}}\n"
        ));
    }

    #[test]
    fn no_expression_is_a_panic(text in r#"(and|or|not|==|<|\(|\)|[0-9]|"x|'|/|\?|é| |pipeline.number|matches){0,20}"#) {
        let quoted = text.replace('\'', "''");
        said(&format!(
            "version: 2.1\njobs:\n  j: {{machine: true, steps: [checkout]}}\nworkflows:\n  all:\n    when: '{quoted}'\n    \
             jobs: [j: {{filters: '{quoted}'}}]\n"
        ));
    }

    #[test]
    fn no_cut_of_a_configuration_is_a_panic(at in 0..1000usize) {
        let whole = include_str!("whole.yml");
        let cut = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        said(&whole[..cut]);
    }
}
