//! Parameters: their types, their values, and the texts that refer to them.

use crate::{
    check,
    shown::{inputs, shown},
};

check! {
    a_value_that_is_one_reference_keeps_its_type: r#"
version: 2.1
parameters:
  count: {type: integer, default: 3}
jobs:
  build:
    parameters:
      extra: {type: steps, default: [run: extra]}
      background: {type: boolean, default: yes}
      paths: {type: string, default: a}
    machine: true
    parallelism: << pipeline.parameters.count >>
    steps:
      - steps: << parameters.extra >>
      - run: {command: "count <<pipeline.parameters.count>> << parameters.background >>", background: << parameters.background >>}
"#;
    every_type_takes_its_values: r#"
version: 2.1
executors:
  small: {machine: true, resource_class: small}
  sized:
    parameters: {size: {type: enum, enum: [big, huge], default: big}}
    machine: true
    resource_class: << parameters.size >>
jobs:
  test:
    parameters:
      s: {type: string}
      b: {type: boolean, default: off}
      i: {type: integer, default: 0}
      e: {type: enum, enum: [one, 2], default: one}
      x: {type: executor, default: small}
      v: {type: env_var_name, default: TOKEN}
    executor: << parameters.x >>
    steps: [run: "echo << parameters.s >> <<parameters.b>> << parameters.i >> << parameters.e >> $<< parameters.v >>"]
workflows:
  all:
    jobs:
      - test: {s: words}
      - test: {s: 1.20, b: true, i: -4, e: 2, x: {name: sized, size: huge}, v: _OTHER}
"#;
    wrong_arguments_are_all_said: r#"
version: 2.1
executors:
  sized: {machine: true, parameters: {size: {type: string}}}
commands:
  say: {parameters: {word: {type: string}}, steps: [run: x]}
jobs:
  test:
    parameters:
      s: {type: string}
      b: {type: boolean, default: "true"}
      i: {type: integer, default: 1.5}
      e: {type: enum, enum: [one, two], default: three}
      x: {type: executor, default: sized}
      v: {type: env_var_name, default: not-a-name}
      t: {type: steps, default: run}
      u: {type: strng}
      w: {default: 1}
    machine: true
    steps: [say: {wrod: x}]
  ready:
    parameters: {s: {type: string}, b: {type: boolean, default: false}}
    executor: {name: sized, szie: 3}
    steps: [say]
workflows:
  all:
    jobs:
      - test: {s: true, i: ten}
      - ready: {b: maybe}
      - ready: {s: [a], ss: 1}
"#;
    undeclared_references_are_all_said: r#"
version: 2.1
parameters: {branch: {type: string, default: x}}
commands:
  unused: {steps: [run: << parameters.nothing >>]}
jobs:
  build:
    parameters: {image: {type: string, default: i}}
    machine: true
    environment: {A: << parameters.imgae >>}
    steps:
      - run: << pipeline.parameters.brnch >> and << pipeline.git.brach >>
      - run: << parameter.image >>
      - run: << matrix.x >>
      - run: |
          a long text
          with << parameters.absent >> in it
      - run: echo << image >>
workflows:
  all:
    when: << parameters.image >>
    jobs: [build]
"#;
    escapes_and_here_documents_stay: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: |
          cat \<<EOF
          cat <<EOF > f
          cat <<-'EOF'
          \<< parameters.x >> $((1 << 2)) <<< here
          EOF
      - run: "\t<< pipeline.number\t>>"
"#;
    sections_are_kept_or_left_out: r#"
version: 2.1
jobs:
  build:
    parameters: {on: {type: boolean, default: true}, off: {type: boolean, default: false}}
    machine: true
    shell: "<<# parameters.on >>bash<</ parameters.on >><<^ parameters.on >>sh<</ parameters.on >>"
    steps:
      - run: a<<# parameters.off >> b << parameters.on >><</ parameters.off >><<^parameters.off>> c << parameters.on >><</parameters.off>>
      - run: <<# parameters.on >> never closed
      - run: never opened <</ parameters.on >>
"#;
    version_two_refers_to_nothing: r#"
version: 2
parameters: {x: {type: string, default: y}}
jobs:
  build: {machine: true, steps: [run: echo << pipeline.number >>, run: echo <<# x.y >>]}
"#;
    pipeline_values_are_known_as_far_as_they_are: r#"
version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: << pipeline.number >> << pipeline.git.branch >> << pipeline.git.revision >> << pipeline.project.slug >>
      - run: tag [<< pipeline.git.tag >>] schedule [<< pipeline.schedule.name >>] from << pipeline.trigger_source >>
"#;
    pipeline_parameters_are_simple: r#"
version: 2.1
parameters:
  steps: {type: steps, default: []}
  missing: {type: string}
jobs:
  build: {machine: true, steps: [checkout]}
"#;
    prose_may_speak_of_references: r#"
version: 2.1
commands:
  c:
    description: Takes << parameters.foo >>.
    parameters: {words: {type: string, default: x, description: "As << parameters.bar >> is."}}
    steps: [run: << parameters.words >>]
jobs:
  build: {description: "<< parameters.none >>", machine: true, steps: [c]}
"#;
    a_list_of_steps_may_be_an_item_of_another: r#"
version: 2.1
commands: {c: {parameters: {inner: {type: steps}}, steps: [run: a, << parameters.inner >>]}}
jobs:
  build: {machine: true, steps: [c: {inner: [run: b, checkout]}, c: {inner: []}]}
"#;
    references_fill_in_keys_too: r#"
version: 2.1
jobs:
  build:
    parameters: {var: {type: string, default: A}, step: {type: string, default: checkout}}
    machine: true
    environment: {"<< parameters.var >>_X": 1}
    steps: [<< parameters.step >>: {path: p}]
"#;
    a_list_cannot_stand_inside_a_text: r#"
version: 2.1
jobs:
  build:
    parameters: {list: {type: steps, default: [checkout]}}
    machine: true
    steps: [run: "echo << parameters.list >>"]
"#;
}

const TYPED: &str = r"
version: 2.1
parameters:
  text: {type: string, default: none}
  flag: {type: boolean, default: false}
  count: {type: integer, default: 1}
  level: {type: enum, enum: [low, high], default: low}
jobs:
  build:
    machine: true
    parallelism: << pipeline.parameters.count >>
    steps:
      - run: << pipeline.parameters.text >> << pipeline.parameters.level >>
      - when: {condition: << pipeline.parameters.flag >>, steps: [run: flagged]}
";

fn given(values: &[(&str, &str)]) -> String {
    let mut inputs = inputs();
    inputs.parameters =
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    shown(TYPED, &inputs)
}

#[test]
fn given_pipeline_parameters_are_read_as_their_types() {
    insta::assert_snapshot!(given(&[("text", "42"), ("flag", "true"), ("count", "2"), ("level", "high")]));
}

#[test]
fn wrong_pipeline_parameters_are_all_said() {
    insta::assert_snapshot!(given(&[("txt", "a"), ("flag", "si"), ("count", "two"), ("level", "medium")]));
}
