//! Jobs and executors: on what a job runs, and what it takes from where.

use crate::{
    check,
    shown::{inputs, shown},
};

check! {
    a_job_overrides_its_executor: r#"
version: 2.1
executors:
  base:
    parameters: {version: {type: string, default: "1.0"}}
    docker:
      - image: app:<< parameters.version >>
        environment: {FROM_IMAGE: 1, A: image}
        auth: {username: u, password: $P}
      - image: postgres:16
    environment: {A: executor, B: executor}
    resource_class: large
    working_directory: ~/base
    shell: /bin/sh
jobs:
  build:
    executor: {name: base, version: "2.0"}
    environment: {B: job, C: job}
    working_directory: /tmp/x
    steps: [run: x]
  plain: {executor: base, steps: [run: x]}
  own: {executor: base, machine: true, resource_class: ns/host, steps: [run: x]}
workflows:
  all: {jobs: [build, plain, own]}
"#;
    machines_have_every_form: r#"
version: 2.1
jobs:
  a: {machine: true, steps: [checkout]}
  b: {machine: {enabled: true}, steps: [checkout]}
  c: {machine: {image: "ubuntu-2204:current", resource_class: medium, shell: /bin/sh, docker_layer_caching: true}, steps: [run: x]}
  d: {machine: {}, steps: [checkout]}
  e: {machine: default, steps: [checkout]}
  f: {machine: {enabled: false}, docker: [image: x], steps: [checkout]}
workflows:
  all: {jobs: [a, b, c, d, e, f]}
"#;
    wrong_jobs_are_all_said: r#"
version: 2.1
executors:
  bare: {shell: /bin/sh}
  known: {machine: true, resorce_class: x}
jobs:
  nothing: {steps: [checkout]}
  bare: {executor: bare, steps: [checkout]}
  unknown: {executor: knwon, steps: [checkout]}
  shapeless: {executor: [known], steps: [checkout]}
  nameless: {executor: {version: 1}, steps: [checkout]}
  stepless: {machine: true}
  text: {machine: true, steps: checkout}
  wide: {machine: true, parallelism: 0, steps: [checkout]}
  words: {machine: true, parallelism: many, steps: [checkout]}
  images: {docker: {image: x}, steps: [checkout]}
  imageless: {docker: [{nam: x}], steps: [checkout]}
  typo: {executor: known, enviroment: {A: 1}, steps: [checkout]}
  string: just text
workflows:
  all: {jobs: [nothing, bare, unknown, shapeless, nameless, stepless, text, wide, words, images, imageless, typo, string]}
"#;
    parallelism_may_come_as_text: r#"
version: 2.1
jobs:
  build: {parameters: {n: {type: string, default: "4"}}, machine: true, parallelism: << parameters.n >>, steps: [checkout]}
"#;
}

#[test]
fn without_an_engine_every_job_in_a_container_is_refused_by_name() {
    let text = r"
version: 2.1
executors: {shared: {docker: [image: x]}}
jobs:
  one: {docker: [image: x], steps: [checkout]}
  two: {executor: shared, steps: [checkout]}
  three: {executor: shared, steps: [checkout]}
  host: {machine: true, steps: [checkout]}
workflows:
  all: {jobs: [one, two, three, host]}
";
    let mut inputs = inputs();
    inputs.native = false;
    inputs.no_engine = Some("none answers".to_owned());
    insta::assert_snapshot!(shown(text, &inputs));
}

#[test]
fn images_have_every_key() {
    let text = r#"
version: 2.1
jobs:
  build:
    docker:
      - image: registry.example/app:1
        user: "1000:1000"
        auth: {username: $ACCOUNT, password: "${TOKEN}"}
        environment: [A: 1]
      - {image: "postgres:16", name: db, entrypoint: docker-entrypoint.sh -x, command: [postgres, -c, fsync=off]}
      - {image: cloud, command: 'sh -c "sleep 1"', aws_auth: {aws_access_key_id: a, aws_secret_access_key: $B}}
      - {image: x, auth: {username: u}}
      - {image: y, auth: text, nmae: z}
    resource_class: large
    steps: [checkout]
"#;
    let inputs = compiler::Inputs { native: false, ..inputs() };
    insta::assert_snapshot!(shown(text, &inputs));
    let valid = text.replace(", aws_auth: {aws_access_key_id: a, aws_secret_access_key: $B}", "");
    let valid: Vec<&str> =
        valid.lines().filter(|line| !line.contains("{image: x") && !line.contains("{image: y")).collect();
    insta::assert_snapshot!(shown(&valid.join("\n"), &inputs));
}
