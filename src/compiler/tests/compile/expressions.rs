//! The expressions of workflows and filters, and the logic of conditions: a table of cases for each operator, each mix
//! of types and each mistake.

use crate::shown::inputs;
use compiler::examine;

/// What comes of a condition: it holds, it does not, or what is wrong with it.
fn decided(text: &str) -> String {
    let compilation = examine("config.yml", text, &inputs());
    let errors: Vec<String> =
        compilation.said.iter().filter(|one| one.is_error()).map(|one| one.message.clone()).collect();
    match compilation.pipeline {
        Some(pipeline)
            if !pipeline.workflows.is_empty() && !pipeline.workflows[0].jobs[0].steps.is_empty() =>
        {
            "yes".to_owned()
        }
        Some(_) => "no".to_owned(),
        None => errors.join("; "),
    }
}

const PARAMETERS: &str = "version: 2.1\nparameters:\n  t: {type: boolean, default: true}\n  f: {type: boolean, default: false}\n  \
    n: {type: integer, default: 7}\n  s: {type: string, default: word}\n  e: {type: string, default: \"\"}\n";

/// As the `when` of a workflow, as the filters of a job, and within the condition of a step: all the same.
#[track_caller]
fn check(expression: &str, expect: &str) {
    let quoted = expression.replace('\'', "''");
    let job = "jobs:\n  j: {machine: true, steps: [checkout]}\nworkflows:\n  w:\n";
    let of_workflow = format!("{PARAMETERS}{job}    when: '{quoted}'\n    jobs: [j]\n");
    assert_eq!(decided(&of_workflow), expect, "when: {expression}");
    let of_job = format!("{PARAMETERS}{job}    jobs: [j: {{filters: '{quoted}'}}]\n");
    assert_eq!(decided(&of_job), expect, "filters: {expression}");
    let steps = format!("steps: [when: {{condition: '{quoted}', steps: [checkout]}}]");
    let of_step = format!("{PARAMETERS}jobs:\n  build: {{machine: true, {steps}}}\n");
    if expression.contains("pipeline.parameters.")
        && expression.contains(' ')
        && !expect.contains("expression")
    {
        assert_eq!(decided(&of_step), expect, "condition: {expression}");
    }
}

const WRONG: &str = "the expression cannot go on like this";

#[test]
fn values_are_true_or_false_by_themselves() {
    check("true", "yes");
    check("false", "no");
    check("0", "no");
    check("1", "yes");
    check("-1", "yes");
    check("\"\"", "no");
    check("\"false\"", "yes");
    check("pipeline.parameters.t", "yes");
    check("pipeline.parameters.f", "no");
    check("pipeline.parameters.n", "yes");
    check("pipeline.parameters.e", "no");
    check("pipeline.git.tag", "no");
    check("pipeline.event.github.pull_request.draft", "no");
}

#[test]
fn not_binds_tightest_and_and_before_or() {
    check("not pipeline.parameters.f", "yes");
    check("!pipeline.parameters.t", "no");
    check("not not pipeline.parameters.t", "yes");
    check("not pipeline.parameters.f and pipeline.parameters.t", "yes");
    check("not pipeline.parameters.s == \"word\"", "no");
    check("not (pipeline.parameters.s == \"other\")", "yes");
    check("pipeline.parameters.t or pipeline.parameters.t and pipeline.parameters.f", "yes");
    check("(pipeline.parameters.t or pipeline.parameters.t) and pipeline.parameters.f", "no");
    check("pipeline.parameters.f or pipeline.parameters.f or pipeline.parameters.n", "yes");
}

#[test]
fn values_of_two_types_are_never_equal() {
    check("pipeline.parameters.s == \"word\"", "yes");
    check("pipeline.parameters.s == 'word'", "yes");
    check("pipeline.parameters.s != \"word\"", "no");
    check("pipeline.parameters.n == 7", "yes");
    check("pipeline.parameters.n == \"7\"", "no");
    check("pipeline.parameters.n != \"7\"", "yes");
    check("pipeline.parameters.t == true", "yes");
    check("pipeline.parameters.t == \"true\"", "no");
    check("pipeline.parameters.f == 0", "no");
    check("pipeline.parameters.e == \"\"", "yes");
    check("pipeline.parameters.e == false", "no");
}

#[test]
fn numbers_are_ordered_and_nothing_else() {
    check("pipeline.parameters.n < 8", "yes");
    check("pipeline.parameters.n <= 7", "yes");
    check("pipeline.parameters.n > 7", "no");
    check("pipeline.parameters.n >= -7", "yes");
    check("pipeline.parameters.s < \"x\"", "`<` cannot compare values of these types");
    check("pipeline.parameters.t >= 1", "`>=` cannot compare values of these types");
    check("pipeline.parameters.n > \"1\"", "`>` cannot compare values of these types");
}

#[test]
fn texts_are_looked_into_and_nothing_else() {
    check("pipeline.parameters.s starts-with \"wo\"", "yes");
    check("pipeline.parameters.s starts-with \"or\"", "no");
    check("pipeline.parameters.s contains \"or\"", "yes");
    check("pipeline.parameters.s contains \"\"", "yes");
    check("pipeline.parameters.s matches /w.*/", "yes");
    check("pipeline.parameters.s matches /or/", "no");
    check("pipeline.parameters.s matches /^(?!x).*$/", "yes");
    check(r"pipeline.parameters.s matches /a\/b|word/", "yes");
    check("pipeline.parameters.n starts-with \"7\"", "`starts-with` cannot compare values of these types");
    check("pipeline.parameters.t contains \"t\"", "`contains` cannot compare values of these types");
    check("pipeline.parameters.n matches /7/", "`matches` cannot compare values of these types");
    check(
        "pipeline.parameters.s matches /(/",
        "the pattern cannot be read: Opening parenthesis without closing parenthesis",
    );
}

#[test]
fn what_decides_nothing_is_not_looked_at() {
    check("pipeline.parameters.t or pipeline.parameters.n starts-with \"7\"", "yes");
    check("pipeline.parameters.f and pipeline.parameters.n starts-with \"7\"", "no");
    check(
        "pipeline.parameters.t and pipeline.parameters.n starts-with \"7\"",
        "`starts-with` cannot compare values of these types",
    );
}

#[test]
fn a_name_may_be_unknown_only_with_a_question_mark() {
    check("pipeline.nothing? == \"\"", "yes");
    check("pipeline.nothing == \"\"", "`pipeline.nothing` is no pipeline value");
    check("pipeline.parameters.none", "`pipeline.parameters.none` is not declared here");
}

#[test]
fn what_is_no_expression_is_said_at_its_place() {
    check("pipeline.parameters.s ==", WRONG);
    check("pipeline.parameters.s \"x\"", WRONG);
    check("(pipeline.parameters.s", WRONG);
    check("and", "`and` is nothing that can be referred to");
    check("pipeline.parameters.s = \"x\"", "this is nothing that stands in an expression");
    check("pipeline.parameters.s matches \"x\"", WRONG);
    check("\"open", "this is nothing that stands in an expression");
}

/// The condition of a step, in the logic of maps.
#[track_caller]
fn check_logic(condition: &str, expect: &str) {
    let steps = format!("steps: [when: {{condition: {condition}, steps: [checkout]}}]");
    assert_eq!(
        decided(&format!("{PARAMETERS}jobs:\n  build: {{machine: true, {steps}}}\n")),
        expect,
        "{condition}"
    );
}

#[test]
fn logic_joins_values() {
    check_logic("{and: [true, 1, x, [a]]}", "yes");
    check_logic("{and: [true, 0]}", "no");
    check_logic("{or: [false, 0, \"\", ~, [], .nan]}", "no");
    check_logic("{or: [false, \"false\"]}", "yes");
    check_logic("{not: {and: [true, {not: true}]}}", "yes");
    check_logic("{and: []}", "`and` needs a list of operands, and at least one");
    check_logic("{or: true}", "`or` needs a list of operands, and at least one");
}

#[test]
fn logic_compares_values_of_one_type() {
    check_logic("{equal: [a, a, a]}", "yes");
    check_logic("{equal: [a, a, b]}", "no");
    check_logic("{equal: [1, \"1\"]}", "no");
    check_logic("{equal: [1, 1.0]}", "yes");
    check_logic("{equal: [true, \"true\"]}", "no");
    check_logic("{equal: [[a, {b: 1}], [a, {b: 1}]]}", "yes");
    check_logic("{equal: [\"\", << pipeline.git.tag >>, ~]}", "yes");
    check_logic("{equal: [<< pipeline.parameters.n >>, 7]}", "yes");
    check_logic("{equal: []}", "`equal` needs a list of operands, and at least one");
}

#[test]
fn logic_matches_whole_texts() {
    check_logic("{matches: {pattern: \"^w.+d$\", value: << pipeline.parameters.s >>}}", "yes");
    check_logic("{matches: {pattern: wor, value: << pipeline.parameters.s >>}}", "no");
    check_logic("{matches: {pattern: \"(?!x)[a-z]+\", value: word}}", "yes");
    check_logic("{matches: {pattern: \"7\", value: << pipeline.parameters.n >>}}", "yes");
    check_logic("{matches: {pattern: x}}", "`matches` needs `pattern` and `value`");
    check_logic(
        "{matches: {pattern: \"[\", value: x}}",
        "the pattern cannot be read: Invalid character class",
    );
}

#[test]
fn a_text_is_true_unless_it_asks_something_of_the_pipeline() {
    check_logic("\"${CIRCLE_PULL_REQUEST}\"", "yes");
    check_logic("on_fail", "yes");
    check_logic("'pipeline.git.branch == \"main\"'", "yes");
    check_logic("'pipeline.git.branch == \"other\"'", "no");
    check_logic("pipeline.parameters.f", "yes");
}
