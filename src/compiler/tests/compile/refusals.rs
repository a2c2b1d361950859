//! What is not supported is refused by its name, where it stands.

use crate::check;

check! {
    steps_and_keys_that_are_not_there_yet_are_refused: r#"
version: 2.1
setup: true
orbs: {node: circleci/node@5}
commands: {install: node/install}
jobs:
  build:
    machine: true
    serial-group: g
    branches: {only: main}
    steps:
      - setup_remote_docker: {version: docker24}
      - add-ssh-keys: {fingerprints: [x]}
      - node/install
      - install: {version: 1}
      - nod/install
      - run: {command: x, max_auto_reruns: 2}
      - deploy: {command: x}
  wide: {machine: true, parallelism: 2, steps: [deploy: {command: x}]}
  orb: {executor: node/default, steps: [checkout]}
  mac: {macos: {xcode: 15}, steps: [checkout]}
  windows: {machine: {image: "windows-server-2022"}, steps: [checkout]}
  win: {machine: true, resource_class: windows.medium, steps: [checkout]}
  gate: {type: no-op}
job-groups: {group: {jobs: [build]}}
workflows:
  all:
    max_auto_reruns: 3
    jobs:
      - build
      - wide: {serial-group: x, override-with: node/test}
      - orb
      - mac
      - windows
      - win
      - gate
      - group
      - node/test: {version: 1}
      - hold: {type: approval, requires: [build]}
      - build: {name: later, requires: [hold: success, wide: failed]}
"#;
    what_does_not_run_is_not_refused: r#"
version: 2.1
orbs: {node: circleci/node@5}
jobs:
  build: {machine: true, steps: [checkout]}
  unused: {macos: {}, steps: [node/install, setup_remote_docker]}
  filtered: {macos: {}, steps: [node/install, unknown]}
workflows:
  all:
    jobs: [build, filtered: {filters: {branches: {only: other}}}]
"#;
    a_scheduled_workflow_is_left_out_with_a_word: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
workflows:
  all: {jobs: [build]}
  nightly:
    triggers: [schedule: {cron: "0 0 * * *", filters: {branches: {only: main}}}]
    jobs: [build]
"#;
}
