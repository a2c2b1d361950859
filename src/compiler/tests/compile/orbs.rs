//! Orbs: inline ones with their own scope, published ones by version, and what is said of those that are not there.

use crate::{
    check,
    shown::{inputs, shown},
};
use compiler::{
    Inputs,
    orb::{Missing, Orb, Orbs, Reference, newest},
};
use std::sync::Arc;

/// Published orbs by name and version.
#[derive(Debug)]
struct Shelf(Vec<(&'static str, &'static str, &'static str)>);

impl Orbs for Shelf {
    fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
        let of_name = || self.0.iter().filter(|(name, ..)| *name == reference.name);
        let version = newest(&reference.wanted, of_name().map(|(_, version, _)| *version));
        let found = of_name().find(|(_, own, _)| Some(*own) == version);
        let missing = || Missing { reason: "the shelf has none".to_owned(), help: "put it there".to_owned() };
        found
            .map(|(_, version, source)| Orb { version: (*version).to_owned(), source: (*source).to_owned() })
            .ok_or_else(missing)
    }

    fn at(&self, url: &str) -> Result<Orb, Missing> {
        match url.strip_prefix("https://orbs.acme.example/") {
            Some("tools.yml") => Ok(Orb { version: String::new(), source: TOOLS.to_owned() }),
            Some(_) => {
                Err(Missing { reason: "nothing lies there".to_owned(), help: "look again".to_owned() })
            }
            None => {
                let reason = "its address is not allowed".to_owned();
                Err(Missing { reason, help: "allow it".to_owned() })
            }
        }
    }
}

pub(crate) fn with_orbs() -> Inputs {
    let shelf = Shelf(vec![
        ("acme/tools", "1.2.3", "commands: {say: {steps: [run: old]}}\n"),
        ("acme/tools", "1.3.0", TOOLS),
        ("acme/tools", "2.0.0", "commands: {say: {steps: [run: new]}}\n"),
        ("acme/tools", "dev:next", "commands: {say: {steps: [run: next]}}\n"),
        (
            "acme/base",
            "1.0.0",
            "executors: {default: {parameters: {tag: {type: string, default: base}}, docker: [image: \"img:<< parameters.tag >>\"]}}\ncommands: {hello: {steps: [run: hello]}}\n",
        ),
        (
            "acme/wrong",
            "1.0.0",
            "commands:\n  broken:\n    steps:\n      - run: << parameters.nope >>\n      - nothing\n      - run: << pipeline.parameters.env >>\n",
        ),
        ("acme/ring", "1.0.0", "orbs: {other: acme/gnir@1}\ncommands: {go: {steps: [other/go]}}\n"),
        ("acme/gnir", "1.0.0", "orbs: {other: acme/ring@1}\ncommands: {go: {steps: [other/go]}}\n"),
    ]);
    Inputs { orbs: Some(Arc::new(shelf)), ..inputs() }
}

const TOOLS: &str = r#"
orbs: {base: acme/base@1.0}
executors:
  default: {docker: [image: "tools"], environment: {BY: executor}}
commands:
  say:
    parameters: {words: {type: string, default: "<< pipeline.number >>"}}
    steps: [run: "say << parameters.words >>"]
  checkout:
    steps: [checkout, run: after]
  around:
    parameters: {inner: {type: steps, default: []}}
    steps: [say: {words: begin}, steps: << parameters.inner >>, base/hello]
jobs:
  test:
    parameters: {executor: {type: executor, default: default}, after: {type: steps, default: [say]}}
    executor: << parameters.executor >>
    steps: [checkout, steps: << parameters.after >>]
"#;

/// Takes a snapshot of every named case, with the shelf's orbs at hand.
macro_rules! check_with_orbs {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!(shown($text, &with_orbs()));
            });
        }
    )*};
}

check_with_orbs! {
    what_an_orb_has_is_found_in_the_orb_first: r#"
version: 2.1
orbs: {tools: acme/tools@1}
commands: {say: {steps: [run: mine]}, hello: {steps: [run: my own hello]}}
executors: {default: {machine: true}, mine: {machine: true}}
jobs:
  build: {executor: tools/default, steps: [say, tools/say, tools/around: {inner: [say, hello, tools/say: {words: inner}]}, tools/checkout]}
workflows:
  all:
    jobs:
      - build
      - tools/test
      - tools/test: {name: here, executor: mine, after: [say], pre-steps: [say]}
      - tools/test: {name: mine-by-default, executor: default}
      - tools/test: {matrix: {parameters: {executor: [mine, tools/default]}}}
"#;
    versions_are_resolved: r#"
version: 2.1
parameters: {v: {type: string, default: "1.2.3"}}
orbs: {exact: acme/tools@1.2.3, minor: acme/tools@1.3, major: acme/tools@2, newest: acme/tools@volatile, dev: "acme/tools@dev:next", given: "acme/tools@<< pipeline.parameters.v >>"}
jobs:
  build: {machine: true, steps: [exact/say, minor/say, major/say, newest/say, dev/say, given/say]}
"#;
    an_orbs_command_may_have_another_name: r#"
version: 2.1
orbs: {tools: acme/tools@1, base: acme/base@1}
commands: {speak: tools/say}
executors: {plain: base/default}
jobs:
  test: tools/test
  build: {executor: {name: plain, tag: other}, steps: [speak: {words: hi}]}
workflows: {all: {jobs: [build, test]}}
"#;
    wrong_references_to_orbs_are_all_said: r#"
version: 2.1
orbs: {tools: acme/tools@1, none: acme/none@1, bad: acme, list: [x], worse: acme/tools@x}
jobs:
  build: {executor: tools/nothing, steps: [tools/sai, tool/say, none/x, else/x]}
workflows: {all: {jobs: [build, tools/tset, none/job]}}
"#;
    a_mistake_in_an_orb_says_where_it_is_used: r#"
version: 2.1
parameters: {env: {type: string, default: x}}
orbs: {wrong: acme/wrong@1}
commands: {outer: {steps: [wrong/broken]}}
jobs:
  build: {machine: true, steps: [outer]}
"#;
    orbs_that_call_each_other_are_said: r#"
version: 2.1
orbs: {ring: acme/ring@1}
jobs:
  build: {machine: true, steps: [ring/go]}
"#;
}

check! {
    inline_orbs_have_a_scope_of_their_own: r#"
version: 2.1
orbs:
  outer:
    orbs:
      inner:
        commands: {deep: {steps: [run: deep]}}
        executors: {default: {docker: [image: inner]}}
    commands:
      say: {steps: [run: outer says, inner/deep]}
      twice: {parameters: {s: {type: steps}}, steps: [say, steps: << parameters.s >>, steps: << parameters.s >>]}
    executors: {default: {docker: [image: outer]}}
    jobs:
      test: {executor: inner/default, steps: [say]}
commands: {say: {steps: [run: mine]}}
jobs:
  build: {executor: outer/default, steps: [say, outer/say, outer/twice: {s: [say]}]}
workflows: {all: {jobs: [build, outer/test]}}
"#;
    an_orb_that_is_not_used_may_be_missing: r#"
version: 2.1
orbs: {node: circleci/node@5}
jobs:
  build: {machine: true, steps: [checkout]}
  unused: {machine: true, steps: [node/install]}
"#;
    what_an_orb_cannot_see_is_said: r#"
version: 2.1
parameters: {p: {type: string, default: x}}
orbs:
  o:
    commands: {c: {steps: [run: "<< pipeline.parameters.p >>", run: "<< pipeline.number >>", mine]}}
commands: {mine: {steps: [run: x]}}
jobs:
  build: {machine: true, steps: [o/c, o/inner/c]}
"#;
}

/// What is said of an orb by itself.
fn tried(source: &str) -> String {
    let trial = compiler::examine_orb("orb.yml", source, &with_orbs());
    let said: String = trial.said.iter().chain(&trial.missed).map(|one| trial.sources.render(one)).collect();
    format!("{said}{}\n", if trial.expanded.is_some() { "fits" } else { "does not fit" })
}

#[test]
fn an_orb_is_tried_as_a_whole() {
    assert_eq!(tried(TOOLS), "fits\n");
    let needy = "description: x\ncommands:\n  c:\n    parameters: {a: {type: string}, b: {type: steps}, c: {type: enum, enum: [x, y]}, d: {type: env_var_name}}\n    steps: [run: << parameters.a >> << parameters.c >> << parameters.d >>, steps: << parameters.b >>]\njobs:\n  j: {parameters: {e: {type: executor}, n: {type: integer}}, executor: << parameters.e >>, parallelism: << parameters.n >>, steps: [c: {a: x, b: [], c: y, d: D}]}\nexecutors: {e: {parameters: {t: {type: string}}, docker: [image: << parameters.t >>]}}\n";
    assert_eq!(tried(needy), "fits\n");
    insta::assert_snapshot!(tried(
        "commands:\n  c: {steps: [run: << parameters.x >>, none]}\njobs:\n  j: {steps: [c: {y: 1}]}\n"
    ));
}
