//! What is a policy and what is none, each fault with its place.

use crate::texts;
use policies::{Answer, Question, answer};

/// What is wrong with one policy; empty where nothing is.
fn faults(policy: &str) -> String {
    match answer(Question::Check(texts(&[("rules/one.rego", policy)]))) {
        Answer::Faults(faults) => faults.join("\n"),
        Answer::Policies(_) => String::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn policies_are_known_by_the_names_that_they_give_themselves() {
    let (a, b) = ("package org\npolicy_name[\"one\"]\n", "package org\n\npolicy_name[\"tw_2\"] { true }\n");
    let asked = Question::Check(texts(&[("x/y.rego", a), ("z.rego", b)]));
    assert_eq!(answer(asked), Answer::Policies(texts(&[("one", a), ("tw_2", b)])));
    assert_eq!(answer(Question::Check(texts(&[]))), Answer::Policies(texts(&[])));
    let twice = Question::Check(texts(&[("x/y.rego", a), ("z.rego", a)]));
    let Answer::Faults(faults) = answer(twice) else { panic!("one name is two policies") };
    assert_eq!(faults, ["z.rego: another policy is called `one` too"]);
}

#[test]
fn the_newer_syntax_is_one_that_a_policy_may_ask_for() {
    let newer = "package org\nimport rego.v1\npolicy_name contains \"one\"\nf(x) := x + 1\n\
                 enable_rule contains \"r\"\nr := \"bad\" if f(input.a) == 2\n";
    assert_eq!(faults(newer), "");
}

#[test]
fn each_policy_that_is_none_is_told_why_and_where() {
    for (policy, wanted) in [
        ("", "rules/one.rego"),
        ("package org\npolicy_name[\"one\"]\nrule = {\n", "--> rules/one.rego:4:1"),
        ("package org\n", "the first rule has to be `policy_name[\"its_name\"]`"),
        ("package org\nrule = 1\npolicy_name[\"one\"]\n", "the first rule has to be"),
        ("package org\npolicy_name = \"one\"\n", "the first rule has to be"),
        ("package org\npolicy_name[x] { x := \"one\" }\n", "the first rule has to be"),
        ("package org\npolicy_name[\"\"]\n", "`` is no name of a policy"),
        ("package org\npolicy_name[\"a-b\"]\n", "`a-b` is no name of a policy"),
        ("package circleci.config\npolicy_name[\"one\"]\n", "this one of `circleci.config`"),
        ("package org.sub\npolicy_name[\"one\"]\n", "this one of `org.sub`"),
        ("package org\npolicy_name[\"one\"]\nr { x > 1 }\n", "rules/one.rego:3:5"),
        (
            "package org\npolicy_name[\"one\"]\nr { data.meta.branch == \"main\" }\n",
            "use data.meta.vcs.branch",
        ),
        ("package org\npolicy_name[\"one\"]\na = b\nb = a\n", "recursion"),
        (
            "package org\npolicy_name[\"one\"]\nf(x) = f(x)\n",
            "rules/one.rego:3:9: the function data.org.f calls itself",
        ),
        ("package org\npolicy_name[\"one\"]\nf(x) = g(x)\ng(x) = f(x)\n", "calls itself"),
    ] {
        let found = faults(policy);
        assert!(found.contains(wanted), "{policy}: {wanted}: {found}");
    }
}

#[test]
fn a_function_that_is_nobodys_is_refused_by_name_wherever_it_stands() {
    for call in [
        "r { http.send({\"url\": \"https://a.example\"}) }",
        "r = x { x := [y | y := net.lookup_ip_addr(\"a.example\")] }",
        "r { not opa.runtime() }",
        "r { every x in input.a { rego.parse_module(\"a\", x) } }",
        "r = {\"a\": {1 | file.read(\"/etc/passwd\")}}",
        "r { f(1) with input as read(2) }\nf(x) = x",
        "import data.circleci.config\nr = config.require_jobs([\"a\"])",
        "r = nobodys(1)",
    ] {
        let (imports, rules) = call.rsplit_once("config\n").map_or(("", call), |(a, b)| (a, b));
        let imports = if imports.is_empty() { String::new() } else { format!("{imports}config\n") };
        let policy = format!("package org\nimport future.keywords\n{imports}policy_name[\"one\"]\n{rules}\n");
        let found = faults(&policy);
        assert!(
            found.starts_with("rules/one.rego:") && found.contains("undefined function "),
            "{call}: {found}"
        );
    }
    let known = "package org\nimport data.circleci.config as c\nimport data.circleci.utils\nimport future.keywords\n\
                 policy_name[\"one\"]\na = c.ban_orbs([\"x\"])\nb = utils.to_set(1)\nd = data.circleci.utils.to_array(1)\n\
                 e { walk(input, [_, v]); print(v); f(v) }\nf(x) { is_string(x); regex.match(\"a\", x) }\n\
                 g { data.org.f(\"a\") }\n";
    assert_eq!(faults(known), "");
}

#[test]
fn a_line_that_is_as_long_as_any_may_be_is_so_whatever_is_made_of_it() {
    let each: String = (0..40).map(|n| format!("some x{n} in input; ")).collect();
    let policy = |rest: usize| {
        let line = format!("r {{ {each}input.a == \"{}\" }}", "x".repeat(rest));
        let text = format!("package org\nimport future.keywords\npolicy_name[\"one\"]\n{line}\n");
        (text, line.len())
    };
    let rest = 1023 - policy(0).1;
    assert_eq!(faults(&policy(rest).0), "");
    let longer = faults(&policy(rest + 1).0);
    assert!(longer.contains("rules/one.rego:4:") && longer.contains("maximum column width"), "{longer}");
}

#[test]
fn more_policies_than_an_organization_has_are_refused() {
    let many =
        (0..201).map(|n| (format!("{n}.rego"), format!("package org\npolicy_name[\"p{n}\"]\n"))).collect();
    let Answer::Faults(faults) = answer(Question::Check(many)) else { panic!("too many") };
    assert!(faults[0].contains("201 policies"), "{faults:?}");
    let long = format!("package org\npolicy_name[\"p\"]\n#{}\n", " ".repeat(2_500_000));
    assert!(self::faults(&long).contains("at most 200, of 2500000 bytes"));
}
