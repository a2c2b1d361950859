//! A file as a whole: its version, its sections, its YAML, its names.

use super::{fits, job, runs, says};

const BUILD: &str = "{machine: true, steps: [run: x]}";
const RAN: [&str; 3] = ["workflow workflow", "job build on a machine", "\"x\": run \"x\""];

#[test]
fn version_is_2_or_2_0_or_2_1() {
    for version in ["2", "2.0", "2.1", "'2.1'"] {
        runs(&format!("version: {version}\njobs: {{build: {BUILD}}}\n"), &RAN);
    }
    for version in ["1", "2.2", "3", "two"] {
        says(
            &format!("version: {version}\njobs: {{build: {BUILD}}}\n"),
            &["is not one of `2`, `2.0`, `2.1`"],
        );
    }
}

#[test]
fn a_missing_version_is_taken_for_the_newest() {
    let text = format!("jobs: {{build: {}}}\n", BUILD.replace("run: x", "run: << pipeline.number >>"));
    says(&text, &["there is no `version`", "run \"7\""]);
}

#[test]
fn every_top_key_is_known() {
    let sections = "setup: false\norbs: {}\ncommands: {}\nparameters: {}\nexecutors: {}\njob-groups: {}\n\
                    experimental: {notify: {branches: {only: [main], ignore: [/x.*/]}}}\ndescription: x\n\
                    display: {home_url: x, source_url: y}\nexamples: {}\n";
    fits(&format!("version: 2.1\n{sections}jobs: {{build: {BUILD}}}\nworkflows: {{w: {{jobs: [build]}}}}\n"));
}

#[test]
fn unknown_top_keys_are_nobodys_business() {
    let keys = "x-anything: [1]\nreferences: {a: &a {run: x}}\nbuild_agent: 1\n.hidden: {}\n";
    runs(&format!("version: 2.1\n{keys}jobs: {{build: {{machine: true, steps: [*a]}}}}\n"), &RAN);
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "version: 2.1\na: &a {machine: true}\nb: &b {environment: {A: 1}}\nc: &c {environment: {A: 2}}\n\
                jobs:\n  build: {<<: [*a, *b, *c], steps: [run: x]}\n";
    runs(text, &["workflow workflow", "job build on a machine A=\"1\"", "\"x\": run \"x\""]);
    let own = text.replace("steps:", "environment: {A: 3}, steps:");
    says(&own, &["A=\"3\""]);
}

#[test]
fn a_merge_key_is_none_of_the_values() {
    let keys = "parameters: {p: {type: string, default: x}}, machine: true, steps: [run: << parameters.p >>]";
    runs(&job(keys), &RAN);
}

#[test]
fn without_workflows_the_job_build_is_the_workflow_named_workflow() {
    runs(&format!("version: 2.1\njobs: {{build: {BUILD}, other: {BUILD}}}\n"), &RAN);
    says(&format!("version: 2.1\njobs: {{test: {BUILD}}}\n"), &["no workflows, and no job named `build`"]);
    // With all else that is wrong, at once.
    says(
        "version: 2.1\njobs: {tset: {machine: true, stps: [checkout], steps: [runn: x]}, free: {parameters: {a: {type: string}}}}\n",
        &["no workflows, and no job named `build`", "`stps`", "`runn`"],
    );
}

#[test]
fn commands_and_executors_have_names_of_small_letters() {
    fits(&format!("version: 2.1\ncommands: {{a1_b-c: {{steps: []}}}}\njobs: {{build: {BUILD}}}\n"));
    for name in ["Big", "1st", "_x", "a.b", "a b", "a/b"] {
        for sort in ["command", "executor"] {
            let body = if sort == "command" { "{steps: []}" } else { "{machine: true}" };
            let text = format!("version: 2.1\n{sort}s: {{\"{name}\": {body}}}\njobs: {{build: {BUILD}}}\n");
            says(&text, &[&format!("no {sort} can be called `{name}`"), "begin with a small letter"]);
        }
    }
}

#[test]
fn jobs_have_names_of_letters_digits_and_blanks() {
    let named = |version: &str, name: &str| {
        format!(
            "version: {version}\njobs: {{\"{name}\": {BUILD}}}\nworkflows: {{w: {{jobs: [\"{name}\"]}}}}\n"
        )
    };
    for name in ["Check Rust formatting", "A1_b-c", "x"] {
        fits(&named("2.1", name));
    }
    for name in ["1st", "test-1.2", "a/b", "-x"] {
        says(&named("2.1", name), &[&format!("no job can be called `{name}`")]);
    }
    // Of version 2 files are known that have them.
    fits(&named("2", "test2.1"));
}

#[test]
fn parameters_have_names_that_begin_with_a_letter() {
    let named = |name: &str| {
        let steps = format!("steps: [run: \"<< parameters.{name} >>\"]");
        job(&format!("parameters: {{\"{name}\": {{type: string, default: x}}}}, machine: true, {steps}"))
    };
    for name in ["p", "a1_b-c", "goVersion", "GOOS"] {
        runs(&named(name), &RAN);
    }
    for name in ["1st", "_x", "a b", "a.b"] {
        says(&named(name), &[&format!("no parameter can be called `{name}`")]);
    }
    let of_pipeline = format!(
        "version: 2.1\nparameters: {{1x: {{type: integer, default: 1}}}}\njobs: {{build: {BUILD}}}\n"
    );
    says(&of_pipeline, &["no parameter can be called `1x`"]);
}

#[test]
fn inline_orbs_keep_to_the_same_names() {
    let text = format!(
        "version: 2.1\norbs: {{o: {{commands: {{Big: {{steps: []}}}}}}}}\njobs: {{build: {BUILD}}}\n"
    );
    says(&text, &["no command can be called `Big`"]);
}

#[test]
fn booleans_may_be_spelled_as_in_yaml_1_1() {
    let with = |value: &str| {
        let when = "steps: [when: {condition: << parameters.b >>, steps: [run: x]}, run: << parameters.b >>]";
        job(&format!("parameters: {{b: {{type: boolean, default: {value}}}}}, machine: true, {when}"))
    };
    for value in ["true", "yes", "on", "True", "YES", "On"] {
        says(&with(value), &["run \"x\"", "run \"true\""]);
    }
    for value in ["false", "no", "off", "False", "NO", "Off"] {
        runs(&with(value), &["workflow workflow", "job build on a machine", "\"false\": run \"false\""]);
    }
    // Elsewhere they are words, as YAML 1.2 has them.
    says(&job("machine: true, environment: {A: yes}, steps: [checkout]"), &["A=\"yes\""]);
}

#[test]
fn duplicate_keys_are_warned_about_and_the_last_wins() {
    let text = job("machine: true, steps: [run: first], steps: [run: last]");
    says(&text, &["warning: the key `steps` is in this map already", "run \"last\""]);
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = "version: 2.1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let uses = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("a{n}: &a{n} [{uses}]\n");
    }
    says(
        &format!("{text}jobs: {{build: {BUILD}}}\n"),
        &["with its aliases the text grows beyond", "no pipeline"],
    );
}
