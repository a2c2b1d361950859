//! One job that writes and writes: how long until all of it is stored and readable, and what that takes.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, mebibytes, ratio},
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PLACE: &str = "/dev/shm/roundhouse-bench";

/// By pipe lines of a hundred bytes, and one line; then the lines by terminal, beside what the kernel takes for it.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let line = format!("{:99}", "a line of some length, as compilers print them: warning: unused variable");
    let script = format!("head -c {} < <(yes '{line}')", scale.output);
    let lines = |by: &str| {
        format!(
            "{} of output from one job in lines of 100 bytes{by}, stored and readable",
            mebibytes(scale.output)
        )
    };
    let length = scale.output / 10;
    let one = by_pipe(
        format!("one line of {} from one job, stored and readable", mebibytes(length)),
        &format!("head -c {length} < <(yes '{line}' | tr '\\n' x)"),
        length,
        "memory does not grow",
    );
    let budget = "≤ 2 s for 1 GiB; memory does not grow";
    vec![
        by_pipe(lines(""), &script, scale.output, budget),
        one,
        by_terminal(lines(" by terminal"), &script, scale.output),
    ]
}

fn by_pipe(work: String, script: &str, output: u64, budget: &'static str) -> Row {
    let (file, pipe) = (floor(&format!("{script} > {PLACE}")), floor(&format!("{script} | cat > {PLACE}")));
    let flood = measured(script, output, "false");
    let floor = format!("to a file {:.2} s, through a pipe {:.2} s", file.as_secs_f64(), pipe.as_secs_f64());
    Row { work, ours: flood.said(), floor, ratio: ratio(flood.wall, pipe), budget }
}

fn by_terminal(work: String, script: &str, output: u64) -> Row {
    let terminal = terminal_floor(script);
    let flood = measured(script, output, "true");
    let floor = format!("through a terminal to a file {:.2} s", terminal.as_secs_f64());
    Row {
        work, ours: flood.said(), floor, ratio: ratio(flood.wall, terminal), budget: "≤ 1.1 of the floor"
    }
}

fn measured(script: &str, output: u64, terminal: &str) -> Flood {
    // It was only a place to write to.
    let _ = std::fs::remove_file(PLACE);
    actix_rt::System::new().block_on(ours(script, output, terminal))
}

struct Flood {
    wall: Duration,
    cpu: Duration,
    agent: u64,
    server: u64,
}

impl Flood {
    fn said(&self) -> String {
        format!(
            "{:.2} s, {:.2} s CPU; peak memory: launch-agent {}, control plane {}",
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            mebibytes(self.agent),
            mebibytes(self.server)
        )
    }
}

fn floor(script: &str) -> Duration {
    let begun = Instant::now();
    let status = Command::new("bash").args(["-c", script]).stdin(Stdio::null()).status();
    assert!(status.expect("bash is there").success(), "the script writes");
    begun.elapsed()
}

/// The same script on a terminal, read by nobody but this loop.
fn terminal_floor(script: &str) -> Duration {
    let begun = Instant::now();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let outside = openpt(flags).expect("the host has terminals");
    unlockpt(&outside).expect("it is ours");
    let inside = ioctl_tiocgptpeer(&outside, flags).expect("it is ours");
    let script = format!("stty -opost -echo <&1; {script}");
    let mut command = Command::new("bash");
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(inside);
    let mut child = command.spawn().expect("bash is there");
    // With the command its copy of the other end goes, and what it writes comes to an end.
    drop(command);
    let (mut outside, mut place) = (File::from(outside), File::create(PLACE).expect("memory is there"));
    let mut piece = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = outside.read(&mut piece) {
        place.write_all(&piece[..length]).expect("memory is there");
    }
    assert!(child.wait().expect("it is ours").success(), "the script writes");
    begun.elapsed()
}

/// Until the whole log can be read: its last byte is asked for once the job has ended.
async fn ours(script: &str, output: u64, terminal: &str) -> Flood {
    let bench = follow::start_with(1, &[("ROUNDHOUSE_RUNNER_TERMINAL", Path::new(terminal))]).await;
    let (begun, before) = (Instant::now(), bench.cpu());
    let id = bench.server.pipeline(&job(script, 1), follow::CLASS).await;
    let view = bench.succeeded(id).await;
    let (wall, cpu) = (begun.elapsed(), bench.cpu() - before);
    let stored = view.workflows[0].jobs[0].tasks[0].steps.iter().map(|step| step.log_bytes).max();
    assert!(stored >= Some(output), "every byte is stored: {stored:?}");
    Flood { wall, cpu, agent: bench.agent.process().peak(), server: bench.server.process().peak() }
}
