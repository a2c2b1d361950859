//! The second checkout of one commit on a host, from the host's copy of the repository, beside a clone of the same.

use crate::{
    Scale, follow,
    stored::{median, plant, seconds, timed, took},
    table::{Row, ratio},
};
use integration::{
    fleet::source,
    git::{Http, Repository},
    rig::{Rig, pipeline},
};
use protocol::api::NewPipeline;
use std::{fs, time::Duration};

/// How often each is done; the median counts.
const TIMES: usize = 5;
/// Commits of the repository.
const COMMITS: usize = 50;

/// The same commit again and again.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let rig = Rig::new();
    let (repository, files) = (Repository::new(&rig.path("git")), scale.files / 5);
    let revision = grown(&repository, &rig, files);
    let http = Http::serve(&rig.path("git"));
    let url = format!("{}/app.git", http.url);
    let (first, again) = actix_rt::System::new().block_on(checkouts(&url, &revision));
    let into = rig.path("clone");
    let clone = || {
        let _ = fs::remove_dir_all(&into);
        timed(&format!("git clone -q {url} {0} && git -C {0} reset -q --hard {revision}", into.display()))
    };
    let cloned = median((0..TIMES).map(|_| clone()).collect());
    vec![Row {
        work: format!(
            "the second checkout of one commit on a host, {files} files, {COMMITS} commits (the first: {})",
            seconds(first)
        ),
        ours: seconds(again),
        floor: format!("`git clone` of the same from the same server {}", seconds(cloned)),
        ratio: ratio(again, cloned),
        budget: "no slower than a clone from this host",
    }]
}

/// A repository of so many files, its last commit.
fn grown(repository: &Repository, rig: &Rig, files: usize) -> String {
    plant(&rig.path("git/work"), files);
    for number in 1..COMMITS {
        repository.commit("f", &number.to_string(), "refs/heads/main");
    }
    repository.commit("f", "last", "refs/heads/main")
}

/// How long the first checkout took, and the median of those after it.
async fn checkouts(url: &str, revision: &str) -> (Duration, Duration) {
    let config = "version: 2.1\njobs: {work: {machine: true, steps: [checkout: {method: full}]}}\nworkflows: {main: {jobs: [work]}}\n";
    let bench = follow::start(1).await;
    let mut all = Vec::new();
    for _ in 0..=TIMES {
        let new = NewPipeline {
            source: source(url, revision, Some("main"), None),
            ..pipeline(config, follow::CLASS)
        };
        let created = bench.server.operator().create_pipeline(&new).await.expect("it is taken");
        let view = bench.succeeded(created.id).await;
        all.push(took(&view, 1));
    }
    let first = all.remove(0);
    (first, median(all))
}
