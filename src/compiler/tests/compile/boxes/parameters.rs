//! Parameters: types, scopes, and all places where a reference may stand.

use super::{fits, job, runs, says};
use crate::shown::{inputs, outcome};

/// A job with one parameter of a type, given a value by its workflow.
fn given(kind: &str, value: &str) -> String {
    format!(
        "version: 2.1\nexecutors: {{host: {{machine: true, parameters: {{size: {{type: string, default: s}}}}}}}}\njobs:\n  \
         j: {{parameters: {{p: {{type: {kind}}}}}, machine: true, steps: [run: \"<< parameters.p >>\"]}}\n\
         workflows: {{w: {{jobs: [j: {{p: {value}}}]}}}}\n"
    )
}

#[test]
fn a_string_takes_text_and_numbers() {
    says(&given("string", "word"), &["run \"word\""]);
    says(&given("string", "1.10"), &["run \"1.10\""]);
    says(&given("string", "true"), &["must be a string, not a boolean", "write it in quotes"]);
    says(&given("string", "[a]"), &["must be a string, not a list"]);
}

#[test]
fn a_boolean_takes_true_and_false() {
    says(&given("boolean", "false"), &["run \"false\""]);
    says(&given("boolean", "'true'"), &["must be a boolean"]);
    says(&given("boolean", "1"), &["must be a boolean"]);
}

#[test]
fn an_integer_takes_whole_numbers() {
    says(&given("integer", "-4"), &["run \"-4\""]);
    says(&given("integer", "1.5"), &["must be an integer"]);
    says(&given("integer", "'4'"), &["must be an integer"]);
}

#[test]
fn an_enum_takes_its_members() {
    says(&given("enum, enum: [a, b]", "b"), &["run \"b\""]);
    says(&given("enum, enum: [a, b]", "c"), &["must be one of `a`, `b`"]);
    says(&given("enum", "a"), &["needs `enum`"]);
    says(&given("enum, enum: [a, b], default: c", "a"), &["the default for `p` must be one of `a`, `b`"]);
}

#[test]
fn an_executor_takes_a_name_or_a_map_with_its_arguments() {
    for value in ["host", "{name: host, size: big}"] {
        let text =
            given("executor", value).replace("machine: true, steps", "executor: << parameters.p >>, steps");
        runs(
            &text
                .replace("\"<< parameters.p >>\"", "x")
                .replace("{machine: true, par", "{machine: true, resource_class: << parameters.size >>, par"),
            &[
                "workflow w",
                &format!("job j on a machine class {}", if value == "host" { "s" } else { "big" }),
                "\"x\": run \"x\"",
            ],
        );
    }
    says(&given("executor", "[host]"), &["must be the name of an executor"]);
}

#[test]
fn steps_take_a_list_that_may_be_empty() {
    let text = |steps: &str| {
        given("steps", steps).replace("run: \"<< parameters.p >>\"", "steps: << parameters.p >>")
    };
    says(&text("[run: a, run: b]"), &["on a machine\n    \"a\": run \"a\"\n    \"b\": run \"b\"\n"]);
    assert!(outcome(&text("[]"), &inputs()).ends_with("job j on a machine\n"));
    says(&text("x"), &["must be a list of steps"]);
}

#[test]
fn an_env_var_name_is_a_posix_name() {
    says(&given("env_var_name", "_A1"), &["run \"_A1\""]);
    for wrong in ["1A", "A-B", "\"\""] {
        says(&given("env_var_name", wrong), &["must be the name of an environment variable"]);
    }
}

#[test]
fn pipeline_parameters_are_simple_and_have_defaults() {
    let text = |declaration: &str| {
        format!(
            "version: 2.1\nparameters: {{p: {declaration}}}\njobs: {{build: {{machine: true, steps: [run: << pipeline.parameters.p >>]}}}}\n"
        )
    };
    for right in [
        "{type: string, default: x}",
        "{type: boolean, default: no}",
        "{type: integer, default: 1}",
        "{type: enum, enum: [a], default: a}",
    ] {
        fits(&text(right));
    }
    for wrong in
        ["{type: steps, default: []}", "{type: executor, default: x}", "{type: env_var_name, default: X}"]
    {
        says(&text(wrong), &["has a type that pipelines do not take"]);
    }
    says(&text("{type: string}"), &["has no default and was given no value"]);
}

#[test]
fn what_has_no_default_is_required() {
    says(&given("string", "x").replace(": {p: x}", ""), &["needs the argument `p`, which has no default"]);
}

#[test]
fn unknown_arguments_are_unexpected() {
    says(&given("string", "x").replace("{p: x}", "{p: x, q: y}"), &["unexpected argument", "`q`"]);
}

#[test]
fn undeclared_references_are_said() {
    says(
        &job("machine: true, steps: [run: << parameters.message >>]"),
        &["`parameters.message` is not declared here"],
    );
}

#[test]
fn names_that_workflows_take_are_reserved() {
    for name in ["name", "requires", "context", "type", "filters", "matrix"] {
        let keys =
            format!("parameters: {{{name}: {{type: string, default: x}}}}, machine: true, steps: [checkout]");
        says(&job(&keys), &[&format!("a job cannot have the parameter `{name}`")]);
    }
    for name in ["pre-steps", "post-steps", "serial-group", "override-with"] {
        let keys =
            format!("parameters: {{{name}: {{type: string, default: x}}}}, machine: true, steps: [checkout]");
        says(&job(&keys), &[&format!("warning: no workflow can give the parameter `{name}` a value")]);
    }
}

#[test]
fn a_command_sees_its_own_parameters_only() {
    let text = "version: 2.1\ncommands: {c: {steps: [run: << parameters.p >>]}}\njobs:\n  build: {parameters: {p: {type: string, default: x}}, machine: true, steps: [c, run: << parameters.p >>]}\n";
    says(text, &["`parameters.p` is not declared here", "in command `c`, used at config.yml:4"]);
}

#[test]
fn an_escaped_reference_stays_text() {
    says(
        &job(r"machine: true, steps: [run: 'cat \<< parameters.x >>']"),
        &[r#"run "cat << parameters.x >>""#],
    );
}

#[test]
fn a_value_that_is_one_reference_keeps_its_type_and_others_become_text() {
    let keys = "parameters: {n: {type: integer, default: 3}}, machine: true, parallelism: << parameters.n >>, steps: [run: \"n=<<parameters.n>>\"]";
    runs(&job(keys), &["workflow workflow", "job build on a machine x3", "\"n=3\": run \"n=3\""]);
}

#[test]
fn an_empty_pipeline_value_is_an_empty_text() {
    says(&job("machine: true, environment: {TAG: << pipeline.git.tag >>}, steps: [checkout]"), &["TAG=\"\""]);
}

#[test]
fn references_stand_wherever_a_value_does() {
    let parameters = "a: {type: string, default: A}, n: {type: integer, default: 2}, t: {type: boolean, default: true}, i: {type: string, default: img}";
    let keys = format!(
        "parameters: {{{parameters}}}, docker: [image: \"<< parameters.i >>:1\"], parallelism: << parameters.n >>, \
         resource_class: \"c/<< parameters.i >>\", environment: {{\"<< parameters.a >>_X\": \"<< parameters.n >>\"}}, \
         working_directory: \"~/<< parameters.a >>\", shell: \"sh -<< parameters.i >>\", \
         steps: [when: {{condition: << parameters.t >>, steps: [run: {{name: \"<< parameters.a >>\", command: x}}]}}]"
    );
    runs(
        &job(&keys),
        &[
            "workflow workflow",
            "job build in img:1 x2 class c/img at ~/A A_X=\"2\"",
            "\"A\": run \"x\" shell sh -img",
        ],
    );
}

#[test]
fn steps_of_a_condition_may_be_a_parameter() {
    let keys = "parameters: {b: {type: boolean, default: true}, s: {type: steps, default: [run: x]}}, machine: true, steps: [when: {condition: << parameters.b >>, steps: << parameters.s >>}]";
    runs(&job(keys), &["workflow workflow", "job build on a machine", "\"x\": run \"x\""]);
}

#[test]
fn mustache_sections_are_kept_or_left_out() {
    let keys = "parameters: {b: {type: boolean, default: true}}, machine: true, steps: [run: \"a<<# parameters.b >>b<</ parameters.b >><<^ parameters.b >>c<</ parameters.b >>\"]";
    says(&job(keys), &["run \"ab\""]);
    says(&job(&keys.replace("default: true", "default: false")), &["run \"ac\""]);
}
