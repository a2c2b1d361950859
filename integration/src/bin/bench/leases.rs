//! How late heartbeats come from a launch-agent whose jobs want every processor several times over.

use crate::{
    Scale, follow,
    table::{Row, Samples, milliseconds, ratio},
};
use integration::{
    proc::{self, Process},
    rig::Rig,
    wait,
};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a lease lasts, and a third of it: so long a heartbeat is held open. The next one comes at once.
const LEASE: &str = "1500ms";
const HELD: Duration = Duration::from_millis(500);
/// Of each processor, so many jobs want all.
const OVERSUBSCRIBED: usize = 4;
const HEARTBEAT: &[u8] = b"/runner/heartbeat";
const PATIENCE: Duration = Duration::from_secs(60);

/// Beside an idle host in the same run.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let (idle, busy) = actix_rt::System::new().block_on(async {
        let idle = lateness(1, "sleep 600", scale.samples).await;
        (idle, lateness(cores * OVERSUBSCRIBED, "while :; do :; done", scale.samples).await)
    });
    vec![Row {
        work: format!("a heartbeat is late while jobs want each processor {OVERSUBSCRIBED} times"),
        ours: told(&busy),
        floor: format!("one job that sleeps: {}", told(&idle)),
        ratio: ratio(busy.percentile(50), idle.percentile(50)),
        budget: "far below a lease, which is 60 s",
    }]
}

fn told(samples: &Samples) -> String {
    format!("{}, max {}", samples.told(), milliseconds(samples.percentile(100)))
}

/// Of heartbeats while so many jobs of this command run.
async fn lateness(jobs: usize, command: &str, samples: usize) -> Samples {
    let rig = Rig::new();
    let server = rig.server_with("server", "127.0.0.1:0", &["--lease", LEASE]);
    let token = server.class(follow::CLASS).await;
    let (url, beats) = tapped(&server.url);
    let concurrency = jobs.to_string();
    let runner = [("concurrency", concurrency.as_str()), ("grace", "100ms")];
    let mut agent = rig.agent_with("agent", &url, &[(follow::CLASS, &token)], &runner);
    let id = server.pipeline(&follow::job(command, jobs), follow::CLASS).await;
    let programs = agent.state.join("agents");
    let running = || (job_processes(&programs.to_string_lossy()) >= jobs).then_some(());
    wait::until("every job's process", PATIENCE, running);
    while beats.try_recv().is_ok() {}
    let mut last = beats.recv_timeout(PATIENCE).expect("a heartbeat comes");
    let late = (0..samples).map(|_| {
        let beat = beats.recv_timeout(PATIENCE).expect("heartbeats go on");
        beat.duration_since(std::mem::replace(&mut last, beat)).saturating_sub(HELD)
    });
    let late = late.collect();
    follow::end(&server, id, &mut agent).await;
    Samples::new(late)
}

/// Below the task-agents.
fn job_processes(programs: &str) -> usize {
    let agents: Vec<Process> = proc::running(programs);
    proc::trees(agents.clone()).len().saturating_sub(agents.len())
}

/// An address before this one, and the moment of each heartbeat that passes.
fn tapped(target: &str) -> (String, Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let (target, (beats, heard)) = (target.trim_start_matches("http://").to_owned(), channel());
    thread::spawn(move || {
        for agent in listener.incoming().map_while(Result::ok) {
            let (target, beats) = (target.clone(), beats.clone());
            thread::spawn(move || lead(agent, &target, &beats));
        }
    });
    (url, heard)
}

fn lead(mut agent: TcpStream, target: &str, beats: &Sender<Instant>) -> io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let (mut answers, mut asker) = (server.try_clone()?, agent.try_clone()?);
    for stream in [&server, &agent] {
        stream.set_nodelay(true)?;
    }
    thread::spawn(move || io::copy(&mut answers, &mut asker));
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = agent.read(&mut piece)?;
        if length == 0 {
            return server.shutdown(std::net::Shutdown::Write);
        }
        if piece[..length].windows(HEARTBEAT.len()).any(|window| window == HEARTBEAT) {
            // Nobody listens once the samples are taken.
            let _ = beats.send(Instant::now());
        }
        server.write_all(&piece[..length])?;
    }
}
