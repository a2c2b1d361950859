//! Processed configurations: nothing in them refers to anything, and processed again they stay as they are.

use crate::orbs::with_orbs;
use compiler::examine;

/// The configuration processed, which must be the same processed again.
fn processed(text: &str) -> String {
    let compilation = examine("config.yml", text, &with_orbs());
    let said: String = compilation.said.iter().map(|one| compilation.sources.render(one)).collect();
    let once = compilation.expanded.unwrap_or_else(|| panic!("{said}")).text();
    let again = examine("processed.yml", &once, &with_orbs());
    assert_eq!(again.expanded.map(|twice| twice.text()).as_deref(), Some(once.as_str()), "{:?}", again.said);
    once
}

/// Takes a snapshot of every named case.
macro_rules! check_processed {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!(format!("{}\n════\n{}", $text.trim_end(), processed($text)));
            });
        }
    )*};
}

check_processed! {
    a_processed_configuration_refers_to_nothing: r#"
version: 2.1
parameters: {deploy: {type: boolean, default: true}, greeting: {type: string, default: "yes"}}
orbs: {tools: acme/tools@1}
executors:
  node: {parameters: {tag: {type: string}}, docker: [{image: "node:<< parameters.tag >>", environment: {IN: image}}], environment: {BY: executor, SAME: executor}, resource_class: small}
commands:
  greet: {description: "Greets.", parameters: {to: {type: string}}, steps: [run: {name: Greet, command: "echo << pipeline.parameters.greeting >> << parameters.to >>\ncat \\<<EOF\nEOF\n"}]}
jobs:
  build:
    description: What builds.
    parameters: {tag: {type: string, default: "20"}, wide: {type: integer, default: 2}}
    executor: {name: node, tag: << parameters.tag >>}
    environment: {SAME: job}
    parallelism: << parameters.wide >>
    resource_class: large
    steps:
      - checkout
      - greet: {to: world}
      - when: {condition: << pipeline.parameters.deploy >>, steps: [run: "true", restore-cache: {key: v1}]}
      - unless: {condition: << pipeline.parameters.deploy >>, steps: [run: never]}
      - setup_remote_docker: {docker_layer_caching: true}
      - tools/say
      - run: {command: on, background: yes}
workflows:
  all:
    when: << pipeline.parameters.deploy >>
    max_auto_reruns: 2
    jobs:
      - build: {context: [org], filters: {branches: {only: [main, /v.*/]}}, pre-steps: [run: before]}
      - build: {name: wider, matrix: {parameters: {tag: ["18"], wide: [3]}, alias: many}, filters: pipeline.git.branch == "main"}
      - hold: {type: approval, requires: [build, many]}
      - tools/test: {requires: [hold: [success, failed]], serial-group: "<< pipeline.project.slug >>/x"}
  never: {when: {not: << pipeline.parameters.deploy >>}, jobs: [build]}
  nightly: {triggers: [schedule: {cron: "0 0 * * *", filters: {branches: {only: main}}}], jobs: [build: {tag: nightly}]}
"#;
    a_job_of_one_name_with_two_contents_gets_two_definitions: r#"
version: 2.1
jobs:
  build: {parameters: {n: {type: integer, default: 1}}, machine: true, parallelism: << parameters.n >>, steps: [checkout]}
workflows:
  a: {jobs: [build]}
  b: {jobs: [build: {n: 2}]}
  c: {jobs: [build, build]}
"#;
    a_job_group_becomes_its_jobs: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  test: {parameters: {n: {type: integer, default: 0}}, machine: true, steps: [run: "<< parameters.n >>"]}
  gate: {type: no-op}
job-groups:
  both: {jobs: [build, test: {requires: [build], matrix: {parameters: {n: [1, 2]}}}]}
workflows:
  all:
    jobs:
      - gate
      - both: {requires: [gate], filters: {branches: {only: main}}}
      - both: {name: alone, serial-group: x/y}
      - test: {name: last, requires: [both, alone: terminal]}
"#;
    a_configuration_of_nothing_stays_one: "version: 2\njobs: {}\nworkflows: {version: 2}\n";
    an_implicit_workflow_becomes_a_written_one: "jobs: {build: {machine: {}, steps: [checkout, {run: {command: x, environment: {A: 1}}}]}}\n";
    a_setup_configuration_stays_one: "version: 2.1\nsetup: true\njobs: {build: {macos: {xcode: 15}, steps: [checkout]}}\nworkflows: {w: {jobs: [build]}}\n";
}
