//! Jobs in containers beside what the engine's own command takes for the same: one alone, and many on one host.

use crate::{
    Scale, follow,
    follow::{Bench, moment, now},
    images::{self, BASE},
    podman::Podman,
    table::{Row, Samples, ratio},
};
use integration::{rig, wait};
use std::{
    process::{Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The same for both sides.
const PRINT: &str = "echo $EPOCHREALTIME";
/// Long enough that the first still run when the last begin.
const HOLD: &str = "sleep 20";

/// Both rows, with an engine of the bench's own.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let Some(podman) = Podman::start() else { return Vec::new() };
    images::base(&podman);
    actix_rt::System::new().block_on(async {
        let address = format!("unix://{}", podman.socket().display());
        let bench = follow::start_with(scale.contained, &[("DOCKER_HOST", address.as_ref())]).await;
        has_its_engine(&bench).await;
        vec![start(&bench, &podman, scale.samples).await, many(&bench, &podman, scale.contained).await]
    })
}

/// A launch-agent claims while it still looks for its engine, and jobs in containers are refused meanwhile.
async fn has_its_engine(bench: &Bench) {
    let (operator, begun) = (bench.server.operator(), Instant::now());
    loop {
        match operator.create_pipeline(&rig::pipeline(&job("true", 1), follow::CLASS)).await {
            Ok(created) => return drop(bench.succeeded(created.id).await),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        actix_rt::time::sleep(Duration::from_millis(50)).await;
    }
}

/// From the operator's request, or the start of the engine's command, to what the job's shell prints.
async fn start(bench: &Bench, podman: &Podman, samples: usize) -> Row {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let asked = now();
        let printed = podman.printed(&["run", "--rm", BASE, "bash", "-c", PRINT]);
        floor.push(moment(&printed).saturating_sub(asked));
        let asked = now();
        let id = bench.server.pipeline(&job(PRINT, 1), follow::CLASS).await;
        let view = bench.succeeded(id).await;
        let mut printed = Vec::new();
        bench.log(view.workflows[0].jobs[0].tasks[0].id, |bytes| printed.extend_from_slice(bytes)).await;
        ours.push(moment(&String::from_utf8_lossy(&printed)).saturating_sub(asked));
    }
    let (ours, floor) = (Samples::new(ours), Samples::new(floor));
    let seconds = |samples: &Samples| samples.percentile(50).as_secs_f64();
    Row {
        work: "pipeline requested → first process of its job runs in a container".to_owned(),
        ours: format!("{}; p50 by {:+.1} ms", ours.told(), (seconds(&ours) - seconds(&floor)) * 1e3),
        floor: format!("podman run: {}", floor.told()),
        ratio: ratio(ours.percentile(50), floor.percentile(50)),
        budget: "p50 ≤ 100 ms over the floor",
    }
}

/// Jobs that are all asked for at once; none of their containers is left.
async fn many(bench: &Bench, podman: &Podman, jobs: usize) -> Row {
    let floor = floor(podman, jobs);
    let begun = Instant::now();
    let id = bench.server.pipeline(&job(HOLD, jobs), follow::CLASS).await;
    let most = most_at_once(podman, id, bench).await;
    bench.succeeded(id).await;
    let ours = begun.elapsed();
    let left = || podman.printed(&["ps", "--all", "--quiet"]);
    wait::until("no container is left", Duration::from_secs(60), || left().is_empty().then_some(()));
    Row {
        work: format!(
            "{jobs} jobs of one workflow in containers at once, each `{HOLD}`: all succeed, none is left"
        ),
        ours: format!("{:.1} s, {most} containers at a time", ours.as_secs_f64()),
        floor: format!("as many podman run at once: {:.1} s", floor.as_secs_f64()),
        ratio: ratio(ours, floor),
        budget: "–",
    }
}

/// Counts while the pipeline runs.
async fn most_at_once(podman: &Podman, id: protocol::ids::PipelineId, bench: &Bench) -> usize {
    let (operator, mut most) = (bench.server.operator(), 0);
    loop {
        let running = podman.printed(&["ps", "--quiet"]).lines().count();
        most = most.max(running);
        let view = operator.pipeline(id).await.expect("the control plane answers");
        if view.workflows[0].status.is_terminal() {
            return most;
        }
    }
}

fn floor(podman: &Podman, jobs: usize) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        let run = || -> Output {
            let mut command = podman.command(&["run", "--rm", BASE, "bash", "-c", HOLD]);
            command.stdin(Stdio::null()).output().expect("podman is there")
        };
        let all: Vec<_> = (0..jobs).map(|_| scope.spawn(run)).collect();
        for output in all.into_iter().map(|one| one.join().expect("it does not panic")) {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
    begun.elapsed()
}

/// A workflow of `count` jobs alike in the image, each one step.
fn job(command: &str, count: usize) -> String {
    follow::job(command, count).replace("machine: true", &format!("docker: [{{image: \"{BASE}\"}}]"))
}
