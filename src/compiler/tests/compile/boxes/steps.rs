//! Steps: each kind with its keys and what is so without them.

use super::{becomes, fits, runs, says, steps};

/// One step runs as this line says.
#[track_caller]
fn step(text: &str, line: &str) {
    runs(&steps(text), &["workflow workflow", "job build on a machine", line]);
}

#[test]
fn run_has_every_key_and_a_short_form() {
    step("run: make", r#""make": run "make""#);
    let all = "run: {command: make, name: N, shell: sh, environment: {A: 1}, background: true, working_directory: ~/x, no_output_timeout: 90s, when: always}";
    step(all, r#""N" always: run "make" shell sh at ~/x background silent 90000ms A="1""#);
    says(&steps("run: {name: x}"), &["`run` needs `command`"]);
}

#[test]
fn a_run_is_called_by_its_first_line() {
    step(r#"run: "\nfirst\nsecond""#, r#""first": run "\nfirst\nsecond""#);
}

#[test]
fn no_output_timeout_has_decimals_and_units() {
    step("run: {command: x, no_output_timeout: 1.5h}", r#""x": run "x" silent 5400000ms"#);
    step("run: {command: x, no_output_timeout: 10m}", r#""x": run "x""#);
    says(&steps("run: {command: x, no_output_timeout: soon}"), &["`soon` is no duration"]);
}

#[test]
fn when_of_a_step_is_one_of_three_words() {
    for (word, shown) in [("on_success", ""), ("always", " always"), ("on_fail", " on_fail")] {
        step(&format!("run: {{command: x, when: {word}}}"), &format!(r#""x"{shown}: run "x""#));
    }
    says(
        &steps("run: {command: x, when: on_failure}"),
        &["`on_success`, `always` or `on_fail`", "did you mean `on_fail"],
    );
}

#[test]
fn checkout_is_a_word_or_a_map() {
    step("checkout", r#""Checkout code": {checkout:{path:null}}"#);
    for (keys, shown) in [
        ("method: blobless", ""),
        ("method: full", ",method:full"),
        ("method: shallow", ",method:{shallow:{depth:1}}"),
        ("method: shallow, depth: 5", ",method:{shallow:{depth:5}}"),
        ("method: shallow, depth: '5'", ",method:{shallow:{depth:5}}"),
    ] {
        let shown = format!(r#""Checkout code": {{checkout:{{path:sub{shown}}}}}"#);
        step(&format!("checkout: {{path: sub, {keys}}}"), &shown);
    }
    says(&steps("checkout: {method: shalow}"), &["`shalow` is no method", "did you mean `shallow`"]);
    says(&steps("checkout: {method: shallow, depth: 0}"), &["`depth` must be a number"]);
    says(&steps("checkout: {depth: 3}"), &["this `depth` changes nothing"]);
}

#[test]
fn setup_remote_docker_has_its_keys() {
    fits(&steps("setup_remote_docker, setup_remote_docker: {version: docker24, docker_layer_caching: yes}"));
    step(
        "setup_remote_docker: {version: docker24, docker_layer_caching: yes, name: N, when: always}",
        r#""N" always: {setup_remote_docker:{version:docker24,docker_layer_caching:true}}"#,
    );
}

#[test]
fn save_cache_has_its_keys_and_name() {
    let key = "key: '{{ .Branch }}'";
    step(
        &format!("save_cache: {{{key}, paths: [a]}}"),
        r#""Saving Cache": {save_cache:{key:{{ .Branch }},paths:[a]}}"#,
    );
    step(
        &format!("save_cache: {{{key}, paths: a, name: N, when: always}}"),
        r#""N" always: {save_cache:{key:{{ .Branch }},paths:[a]}}"#,
    );
    says(
        &steps("save_cache: {paths: [a]}, save_cache: {key: k}"),
        &["`save_cache` needs `key`", "`save_cache` needs `paths`"],
    );
}

#[test]
fn a_cache_key_that_never_changes_is_worth_a_warning() {
    says(
        &steps("save_cache: {key: deps-v1, paths: [a]}"),
        &["warning: the cache key `deps-v1` never changes"],
    );
}

#[test]
fn restore_cache_takes_a_key_or_keys() {
    step("restore_cache: {key: a}", r#""Restoring Cache": {restore_cache:{keys:[a]}}"#);
    step("restore_cache: {keys: [a, b], name: N}", r#""N": {restore_cache:{keys:[a,b]}}"#);
    says(&steps("restore_cache: {}"), &["`restore_cache` needs `keys`"]);
}

#[test]
fn store_artifacts_has_a_path_and_a_destination_and_runs_after_failures() {
    step(
        "store_artifacts: {path: out}",
        r#""Uploading artifacts" always: {store_artifacts:{path:out,destination:null}}"#,
    );
    step(
        "store_artifacts: {path: out, destination: d, name: N}",
        r#""N" always: {store_artifacts:{path:out,destination:d}}"#,
    );
}

#[test]
fn store_test_results_has_a_path_and_runs_after_failures() {
    step(
        "store_test_results: {path: r}",
        r#""Uploading test results" always: {store_test_results:{path:r}}"#,
    );
}

#[test]
fn persist_to_workspace_has_a_root_and_paths() {
    step(
        "persist_to_workspace: {root: /, paths: [home/x, 'b*']}",
        r#""Persisting to Workspace": {persist_to_workspace:{root:/,paths:[home/x,b*]}}"#,
    );
    says(&steps("persist_to_workspace: {paths: [a]}"), &["needs `root`"]);
}

#[test]
fn attach_workspace_has_a_place() {
    step("attach_workspace: {at: /tmp/w}", r#""Attaching Workspace": {attach_workspace:{at:/tmp/w}}"#);
}

#[test]
fn add_ssh_keys_has_fingerprints() {
    let name = r#""Installing additional ssh keys""#;
    step("add_ssh_keys", &format!("{name}: {{add_ssh_keys:{{fingerprints:[]}}}}"));
    step(
        "add_ssh_keys: {fingerprints: ['SHA256:x', 'aa:01']}",
        &format!("{name}: {{add_ssh_keys:{{fingerprints:[SHA256:x,aa:01]}}}}"),
    );
}

#[test]
fn deploy_is_run_by_another_name() {
    step("deploy: {command: ship, name: Ship}", r#""Ship": run "ship""#);
    step("deploy: ship", r#""ship": run "ship""#);
}

#[test]
fn when_and_unless_hold_steps_behind_a_condition() {
    step("when: {condition: true, steps: [run: x]}", r#""x": run "x""#);
    step("unless: {condition: << pipeline.git.tag >>, steps: [run: x]}", r#""x": run "x""#);
    says(
        &steps("when: {steps: []}, unless: {condition: true}"),
        &["`when` needs `condition`", "`unless` needs `steps`"],
    );
}

#[test]
fn steps_that_never_run_are_worth_a_warning() {
    says(&steps("when: {condition: false, steps: [run: x]}"), &["warning: these steps never run"]);
}

#[test]
fn a_named_command_takes_its_arguments() {
    let text = "version: 2.1\ncommands: {c: {parameters: {p: {type: string}}, steps: [run: << parameters.p >>]}}\njobs: {build: {machine: true, steps: [c: {p: x}]}}\n";
    runs(text, &["workflow workflow", "job build on a machine", r#""x": run "x""#]);
}

#[test]
fn a_command_may_shadow_a_built_in_step() {
    let text = "version: 2.1\ncommands: {checkout: {steps: [run: before, checkout]}}\njobs: {build: {machine: true, steps: [checkout]}}\n";
    runs(
        text,
        &[
            "workflow workflow",
            "job build on a machine",
            r#""before": run "before""#,
            r#""Checkout code": {checkout:{path:null}}"#,
        ],
    );
}

#[test]
fn an_unknown_step_is_offered_the_nearest_name() {
    says(&steps("chekcout"), &["there is no step `chekcout`", "did you mean `checkout`?"]);
}

#[test]
fn processed_steps_have_their_keys_in_order_of_the_alphabet() {
    becomes(
        &steps("run: {name: It, when: always, command: x}"),
        "version: 2\njobs:\n  build:\n    machine: true\n    steps:\n    - run:\n        command: x\n        name: It\n        when: always\n\
         workflows:\n  workflow:\n    jobs:\n    - build\n  version: 2\n",
    );
}
