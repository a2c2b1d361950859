//! Jobs and executors: what each key says.

use super::{becomes, fits, job, runs, says};

#[test]
fn a_job_runs_on_exactly_one_platform() {
    says(&job("steps: [checkout]"), &["must have one of `docker`, `machine`, `macos` or `executor`"]);
    let both = "docker: [image: x], machine: true, steps: [checkout]";
    says(&job(both), &["job `build` can have only one of `docker`, `machine`"]);
    says(
        &job(&both.replace("machine: true", "macos: {xcode: 15}")),
        &["can have only one of `docker`, `macos`"],
    );
    fits(&job(&both.replace("machine: true", "machine: {enabled: false}")));
}

#[test]
fn every_job_key_is_known() {
    let keys = "shell: /bin/sh, parameters: {}, working_directory: ~/x, parallelism: 2, environment: {A: 1}, resource_class: a/b, \
                retention: {caches: 3d}, circleci_ip_ranges: true, description: x, plan_name: y, type: build";
    fits(&job(&format!("machine: true, steps: [checkout], {keys}")));
}

#[test]
fn branches_of_a_job_without_workflows_are_its_filters() {
    let on = |branches: &str| job(&format!("machine: true, branches: {branches}, steps: [run: x]"));
    let ran = ["workflow workflow", "job build on a machine", "\"x\": run \"x\""];
    runs(&on("{only: main}"), &ran);
    runs(&on("{ignore: [dev, /x.*/]}"), &ran);
    says(&on("{only: /release.*/}"), &["the filters leave out on the branch `main`: `build`", "no workflow"]);
    let with = on("{only: dev}") + "workflows: {w: {jobs: [build]}}\n";
    says(&with, &["warning: `branches` of a job means nothing where there are workflows", "run \"x\""]);
    let document = "version: 2\njobs:\n  build:\n    machine: true\n    steps:\n    - run:\n        command: x\n\
                    workflows:\n  workflow:\n    jobs:\n    - build:\n        filters:\n          branches:\n            only: main\n  version: 2\n";
    becomes(&on("{only: main}"), document);
}

#[test]
fn retention_keeps_caches_for_1_to_15_days() {
    let with =
        |caches: &str| job(&format!("machine: true, retention: {{caches: {caches}}}, steps: [checkout]"));
    for right in ["1d", "15d"] {
        fits(&with(right));
    }
    for wrong in ["0d", "16d", "5", "5h", "[5d]"] {
        says(&with(wrong), &["caches are kept for `1d` to `15d`"]);
    }
}

#[test]
fn a_job_overrides_its_executor_and_environments_merge() {
    let text = "version: 2.1\nexecutors: {e: {machine: true, resource_class: a/b, shell: sh, working_directory: ~/e, environment: {A: e, B: e}}}\n\
                jobs: {build: {executor: e, resource_class: c/d, environment: [B: j, C: j], steps: [run: x]}}\n";
    runs(
        text,
        &[
            "workflow workflow",
            "job build on a machine class c/d at ~/e A=\"e\" B=\"j\" C=\"j\"",
            "\"x\": run \"x\" shell sh",
        ],
    );
}

#[test]
fn an_executor_has_every_key() {
    let keys = "docker: [image: x], resource_class: a/b, shell: sh, working_directory: ~/e, environment: {A: 1}, description: x, parameters: {}";
    fits(&format!(
        "version: 2.1\nexecutors: {{e: {{{keys}}}}}\njobs: {{build: {{executor: e, steps: [checkout]}}}}\n"
    ));
    let wrong = format!(
        "version: 2.1\nexecutors: {{e: {{{keys}, resorce_class: y}}}}\njobs: {{build: {{executor: e, steps: [checkout]}}}}\n"
    );
    says(&wrong, &["the key `resorce_class` means nothing", "did you mean `resource_class`?"]);
}

#[test]
fn a_docker_image_has_every_key_and_the_first_is_the_primary_one() {
    let first = "{image: a, name: n, entrypoint: [x], command: y, user: u, environment: {A: 1}, auth: {username: u, password: $P}}";
    let second = "{image: b, environment: [B=2], aws_auth: {aws_access_key_id: i, aws_secret_access_key: $S, oidc_role_arn: r}}";
    let third = "{image: c, gcp_auth: {}}";
    let text = job(&format!("docker: [{first}, {second}, {third}], steps: [run: x]"));
    says(
        &text,
        &[
            "job build in a named n as u entrypoint [\"x\"] command [\"y\"] by u:$P",
            " + b B=\"2\" + c",
            "A=\"1\"",
            "the service container `b` is not started",
        ],
    );
    says(&job("docker: [{name: x}], steps: [checkout]"), &["needs `image`"]);
}

#[test]
fn a_machine_has_every_form() {
    for form in [
        "true",
        "{}",
        "default",
        "{image: x, docker_layer_caching: true, enabled: true, resource_class: a/b, shell: sh}",
    ] {
        fits(&job(&format!("machine: {form}, steps: [checkout]")));
    }
    says(
        &job("machine: true, resource_class: acme/linux, steps: [checkout]"),
        &["on a machine class acme/linux"],
    );
    says(&job("machine: [x], steps: [checkout]"), &["`machine` must be `true` or a map"]);
}

#[test]
fn macos_is_right_and_runs_elsewhere() {
    fits(&job("macos: {xcode: 15.3.0}, resource_class: m4pro.medium, steps: [checkout]"));
    says(
        &job("macos: {xcode: 15}, steps: [checkout]"),
        &["`macos` is not supported: jobs run on Linux hosts"],
    );
}

#[test]
fn an_environment_is_a_map_a_list_of_maps_or_words() {
    let with =
        |environment: &str| job(&format!("machine: true, environment: {environment}, steps: [checkout]"));
    for form in ["{A: 1, B: x}", "[A: 1, B: x]", "[A=1, {B: x}]"] {
        says(&with(form), &["A=\"1\" B=\"x\""]);
    }
    says(&with("A=1"), &["A=\"1\""]);
    becomes(
        &with("{A: 1, B: yes}"),
        "version: 2\njobs:\n  build:\n    machine: true\n    environment:\n    - A: '1'\n    - B: 'yes'\n    steps:\n    - checkout\n\
         workflows:\n  workflow:\n    jobs:\n    - build\n  version: 2\n",
    );
}

#[test]
fn variables_in_values_are_left_to_nobody() {
    says(&job("machine: true, environment: {A: $HOME/x}, steps: [checkout]"), &["A=\"$HOME/x\""]);
}
