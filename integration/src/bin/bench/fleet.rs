//! Many short jobs: what one job costs, all of it durable.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, milliseconds, ratio},
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
    let (ours, parts) = actix_rt::System::new().block_on(ours(scale.jobs, cores * 4));
    let each = |part: Duration| milliseconds(part / u32::try_from(scale.jobs).unwrap_or(u32::MAX));
    vec![Row {
        work: format!("{} one-step `true` jobs of one workflow", scale.jobs),
        ours: format!(
            "{} (control plane {}, launch-agent {}, task-agents and jobs {})",
            told(scale.jobs, ours, parts.iter().sum()),
            each(parts[0]),
            each(parts[1]),
            each(parts[2])
        ),
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

/// The wall time, and processor time of control plane, launch-agent, and all that the launch-agent reaped.
async fn ours(jobs: usize, concurrency: usize) -> (Duration, [Duration; 3]) {
    let bench = follow::start(concurrency).await;
    let (server, agent) = (bench.server.process(), bench.agent.process());
    let parts = || [server.cpu(), agent.own_cpu(), agent.reaped_cpu()];
    let (begun, before) = (Instant::now(), parts());
    let id = bench.server.pipeline(&job("true", jobs), follow::CLASS).await;
    bench.succeeded(id).await;
    let (wall, after) = (begun.elapsed(), parts());
    (wall, [0, 1, 2].map(|part| after[part].saturating_sub(before[part])))
}
