//! What jobs store and restore: many small artifacts, and a cache of many files, each beside stock tools on the same files.

use crate::{
    Scale, follow,
    table::{Row, ratio},
};
use integration::rig::Rig;
use protocol::api::PipelineView;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How often each is done; the median counts.
const TIMES: usize = 3;
/// Bytes of each artifact.
const ARTIFACT: usize = 4096;
/// Bytes of the cache's files on average.
const CACHED: usize = 10_000;

/// Artifacts of 4 KiB, no two alike.
pub(crate) fn artifacts(scale: Scale) -> Vec<Row> {
    let (count, bytes) = (scale.files / 5, scale.files / 5 * ARTIFACT);
    let make = format!("mkdir out; head -c {bytes} /dev/urandom | split -a 5 -d -b {ARTIFACT} - out/f");
    let config = config(&make, &[r#"store_artifacts: {path: out}"#]);
    let (ours, floor, peer) = actix_rt::System::new().block_on(async {
        let bench = follow::start(1).await;
        let mut ours = Vec::new();
        for _ in 0..TIMES {
            let id = bench.server.pipeline(&config, follow::CLASS).await;
            let view = bench.succeeded(id).await;
            let stored = view.workflows[0].jobs[0].tasks[0].artifacts.len();
            assert_eq!(stored, count, "every artifact is stored");
            ours.push(took(&view, 2));
        }
        let put = Put { url: bench.server.url.clone(), token: bench.server.token.clone() };
        let floor = (0..TIMES).map(|_| put.as_one(&make)).collect();
        let peer = (0..TIMES).map(|_| put.one_by_one(&make)).collect();
        (median(ours), median(floor), median(peer))
    });
    vec![Row {
        work: format!("{count} artifacts of 4 KiB from one job, stored and listed"),
        ours: seconds(ours),
        floor: format!(
            "`tar` and one PUT {}, `curl --parallel` with a PUT each {}, to the same server",
            seconds(floor),
            seconds(peer)
        ),
        ratio: ratio(ours, peer),
        budget: "faster than a client with a PUT each",
    }]
}

/// A cache saved and restored by one job.
pub(crate) fn cache(scale: Scale) -> Vec<Row> {
    let rig = Rig::new();
    let tree = rig.path("tree");
    plant(&tree, scale.files);
    let copy = format!("cp -r {} tree", tree.display());
    let (save, restore, size) = actix_rt::System::new().block_on(async {
        let bench = follow::start(1).await;
        let (mut save, mut restore, mut size) = (Vec::new(), Vec::new(), 0);
        for time in 0..TIMES {
            let key = format!("bench-{time}");
            let steps = [
                format!("save_cache: {{key: {key}, paths: [tree]}}"),
                "run: rm -r tree".to_owned(),
                format!("restore_cache: {{key: {key}}}"),
                "run: test -e tree/0/0".to_owned(),
            ];
            let config = config(&copy, &steps.each_ref().map(String::as_str));
            let view = bench.succeeded(bench.server.pipeline(&config, follow::CLASS).await).await;
            save.push(took(&view, 2));
            restore.push(took(&view, 4));
            size = stored(&bench.server.data);
        }
        (median(save), median(restore), size / TIMES as u64)
    });
    let archive = rig.path("tree.tar.zst");
    let (tree, archive) = (tree.display(), archive.display());
    let packed = median(
        (0..TIMES).map(|_| timed(&format!("tar -I 'zstd -3 -T0' -cf {archive} -C {tree} ."))).collect(),
    );
    let of_tar = fs::metadata(rig.path("tree.tar.zst")).expect("tar has written it").len();
    let into = rig.path("into");
    let unpack = || {
        let _ = fs::remove_dir_all(&into);
        fs::create_dir(&into).expect("it is ours");
        timed(&format!("tar -I zstd -xf {archive} -C {}", into.display()))
    };
    let unpacked = median((0..TIMES).map(|_| unpack()).collect());
    let files = scale.files;
    let row = |work: &str, ours, floor, sizes, budget| Row {
        work: format!("a cache of {files} files, {}: {work}", megabytes((files * CACHED) as u64)),
        ours: format!("{}{sizes}", seconds(ours)),
        floor: seconds(floor),
        ratio: ratio(ours, floor),
        budget,
    };
    let sizes = format!(", {} (`zstd -3`: {})", megabytes(size), megabytes(of_tar));
    vec![
        row("saved, floor `tar -I 'zstd -3 -T0'`", save, packed, sizes, "≤ 1.5 s for 50,000 files, ≤ 100 MB"),
        row("restored, floor `tar -I zstd`", restore, unpacked, String::new(), "≤ 2 s for 50,000 files"),
    ]
}

/// A job that makes something and then has these steps.
fn config(make: &str, steps: &[&str]) -> String {
    let make = serde_json::Value::from(make);
    let steps: String = steps.iter().map(|step| format!("      - {step}\n")).collect();
    format!(
        "version: 2.1\njobs:\n  work:\n    machine: true\n    steps:\n      - run: {make}\n{steps}workflows:\n  main:\n    jobs: [work]\n"
    )
}

/// How long a step took.
pub(crate) fn took(view: &PipelineView, number: u32) -> Duration {
    let steps = &view.workflows[0].jobs[0].tasks[0].steps;
    let step = steps.iter().find(|step| step.number.0 == number).expect("the step ran");
    Duration::from_millis(step.duration_ms.expect("it is over"))
}

pub(crate) fn median(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}

pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

pub(crate) fn timed(script: &str) -> Duration {
    let begun = Instant::now();
    let status = Command::new("bash").args(["-eo", "pipefail", "-c", script]).stdin(Stdio::null()).status();
    assert!(status.expect("bash is there").success(), "{script}");
    begun.elapsed()
}

/// Files like those of dependencies: sources that have much in common, a hundred in a directory.
pub(crate) fn plant(tree: &Path, files: usize) {
    for number in 0..files {
        let directory = tree.join((number / 100).to_string());
        if number % 100 == 0 {
            fs::create_dir_all(&directory).expect("it is ours");
        }
        let length = CACHED / 2 + number * 7919 % CACHED;
        let line = |line: usize| {
            format!(
                "export const value{} = require('./module-{}').call({number});\n",
                line * 31 % 977,
                line * number % 7919
            )
        };
        let mut text = String::with_capacity(length + 80);
        (0..).map(line).find(|line| {
            text.push_str(line);
            text.len() >= length
        });
        text.truncate(length);
        fs::write(directory.join((number % 100).to_string()), text).expect("it is ours");
    }
}

/// Bytes of all contents of a control plane.
fn stored(data: &Path) -> u64 {
    let size = |path: &Path| {
        let output = Command::new("du").args(["-sb", "--exclude=agents"]).arg(path).output();
        String::from_utf8_lossy(&output.expect("du is there").stdout).split('\t').next()?.parse().ok()
    };
    size(&data.join("blobs")).unwrap_or_default()
}

/// A client of the same server that is none of ours.
struct Put {
    url: String,
    token: String,
}

impl Put {
    fn script(&self, make: &str, send: &str) -> Duration {
        let place = tempfile::tempdir().expect("a temporary directory");
        let at = place.path().display();
        timed(&format!("cd {at}; {make}; (cd out; sha256sum *) > sums"));
        timed(&format!("cd {at}; {send}"))
    }

    fn target(&self) -> String {
        format!("{}/api/v3/source/local/bench", self.url)
    }

    fn as_one(&self, make: &str) -> Duration {
        let (target, token) = (self.target(), &self.token);
        self.script(
            make,
            &format!(
                "tar -cf all.tar out; sum=$(sha256sum < all.tar); \
                 curl -sSf -H 'Circle-Token: {token}' -T all.tar {target}/${{sum%% *}}"
            ),
        )
    }

    fn one_by_one(&self, make: &str) -> Duration {
        let (target, token) = (self.target(), &self.token);
        self.script(
            make,
            &format!(
                "while read -r sum file; do printf 'url = \"{target}/%s\"\\nupload-file = \"out/%s\"\\n' $sum $file; done < sums > urls; \
                 curl -sSf --parallel --parallel-max 32 -H 'Circle-Token: {token}' -K urls 2> progress"
            ),
        )
    }
}
