//! The host's copy of a repository: what it spares, whom it is given, and that nobody has to believe it.

use integration::{
    fleet::{Fleet, checkouts, source},
    git::{Http, Repository},
};
use protocol::{api::PipelineView, status::JobStatus};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

const NAME: &str = "only";

/// A repository with something to fetch, its server, and the log of a checkout of it.
struct House {
    fleet: Fleet,
    repository: Repository,
    http: Http,
}

impl House {
    async fn new() -> Self {
        let fleet = Fleet::start(&[]).await;
        let repository = Repository::new(&fleet.rig.path("git"));
        let http = Http::serve(&fleet.rig.path("git"));
        Self { fleet, repository, http }
    }

    async fn check_out(&self, how: &str, revision: &str, branch: &str) -> (String, PipelineView) {
        let url = format!("{}/app.git", self.http.url);
        let look = "git fsck --connectivity-only 2>&1; git rev-parse HEAD; cat f";
        let config = checkouts(&[(NAME, how, look)]);
        let view = self.fleet.run(&config, source(&url, revision, Some(branch), None)).await;
        let log = self.fleet.log(&view, NAME, "Checkout code").await;
        assert_eq!(integration::pipelines::job(&view, NAME).status, JobStatus::Success, "{log}");
        let it = self.fleet.log(&view, NAME, "it").await;
        assert!(it.contains(revision), "{it} {log}");
        (log, view)
    }

    fn copies(&self) -> Vec<PathBuf> {
        let folder = self.fleet.rig.path("agent").join("mirrors");
        fs::read_dir(folder).expect("it is there").flatten().map(|entry| entry.path()).collect()
    }
}

#[actix_rt::test]
async fn a_second_checkout_of_a_commit_fetches_nothing_and_one_of_the_next_commit_only_that() {
    let house = House::new().await;
    house.repository.commit("f", "one", "refs/heads/main");
    let second = house.repository.commit("f", "two", "refs/heads/main");
    for how in ["", ": {method: full}"] {
        let (log, _) = house.check_out(how, &second, "main").await;
        assert!(log.contains("This host keeps a copy of the repository ("), "{log}");
        let packs = house.http.packs();
        let (log, _) = house.check_out(how, &second, "main").await;
        assert!(log.contains("Using this host's copy of the repository ("), "{log}");
        assert_eq!(house.http.packs(), packs, "{how}: {log}");
    }
    let third = house.repository.commit("f", "three", "refs/heads/main");
    let (log, _) = house.check_out(": {method: full}", &third, "main").await;
    assert!(log.contains("Using this host's copy") && log.contains("f is three"), "{log}");
    for copy in house.copies() {
        let mode = fs::metadata(&copy).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o400, "no job reads it by its path, or writes it");
    }
}

#[actix_rt::test]
async fn a_job_of_a_pull_request_uses_no_copy_and_leaves_none() {
    let house = House::new().await;
    house.repository.commit("f", "one", "refs/heads/main");
    let proposed = house.repository.commit("f", "proposed", "refs/pull/7/head");
    let (log, _) = house.check_out("", &proposed, "pull/7").await;
    assert!(!log.contains("copy of the repository"), "{log}");
    assert!(house.copies().is_empty());
}

#[actix_rt::test]
async fn a_broken_copy_costs_time_and_nothing_else() {
    let house = House::new().await;
    let revision = house.repository.commit("f", "one", "refs/heads/main");
    house.check_out("", &revision, "main").await;
    let copies = house.copies();
    for copy in &copies {
        let mut bytes = fs::read(copy).expect("root and its owner may");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::remove_file(copy).expect("it is ours");
        fs::write(copy, bytes).expect("it is ours");
    }
    let (log, _) = house.check_out("", &revision, "main").await;
    assert!(log.contains("This host's copy is of no use (") && log.contains("HEAD is now at"), "{log}");
    assert!(log.contains("This host keeps a copy"), "and it is made anew: {log}");
    assert_eq!(house.copies().len(), copies.len());
}

#[actix_rt::test]
async fn a_host_that_does_not_let_a_job_in_any_more_gives_it_no_copy_either() {
    let house = House::new().await;
    let revision = house.repository.commit("f", "one", "refs/heads/main");
    house.check_out("", &revision, "main").await;
    fs::rename(house.repository.bare.clone(), house.fleet.rig.path("git/elsewhere")).expect("it is ours");
    let url = format!("{}/app.git", house.http.url);
    let config = checkouts(&[(NAME, "", "ls -A")]);
    let view = house.fleet.run(&config, source(&url, &revision, Some("main"), None)).await;
    let log = house.fleet.log(&view, NAME, "Checkout code").await;
    assert!(log.contains("cannot read the repository") && !log.contains("Using this host's copy"), "{log}");
    assert_eq!(integration::pipelines::job(&view, NAME).status, JobStatus::Failed);
}
