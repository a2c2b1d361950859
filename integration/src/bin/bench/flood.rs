//! One job that writes and writes: how long until all of it is stored and readable, and what that takes.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, mebibytes, ratio},
};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// By pipe, the task-agent's own way: lines of a hundred bytes, and one line.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let line = format!("{:99}", "a line of some length, as compilers print them: warning: unused variable");
    let lines = row(
        format!(
            "{} of output from one job in lines of 100 bytes, stored and readable",
            mebibytes(scale.output)
        ),
        &format!("head -c {} < <(yes '{line}')", scale.output),
        scale.output,
        "≤ 2 s for 1 GiB; memory does not grow",
    );
    let length = scale.output / 10;
    let one = row(
        format!("one line of {} from one job, stored and readable", mebibytes(length)),
        &format!("head -c {length} < <(yes '{line}' | tr '\\n' x)"),
        length,
        "memory does not grow",
    );
    vec![lines, one]
}

fn row(work: String, script: &str, output: u64, budget: &'static str) -> Row {
    let (file, pipe) = (
        floor(&format!("{script} > /dev/shm/roundhouse-bench")),
        floor(&format!("{script} | cat > /dev/shm/roundhouse-bench")),
    );
    // It was only a place to write to.
    let _ = std::fs::remove_file("/dev/shm/roundhouse-bench");
    let flood = actix_rt::System::new().block_on(ours(script, output));
    Row {
        work,
        ours: format!(
            "{:.2} s, {:.2} s CPU; peak memory: launch-agent {}, control plane {}",
            flood.wall.as_secs_f64(),
            flood.cpu.as_secs_f64(),
            mebibytes(flood.agent),
            mebibytes(flood.server)
        ),
        floor: format!("to a file {:.2} s, through a pipe {:.2} s", file.as_secs_f64(), pipe.as_secs_f64()),
        ratio: ratio(flood.wall, pipe),
        budget,
    }
}

struct Flood {
    wall: Duration,
    cpu: Duration,
    agent: u64,
    server: u64,
}

fn floor(script: &str) -> Duration {
    let begun = Instant::now();
    let status = Command::new("bash").args(["-c", script]).stdin(Stdio::null()).status();
    assert!(status.expect("bash is there").success(), "the script writes");
    begun.elapsed()
}

/// Until the whole log can be read: its last byte is asked for once the job has ended.
async fn ours(script: &str, output: u64) -> Flood {
    let bench = follow::start(1).await;
    let (begun, before) = (Instant::now(), bench.cpu());
    let id = bench.server.pipeline(&job(script, 1), follow::CLASS).await;
    let view = bench.succeeded(id).await;
    let (wall, cpu) = (begun.elapsed(), bench.cpu() - before);
    let stored = view.workflows[0].jobs[0].tasks[0].steps.iter().map(|step| step.log_bytes).max();
    assert!(stored >= Some(output), "every byte is stored: {stored:?}");
    Flood { wall, cpu, agent: bench.agent.process().peak(), server: bench.server.process().peak() }
}
