//! Contents, artifacts, caches, workspace layers and test results over the wire.

use crate::house::{House, ONE_JOB, claim_one, end, new_pipeline};
use client::{ClientError, Saved, TaskClient};
use protocol::{
    Epoch, Outcome,
    http::{Artifacts, Claimed, FindCache, Layers, PersistLayer, SaveCache, Store, Tests},
    ids::Digest,
    task::Source,
    transfer::{Artifact, Content, TestCase, TestResult},
};
use std::{fs::File, io::Write};

const EPOCH: Epoch = Epoch(1);

fn file(bytes: &[u8]) -> (File, Content) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let digest = Digest::of_bytes(hash.as_ref().try_into().unwrap());
    (file, Content { digest, size: bytes.len() as u64 })
}

async fn begun(house: &House) -> (Claimed, TaskClient) {
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    (claimed, task)
}

/// Stores some bytes as a content of the task's project.
async fn store(task: &TaskClient, bytes: &[u8]) -> Content {
    let (file, content) = file(bytes);
    let asked = Store { epoch: EPOCH, contents: vec![content.clone()] };
    if let Some(url) = &task.store(&asked).await.unwrap()[0].url {
        task.put(url, &content, &file).await.unwrap();
    }
    content
}

#[actix_web::test]
async fn a_content_that_the_project_has_is_not_sent_again() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (_, task) = begun(&house).await;
    let content = store(&task, b"bytes").await;
    let asked = Store { epoch: EPOCH, contents: vec![content] };
    assert_eq!(task.store(&asked).await.unwrap()[0].url, None);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_artifact_is_there_once_its_content_is() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let (_, missing) = file(b"never sent");
    let artifact = |content: &Content| Artifact { path: "out/log.txt".to_owned(), content: content.clone() };
    let unsent = Artifacts { epoch: EPOCH, artifacts: vec![artifact(&missing)] };
    assert!(matches!(task.artifacts(&unsent).await, Err(ClientError::Rejected { .. })));
    let content = store(&task, b"bytes").await;
    let artifacts = Artifacts { epoch: EPOCH, artifacts: vec![artifact(&content)] };
    for _ in 0..2 {
        task.artifacts(&artifacts).await.unwrap();
    }
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
    assert_eq!(job.tasks[0].artifacts, artifacts.artifacts);
    let fetched = tempfile::tempfile().unwrap();
    house.operator.artifact((job.id, 0), "out/log.txt", &content, &fetched).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn an_artifact_that_would_leave_its_root_is_refused() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (_, task) = begun(&house).await;
    let content = store(&task, b"bytes").await;
    let artifacts =
        Artifacts { epoch: EPOCH, artifacts: vec![Artifact { path: "../etc".to_owned(), content }] };
    assert!(task.artifacts(&artifacts).await.is_err());
    house.running.stop().await;
}

#[actix_web::test]
async fn a_cache_is_saved_once_and_found_by_its_key_or_the_newest_prefix() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (_, task) = begun(&house).await;
    let (old, new) = (store(&task, b"old").await, store(&task, b"new").await);
    let save = |key: &str, content: &Content| SaveCache {
        epoch: EPOCH,
        key: key.to_owned(),
        content: content.clone(),
    };
    assert_eq!(task.save_cache(&save("v1-b-1", &old)).await.unwrap(), Saved::New);
    assert_eq!(task.save_cache(&save("v1-b-1", &new)).await.unwrap(), Saved::Before);
    // The store's clock counts milliseconds: newer by the key where it stands still.
    assert_eq!(task.save_cache(&save("v1-b-2", &new)).await.unwrap(), Saved::New);
    let find = async |keys: &[&str], exact| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        task.find_cache(&FindCache { keys, exact })
            .await
            .unwrap()
            .map(|found| (found.name, found.content.digest))
    };
    assert_eq!(find(&["v1-b-1"], false).await, Some(("v1-b-1".to_owned(), old.digest)));
    assert_eq!(find(&["v0", "v1-b"], false).await, Some(("v1-b-2".to_owned(), new.digest)));
    assert_eq!(find(&["v1-b"], true).await, None);
    assert_eq!(find(&["v1-c", "v1-b-1x"], false).await, None);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_cache_of_one_project_is_nothing_to_another() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let content = store(&task, b"bytes").await;
    task.save_cache(&SaveCache { epoch: EPOCH, key: "k".to_owned(), content: content.clone() })
        .await
        .unwrap();
    end(&claimed, &task, Outcome::Success).await;
    let mut other = new_pipeline(ONE_JOB);
    other.project = "gh/acme/other".to_owned();
    house.operator.create_pipeline(&other).await.unwrap();
    let (_, task) = begun(&house).await;
    assert_eq!(task.find_cache(&FindCache { keys: vec!["k".to_owned()], exact: false }).await.unwrap(), None);
    let asked = Store { epoch: EPOCH, contents: vec![content] };
    assert!(task.store(&asked).await.unwrap()[0].url.is_some(), "nor does it learn that it exists");
    house.running.stop().await;
}

const CHAIN: &str = "
version: 2.1
jobs:
  a: &job {machine: true, resource_class: acme/linux, steps: [run: make]}
  b: *job
  c: *job
workflows:
  all:
    jobs: [a, b: {requires: [a]}, c: {requires: [b]}]
";

#[actix_web::test]
async fn layers_of_all_jobs_upstream_come_in_their_order() {
    let house = House::new().await;
    house.pipeline(CHAIN).await;
    for persisted in [&["a1", "a2"][..], &["b1"]] {
        let (claimed, task) = begun(&house).await;
        for (request, bytes) in (1..).zip(persisted) {
            let content = store(&task, bytes.as_bytes()).await;
            let layer = PersistLayer { epoch: EPOCH, request, content };
            task.persist_layer(&layer).await.unwrap();
            task.persist_layer(&layer).await.unwrap();
        }
        end(&claimed, &task, Outcome::Success).await;
    }
    let (_, task) = begun(&house).await;
    let Layers { layers, writers } = task.layers().await.unwrap();
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["a", "a", "b"]);
    let over: Vec<_> = writers.iter().map(|writer| (writer.job, writer.over.as_slice())).collect();
    assert_eq!(over, [(0, [].as_slice()), (0, &[]), (1, &[0])]);
    let into = tempfile::tempfile().unwrap();
    task.get(&layers[2].url, &layers[2].content, &into).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn test_results_are_counted_once_however_often_they_are_sent() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let case = |result| TestCase {
        classname: "c".to_owned(),
        name: "n".to_owned(),
        file: None,
        result,
        run_time: Some(0.5),
        message: None,
    };
    let cases = vec![case(TestResult::Success), case(TestResult::Failure), case(TestResult::Success)];
    let tests = Tests { epoch: EPOCH, request: 1, cases };
    for _ in 0..2 {
        task.tests(&tests).await.unwrap();
    }
    let counts = house.view(pipeline).await.workflows[0].jobs[0].tests;
    assert_eq!((counts.passed, counts.failed, counts.skipped), (2, 1, 0));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_source_is_sent_once_and_fetched_by_its_tasks() {
    let house = House::new().await;
    let (archive, content) = file(b"an archive");
    let mut new = new_pipeline(ONE_JOB);
    new.source = Source::Archive { digest: content.digest.clone(), size: content.size };
    let error = house.operator.create_pipeline(&new).await.unwrap_err();
    assert!(error.to_string().contains("send it first"), "{error}");
    house.operator.put_source("gh/acme/shop", &content, &archive).await.unwrap();
    house.operator.create_pipeline(&new).await.unwrap();
    let (_, task) = begun(&house).await;
    let found = task.source().await.unwrap();
    assert_eq!(found.content, content);
    task.get(&found.url, &content, &tempfile::tempfile().unwrap()).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn the_task_agent_that_a_claim_names_can_be_fetched() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let into = tempfile::tempfile().unwrap();
    task.get(&claimed.agent.url, &claimed.agent.content, &into).await.unwrap();
    assert_eq!(claimed.agent.content.size, b"a program".len() as u64);
    house.running.stop().await;
}
