//! Workflows: jobs and what is said of them, conditions, schedules, setup.

use super::{fits, says};
use crate::shown::{inputs, outcome};
use compiler::examine;

const JOBS: &str = "version: 2.1\njobs:\n  a: {machine: true, steps: [checkout]}\n  b: {machine: true, steps: [checkout]}\n  \
                    m: {parameters: {v: {type: integer, default: 0}, w: {type: string, default: x}}, machine: true, \
                    steps: [run: << parameters.v >> << parameters.w >>]}\n";

/// A workflow of these jobs.
fn of(jobs: &str) -> String {
    format!("{JOBS}workflows: {{w: {{jobs: [{jobs}]}}}}\n")
}

/// The names of the jobs that run.
fn names(text: &str) -> Vec<String> {
    let pipeline = examine("config.yml", text, &inputs())
        .pipeline
        .unwrap_or_else(|| panic!("{}", outcome(text, &inputs())));
    pipeline.workflows.iter().flat_map(|workflow| &workflow.jobs).map(|job| job.name.clone()).collect()
}

#[test]
fn every_workflow_key_is_known() {
    let keys = "version: 2, description: x, when: true, unless: false, max_auto_reruns: 3, triggers: [schedule: {cron: 0 4 * * 1, filters: {branches: {only: [main, /v.*/]}}}]";
    let text = format!("{JOBS}workflows: {{version: 2, w: {{{keys}, jobs: [a]}}}}\n");
    says(&text, &["`--workflow w` runs it now"]);
    assert!(!outcome(&text, &inputs()).contains("means nothing"));
    says(
        &format!("{JOBS}workflows: {{w: {{jobs: [a], wehn: true}}}}\n"),
        &["the key `wehn` means nothing", "did you mean `when`?"],
    );
}

#[test]
fn every_key_of_a_workflows_job_is_known() {
    let keys = "name: n, requires: [b], context: [x, y], type: build, filters: {branches: {only: main}}, pre-steps: [run: x], post-steps: [run: y], serial-group: a/b, override-with: o/a";
    fits(&of(&format!("b, a: {{{keys}}}")));
    fits(&of("a: {context: x}"));
}

#[test]
fn a_workflow_may_have_any_name() {
    fits(&format!("{JOBS}workflows: {{\"Build & test (v1.2)\": {{jobs: [a]}}}}\n"));
}

#[test]
fn requires_takes_names_and_statuses() {
    for status in
        ["success", "failed", "canceled", "unauthorized", "not_run", "terminal", "[success, failed]"]
    {
        fits(&of(&format!("a, b: {{requires: [a: {status}]}}")));
    }
    says(&of("a, b: {requires: [a: sucess]}"), &["`sucess` is no status", "did you mean `success`?"]);
    says(&of("a, b: {requires: [c]}"), &["the workflow `w` has no job `c` to require"]);
}

#[test]
fn jobs_that_wait_for_one_another_are_said() {
    says(&of("a: {requires: [b]}, b: {requires: [a]}"), &["these jobs wait for one another"]);
}

#[test]
fn branch_filters_choose_by_names_and_whole_patterns() {
    for (filter, runs) in [
        ("only: main", true),
        ("only: mai", false),
        ("only: [x, /ma.*/]", true),
        ("only: /ai/", false),
        ("ignore: main", false),
        ("ignore: /rel.*/", true),
        ("only: /.*/, ignore: main", false),
        ("only: /(?!main).*/", false),
    ] {
        let found = names(&of(&format!("b, a: {{filters: {{branches: {{{filter}}}}}}}")));
        assert_eq!(found.contains(&"a".to_owned()), runs, "{filter}");
    }
}

#[test]
fn jobs_run_on_tags_only_where_a_filter_says_so() {
    let mut inputs = inputs();
    (inputs.git.branch, inputs.git.tag) = (None, Some("v1".to_owned()));
    let text = of("a, b: {filters: {tags: {only: /v.*/}}}");
    let pipeline = examine("config.yml", &text, &inputs).pipeline.expect("it is right");
    let names: Vec<_> = pipeline.workflows[0].jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn filters_may_be_an_expression() {
    assert_eq!(
        names(&of("a: {filters: pipeline.git.branch == \"main\"}, b: {filters: not pipeline.git.branch}")),
        ["a"]
    );
}

#[test]
fn what_requires_only_what_is_filtered_out_does_not_run() {
    let out = "filters: {branches: {ignore: main}}";
    assert_eq!(names(&of(&format!("a: {{{out}}}, b: {{requires: [a]}}, m"))), ["m"]);
    assert_eq!(names(&of(&format!("a: {{{out}}}, m, b: {{requires: [a, m]}}"))), ["m", "b"]);
}

#[test]
fn a_matrix_makes_a_copy_of_each_combination_but_the_excluded() {
    let matrix = "matrix: {parameters: {v: [1, 2], w: [x, y]}, exclude: [{v: 1, w: y}]}";
    assert_eq!(names(&of(&format!("m: {{{matrix}}}"))), ["m-1-x", "m-2-x", "m-2-y"]);
    says(
        &of(&format!("m: {{{}}}", matrix.replace(", w: y", ""))),
        &["`exclude` needs a value for every parameter"],
    );
}

#[test]
fn a_matrix_has_an_alias_that_means_all_copies() {
    let text = of("m: {matrix: {alias: all, parameters: {v: [1, 2]}}}, a: {requires: [all]}");
    says(&text, &["job a after m-1, m-2"]);
    says(&text.replace("alias: all, ", "").replace("[all]", "[m]"), &["job a after m-1, m-2"]);
}

#[test]
fn matrix_values_stand_in_names_and_requirements() {
    let text = of("m: {matrix: {alias: x, parameters: {v: [1, 2]}}}, \
                   m: {name: again-<< matrix.v >>, v: << matrix.v >>, requires: [m-<< matrix.v >>], matrix: {alias: y, parameters: {w: [z], v: [1, 2]}}}");
    says(&text, &["job again-1 after m-1", "job again-2 after m-2"]);
}

#[test]
fn repeated_jobs_are_numbered() {
    assert_eq!(names(&of("a, a, b")), ["a-1", "a-2", "b"]);
}

#[test]
fn every_type_of_job_is_known() {
    for kind in ["build", "approval", "no-op", "lock", "unlock", "release"] {
        let body = match kind {
            "build" => "machine: true, steps: [checkout]",
            "release" => "plan_name: shop",
            _ => "description: x",
        };
        let more = if kind.ends_with("lock") { ", serial-group: a/b" } else { "" };
        let text = format!(
            "version: 2.1\njobs: {{j: {{type: {kind}, {body}}}}}\nworkflows: {{w: {{jobs: [j: {{name: x{more}}}]}}}}\n"
        );
        let compilation = examine("config.yml", &text, &inputs());
        assert!(compilation.expanded.is_some(), "{kind}: {:?}", compilation.said);
    }
    fits(&of("hold: {type: approval}, a: {requires: [hold]}"));
}

#[test]
fn a_serial_group_is_made_of_letters_digits_and_a_few_signs() {
    fits(&of("a: {serial-group: << pipeline.project.slug >>/deploy_1.x-y}"));
    let long = "x".repeat(513);
    for wrong in ["\"a b\"", "\"a:b\"", "\"\"", &long] {
        says(&of(&format!("a: {{serial-group: {wrong}}}")), &["this names no serial group"]);
    }
}

#[test]
fn lock_and_unlock_jobs_name_the_group_that_they_are_for() {
    let jobs = "jobs: {lock: {type: lock, key: << pipeline.project.slug >>}, unlock: {type: unlock}}";
    let text = |more: &str| format!("version: 2.1\n{jobs}\nworkflows: {{w: {{jobs: [lock, {more}]}}}}\n");
    says(
        &text("unlock: {serial-group: a/b, requires: [lock]}"),
        &["job lock locks local/here", "job unlock after lock unlocks a/b"],
    );
    says(&text("x: {type: unlock, key: a/b}"), &["job x unlocks a/b"]);
    says(&text("unlock"), &["the job `unlock` names no serial group", "add `key: name`"]);
    says(&text("x: {type: unlock, key: \"a b\"}"), &["this names no serial group"]);
    says(&of("x: {type: lock}"), &["the job `x` names no serial group"]);
    says(&of("a: {serial-group: own}"), &["job a alone in own on a machine"]);
}

#[test]
fn a_release_names_its_plan_and_has_no_steps() {
    let text = |jobs: &str, used: &str| {
        format!(
            "version: 2.1\njobs: {{m: {{type: no-op}}, {jobs}}}\nworkflows: {{w: {{jobs: [m, {used}]}}}}\n"
        )
    };
    let of = |more: &str| text(&format!("r: {{type: release, {more}}}"), "r: {requires: [m]}");
    says(&of("plan_name: shop"), &["job r after m waits for the release shop"]);
    says(
        &text(
            "r: {type: release, parameters: {p: {type: string}}, plan_name: << parameters.p >>-eu}",
            "r: {p: shop}",
        ),
        &["job r waits for the release shop-eu"],
    );
    says(&text("b: {type: no-op}", "x: {type: release, plan_name: p}"), &["job x waits for the release p"]);
    says(&text("b: {type: no-op}", "x: {type: release}"), &["needs `plan_name`"]);
    for wrong in ["description: x", "plan_name: \"\""] {
        says(&of(wrong), &["job `r` needs `plan_name`"]);
    }
    says(&of("plan_name: [a]"), &["`plan_name` of job `r` must be a string"]);
    says(
        &of("plan_name: shop, steps: [checkout]"),
        &["the steps of job `r` never run: a job of `type: release`"],
    );
}

#[test]
fn a_release_may_be_named_filtered_and_required_with_statuses() {
    let text = "version: 2.1\njobs: {ok: {type: no-op}, r: {type: release, plan_name: p}}\nworkflows:\n  w:\n    jobs:\n\
                \x20     - r: {name: eu, filters: {branches: {only: other}}}\n\
                \x20     - r: {name: us}\n\
                \x20     - ok: {name: back, requires: [us: [failed, canceled]]}\n";
    says(text, &["job us waits for the release p", "job back after us: failed or canceled does nothing"]);
}

#[test]
fn a_release_that_monitoring_is_to_judge_is_refused_by_name() {
    let of = |validation: &str| {
        format!(
            "version: 2.1\njobs: {{r: {{type: release, plan_name: p, validation: {validation}}}}}\nworkflows: {{w: {{jobs: [r]}}}}\n"
        )
    };
    says(&of("{enabled: true}"), &["the `validation` of job `r` listens to monitoring tools"]);
    says(&of("{enabled: false, evaluation_time: 30m}"), &["job r waits for the release p"]);
    says(&of("{evaluation_time: 30m}"), &["`validation` needs `enabled`"]);
    says(&of("{enabled: maybe}"), &["`enabled` of `validation` must be true or false"]);
}

#[test]
fn a_job_group_is_used_like_a_job() {
    let groups = "job-groups: {g: {jobs: [a, b: {requires: [a]}]}}\n";
    fits(&format!("{}{groups}", of("g: {name: n, requires: [m], filters: {branches: {only: main}}}, m")));
    for key in ["context: x", "matrix: {}", "pre-steps: []", "post-steps: []", "override-with: x", "v: 1"] {
        let text = format!("{}{groups}", of(&format!("g: {{{key}}}")));
        says(&text, &["the job group `g` takes no"]);
    }
}

#[test]
fn a_job_may_be_overridden_by_an_orbs() {
    let orb = "orbs: {o: {jobs: {a: {machine: true, steps: [run: of the orb]}}}}\n";
    says(&format!("{}{orb}", of("a: {override-with: o/a}")), &["of the orb"]);
    says(&format!("{}{orb}", of("a: {override-with: o/none}")), &["Checkout code"]);
}

#[test]
fn steps_stand_before_and_after_a_jobs_own() {
    let text = of("a: {pre-steps: [run: before], post-steps: [run: after]}");
    let outcome = outcome(&text, &inputs());
    let at = |word: &str| outcome.find(word).unwrap_or_else(|| panic!("{outcome}"));
    assert!(at("before") < at("Checkout") && at("Checkout") < at("after"));
}

#[test]
fn a_schedule_has_a_time_and_branches() {
    let with = |schedule: &str| {
        format!("{JOBS}workflows: {{w: {{triggers: [schedule: {{{schedule}}}], jobs: [a]}}}}\n")
    };
    says(&with("cron: \"0 0 * * *\", filters: {branches: {only: main}}"), &["`--workflow w` runs it now"]);
    for wrong in ["often", "60 * * * *", "0 0 * *", "0 0 31 13 *"] {
        says(&with(&format!("cron: \"{wrong}\"")), &[&format!("`{wrong}` is no time of a schedule")]);
    }
    says(&with("filters: {branches: {only: main}}"), &["needs `cron`"]);
    says(
        &with("cron: \"0 0 * * *\", filters: {branch: main}"),
        &["the key `branch` means nothing", "did you mean `branches`?"],
    );
    says(&with("cron: \"0 0 * * *\", filters: {branches: {only: /(/}}"), &["the pattern cannot be read"]);
}

#[test]
fn auto_reruns_are_1_to_5() {
    let with = |count: &str| format!("{JOBS}workflows: {{w: {{max_auto_reruns: {count}, jobs: [a]}}}}\n");
    for right in ["1", "5"] {
        fits(&with(right));
    }
    for wrong in ["0", "6", "x"] {
        says(&with(wrong), &["`max_auto_reruns` must be a number from 1 to 5"]);
    }
}

#[test]
fn conditions_of_workflows_are_logic_or_expressions() {
    for (condition, runs) in [
        ("when: {equal: [main, << pipeline.git.branch >>]}", true),
        ("unless: {equal: [main, << pipeline.git.branch >>]}", false),
        ("when: pipeline.git.branch starts-with \"ma\"", true),
        ("when: << pipeline.git.tag >>", false),
    ] {
        let text = format!("{JOBS}workflows: {{w: {{{condition}, jobs: [a]}}}}\n");
        assert_eq!(names(&text).len(), usize::from(runs), "{condition}");
    }
}

#[test]
fn logic_nests_deep_and_is_stopped_before_it_is_too_deep() {
    let nested = |depth: usize| {
        let condition = format!("{}true{}", "{not: ".repeat(depth), "}".repeat(depth));
        format!("{JOBS}workflows: {{w: {{when: {condition}, jobs: [a]}}}}\n")
    };
    fits(&nested(90));
    says(&nested(101), &["nested deeper than 100 levels"]);
}

#[test]
fn a_setup_configuration_runs_one_workflow() {
    let with = |first: &str, other: &str| {
        format!(
            "{JOBS}setup: true\nworkflows: {{one: {{when: {first}, jobs: [a]}}, two: {{when: {other}, jobs: [b]}}}}\n"
        )
    };
    fits(&with("true", "false"));
    fits(
        &with("true", "true")
            .replace("jobs: [b]", "jobs: [b: {filters: {tags: {only: /.*/}, branches: {ignore: /.*/}}}]"),
    );
    says(&with("true", "true"), &["a setup configuration runs one workflow: `two` would run beside `one`"]);
    fits(&with("true", "true").replace("setup: true", "setup: false"));
}
