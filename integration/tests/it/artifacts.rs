//! Artifacts through the real programs: many small files together, large ones in parts that a kill does not send again, and
//! files that change or may not be read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    partition::{Partition, Silence},
    pipelines::only_task,
    proc,
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{
    api::PipelineView,
    ids::PipelineId,
    status::Outcome,
    transfer::{Artifact, PART},
};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Seek},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const CLASS: &str = "acme/linux";
const SOON: Duration = Duration::from_secs(120);

struct House {
    server: Server,
    agent: Agent,
    /// The last, so that it goes last.
    _rig: Rig,
}

impl House {
    async fn new() -> Self {
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        let agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
        Self { server, agent, _rig: rig }
    }

    async fn run(&self, make: &str, store: &[&str]) -> PipelineId {
        self.server.pipeline(&config(make, store), CLASS).await
    }

    async fn fetch(&self, view: &PipelineView, path: &str) -> Vec<u8> {
        fetch(&self.server, view, path).await
    }

    fn blobs(&self) -> PathBuf {
        self.server.data.join("blobs")
    }
}

/// A job that makes files and stores some.
fn config(make: &str, store: &[&str]) -> String {
    let make = serde_json::Value::from(make);
    let store: String = store.iter().map(|step| format!("      - store_artifacts: {step}\n")).collect();
    format!(
        "version: 2.1\njobs:\n  work:\n    machine: true\n    steps:\n      - run: {make}\n{store}workflows:\n  \
         main:\n    jobs: [work]\n"
    )
}

/// An artifact's bytes; the client has checked them against its digest.
async fn fetch(server: &Server, view: &PipelineView, path: &str) -> Vec<u8> {
    let job = view.workflows[0].jobs[0].id;
    let artifact = artifacts(view).remove(path).unwrap_or_else(|| panic!("there is no {path}"));
    let mut file = tempfile::tempfile().unwrap();
    server.operator().artifact((job, 0), path, &artifact.content, &file).await.unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn artifacts(view: &PipelineView) -> BTreeMap<String, Artifact> {
    only_task(view).artifacts.iter().map(|artifact| (artifact.path.clone(), artifact.clone())).collect()
}

/// All files below a directory.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(self::files(&entry.path())),
            _ => drop(files.insert(entry.path())),
        }
    }
    files
}

#[actix_rt::test]
async fn many_small_files_are_one_content_and_each_is_fetched_alone() {
    let house = House::new().await;
    let make = "mkdir -p out/deep; for i in $(seq 300); do echo file $i > out/deep/$i; done; \
                echo linked > ../elsewhere; ln -s ../../elsewhere out/link; ln -s /nowhere out/broken; : > out/empty; \
                head -c 300000 /dev/zero > out/large";
    let id = house.run(make, &["{path: out, destination: all}"]).await;
    let view = house.server.ended(id).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Success));
    let log = house.server.log(only_task(&view).id, 2).await;
    assert!(log.contains("/out/broken is no regular file: left out.\n"), "{log}");
    assert!(log.ends_with("Stored 303 artifacts, 295.5 KiB.\n"), "{log}");
    assert_eq!(artifacts(&view).len(), 303);
    assert_eq!(house.fetch(&view, "all/deep/299").await, b"file 299\n");
    assert_eq!(house.fetch(&view, "all/link").await, b"linked\n");
    assert_eq!(house.fetch(&view, "all/empty").await, b"");
    assert_eq!(house.fetch(&view, "all/large").await.len(), 300_000);
    let stored = files(&house.blobs());
    // The same files again are the same bundle: nothing new is stored.
    let again = house.run(make, &["{path: out, destination: all}"]).await;
    let again = house.server.ended(again).await;
    assert_eq!(artifacts(&again), artifacts(&view));
    let new: Vec<_> = files(&house.blobs()).difference(&stored).cloned().collect();
    let is_log = |path: &PathBuf| path.starts_with(house.blobs().join("logs"));
    assert!(new.iter().all(is_log), "{new:?}");
}

/// The parts that are on disk.
fn parts(blobs: &Path) -> BTreeSet<PathBuf> {
    files(&blobs.join("parts")).into_iter().filter(|path| !path.ends_with("data")).collect()
}

/// Who is killed while parts are under way, and started again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Killed {
    LaunchAgent,
    ControlPlane,
}

/// What a kill may have cost: the parts that were under way, each connection's requests, and words between the parts.
const UNDER_WAY: u64 = 4 * PART + (1 << 20);

/// Stores a large file with a kill in its middle: it is there whole, once, and what had arrived was not sent again.
async fn goes_on_after_a_kill(killed: Killed) {
    let rig = Rig::new();
    let mut server = rig.server("server");
    let token = server.class(CLASS).await;
    let network = Partition::before(&server.url, Silence::Never);
    let start = || rig.agent_with("agent", &network.url(), &[(CLASS, &token)], &[("concurrency", "2")]);
    let mut agent = start();
    let size = 40 * PART + 7;
    let make = format!(
        "head -c {size} < <(yes 'a large file has lines like this one, and no two parts alike' | nl) > large"
    );
    let id = server.pipeline(&config(&make, &["{path: large}"]), CLASS).await;
    let blobs = server.data.join("blobs");
    wait::until("some parts are there", SOON, || Some(parts(&blobs)).filter(|parts| parts.len() > 4));
    match killed {
        Killed::LaunchAgent => agent.program().kill(),
        Killed::ControlPlane => server.program().kill(),
    }
    let (arrived, sent) = (parts(&blobs).len() as u64, network.asked());
    assert!((4..40).contains(&arrived), "{arrived} parts at the kill");
    match killed {
        Killed::LaunchAgent => agent = start(),
        Killed::ControlPlane => server = rig.server_at("server", server.url.trim_start_matches("http://")),
    }
    let view = server.ended(id).await;
    let log = server.log(only_task(&view).id, 2).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Success), "{log}");
    let again = network.asked() - sent;
    assert!(again <= size - arrived * PART + UNDER_WAY, "{again} bytes after {arrived} parts had arrived");
    assert!(network.asked() <= size + UNDER_WAY, "{} bytes in all", network.asked());
    let artifacts = artifacts(&view);
    assert_eq!(artifacts["large"].content.size, size);
    let held: Vec<_> =
        files(&blobs).into_iter().filter(|path| path.metadata().unwrap().len() >= size).collect();
    assert_eq!(held.len(), 1, "it is there once: {held:?}");
    assert!(files(&blobs.join("parts")).is_empty(), "and nothing of its parts is left");
    assert_eq!(fetch(&server, &view, "large").await.len() as u64, size);
    drop(agent);
}

#[actix_rt::test]
async fn a_large_file_goes_on_after_a_kill_of_the_launch_agent_without_the_parts_that_arrived() {
    goes_on_after_a_kill(Killed::LaunchAgent).await;
}

#[actix_rt::test]
async fn a_large_file_goes_on_after_a_kill_of_the_control_plane_without_the_parts_that_arrived() {
    goes_on_after_a_kill(Killed::ControlPlane).await;
}

#[actix_rt::test]
async fn a_large_file_that_a_killed_task_agent_had_handed_over_is_stored_whole() {
    let house = House::new().await;
    let size = 40 * PART;
    let make = format!("head -c {size} /dev/urandom > large");
    let id = house.run(&make, &["{path: large}"]).await;
    wait::until("a part is there", SOON, || Some(()).filter(|()| !parts(&house.blobs()).is_empty()));
    let agents = proc::running(&house.agent.state.join("agents").to_string_lossy());
    assert_eq!(agents.len(), 1, "{agents:?}");
    agents[0].signal(Signal::KILL);
    let view = house.server.ended(id).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    assert_eq!(house.fetch(&view, "large").await.len() as u64, size);
    assert!(files(&house.blobs().join("parts")).is_empty());
}

#[actix_rt::test]
async fn a_file_that_changes_while_it_is_stored_is_named_and_fails_nothing() {
    let house = House::new().await;
    // Large enough that whoever changes them has its turn on a busy machine while they are read, and in one part each.
    let make = "head -c 16000000 /dev/zero > growing; cp growing rewritten
        (while echo more >> growing; do :; done) > /dev/null 2>&1 &
        (while head -c 1000000 /dev/urandom | dd of=rewritten conv=notrunc; do :; done) > /dev/null 2>&1 &
        sleep 0.2";
    let id = house.run(make, &["{path: growing}", "{path: rewritten}"]).await;
    let view = house.server.ended(id).await;
    let task = only_task(&view);
    let logs = [house.server.log(task.id, 2).await, house.server.log(task.id, 3).await];
    assert_eq!(task.outcome, Some(Outcome::Success), "{logs:?}");
    assert!(
        logs[0].contains("/growing changed while it was stored: what was read of it is kept.\n"),
        "{logs:?}"
    );
    assert!(logs[0].contains("Stored 1 artifacts, "), "{logs:?}");
    assert!(logs[1].contains("/rewritten changed "), "{logs:?}");
}

/// What the launch-agent has of the log of a step of its only task.
fn spooled(agent: &Agent, step: &str) -> Option<String> {
    let tasks = agent.state.join("tasks");
    let task = proc::names(&tasks).ok()?.into_iter().next()?;
    fs::read_to_string(tasks.join(task).join("steps").join(step)).ok()
}

#[actix_rt::test]
async fn a_file_that_takes_long_is_told_of_while_it_is_on_its_way() {
    let house = House::new().await;
    let size = 40 * PART;
    let id = house.run(&format!("head -c {size} /dev/urandom > large"), &["{path: large}"]).await;
    wait::until("some parts are there", SOON, || (parts(&house.blobs()).len() > 4).then_some(()));
    house.server.process().signal(Signal::STOP);
    let told = "0 of 1 files are stored, ";
    wait::until("a word of it", SOON, || spooled(&house.agent, "002.log").filter(|log| log.contains(told)));
    house.server.process().signal(Signal::CONT);
    let view = house.server.ended(id).await;
    let log = house.server.log(only_task(&view).id, 2).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Success), "{log}");
    let so_far = log.lines().find_map(|line| line.strip_prefix(told)?.strip_suffix(" MiB so far."));
    let so_far: f64 = so_far.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{log}"));
    assert!(so_far > 16.0 && so_far < 640.0, "{log}");
    assert!(log.ends_with("Stored 1 artifacts, 640.0 MiB.\n"), "{log}");
}

/// Bundles that are on disk: contents that end like one.
fn bundles(blobs: &Path) -> usize {
    let ends = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.ends_with(b"RHb1"));
    files(blobs).iter().filter(|path| ends(path)).count()
}

/// Runs it on the server's data; what it said.
fn administers(rig: &Rig, words: &[&str], data: &Path) -> String {
    let mut command = rig.roundhouse();
    command.arg("server").args(words).arg("--data-dir").arg(data);
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.output + &ended.errors
}

#[actix_rt::test]
async fn a_bundle_is_in_a_backup_and_stays_as_long_as_any_pipeline_has_artifacts_in_it() {
    let rig = Rig::new();
    let keep = ["--keep-pipelines", "1", "--keep-every", "1s", "--keep-unnamed", "1s"];
    let server = rig.server_with("server", "127.0.0.1:0", &keep);
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let blobs = server.data.join("blobs");
    let make = "mkdir out; echo one > out/1; echo two > out/2";
    let ended = async |store: &[&str]| {
        let id = server.pipeline(&config(make, store), CLASS).await;
        server.ended(id).await
    };
    let first = ended(&["{path: out}"]).await;
    let second = ended(&["{path: out}"]).await;
    let operator = server.operator();
    until(async || operator.pipeline(first.id).await.is_err()).await;
    assert_eq!(bundles(&blobs), 1, "both have the same one");
    assert_eq!(fetch(&server, &second, "out/2").await, b"two\n");
    let backup = rig.path("backup");
    administers(&rig, &["backup", &backup.to_string_lossy()], &server.data);
    ended(&[]).await;
    until(async || operator.pipeline(second.id).await.is_err() && bundles(&blobs) == 0).await;
    administers(&rig, &["check", "--deep"], &backup);
    let copy = rig.server("backup");
    assert_eq!(fetch(&copy, &second, "out/1").await, b"one\n");
}

/// Waits for it.
async fn until(is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}");
        actix_rt::task::yield_now().await;
    }
}
