//! What real files have that no documentation speaks of: none of it may stand in a configuration's way.

use super::{fits, job, runs, says, steps};

const RAN: [&str; 3] = ["workflow workflow", "job build on a machine", "\"x\": run \"x\""];

/// It is right, whatever warnings there are.
#[track_caller]
fn survives(text: &str, warnings: &[&str]) {
    says(text, warnings);
    let compilation = compiler::examine("config.yml", text, &crate::shown::inputs());
    assert!(compilation.expanded.is_some(), "{text}\n{:?}", compilation.said);
}

#[test]
fn step_names_may_have_hyphens() {
    says(
        &steps("restore-cache: {key: a}, save-cache: {key: '{{ .Branch }}', paths: [a]}"),
        &["Restoring Cache", "Saving Cache"],
    );
}

#[test]
fn unknown_keys_of_steps_are_warned_about() {
    for step in [
        "run: {command: x, attempts: 3}",
        "run: {command: x, timeout: 3}",
        "run: {command: x, env: {}}",
        "store_artifacts: {path: x, prefix: y}",
        "attach_workspace: {at: x, if: y}",
        "checkout: {post: x}",
        "checkout: {directory: x}",
    ] {
        survives(&steps(step), &["warning: the key `"]);
    }
    fits(&steps("run: {command: x, description: y}"));
    survives(&steps("setup_remote_docker: {reusable: true, exclusive: true}"), &[]);
}

#[test]
fn anchors_may_be_defined_again() {
    let text =
        "version: 2.1\na: &x {run: first}\nb: &x {run: x}\njobs: {build: {machine: true, steps: [*x]}}\n";
    runs(text, &RAN);
}

#[test]
fn one_map_may_have_two_merge_keys() {
    let text = "version: 2.1\na: &a {machine: true}\nb: &b {steps: [run: x]}\njobs:\n  build:\n    <<: *a\n    <<: *b\n";
    runs(text, &RAN);
}

#[test]
fn a_tab_may_stand_in_a_plain_text_and_in_a_reference() {
    let text = "version: 2.1\njobs:\n  build:\n    machine: true\n    steps:\n      - run: a\tb << pipeline.number\t>>\n";
    says(text, &["run \"a\\tb 7\""]);
}

#[test]
fn an_environment_may_be_one_word() {
    let keys = "parameters: {tls: {type: string, default: x}}, machine: true, steps: [run: {command: x, environment: TLS_FEATURE=<<parameters.tls>>}]";
    says(&job(keys), &["TLS_FEATURE=\"x\""]);
}

#[test]
fn whole_steps_may_be_anchors_that_stand_before_the_version() {
    let text = "defaults: &d {machine: true}\npalantir_aliases: {step: &s {run: x}}\nversion: 2\njobs:\n  build:\n    <<: *d\n    steps:\n      - *s\n";
    runs(text, &RAN);
}

#[test]
fn a_requirement_may_be_a_matrix_value() {
    let text = "version: 2.1\njobs:\n  Check Rust: {machine: true, steps: [run: x]}\n  t: {parameters: {on: {type: string}}, machine: true, steps: [run: << parameters.on >>]}\n\
                workflows: {w: {jobs: [Check Rust, t: {requires: [<< matrix.on >>], matrix: {parameters: {on: [Check Rust]}}}]}}\n";
    says(text, &["job t-Check Rust after Check Rust"]);
}

#[test]
fn mustache_sections_stand_in_shells_and_take_pipeline_values() {
    let keys = "parameters: {w: {type: boolean, default: true}}, machine: true, shell: \"<<# parameters.w >>bash.exe<</ parameters.w >>\", \
                steps: [run: \"a<<#pipeline.git.base_revision>>b<</pipeline.git.base_revision>>\"]";
    says(&job(keys), &["run \"a\" shell bash.exe"]);
}

#[test]
fn a_condition_may_be_any_text() {
    for text in ["${CIRCLE_PULL_REQUEST}", "on_fail"] {
        runs(&steps(&format!("when: {{condition: \"{text}\", steps: [run: x]}}")), &RAN);
    }
    says(
        &steps("when: {condition: {not_equal: [1, 2]}, steps: [run: x]}"),
        &["`not_equal` is no operator of conditions"],
    );
}

#[test]
fn a_serial_group_may_stand_in_a_job_and_in_a_workflow() {
    fits(&job("machine: true, serial-group: << pipeline.project.slug >>/x, steps: [checkout]"));
}

#[test]
fn reruns_may_be_asked_for_by_steps_and_workflows() {
    fits(&steps("run: {command: x, max_auto_reruns: 2, auto_rerun_delay: 10s}"));
}

#[test]
fn an_inline_orb_may_use_other_orbs() {
    let text = "version: 2.1\norbs:\n  mine:\n    orbs: {other: {commands: {c: {steps: [run: x]}}}}\n    jobs: {j: {machine: true, steps: [other/c]}}\n\
                workflows: {w: {jobs: [mine/j]}}\n";
    runs(text, &["workflow w", "job mine/j on a machine", "\"x\": run \"x\""]);
}

#[test]
fn a_jobs_steps_may_all_come_from_its_workflow() {
    let text = "version: 2.1\njobs: {build: {parameters: {s: {type: steps, default: []}}, machine: true, steps: << parameters.s >>}}\n\
                workflows: {w: {jobs: [build: {s: [run: x]}]}}\n";
    runs(text, &["workflow w", "job build on a machine", "\"x\": run \"x\""]);
}

#[test]
fn working_directories_are_of_every_system() {
    for directory in ["~/x/y", "/tmp/x", r"C:\Users\circleci"] {
        says(
            &job(&format!("machine: true, working_directory: '{directory}', steps: [checkout]")),
            &[&format!(" at {directory}")],
        );
    }
}

#[test]
fn docker_need_not_be_the_first_key() {
    says(&job("working_directory: ~/x, steps: [run: x], docker: [image: a]"), &["in a at ~/x"]);
}

#[test]
fn deploy_is_an_old_name_of_run() {
    runs(&steps("deploy: {name: x, command: x}"), &RAN);
}

#[test]
fn cache_keys_have_signs_of_branch_names() {
    fits(&steps(
        "save_cache: {key: 'v1-{{ .Branch }}-feature/x#1@{{ checksum \"~/rust-version\" }}', paths: [~/x]}",
    ));
}
