//! Policies, configurations, and the decisions that come of them.

use crate::texts;
use policies::{Answer, Compiled, Question, Source, answer};
use serde_json::{Value, json};
use std::fmt::Write;

const NAME: &str = "package org\nimport future.keywords\nimport data.circleci.config\nimport data.circleci.utils\n\
                    policy_name[\"p\"]\n";

/// Where the pipeline is of.
fn metadata() -> Value {
    json!({"project_id": "A", "build_number": 7, "ssh_rerun": false, "vcs": {"branch": "main"}})
}

fn decided(policy: &str, written: &str, compiled: Compiled) -> String {
    decided_on(policy, written, compiled, metadata())
}

fn decided_on(policy: &str, written: &str, compiled: Compiled, metadata: Value) -> String {
    let policies = texts(&[("p", &format!("{NAME}{policy}"))]);
    let source = Source { written: written.to_owned(), compiled };
    match answer(Question::Decide { policies, source, metadata }) {
        Answer::Decision(decision) => serde_json::to_string(&decision).unwrap(),
        other => panic!("{other:?}"),
    }
}

const RULES: &[(&str, &str, &str)] = &[
    ("nothing enabled", "hard_fail[\"r\"]\nr = \"always\"", "a: 1"),
    ("kept", "enable_rule[\"r\"]\nr = \"bad\" { input.a != 1 }", "a: 1"),
    ("soft", "enable_rule[\"r\"]\nr = \"bad\" { input.a != 1 }", "a: 2"),
    ("hard", "enable_rule[\"r\"]\nhard_fail[\"r\"]\nr = \"bad\" { input.a != 1 }", "a: 2"),
    ("enable_hard", "enable_hard[\"r\"]\nenable_rule[\"r\"]\nr = \"bad\"", "a: 2"),
    (
        "hard on a branch",
        "enable_rule[\"r\"]\nhard_fail[\"r\"] { data.meta.vcs.branch == \"dev\" }\nr = \"bad\"",
        "a: 1",
    ),
    ("enabled for a project", "enable_rule[\"r\"] { data.meta.project_id == \"B\" }\nr = \"bad\"", "a: 1"),
    ("many reasons", "enable_rule[\"r\"]\nr[x] { some x in input.a }", "a: [z, b, 3]"),
    (
        "a map of reasons",
        "enable_hard[\"r\"]\nr[k] = v { some k, v in input.a }",
        "a: {k1: second, k2: first}",
    ),
    ("both", "enable_rule[\"s\"]\nenable_hard[\"h\"]\ns = \"soft\"\nh = \"hard\"", "a: 1"),
    ("no reason", "enable_rule[\"r\"]\nr = 7", "a: 1"),
    ("no rule", "enable_rule[\"missing\"]", "a: 1"),
    ("conflict", "r = 1\nr = 2 { input.a == 1 }", "a: 1"),
    ("no conflict here", "r = 1\nr = 2 { input.a == 1 }", "a: 2"),
    ("no set", "enable_rule = \"r\"", "a: 1"),
    ("builtin that cannot", "enable_rule[\"r\"]\nr = \"bad\" { to_number(input.a) > 1 }", "a: x"),
    ("no yaml", "enable_rule[\"r\"]", "a: [1"),
    (
        "images",
        "enable_hard[\"r\"]\nr[i] = x { some i in images; not startswith(i, \"cimg/\"); x := sprintf(\"%s is not approved\", [i]) }\n\
         images := {i | walk(input, [path, value]); path[_] == \"docker\"; i := value[_].image}",
        "jobs: {a: {docker: [image: cimg/go]}, b: {docker: [image: evil, {image: cimg/x}]}}",
    ),
    (
        "no elements",
        "enable_rule[\"r\"]\nr[x] { some j in input.jobs; some n, o in j; x := sprintf(\"%s %v\", [n, o]) }",
        "jobs: [plain, {deep: 1}, 7]",
    ),
    (
        "types",
        "enable_rule[\"r\"]\nr = sprintf(\"%v %v %v %v\", [input.a, input.b, input.c, input.d])",
        "{a: 1.5, b: true, c: ~, d: '1'}",
    ),
];

#[test]
fn rules_that_count_and_are_broken_make_the_decision() {
    let mut table = String::new();
    for (name, policy, config) in RULES {
        writeln!(table, "{name}: {}", decided(policy, config, Compiled::Unless(None))).unwrap();
    }
    insta::assert_snapshot!(table);
}

const ORBS: &str = "{a: acme/good@1.0.0, b: acme/bad@2.1.0}";
const WORKFLOWS: &str = "workflows: {main: {jobs: [plain, test: {context: one}, deploy: {context: [one, two], \
                         filters: {branches: {only: [main, dev]}}}]}}";

const LIBRARY: &[(&str, &str, &str)] = &[
    ("ban_orbs", "r = config.ban_orbs([\"acme/bad\", \"other\"])", ORBS),
    ("ban_orbs of none", "r = config.ban_orbs([\"acme/bad\"])", "{}"),
    ("ban_orbs that a parameter names", "r = config.ban_orbs([\"x\"])", "{a: << pipeline.parameters.orb >>}"),
    (
        "ban_orbs beside one that is contained",
        "r = config.ban_orbs([\"acme/bad\"])",
        "{a: {jobs: {}}, b: acme/bad@1}",
    ),
    ("ban_orbs_version", "r = config.ban_orbs_version([\"acme/bad@2.1.0\", \"acme/good@9.9.9\"])", ORBS),
    ("orbs_allowlist", "r = config.orbs_allowlist({\"acme/good\"})", ORBS),
    ("orbs_allowlist as a list", "r = config.orbs_allowlist([\"acme/good\"])", ORBS),
    (
        "orbs_allowlist of a parameter",
        "r = config.orbs_allowlist({\"acme/good\"})",
        "{a: << pipeline.parameters.orb >>}",
    ),
    ("orbs", "r[n] { some n, v in config.orbs; v != \"1.0.0\" }", ORBS),
    ("blocked", "r = config.contexts_blocked_by_project_ids(\"A\", [\"two\", \"x\"])", "{}"),
    ("blocked of others", "r = config.contexts_blocked_by_project_ids([\"B\"], \"two\")", "{}"),
    ("allowed", "r = config.contexts_allowed_by_project_ids([\"A\", \"B\"], \"two\")", "{}"),
    ("reserved", "r = config.contexts_reserved_by_project_ids([\"B\"], [\"one\"])", "{}"),
    ("reserved for it", "r = config.contexts_reserved_by_project_ids([\"A\"], [\"one\"])", "{}"),
    ("branches", "r = config.contexts_reserved_by_branches([\"main\"], [\"one\"])", "{}"),
    (
        "branches that are meant",
        "r = config.contexts_reserved_by_branches([\"main\", \"dev\"], [\"two\"])",
        "{}",
    ),
    (
        "classes",
        "r = config.resource_class_by_project({\"acme/big\": {\"B\"}, \"acme/small\": {\"A\"}})",
        "{}",
    ),
    (
        "element names",
        "r = sprintf(\"%v\", [[utils.get_element_name(j) | some j in input.workflows.main.jobs]])",
        "{}",
    ),
    ("sets", "r = sprintf(\"%v %v\", [utils.to_set([1, 1, 2]), utils.to_array({1})])", "{}"),
];

#[test]
fn the_library_says_what_it_says_at_circleci() {
    let mut table = String::new();
    for (name, policy, orbs) in LIBRARY {
        let compiled = format!(
            "jobs: {{a: {{resource_class: acme/big}}, b: {{resource_class: acme/small}}}}\n{WORKFLOWS}\n"
        );
        let written = format!("orbs: {orbs}\n{WORKFLOWS}\n");
        let policy = format!("enable_rule[\"r\"]\n{policy}");
        writeln!(table, "{name}: {}", decided(&policy, &written, Compiled::Is(compiled))).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_context_that_a_parameter_names_is_reserved_to_the_branches_that_others_are() {
    const RULE: &str = "enable_hard[\"r\"]\nr = config.contexts_reserved_by_branches([\"main\", \"/release-.*/\"], [\"one\"])";
    let of = |context: &str| {
        let limit = "filters: {branches: {only: [main, /release-.*/]}}";
        format!("workflows: {{all: {{jobs: [deploy: {{context: [{context}], {limit}}}]}}}}")
    };
    let on = |branch: &str| json!({"vcs": {"branch": branch}});
    let decided = |context: &str, metadata| {
        decided_on(RULE, &of("<< pipeline.parameters.c >>"), Compiled::Is(of(context)), metadata)
    };
    let refused = decided("one", on("dev"));
    let why = "all.deploy: uses context value(s): one - that cannot be used with branches: dev";
    assert!(refused.contains("HARD_FAIL") && refused.contains(why), "{refused}");
    let tagged = decided("one", on(""));
    assert!(tagged.contains("cannot be used with branches: (none)"), "{tagged}");
    for branch in ["main", "release-1"] {
        assert!(decided("one", on(branch)).contains("PASS"), "{branch}");
    }
    assert!(decided("one", on("a/release-1")).contains("HARD_FAIL"), "all of the name is meant");
    assert!(decided("two", on("dev")).contains("PASS"), "it is reserved to nobody");
    // Where it is written out, what is written says all.
    let written_out = decided_on(RULE, &of("one"), Compiled::Is(of("one")), on(""));
    assert!(written_out.contains("PASS"), "{written_out}");
    // Who asks without a pipeline is told of what is written alone.
    assert!(decided("one", json!({})).contains("PASS"));
    let written = "workflows: {all: {jobs: [deploy: {context: one}]}}";
    let told = decided_on(RULE, written, Compiled::Unless(None), json!({}));
    assert!(told.contains("must be limited to branches"), "{told}");
}

#[test]
fn what_is_compiled_is_what_the_control_plane_says_and_not_the_configuration() {
    const RULE: &str =
        "enable_hard[\"r\"]\nr = \"big\" { input._compiled_.jobs.a.resource_class == \"big\" }";
    let own = "_compiled_: {jobs: {a: {resource_class: small}}}";
    let big = "jobs: {a: {resource_class: big}}".to_owned();
    assert!(decided(RULE, own, Compiled::Is(big.clone())).contains("HARD_FAIL"));
    assert!(decided(RULE, own, Compiled::Unless(Some(big.clone()))).contains("PASS"));
    assert!(decided(RULE, "{}", Compiled::Unless(Some(big))).contains("HARD_FAIL"));
    assert!(decided(RULE, "{}", Compiled::Unless(None)).contains("PASS"));
}

#[test]
fn policies_of_several_files_are_one_and_none_at_all_pass() {
    let policies = texts(&[
        ("a", "package org\npolicy_name[\"a\"]\nenable_hard[\"r\"]\nr = reason(input.a)\n"),
        ("b", "package org\npolicy_name[\"b\"]\nreason(x) = sprintf(\"%v\", [x])\n"),
    ]);
    let source = || Source { written: "a: no".to_owned(), compiled: Compiled::Unless(None) };
    let Answer::Decision(decision) =
        answer(Question::Decide { policies, source: source(), metadata: metadata() })
    else {
        panic!("a decision")
    };
    assert_eq!(decision.hard_failures[0].reason, "no");
    let none = Question::Decide { policies: texts(&[]), source: source(), metadata: Value::Null };
    assert_eq!(answer(none), Answer::Decision(Default::default()));
}
