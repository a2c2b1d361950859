//! Conditions of steps and workflows.

use crate::check;

check! {
    every_kind_of_condition_is_decided: r#"
version: 2.1
parameters: {empty: {type: string, default: ""}, word: {type: string, default: release-1}}
jobs:
  build:
    machine: true
    steps:
      - when: {condition: true, steps: [run: "yes: true"]}
      - when: {condition: false, steps: [run: "no"]}
      - when: {condition: , steps: [run: "no"]}
      - when: {condition: 0, steps: [run: "no"]}
      - when: {condition: [], steps: [run: "no"]}
      - when: {condition: "${ANY_TEXT}", steps: [run: "yes: text"]}
      - when: {condition: "false", steps: [run: "yes: a text is true"]}
      - when: {condition: << pipeline.parameters.empty >>, steps: [run: "no"]}
      - unless: {condition: << pipeline.parameters.empty >>, steps: [run: "yes: unless"]}
      - when: {condition: {and: [true, {not: false}, {or: [false, 1]}]}, steps: [run: "yes: and"]}
      - when: {condition: {and: [true, false]}, steps: [run: "no"]}
      - when: {condition: {equal: [main, << pipeline.git.branch >>]}, steps: [run: "yes: equal"]}
      - when: {condition: {equal: [1, "1"]}, steps: [run: "no: types differ"]}
      - when: {condition: {equal: [a, a, b]}, steps: [run: "no"]}
      - when: {condition: {equal: ["", << pipeline.git.tag >>]}, steps: [run: "yes: no tag"]}
      - when: {condition: {matches: {pattern: "^release-\\d+$", value: << pipeline.parameters.word >>}}, steps: [run: "yes: matches"]}
      - when: {condition: {matches: {pattern: "release", value: << pipeline.parameters.word >>}}, steps: [run: "no: not whole"]}
      - when:
          condition: true
          steps:
            - unless: {condition: false, steps: [run: "yes: nested"]}
"#;
    wrong_conditions_are_all_said: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - when: {steps: []}
      - when: {condition: true}
      - when: {condition: {eqal: [1]}, steps: []}
      - when: {condition: {not_equal: [1, 2]}, steps: []}
      - when: {condition: {not: , equal: [1, 2]}, steps: []}
      - when: {condition: {and: []}, steps: []}
      - when: {condition: {equal: 1}, steps: []}
      - when: {condition: {matches: {pattern: x}}, steps: []}
      - when: {condition: {matches: {pattern: "(", value: x}}, steps: []}
      - when: {condition: true, stesp: [], steps: x}
      - when: [x]
"#;
    steps_of_a_condition_that_fails_are_not_looked_into: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - when: {condition: false, steps: [setup_remote_docker, unknown_step]}
      - checkout
"#;
    workflows_start_by_their_conditions: r#"
version: 2.1
parameters: {nightly: {type: boolean, default: false}}
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  off: {when: << pipeline.parameters.nightly >>, jobs: [build, unknown]}
  on: {unless: << pipeline.parameters.nightly >>, jobs: [build]}
  also: {when: {and: [{equal: [main, << pipeline.git.branch >>]}, {not: << pipeline.parameters.nightly >>}]}, jobs: [build]}
  plain: {when: true, jobs: [build]}
"#;
    nothing_that_starts_is_a_warning: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  off: {when: false, jobs: [build]}
"#;
}
