//! How long configurations take to compile: the slowest of the real ones, where they are at hand, and a very long one.

use crate::{
    Scale,
    table::{Row, Samples, milliseconds, ratio},
};
use compiler::{Compilation, Inputs, examine};
use std::{
    fmt::Write,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Lines of the long configuration, at least.
const LINES: usize = 10_000;
/// How often each of the real ones is compiled.
const TIMES: usize = 5;

/// Each beside the time that it takes to read the same text as YAML alone.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let long = long();
    assert!(compiled("long.yml", &long).pipeline.is_some(), "the long configuration is right");
    let lines = long.lines().count();
    let work = format!("a configuration of {lines} lines compiles");
    let long = Taken::of("long.yml", &long, scale.samples.clamp(TIMES, 20));
    let real: Vec<(String, String)> = corpus().iter().filter_map(|file| read(file)).collect();
    let slowest = real.iter().map(|(name, text)| (name, Taken::of(name, text, TIMES)));
    let slowest = slowest.max_by_key(|(_, taken)| taken.ours.percentile(50));
    let slowest = slowest.map(|(name, taken)| {
        let work = format!("the slowest of {} real configurations compiles ({name})", real.len());
        taken.row(work, "≤ 50 ms")
    });
    [long.row(work, "≤ 100 ms")].into_iter().chain(slowest).collect()
}

/// How long a text takes.
struct Taken {
    ours: Samples,
    floor: Samples,
}

impl Taken {
    fn of(name: &str, text: &str, times: usize) -> Self {
        let ours = samples(times, || drop(black_box(compiled(name, text))));
        let floor = samples(times, || drop(black_box(yaml::parse(text))));
        Self { ours, floor }
    }

    fn row(self, work: String, budget: &'static str) -> Row {
        let floor = self.floor.percentile(50);
        Row {
            work,
            ours: self.ours.told(),
            floor: format!("its YAML alone: p50 {}", milliseconds(floor)),
            ratio: ratio(self.ours.percentile(50), floor),
            budget,
        }
    }
}

fn samples(times: usize, mut work: impl FnMut()) -> Samples {
    let once = |_| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    Samples::new((0..times).map(once).collect::<Vec<Duration>>())
}

fn compiled(name: &str, text: &str) -> Compilation {
    let mut inputs = Inputs { native: true, number: 1, ..Inputs::default() };
    inputs.git.branch = Some("main".to_owned());
    examine(name, text, &inputs)
}

/// Real configurations beside the project; none where they are not.
fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/configs");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn read(file: &Path) -> Option<(String, String)> {
    Some((file.file_stem()?.to_string_lossy().into_owned(), fs::read_to_string(file).ok()?))
}

/// Commands, jobs with parameters that call them, and workflows with matrices, until it is long enough.
fn long() -> String {
    let mut text =
        "version: 2.1\nparameters:\n  deploy: {type: boolean, default: true}\ncommands:\n".to_owned();
    for n in 0..100 {
        let _ = write!(
            text,
            "  prepare-{n}:\n    parameters:\n      what:\n        type: string\n        default: all\n    steps:\n      - run:\n          \
             name: Prepare << parameters.what >>\n          command: |\n            echo << parameters.what >>\n            make prepare-{n}\n"
        );
    }
    let mut workflows = String::new();
    text += "jobs:\n";
    for n in 0.. {
        if text.lines().count() + workflows.lines().count() >= LINES {
            break;
        }
        for one in n * 10..n * 10 + 10 {
            let _ = write!(
                text,
                "  job-{one}:\n    parameters:\n      size:\n        type: enum\n        enum: [small, large]\n        default: small\n    machine: true\n    \
                 resource_class: acme/<< parameters.size >>\n    environment:\n      SIZE: << parameters.size >>\n    steps:\n      - checkout\n      \
                 - prepare-{}:\n          what: << parameters.size >>\n      - when:\n          condition: << pipeline.parameters.deploy >>\n          \
                 steps:\n            - run:\n                name: Deploy\n                command: make deploy-{one}\n      - store_artifacts:\n          path: out\n",
                one % 100
            );
        }
        let _ = writeln!(workflows, "  workflow-{n}:\n    when: pipeline.git.branch == \"main\"\n    jobs:");
        for one in n * 10..n * 10 + 10 {
            let requires = if one % 10 == 0 {
                String::new()
            } else {
                format!("\n          requires: [job-{}]", one - 1)
            };
            let _ = writeln!(
                workflows,
                "      - job-{one}:\n          matrix:\n            parameters:\n              size: [small, large]{requires}"
            );
        }
    }
    format!("{text}workflows:\n{workflows}")
}
