//! What the language has that no other file here is about: groups, schedules, limits, words that mean something already,
//! and what will not do what its author expects.

use crate::check;

check! {
    what_a_job_group_does_not_take_is_said: r#"
version: 2.1
jobs:
  build: {machine: true, steps: [checkout]}
  test: {parameters: {n: {type: integer, default: 0}}, machine: true, steps: [run: "<< parameters.n >>"]}
job-groups:
  both: {jobs: [build, test: {requires: [build], matrix: {parameters: {n: [1, 2]}}}]}
  empty: {}
workflows:
  all:
    jobs:
      - build
      - both: {requires: [build]}
      - both: {name: alone, serial-group: x/y}
      - test: {name: last, requires: [both, alone]}
      - both: {name: wrong, context: org}
      - empty
"#;
    wrong_options_of_workflows_are_all_said: r#"
version: 2.1
jobs:
  build:
    machine: true
    retention: {caches: 30d}
    serial-group: "no blanks"
    steps: [checkout, run: {command: x, max_auto_reruns: 9, auto_rerun_delay: 1h}]
  other: {machine: true, retention: {caches: 5d}, steps: [run: {command: x, max_auto_reruns: 2, auto_rerun_delay: 30s}]}
workflows:
  all:
    max_auto_reruns: 6
    triggers: [schedule: {cron: "often"}, x, {schedule: }, {schedule: {filters: {}}}]
    jobs:
      - build: {serial-group: "a b"}
      - other: {requires: [build: [failed, sucess, terminal]]}
"#;
    a_step_is_run_again_by_itself: r#"
version: 2.1
jobs:
  build:
    parameters: {often: {type: integer, default: 3}}
    machine: true
    steps:
      - run: {command: x, max_auto_reruns: << parameters.often >>, auto_rerun_delay: 1.5m}
      - run: {command: y, max_auto_reruns: 1}
"#;
    reruns_that_cannot_be_are_said: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: {command: x, max_auto_reruns: 0}
      - run: {command: x, max_auto_reruns: twice, auto_rerun_delay: 601s}
      - run: {command: x, max_auto_reruns: 2, background: true}
      - run: {command: x, auto_rerun_delay: 5s}
"#;
    a_setup_configuration_runs_one_of_its_workflows: r#"
version: 2.1
setup: true
parameters: {full: {type: boolean, default: false}}
jobs: {build: {machine: true, steps: [run: "echo << pipeline.parameters.full >>"]}}
workflows:
  full: {when: << pipeline.parameters.full >>, jobs: [build]}
  short: {unless: << pipeline.parameters.full >>, jobs: [build]}
  tags: {jobs: [build: {filters: {branches: {ignore: /.*/}}}]}
"#;
    a_setup_configuration_with_two_workflows_that_run_is_wrong: r#"
version: 2.1
setup: true
jobs: {build: {machine: true, steps: [checkout]}}
workflows: {one: {jobs: [build]}, two: {jobs: [build]}}
"#;
    setup_is_a_boolean: r#"
version: 2.1
setup: maybe
jobs: {build: {machine: true, steps: [checkout]}}
"#;
    what_finishes_a_setup_pipeline_is_empty_and_right: "{version: 2, jobs: {}, workflows: {version: 2}}";
    a_job_may_be_overridden_by_an_orbs: r#"
version: 2.1
orbs: {own: {jobs: {build: {machine: true, steps: [run: of the orb]}}}}
jobs:
  build: {machine: true, steps: [run: mine]}
workflows:
  all: {jobs: [build: {override-with: own/build}, build: {name: other, override-with: own/none}]}
"#;
    names_that_workflows_take_are_no_parameters: r#"
version: 2.1
commands: {c: {parameters: {name: {type: string}}, steps: [run: << parameters.name >>]}}
jobs:
  build: {parameters: {matrix: {type: string, default: x}, e: {type: enum}}, machine: true, steps: [c: {name: x}]}
"#;
    what_will_not_do_what_is_expected_is_worth_a_warning: r#"
version: 2.1
parameters: {unused: {type: string, default: x}, asked: {type: boolean, default: true}}
commands: {c: {parameters: {used: {type: string}, other: {type: string, default: x}}, steps: [run: << parameters.used >>]}}
jobs:
  build:
    machine: true
    steps:
      - c: {used: x}
      - save_cache: {key: deps-v1, paths: [x]}
      - save_cache: {key: 'deps-{{ checksum "x" }}', paths: [x]}
      - when: {condition: false, steps: [run: never]}
      - unless: {condition: true, steps: [run: never]}
      - when: {condition: pipeline.parameters.asked, steps: [run: always]}
workflows:
  all: {when: pipeline.parameters.asked, jobs: [build]}
"#;
}

#[test]
fn a_pipeline_has_a_hundred_parameters_of_modest_length() {
    let mut inputs = crate::shown::inputs();
    inputs.parameters.insert("p0".to_owned(), "x".repeat(513));
    let many: String = (0..101).map(|n| format!("  p{n}: {{type: string, default: x}}\n")).collect();
    let long = format!("  {}: {{type: string, default: x}}\n", "n".repeat(129));
    let job = "jobs: {build: {machine: true, steps: [checkout]}}\n";
    let said = crate::shown::outcome(&format!("version: 2.1\nparameters:\n{long}{many}{job}"), &inputs);
    for part in ["at most 100 parameters", "at most 128 characters", "more than 512 characters"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn what_continues_a_pipeline_inherits_what_it_declares_and_is_no_setup_itself() {
    let mut inputs = crate::shown::inputs();
    inputs.is_continuation = true;
    let given = [("kept", "from the start"), ("gone", "x")];
    inputs.inherited = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    inputs.parameters.insert("added".to_owned(), "later".to_owned());
    let text = "version: 2.1\nparameters: {kept: {type: string, default: a}, added: {type: string, default: b}}\n\
                jobs: {build: {machine: true, steps: [run: << pipeline.parameters.kept >> << pipeline.parameters.added >>]}}\n";
    let said = crate::shown::outcome(text, &inputs);
    assert!(said.contains("run \"from the start later\""), "{said}");
    let said = crate::shown::outcome(&format!("{text}setup: true\n"), &inputs);
    assert!(
        said.contains("cannot be a setup configuration itself") && said.contains("no pipeline"),
        "{said}"
    );
}
