//! A pipeline as the text of a configuration.

use super::{Job, Piece, Pipeline, Step};
use serde_json::{Value, json};
use std::path::Path;

/// Where all jobs run.
pub const CLASS: &str = "chaos/linux";

/// The text; JSON is YAML, and quotes every command rightly.
pub fn config(pipeline: &Pipeline, tag: &str, runs: &Path) -> String {
    let jobs: serde_json::Map<_, _> =
        pipeline.jobs.iter().map(|job| (job.name.clone(), written(pipeline, job, tag, runs))).collect();
    let invoked = |job: &Job| {
        let requires: Vec<_> = job.requires.iter().map(|place| &pipeline.jobs[*place].name).collect();
        json!({ &job.name: { "requires": requires } })
    };
    let invoked: Vec<_> = pipeline.jobs.iter().map(invoked).collect();
    let config = json!({ "version": 2.1, "jobs": jobs, "workflows": { "all": { "jobs": invoked } } });
    serde_json::to_string_pretty(&config).expect("it has only string keys")
}

fn written(pipeline: &Pipeline, job: &Job, tag: &str, runs: &Path) -> Value {
    // A file for each execution: whoever ran twice left two.
    let count =
        format!("mktemp '{}/{tag}.{}.'\"$CIRCLE_NODE_INDEX.XXXXXXXX\" >/dev/null", runs.display(), job.name);
    let mut steps = vec![run("count", &count)];
    steps.extend(job.steps.iter().flat_map(|step| parts(pipeline, job, step)));
    json!({ "machine": true, "resource_class": CLASS, "parallelism": job.parallelism, "steps": steps })
}

fn run(name: &str, command: &str) -> Value {
    json!({ "run": { "name": name, "command": command } })
}

fn into_file(pieces: &[Piece], path: &str) -> String {
    format!("mkdir -p \"$(dirname \"{path}\")\"\n{{ {}\n}} > \"{path}\"", Piece::shell_of(pieces))
}

/// A step of the workload as steps of the configuration; the last of them is the one that is looked at.
fn parts(pipeline: &Pipeline, job: &Job, step: &Step) -> Vec<Value> {
    let name = |job: &Job| format!("{}-$CIRCLE_NODE_INDEX", job.name);
    match step {
        Step::Print(pieces) => vec![run("print", &Piece::shell_of(pieces))],
        Step::Background(pieces) => {
            let command = format!("{}\nsleep 100000", Piece::shell_of(pieces));
            vec![json!({ "run": { "name": "beside", "command": command, "background": true } })]
        }
        Step::Fail(pieces, exit) => vec![run("fail", &format!("{}\nexit {exit}", Piece::shell_of(pieces)))],
        Step::Artifacts(files) => {
            let write: Vec<_> =
                files.iter().map(|(path, pieces)| into_file(pieces, &format!("out/{path}"))).collect();
            vec![
                run("write", &write.join("\n")),
                json!({ "store_artifacts": { "path": "out", "destination": "out" } }),
            ]
        }
        Step::Tests(passed, failed, skipped) => vec![
            run(
                "test",
                &format!(
                    "mkdir -p results\nprintf %s '{}' > results/junit.xml",
                    junit(*passed, *failed, *skipped)
                ),
            ),
            json!({ "store_test_results": { "path": "results" } }),
        ],
        Step::SaveCache(pieces) => vec![
            run("fill", &into_file(pieces, "cached/file")),
            json!({ "save_cache": { "key": format!("{}-v1", job.name), "paths": ["cached"] } }),
        ],
        Step::RestoreCache(place, _) => vec![
            json!({ "restore_cache": { "keys": [format!("{}-v1", pipeline.jobs[*place].name)] } }),
            run("use", "cat cached/file\nrm -r cached"),
        ],
        Step::Persist(pieces) => vec![
            run("make", &into_file(pieces, &format!("made/{}", name(job)))),
            json!({ "persist_to_workspace": { "root": "made", "paths": ["."] } }),
        ],
        Step::Attach(places) => vec![
            json!({ "attach_workspace": { "at": "got" } }),
            run("take", &format!("cat{}", attached(pipeline, places))),
        ],
    }
}

fn attached(pipeline: &Pipeline, places: &[usize]) -> String {
    let jobs = places.iter().map(|place| &pipeline.jobs[*place]);
    jobs.flat_map(|job| (0..job.parallelism).map(move |index| format!(" got/{}-{index}", job.name))).collect()
}

fn junit(passed: u64, failed: u64, skipped: u64) -> String {
    let case = |name: String, inside: &str| {
        format!("<testcase classname=\"c\" name=\"{name}\" time=\"0.1\">{inside}</testcase>")
    };
    let passed = (0..passed).map(|number| case(format!("passed {number}"), ""));
    let failed = (0..failed).map(|number| case(format!("failed {number}"), "<failure message=\"wrong\"/>"));
    let skipped = (0..skipped).map(|number| case(format!("skipped {number}"), "<skipped/>"));
    format!("<testsuite name=\"s\">{}</testsuite>", passed.chain(failed).chain(skipped).collect::<String>())
}

/// Where each step of the workload stands in the configuration, from 1: behind the one that counts.
pub(crate) fn numbers(job: &Job) -> Vec<u64> {
    let mut number = 1;
    let place = |step: &Step| {
        number += match step {
            Step::Print(_) | Step::Background(_) | Step::Fail(..) => 1,
            _ => 2,
        };
        number
    };
    job.steps.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_as_they_are_written() {
        for number in 0..50 {
            let pipeline = Pipeline::generate(3, number);
            for job in &pipeline.jobs {
                let steps =
                    written(&pipeline, job, "t", Path::new("/runs"))["steps"].as_array().unwrap().len();
                assert_eq!(numbers(job).last().copied(), Some(steps as u64), "{job:?}");
            }
        }
    }
}
