//! One control plane for many runners: claims that are held open, how quickly they are answered, logs that are stored
//! meanwhile, and the page beside all that.

use crate::{
    Scale, follow,
    table::{Row, Samples, mebibytes, ratio},
};
use client::TaskClient;
use futures_util::future::join_all;
use integration::rig::{Rig, Server};
use protocol::{
    StepNumber,
    http::{Claim, Claimed, ClaimedMany},
    marks::Marks,
    stream::{self, Chunk, Item},
};
use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    thread,
    time::{Duration, Instant},
};

/// How long a claim is held open at most.
const HELD: Duration = Duration::from_secs(110);
/// How long the claims alone are watched.
const WATCHED: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(100);
/// Of text in a chunk of a log.
const CHUNK: usize = 4096;
/// So many tasks write their logs at once.
const WRITERS: usize = 32;
const STEP: StepNumber = StepNumber(1);

/// All of it at one control plane, one after the other, while most claims stay open.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let rig = Rig::new();
    let server = rig.server("server");
    actix_rt::System::new().block_on(async {
        let token = server.class(follow::CLASS).await;
        let alone = page(&server, scale.samples);
        let (mut claims, held) = held(&server, &token, scale.held);
        let (claimed, answered) = answered(&server, &mut claims, scale.jobs).await;
        let beside = {
            let (url, key, samples) = (server.url.clone(), signed_in(&server), scale.samples);
            thread::spawn(move || opened(&url, &key, samples))
        };
        let stored = stored(&server, &token, &claimed, scale, &rig).await;
        let beside = beside.join().expect("the page answers");
        vec![held, answered, stored, page_row(scale.held, &beside, &alone)]
    })
}

/// Opens the claims; what they cost while nothing happens.
fn held(server: &Server, token: &str, count: usize) -> (Vec<TcpStream>, Row) {
    let process = server.process();
    let idle = process.memory();
    let claims: Vec<_> = (0..count).map(|place| claim(server, token, place)).collect();
    integration::wait::until("every claim is held open", PATIENCE, || {
        (process.descriptors() > count).then_some(())
    });
    // What the last of them wrote is on disk.
    thread::sleep(Duration::from_secs(1));
    let (begun, before) = (Instant::now(), process.cpu());
    thread::sleep(WATCHED);
    let busy = (process.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let memory = process.memory().saturating_sub(idle);
    let each = memory as f64 / 1024.0 / count as f64;
    let row = Row {
        work: format!("{count} claims held open by one control plane"),
        ours: format!(
            "{} more, {each:.1} KiB each; {:.1} % of one processor",
            mebibytes(memory),
            busy * 100.0
        ),
        floor: format!("{} without them", mebibytes(idle)),
        ratio: None,
        budget: "memory and processor of a small host",
    };
    (claims, row)
}

/// A claim of a runner instance of its own that waits for work.
fn claim(server: &Server, token: &str, place: usize) -> TcpStream {
    let claim = Claim {
        name: format!("runner-{place}"),
        hostname: "bench".to_owned(),
        ip: String::new(),
        version: "bench".to_owned(),
        platform: Some("linux/amd64".to_owned()),
        max_tasks: Some(1),
        wait_ms: Some(u64::try_from(HELD.as_millis()).unwrap_or(u64::MAX)),
        containers: false,
    };
    let body = serde_json::to_string(&claim).expect("it is JSON");
    let address = server.url.strip_prefix("http://").expect("it is plain");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json");
    let request = format!(
        "POST /api/v3/runner/claim HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

/// A pipeline of so many jobs, until each has been claimed; a claim is on disk before it is answered.
async fn answered(server: &Server, claims: &mut [TcpStream], jobs: usize) -> (Vec<Claimed>, Row) {
    let begun = Instant::now();
    server.pipeline(&follow::job("true", jobs), follow::CLASS).await;
    let created = begun.elapsed();
    let mut claimed = Vec::new();
    while claimed.len() < jobs && begun.elapsed() < PATIENCE {
        claimed.extend(claims.iter_mut().filter_map(read));
    }
    assert_eq!(claimed.len(), jobs, "every job is claimed");
    let took = begun.elapsed();
    let row = Row {
        work: format!("{jobs} jobs of one pipeline requested → all claimed by {} that wait", claims.len()),
        ours: format!("{:.2} s, {:.0} claims/s", took.as_secs_f64(), jobs as f64 / took.as_secs_f64()),
        floor: format!("the pipeline alone: {:.2} s", created.as_secs_f64()),
        ratio: ratio(took, created),
        budget: "≥ 250 claims/s",
    };
    (claimed, row)
}

/// The answer to a claim, if it is there.
fn read(claim: &mut TcpStream) -> Option<Claimed> {
    let mut answer = vec![0; 64 * 1024];
    let length = match claim.read(&mut answer) {
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
        Err(error) => panic!("a claim broke off: {error}"),
    };
    let text = String::from_utf8_lossy(&answer[..length]);
    let (_, body) = text.split_once("\r\n\r\n")?;
    serde_json::from_str::<ClaimedMany>(body).expect("an answer to a claim").tasks.pop()
}

/// Chunks of logs, each acknowledged before its task sends the next.
async fn stored(server: &Server, token: &str, claimed: &[Claimed], scale: Scale, rig: &Rig) -> Row {
    let each = scale.samples;
    let runner = server.runner(token);
    let begun = Instant::now();
    let writers = claimed.iter().take(WRITERS).map(|claimed| {
        let (task, epoch) = (runner.task(&claimed.task_token), claimed.epoch);
        async move { write(&task, epoch, each).await }
    });
    let count = join_all(writers).await.len() * each;
    let took = begun.elapsed();
    let floor = synced(rig, count);
    Row {
        work: format!(
            "{count} chunks of {CHUNK} bytes from {WRITERS} tasks, each on disk before the next of its task"
        ),
        ours: format!("{:.0} chunks/s", count as f64 / took.as_secs_f64()),
        floor: format!("one after the other, with `fdatasync`: {:.0}/s", count as f64 / floor.as_secs_f64()),
        ratio: ratio(took, floor),
        budget: "faster than one after the other",
    }
}

async fn write(task: &TaskClient, epoch: protocol::Epoch, chunks: usize) {
    let line = format!("{}\n", "output ".repeat(CHUNK / 7));
    let text = &line.as_bytes()[..CHUNK];
    let frame = zstd::bulk::compress(text, 1).expect("it is small");
    task.begin(epoch).await.expect("the lease is good");
    for place in 0..chunks {
        let (offset, length) = ((place * CHUNK) as u64, u32::try_from(CHUNK).expect("it is small"));
        let mut body = Vec::new();
        let chunk = Chunk { step: STEP, offset, length };
        stream::encode(&Item::Log { chunk, marks: Marks::default(), frame: frame.clone() }, &mut body);
        task.stream(epoch, body.into()).await.expect("it is taken");
    }
}

/// The same bytes in the same place, each on disk before the next.
fn synced(rig: &Rig, count: usize) -> Duration {
    let file = File::create(rig.path("floor")).expect("it is ours");
    let (bytes, begun) = (vec![b'o'; CHUNK], Instant::now());
    for place in 0..count {
        file.write_all_at(&bytes, (place * CHUNK) as u64).expect("there is room");
        file.sync_data().expect("it is on disk");
    }
    begun.elapsed()
}

fn page_row(held: usize, beside: &Samples, alone: &Samples) -> Row {
    Row {
        work: format!("the page of pipelines, beside {held} open claims and those logs"),
        ours: beside.told(),
        floor: format!("with nothing beside it: {}", alone.told()),
        ratio: ratio(beside.percentile(50), alone.percentile(50)),
        budget: "p99 ≤ 100 ms",
    }
}

fn page(server: &Server, samples: usize) -> Samples {
    opened(&server.url, &signed_in(server), samples)
}

/// The cookie of who has signed in.
fn signed_in(server: &Server) -> String {
    let entered = server.call("GET", &format!("/?token={}", server.token), "", "");
    let cookie = entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    cookie.expect("whoever has the token is let in").to_owned()
}

/// How long the page takes, each time over a connection of its own.
fn opened(url: &str, cookie: &str, samples: usize) -> Samples {
    let address = url.strip_prefix("http://").expect("it is plain");
    let one = |_| {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n").expect("it reads");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers");
        assert!(page.starts_with("HTTP/1.0 200"), "{page}");
        begun.elapsed()
    };
    Samples::new((0..samples).map(one).collect())
}
