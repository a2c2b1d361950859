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
    workflows_and_filters_take_expressions: r#"
version: 2.1
parameters: {deploy: {type: boolean, default: false}, level: {type: integer, default: 3}}
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  yes-1: {when: pipeline.git.branch == "main", jobs: [build]}
  yes-2: {when: 'not pipeline.parameters.deploy and (pipeline.parameters.level >= 3 or pipeline.number contains "x")', jobs: [build]}
  yes-3: {when: 'pipeline.git.branch starts-with "ma" and pipeline.git.branch contains "in"', jobs: [build]}
  yes-4: {when: pipeline.git.branch matches /^m.*n$/ and pipeline.git.tag == "", jobs: [build]}
  yes-5: {when: pipeline.unknown? == "" and "1" != 1, jobs: [build]}
  yes-6: {unless: pipeline.parameters.deploy, jobs: [build]}
  no-1: {when: pipeline.git.branch != "main", jobs: [build]}
  no-2: {when: pipeline.git.branch matches /mai/, jobs: [build]}
  no-3: {when: 'true and false', jobs: [build]}
  filtered:
    jobs:
      - build: {name: runs, filters: pipeline.git.branch == "main"}
      - build: {name: does-not, filters: not (pipeline.git.branch == "main")}
"#;
    wrong_expressions_are_all_said: r#"
version: 2.1
parameters: {level: {type: integer, default: 3}}
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  a: {when: pipeline.git.brunch == "main", jobs: [build]}
  b: {when: pipeline.git.branch = "main", jobs: [build]}
  c: {when: pipeline.git.branch ==, jobs: [build]}
  d: {when: pipeline.parameters.level starts-with "a", jobs: [build]}
  e: {when: (pipeline.git.branch, jobs: [build]}
  f: {when: pipeline.git.branch matches "x", jobs: [build]}
  g: {when: pipeline.git.branch "main", jobs: [build]}
  h: {when: "pipeline.git.branch matches /(/", jobs: [build]}
"#;
}
