//! The built-in steps, and how lists of steps expand.

use crate::check;

check! {
    every_built_in_step_has_its_fields_and_names: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - checkout
      - checkout: {path: sub}
      - run: echo short
      - run: |

          echo first
          echo second
      - run:
          name: Named
          command: make
          shell: /bin/sh -e
          environment: {A: 1, B: "two", C: }
          background: true
          working_directory: ~/x
          no_output_timeout: 1.5h
          when: on_fail
          description: of no effect
      - save_cache: {key: 'v1-{{ checksum "f" }}', paths: [a, ~/b], name: Save, when: always}
      - save_cache: {key: k, paths: one}
      - restore_cache: {key: k}
      - restore_cache: {keys: [k1, k2-], name: Restore}
      - restore-cache: {keys: single}
      - persist_to_workspace: {root: ., paths: [a, "b*"]}
      - attach_workspace: {at: /tmp/w}
      - store_artifacts: {path: out}
      - store_artifacts: {path: out, destination: d, when: on_success}
      - store_test_results: {path: results}
      - deploy: {command: ship, name: Ship}
"#;
    values_that_are_no_strings_keep_their_text: r#"
version: 2.1
jobs:
  build:
    machine: true
    environment: {VERSION: 1.10, DEBUG: true, OCTAL: 010, NOTHING: ~, WORD: yes}
    steps:
      - run: {command: 1, name: 2.50}
"#;
    environments_have_every_form: r#"
version: 2.1
jobs:
  build:
    machine: true
    environment:
      - A: 1
      - B=two=three
      - {C: 3, A: 4}
    steps:
      - run: {command: x, environment: "FLAG=<< pipeline.git.branch >>"}
      - run: {command: y, environment: }
"#;
    truth_is_a_number_in_the_variables_of_a_step: r#"
version: 2.1
commands:
  cached:
    parameters: {pypi: {type: boolean, default: true}, venv: {type: boolean, default: false}}
    steps:
      - run:
          environment: {PYPI: << parameters.pypi >>, VENV: << parameters.venv >>, TEXT: "x-<< parameters.venv >>"}
          command: save << parameters.pypi >>
jobs:
  build:
    machine: true
    environment: {JOB: true}
    steps:
      - cached
      - run: {command: y, environment: [PLAIN: true, QUOTED: "false", WORD=true]}
"#;
    a_job_shell_is_its_steps_shell: r#"
version: 2.1
jobs:
  build:
    machine: true
    shell: /bin/bash --login
    steps:
      - run: one
      - run: {command: two, shell: /bin/sh}
"#;
    commands_nest_with_lexical_parameters: r#"
version: 2.1
commands:
  outer:
    parameters: {word: {type: string}, then: {type: steps, default: []}}
    steps:
      - run: echo outer << parameters.word >>
      - inner: {word: "in-<< parameters.word >>"}
      - steps: << parameters.then >>
  inner:
    parameters: {word: {type: string, default: unset}}
    steps: [run: echo inner << parameters.word >>]
jobs:
  build:
    parameters: {word: {type: string, default: job}}
    machine: true
    steps:
      - inner
      - outer:
          word: first
          then:
            - run: echo then << parameters.word >>
            - inner: {word: last}
"#;
    a_command_may_bear_the_name_of_a_built_in_step: r#"
version: 2.1
commands:
  checkout:
    steps: [run: before, checkout, run: after]
jobs:
  build: {machine: true, steps: [checkout]}
"#;
    anchors_make_whole_steps: r#"
version: 2
aliases:
  - &restore {restore_cache: {keys: [k]}}
  - &defaults {machine: {enabled: true}, working_directory: ~/repo}
  - &more {environment: {A: 1}}
jobs:
  build:
    <<: *defaults
    <<: *more
    steps: [*restore, {<<: *restore}, run: cat <<EOF >> x << parameters.y >>]
"#;
    steps_that_are_none_are_all_said: r#"
version: 2.1
commands:
  hello: {steps: []}
jobs:
  build:
    machine: true
    steps:
      - chekcout
      - helo: {}
      - run:
        name: not indented
        command: x
      - {run: x, checkout: }
      -
      - [run: x]
      - when
      - run
      - run: {command: x, nmae: y, when: never, no_output_timeout: soon, background: perhaps}
      - run: [x]
      - save_cache: {key: k}
      - save_cache
      - restore_cache: {name: x}
      - persist_to_workspace: {paths: {a: b}}
      - store_artifacts: out
      - attach_workspace: {at: [x]}
"#;
    wrong_environments_are_all_said: r#"
version: 2.1
jobs:
  build:
    machine: true
    environment: [noequals, {A: [1]}, [B]]
    steps:
      - run: {command: x, environment: {C: {D: 1}, "": x}}
"#;
    a_command_that_calls_itself_is_said: r#"
version: 2.1
commands:
  a: {steps: [b]}
  b: {steps: [c]}
  c: {steps: [b]}
jobs:
  build: {machine: true, steps: [a]}
"#;
    an_empty_command_does_nothing: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [run: {command: "", name: Nothing}]}
"#;
}
