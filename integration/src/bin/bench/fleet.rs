//! Many short jobs: what one job costs, all of it durable.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, ratio},
};
use integration::proc::Process;
use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// One-step jobs that do nothing.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let (floor, floor_cpu) = floor(scale.jobs, cores);
    let (ours, ours_cpu) = actix_rt::System::new().block_on(ours(scale.jobs, cores * 4));
    vec![Row {
        work: format!("{} one-step `true` jobs of one workflow", scale.jobs),
        ours: told(scale.jobs, ours, ours_cpu),
        floor: format!("xargs -P {cores} bash: {}", told(scale.jobs, floor, floor_cpu)),
        ratio: ratio(ours, floor),
        budget: "≤ 5 ms CPU per job, ≥ 250 jobs/s",
    }]
}

fn told(jobs: usize, wall: Duration, cpu: Duration) -> String {
    let (each, rate) = (cpu.as_secs_f64() * 1e3 / jobs as f64, jobs as f64 / wall.as_secs_f64());
    format!("{:.2} s, {rate:.0} jobs/s, {each:.1} ms CPU per job", wall.as_secs_f64())
}

fn floor(jobs: usize, cores: usize) -> (Duration, Duration) {
    let (begun, before) = (Instant::now(), Process::own().cpu());
    let script = format!("seq {jobs} | xargs -P {cores} -I{{}} bash -eo pipefail -c true");
    let status = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status();
    assert!(status.expect("sh is there").success(), "true succeeds");
    (begun.elapsed(), Process::own().cpu() - before)
}

async fn ours(jobs: usize, concurrency: usize) -> (Duration, Duration) {
    let bench = follow::start(concurrency).await;
    let (begun, before) = (Instant::now(), bench.cpu());
    let id = bench.server.pipeline(&job("true", jobs), follow::CLASS).await;
    bench.succeeded(id).await;
    (begun.elapsed(), bench.cpu() - before)
}
