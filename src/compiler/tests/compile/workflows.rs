//! Workflows: names, requirements, matrices, filters.

use crate::{
    check,
    shown::{inputs, shown},
};

check! {
    a_workflow_that_failed_runs_again_as_often_as_it_says: r#"
version: 2.1
parameters: {often: {type: integer, default: 2}}
jobs: {build: {machine: true, steps: [run: make]}}
workflows: {all: {max_auto_reruns: << pipeline.parameters.often >>, jobs: [build]}}
"#;
    it_runs_again_from_one_to_five_times: r#"
version: 2.1
jobs: {build: {machine: true, steps: [run: make]}}
workflows:
  never: {max_auto_reruns: 0, jobs: [build]}
  much: {max_auto_reruns: 6, jobs: [build]}
  word: {max_auto_reruns: often, jobs: [build]}
"#;
    without_workflows_the_job_build_runs: r#"
version: 2
jobs:
  build: {machine: true, steps: [checkout]}
"#;
    without_workflows_and_build_there_is_nothing_to_run: r#"
version: 2.1
jobs:
  test: {machine: true, steps: [checkout]}
"#;
    jobs_have_names_requirements_and_contexts: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  test: {machine: true, steps: [checkout]}
workflows:
  version: 2
  all:
    jobs:
      - build: {context: one}
      - test: {requires: [build], name: Test it, context: [a, b]}
      - test:
          requires:
            - build: success
            - Test it
          name: again
"#;
    endings_that_are_none_are_said: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  clean: {machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - build
      - clean: {requires: [build: [failed, timedout]]}
      - build: {name: never, requires: [build: []]}
"#;
    a_workflow_with_gates_runs: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  clean: {machine: true, steps: [checkout]}
  gate: {type: no-op}
job-groups:
  both: {jobs: [build, clean: {requires: [build: terminal]}]}
workflows:
  all:
    jobs:
      - build
      - hold: {type: approval, requires: [build], context: org}
      - gate: {requires: [hold, build: not_run]}
      - both: {requires: [gate: [success, unauthorized]]}
      - clean: {requires: [both, hold: terminal]}
"#;
    repeated_jobs_are_numbered: r#"
version: 2.1
jobs:
  build: {parameters: {n: {type: integer, default: 0}}, machine: true, steps: [run: echo << parameters.n >>]}
workflows:
  all:
    jobs: [build: {n: 1}, build: {n: 2, requires: [build-1]}, build: {name: other}]
"#;
    a_matrix_makes_its_copies: r#"
version: 2.1
jobs:
  test:
    parameters: {os: {type: string}, v: {type: integer}}
    machine: true
    steps: [run: << parameters.os >> << parameters.v >>]
  done: {machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - test:
          matrix:
            parameters: {os: [a, b], v: [1, 2]}
            exclude: [{os: a, v: 2}]
      - test:
          name: named-<< matrix.os >>
          v: 7
          requires: [test-<< matrix.os >>-1]
          matrix: {alias: second, parameters: {os: [a, b]}}
      - done: {requires: [test, second]}
"#;
    wrong_matrices_are_said: r#"
version: 2.1
jobs:
  test: {parameters: {v: {type: integer}}, machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - test: {matrix: {}}
      - test: {matrix: {parameters: {v: 1}}}
      - test: {matrix: {parameters: {v: [1], w: [1]}, exclude: [{v: 1}], aliass: x}}
      - test: {v: << matrix.v >>}
      - test: {name: "n<< matrix.w >>", matrix: {parameters: {v: [a]}}}
"#;
    steps_stand_around_a_jobs_own: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [run: own]}
workflows:
  all:
    jobs: [build: {pre-steps: [run: before << pipeline.number >>], post-steps: [run: after]}]
"#;
    unknown_requirements_and_jobs_are_all_said: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  test: {machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - biuld
      - build
      - build
      - test: {name: tested, requires: [biuld-1, build, test]}
      - build: {name: other, requires: [tset, tested]}
      - {build: , test: }
      - build: {name: x, requires: {tested: [success, failed]}}
"#;
    a_cycle_is_said_with_its_path: r#"
version: 2.1
jobs:
  j: {machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - j: {name: first}
      - j: {name: a, requires: [first, c]}
      - j: {name: b, requires: [a]}
      - j: {name: c, requires: [b]}
      - j: {name: last, requires: [c]}
  self:
    jobs: [j: {requires: [j]}]
"#;
    a_workflow_without_jobs_is_said: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  none: {}
  empty: {jobs: []}
  text: {jobs: build}
  typo: {job: [build]}
"#;
    two_jobs_may_not_get_one_name: r#"
version: 2.1
jobs:
  j: {machine: true, steps: [checkout]}
workflows:
  all: {jobs: [j, j, j: {name: j-1}]}
"#;
}

const FILTERED: &str = r"
version: 2.1
jobs:
  j: {machine: true, steps: [checkout]}
workflows:
  all:
    jobs:
      - j: {name: always}
      - j: {name: on-main, filters: {branches: {only: main}}}
      - j: {name: not-main, filters: {branches: {ignore: [main, /release.*/]}}}
      - j: {name: tags-too, filters: {tags: {only: /^v\d+$/}}}
      - j: {name: tags-only, filters: {tags: {only: /.*/}, branches: {ignore: /.*/}}}
      - j: {name: after-some, requires: [always, not-main]}
      - j: {name: after-filtered, requires: [tags-only]}
      - j: {name: after-that, requires: [after-filtered]}
";

#[test]
fn filters_choose_by_the_branch() {
    insta::assert_snapshot!(shown(FILTERED, &inputs()));
}

#[test]
fn filters_choose_by_the_tag() {
    let mut inputs = inputs();
    inputs.git.branch = None;
    inputs.git.tag = Some("v12".to_owned());
    insta::assert_snapshot!(shown(FILTERED, &inputs));
}

#[test]
fn without_branch_and_tag_only_what_names_none_runs() {
    let mut inputs = inputs();
    inputs.git.branch = None;
    insta::assert_snapshot!(shown(FILTERED, &inputs));
}
