//! Caches and workspaces with the real programs: what their steps say, and what is where afterwards.

use integration::{
    local::Ended,
    pipelines::job,
    rig::{Rig, Server},
};
use protocol::{
    api::PipelineView,
    http::{Claim, End, SaveCache, Store},
    ids::Digest,
    status::{JobStatus, Outcome, StepStatus},
    transfer::Content,
};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const CLASS: &str = "rig/linux";

/// One workflow of jobs that run directly on the host; what stands in `jobs` and in the workflow's list.
fn config(jobs: &str, order: &str) -> String {
    format!("version: 2.1\njobs:\n{jobs}workflows: {{all: {{jobs: [{order}]}}}}\n")
}

fn run(rig: &Rig, text: &str) -> Ended {
    let project = rig.project("project", text);
    let ended = rig.run(&project, &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    ended
}

/// A tree with everything that a cache may have in it.
const MAKE: &str = "
      - run: |
          mkdir -p ~/.tool deps/empty deps/$(printf 'n%.0s' $(seq 200))/$(printf 'm%.0s' $(seq 120))
          echo tool > ~/.tool/bin && chmod 750 ~/.tool/bin
          echo a > deps/a && chmod 640 deps/a && touch -d '2001-02-03 04:05:06.789 UTC' deps/a
          ln deps/a deps/hard && ln -s a deps/soft && ln -s /nowhere deps/broken
          truncate -s 64M deps/sparse && echo end >> deps/sparse
          (cd deps/n*/m* && echo deep > file)
          echo 1 > lock
";

/// What of it comes back.
const LOOK: &str = "
      - run:
          name: look
          command: |
            stat -c '%a %n' ~/.tool/bin deps/a | sed \"s|$HOME|~|\"
            TZ=UTC stat -c %y deps/a
            [ deps/a -ef deps/hard ] && readlink deps/soft deps/broken
            stat -c %s deps/sparse; echo $(( $(stat -c %b deps/sparse) < 2048 )); tail -c 4 deps/sparse
            cat deps/n*/m*/file; ls -d deps/empty
";

#[test]
fn a_cache_brings_back_permissions_times_links_holes_and_long_names() {
    let rig = Rig::new();
    let key = "'v1-{{ .Environment.CIRCLE_JOB }}-{{ arch }}-{{ checksum \"lock\" }}'";
    let paths = "[~/.tool, deps, gone]";
    let jobs = format!(
        "  save:\n    machine: true\n    steps:{MAKE}      - save_cache: {{key: {key}, paths: {paths}}}\n      - \
         save_cache: {{name: again, key: {key}, paths: {paths}}}\n  restore:\n    machine: true\n    steps:\n      - \
         restore_cache: {{keys: ['v2-none', 'v1-save-']}}{LOOK}  miss:\n    machine: true\n    steps:\n      - \
         restore_cache: {{key: v2-none}}\n      - save_cache: {{key: v2-none, paths: [gone]}}\n"
    );
    let ended = run(&rig, &config(&jobs, "save, restore: {requires: [save]}, miss: {requires: [restore]}"));
    let saved = ended.step("save", "Saving Cache");
    assert!(saved.starts_with("gone does not exist: left out.\nSaved cache v1-save-linux-"), "{saved}");
    assert!(
        ended.step("save", "again").starts_with("Skipped: a cache with the key v1-save-linux-"),
        "{ended:?}"
    );
    let restored = ended.step("restore", "Restoring Cache");
    assert!(restored.contains("Found cache v1-save-linux-") && restored.contains("Restored "), "{restored}");
    let expected = "750 ~/.tool/bin\n640 deps/a\n2001-02-03 04:05:06.789000000 +0000\na\n/nowhere\n67108868\n1\nend\ndeep\n\
                    deps/empty\n";
    assert_eq!(ended.step("restore", "look"), expected);
    assert_eq!(ended.step("miss", "Restoring Cache"), "No cache is found for key: v2-none\n");
    let nothing = "gone does not exist: left out.\nNothing to save: none of the paths exists.\n";
    assert_eq!(ended.step("miss", "Saving Cache"), nothing);
}

#[test]
fn of_several_jobs_that_save_one_key_at_once_one_has_saved_it() {
    let rig = Rig::new();
    let jobs = "  save:\n    machine: true\n    parallelism: 4\n    steps:\n      - run: head -c 3000000 /dev/urandom > \
                data; sha256sum < data\n      - save_cache: {key: k, paths: [data]}\n  look:\n    machine: true\n    \
                steps:\n      - restore_cache: {key: k}\n      - run: {name: it, command: sha256sum < data}\n";
    let ended = run(&rig, &config(jobs, "save, look: {requires: [save]}"));
    let tasks = ended.job("save").tasks;
    let said =
        |step: usize| tasks.iter().map(move |task| task.steps[step].output.clone()).collect::<Vec<_>>();
    let steps = tasks[0].steps.len();
    let saved = said(steps - 1).iter().filter(|log| log.starts_with("Saved cache k")).count();
    assert_eq!(saved, 1, "{:?}", said(steps - 1));
    let restored = ended.step("look", "it");
    assert_eq!(
        said(steps - 2).iter().filter(|sum| **sum == restored).count(),
        1,
        "whole, and of one of them"
    );
}

#[test]
fn an_archive_is_made_beside_no_file_of_the_job() {
    let rig = Rig::new();
    let jobs = "  save:\n    machine: true\n    steps:\n      - run: head -c 3000000 /dev/urandom > data; chmod 500 \
                $TMPDIR\n      - save_cache: {key: k, paths: [data]}\n      - persist_to_workspace: {root: ., paths: [data]}\n";
    let ended = run(&rig, &config(jobs, "save"));
    assert!(ended.step("save", "Saving Cache").starts_with("Saved cache k (2.9 MiB)"), "{ended:?}");
    assert!(ended.step("save", "Persisting to Workspace").contains("Workspace layer added"), "{ended:?}");
}

const WORKSPACE: &str = "
  first: &job
    machine: true
    steps:
      - run: mkdir -p out/sub && echo $CIRCLE_JOB > out/own.$CIRCLE_JOB && echo $CIRCLE_JOB > out/shared && echo x > out/sub/x.js
      - persist_to_workspace: {root: out, paths: ['own.*', shared, 'sub/*.js']}
  second: *job
";

#[test]
fn layers_come_in_upstream_order_with_paths_relative_to_their_root() {
    let rig = Rig::new();
    let look = "  look:\n    machine: true\n    steps:\n      - attach_workspace: {at: ~/ws}\n      - run: {name: it, \
                command: 'cd ~/ws; find . -type f | sort; cat shared'}\n";
    let jobs = format!("{WORKSPACE}{look}");
    let ended = run(&rig, &config(&jobs, "first, second: {requires: [first]}, look: {requires: [second]}"));
    let attached = ended.step("look", "Attaching Workspace");
    let (first, second) =
        (attached.find("the layer of first: 3 files"), attached.find("the layer of second: 3"));
    assert!(first.is_some() && first < second, "{attached}");
    assert_eq!(ended.step("look", "it"), "./own.first\n./own.second\n./shared\n./sub/x.js\nsecond\n");
}

fn attaching(view: &PipelineView) -> (StepStatus, &protocol::api::TaskView, u32) {
    let task = job(view, "look").tasks.first().unwrap_or_else(|| panic!("no task yet: {view:#?}"));
    let step = task.steps.iter().find(|step| step.name == "Attaching Workspace");
    let step = step.unwrap_or_else(|| panic!("no step: {view:#?}"));
    (step.status, task, step.number.0)
}

async fn fleet(rig: &Rig) -> (Server, impl Sized) {
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    (server, agent)
}

#[actix_rt::test]
async fn jobs_that_ran_at_once_and_persisted_one_file_are_a_conflict() {
    let rig = Rig::new();
    let (server, _agent) = fleet(&rig).await;
    let look = "  look: {machine: true, steps: [attach_workspace: {at: ws}]}\n";
    let text = config(&format!("{WORKSPACE}{look}"), "first, second, look: {requires: [first, second]}");
    let pipeline = server.pipeline(&text, CLASS).await;
    let view = server.ended(pipeline).await;
    assert_eq!(job(&view, "look").status, JobStatus::Failed);
    let (status, task, step) = attaching(&view);
    let log = server.log(task.id, step).await;
    let said =
        "Concurrent upstream jobs persisted the same file(s) into the workspace:\n  - shared\n  - sub/x.js";
    assert!(status == StepStatus::Failed && log.contains(said), "{log}");
}

#[actix_rt::test]
async fn a_second_restore_on_a_host_reads_what_is_near() {
    let rig = Rig::new();
    let (server, _agent) = fleet(&rig).await;
    let restore = "steps: [restore_cache: {key: k}, run: {name: it, command: cat data}]";
    let save = "steps: [run: echo near > data, save_cache: {key: k, paths: [data]}]";
    let jobs = format!(
        "  save: {{machine: true, {save}}}\n  one: {{machine: true, {restore}}}\n  two: {{machine: true, {restore}}}\n"
    );
    let text = config(&jobs, "save, one: {requires: [save]}, two: {requires: [one]}");
    let view = server.ended(server.pipeline(&text, CLASS).await).await;
    assert_eq!(job(&view, "two").status, JobStatus::Success, "{view:#?}");
    // What the control plane has of it is worth nothing any more: what is restored lies on the host.
    let kept = fs::read_dir(agent_cache(&rig)).expect("it is there").count();
    assert!(kept > 0, "the host keeps what it saved");
    spoil_contents(&server);
    let again = config(&format!("  two: {{machine: true, {restore}}}\n"), "two");
    let view = server.ended(server.pipeline(&again, CLASS).await).await;
    assert_eq!(job(&view, "two").status, JobStatus::Success, "{view:#?}");
}

fn agent_cache(rig: &Rig) -> PathBuf {
    rig.path("agent").join("cache")
}

/// Has other bytes stand in the contents of projects that the control plane has.
fn spoil_contents(server: &Server) {
    let mut spoiled = 0;
    for scope in fs::read_dir(server.data.join("blobs")).expect("it is ours").flatten() {
        let name = scope.file_name().to_string_lossy().into_owned();
        if !["agents", "logs", "incoming"].contains(&name.as_str()) {
            spoiled += spoil(&scope.path());
        }
    }
    assert!(spoiled > 0, "the control plane has what was saved");
}

/// How many files had it done to them.
fn spoil(folder: &Path) -> usize {
    let one = |path: PathBuf| {
        if path.is_dir() {
            return spoil(&path);
        }
        let length = fs::metadata(&path).expect("it is ours").len();
        fs::remove_file(&path).expect("it is ours");
        fs::write(&path, vec![0; usize::try_from(length).expect("it is small")]).expect("it is ours");
        1
    };
    fs::read_dir(folder).expect("it is ours").flatten().map(|entry| one(entry.path())).sum()
}

/// One entry of tar, with nothing in it checked: `0` is a file, `2` a symbolic link.
fn entry(kind: u8, path: &str, points_to: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000001");
    put(148, "        ");
    put(157, points_to);
    put(257, "ustar\u{0}00");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend_from_slice(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// An archive of these, in one frame of zstd that compresses nothing.
fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    let length = u32::try_from(tar.len()).expect("it is small");
    let block = (length << 3) | 1;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&block.to_le_bytes()[..3]);
    frame.extend_from_slice(&tar);
    frame
}

/// Saves this as a cache, as a build host whose administrator means no good would: with a claimed task, and no launch-agent.
async fn plant(server: &Server, token: &str, key: &str, bytes: &[u8]) {
    let pipeline = server.job(CLASS, "true").await;
    let transport = client::Transport::new(client::Settings::new(&server.url)).expect("its address is sound");
    let claim = Claim {
        name: "mean".to_owned(),
        hostname: "mean".to_owned(),
        ip: String::new(),
        version: "1".to_owned(),
        platform: Some("linux/amd64".to_owned()),
        max_tasks: Some(1),
        wait_ms: Some(10_000),
        containers: false,
    };
    let claimed = transport.runner(token).claim(&claim).await.expect("it is asked").remove(0);
    let (task, epoch) = (transport.task(&claimed.task_token), claimed.epoch);
    task.begin(epoch).await.expect("it may");
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let digest = Digest::of_bytes(hash.as_ref().try_into().expect("it has 32 bytes"));
    let content = Content { digest, size: bytes.len() as u64 };
    let store = Store { epoch, contents: vec![content.clone()] };
    let place = task.store(&store).await.expect("it is taken").remove(0);
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("it is ours");
    task.put(&place.url.expect("it is not there"), &content, &file).await.expect("it is taken");
    task.save_cache(&SaveCache { epoch, key: key.to_owned(), content }).await.expect("it is taken");
    task.end(&End { epoch, outcome: Outcome::Success, message: None }).await.expect("it is taken");
    server.ended(pipeline).await;
}

#[actix_rt::test]
async fn a_cache_that_wants_out_of_its_root_is_refused_and_its_step_fails_by_name() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let neighbor = rig.path("neighbor");
    fs::create_dir(&neighbor).expect("it is ours");
    fs::set_permissions(&neighbor, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let link = entry(b'2', "work/link", &neighbor.to_string_lossy(), b"");
    let absolute = neighbor.join("file").to_string_lossy().into_owned();
    let leaves = "it would leave its root";
    let planted = [
        ("leaves", vec![entry(b'0', "work/../../../../left", "", b"x")], leaves),
        ("absolute", vec![entry(b'0', &absolute, "", b"x")], leaves),
        (
            "through",
            vec![link.clone(), entry(b'0', "work/link/file", "", b"x")],
            "it is a link that leads to no directory within the root",
        ),
        ("let-in", vec![entry(b'0', "work/good", "", b"good"), link], ""),
    ];
    for (key, entries, _) in &planted {
        plant(&server, &token, key, &archive(entries)).await;
    }
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    for (key, _, why) in &planted {
        let jobs = format!(
            "  look: {{machine: true, steps: [restore_cache: {{key: {key}}}, run: {{name: it, command: ls}}]}}\n"
        );
        let view = server.ended(server.pipeline(&config(&jobs, "look"), CLASS).await).await;
        let job = job(&view, "look");
        let log = server.log(job.tasks[0].id, 1).await;
        let (status, last) = match why.is_empty() {
            true => (JobStatus::Success, "Restored 2 files, 4 B.\n".to_owned()),
            false => (JobStatus::Failed, format!(" is refused: {why}\n")),
        };
        assert!(job.status == status && log.ends_with(&last), "{key}: {status}: {log}");
        assert_eq!(fs::read_dir(&neighbor).expect("it is there").count(), 0, "{key}: {log}");
    }
}
