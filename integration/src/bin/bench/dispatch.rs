//! From a pipeline's request to its job's first process, and from a printed line to its reader, on an idle host.

use crate::{
    Scale, follow,
    follow::{job, moment, now},
    table::{Row, Samples, ratio},
};
use std::{process::Command, time::Duration};

/// Both latencies.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    actix_rt::System::new().block_on(async {
        let bench = follow::start(2).await;
        vec![start(&bench, scale.samples).await, visible(&bench, scale.samples).await]
    })
}

/// The request's way in, compiling and storing are part of it; so is the store's sync to disk.
async fn start(bench: &follow::Bench, samples: usize) -> Row {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        floor.push(bash());
        let asked = now();
        let id = bench.server.pipeline(&job("echo $EPOCHREALTIME", 1), follow::CLASS).await;
        let view = bench.succeeded(id).await;
        let mut printed = Vec::new();
        bench.log(view.workflows[0].jobs[0].tasks[0].id, |bytes| printed.extend_from_slice(bytes)).await;
        ours.push(moment(&String::from_utf8_lossy(&printed)).saturating_sub(asked));
    }
    let (ours, floor) = (Samples::new(ours), Samples::new(floor));
    Row {
        work: "pipeline requested → first process of its job runs".to_owned(),
        ours: ours.told(),
        floor: format!("spawn of bash: {}", floor.told()),
        ratio: ratio(ours.percentile(50), floor.percentile(50)),
        budget: "p50 ≤ 5 ms, p99 ≤ 15 ms",
    }
}

fn bash() -> Duration {
    let asked = now();
    let output = Command::new("bash").args(["-eo", "pipefail", "-c", "echo $EPOCHREALTIME"]).output();
    moment(&String::from_utf8_lossy(&output.expect("bash is there").stdout)).saturating_sub(asked)
}

/// A reader that holds the log's route open, as the page and the terminal do.
async fn visible(bench: &follow::Bench, samples: usize) -> Row {
    let command = format!("for i in $(seq {samples}); do echo $EPOCHREALTIME; sleep 0.02; done");
    let id = bench.server.pipeline(&job(&command, 1), follow::CLASS).await;
    let task = bench.first_task(id).await;
    let (mut seen, mut line) = (Vec::new(), String::new());
    bench
        .log(task.id, |bytes| {
            let read = now();
            line.push_str(&String::from_utf8_lossy(bytes));
            while let Some((whole, rest)) = line.split_once('\n') {
                seen.push(read.saturating_sub(moment(whole)));
                line = rest.to_owned();
            }
        })
        .await;
    Row {
        work: "line printed → line visible to a reader".to_owned(),
        ours: Samples::new(seen).told(),
        floor: "–".to_owned(),
        ratio: None,
        budget: "p50 ≤ 10 ms, p99 ≤ 50 ms",
    }
}
