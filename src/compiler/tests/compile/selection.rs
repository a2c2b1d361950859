//! What runs when a workflow or a job is asked for.

use crate::shown::{inputs, outcome};
use compiler::Inputs;

const TEXT: &str = r"
version: 2.1
parameters: {deploy: {type: boolean, default: false}}
jobs:
  build: {machine: true, steps: [run: build]}
  test: {parameters: {v: {type: string, default: x}}, machine: true, steps: [run: test << parameters.v >>]}
  publish: {macos: {}, steps: [checkout]}
  spare: {machine: true, steps: [run: spare]}
workflows:
  ci:
    jobs:
      - build
      - test: {requires: [build], matrix: {parameters: {v: [a, b]}}}
      - publish: {requires: [test], filters: {branches: {only: release}}}
  other: {jobs: [build, build: {name: other-build, requires: [build]}]}
  off: {when: << pipeline.parameters.deploy >>, jobs: [build]}
  nightly: {triggers: [schedule: {cron: 0 4 * * 1}], jobs: [build, test: {name: long, requires: [build]}]}
";

fn run(workflow: Option<&str>, job: Option<&str>, no_deps: bool) -> String {
    let mut inputs: Inputs = inputs();
    inputs.selection.workflow = workflow.map(str::to_owned);
    inputs.selection.job = job.map(str::to_owned);
    inputs.selection.no_deps = no_deps;
    outcome(TEXT, &inputs)
}

#[test]
fn a_workflow_runs_alone() {
    insta::assert_snapshot!(run(Some("other"), None, false));
}

#[test]
fn a_scheduled_workflow_runs_when_it_is_asked_for() {
    insta::assert_snapshot!(run(Some("nightly"), None, false));
}

#[test]
fn a_workflow_that_is_off_stays_so() {
    insta::assert_snapshot!(run(Some("off"), None, false));
}

#[test]
fn an_unknown_workflow_is_said() {
    insta::assert_snapshot!(run(Some("othr"), None, false));
}

#[test]
fn a_job_runs_with_what_it_requires() {
    insta::assert_snapshot!(run(None, Some("test-b"), false));
}

#[test]
fn a_job_runs_alone_without_its_requirements() {
    insta::assert_snapshot!(run(None, Some("test-b"), true));
}

#[test]
fn the_name_of_a_definition_means_all_its_copies() {
    insta::assert_snapshot!(run(None, Some("test"), false));
}

#[test]
fn a_job_of_several_workflows_is_taken_from_the_first() {
    insta::assert_snapshot!(run(None, Some("build"), false));
}

#[test]
fn a_job_is_taken_from_the_workflow_asked_for() {
    insta::assert_snapshot!(run(Some("other"), Some("build"), false));
}

#[test]
fn a_job_of_a_scheduled_workflow_is_found() {
    insta::assert_snapshot!(run(None, Some("long"), false));
}

#[test]
fn a_job_of_no_workflow_runs_alone() {
    insta::assert_snapshot!(run(None, Some("spare"), false));
}

#[test]
fn a_job_asked_for_runs_whatever_its_filters_and_is_refused_where_it_is_not_supported() {
    insta::assert_snapshot!(run(None, Some("publish"), false));
}

#[test]
fn an_unknown_job_is_said() {
    insta::assert_snapshot!(run(None, Some("tset-a"), false));
    insta::assert_snapshot!(run(Some("other"), Some("test-a"), false));
}
