//! Contents, artifacts, caches, workspace layers and test results over the wire.

use crate::house::{CHAIN, House, ONE_JOB, OPERATOR, claim_one, end, get, new_pipeline};
use client::{ClientError, Saved, TaskClient};
use protocol::{
    Epoch, Outcome,
    bundle::{Member, index},
    http::{Artifacts, Claimed, FindCache, Layers, PersistLayer, PutBundle, SaveCache, Store, Tests},
    ids::Digest,
    task::Source,
    transfer::{Artifact, Content, MAX_CONTENT, MAX_WHOLE, PART, Parts, TestCase, TestResult},
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
pub(crate) async fn store(task: &TaskClient, bytes: &[u8]) -> Content {
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

/// A bundle of these files.
fn bundle(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut frames, mut members) = (Vec::new(), Vec::new());
    for (path, bytes) in files {
        let frame = zstd::bulk::compress(bytes, 3).unwrap();
        let artifact = Artifact { path: (*path).to_owned(), content: file(bytes).1 };
        members.push(Member { artifact, start: frames.len() as u64, stored: frame.len() as u64 });
        frames.extend(frame);
    }
    let table = zstd::bulk::compress(&serde_json::to_vec(&members).unwrap(), 3).unwrap();
    [frames, index(&table)].concat()
}

#[actix_web::test]
async fn each_artifact_of_a_bundle_is_listed_and_fetched_alone() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let files = [("out/a.txt", &b"one"[..]), ("out/b/c.bin", &[7; 9000]), ("out/empty", b"")];
    let content = store(&task, &bundle(&files)).await;
    let bundle = PutBundle { epoch: EPOCH, request: 1, content: content.clone() };
    for _ in 0..2 {
        task.bundle(&bundle).await.unwrap();
    }
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
    let listed: Vec<_> = job.tasks[0].artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(listed, files.map(|(path, _)| path));
    for (path, bytes) in files {
        let fetched = tempfile::tempfile().unwrap();
        // Checks the digest.
        house.operator.artifact((job.id, 0), path, &file(bytes).1, &fetched).await.unwrap();
    }
    let asked = Store { epoch: EPOCH, contents: vec![content] };
    assert_eq!(task.store(&asked).await.unwrap()[0].url, None, "the same bundle is not sent again");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_large_content_goes_in_parts_and_none_of_them_twice() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let bytes = vec![5; usize::try_from(MAX_WHOLE + 3).unwrap()];
    let (file, content) = file(&bytes);
    let asked = Store { epoch: EPOCH, contents: vec![content.clone()] };
    let ask = async || task.store(&asked).await.unwrap().remove(0);
    let put = async |url: &str, number: u32| {
        let range = Parts::range(content.size, PART, number);
        let bytes = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        task.put_part(url, number, &self::file(bytes).1, (&file, range.start)).await
    };
    let url = ask().await.url.unwrap();
    put(&url, 0).await.unwrap();
    put(&url, 2).await.unwrap();
    let again = ask().await;
    assert_eq!(again.parts, Some(Parts { size: PART, stored: vec![0, 2] }));
    let early = task.join_parts(&url, &content).await.unwrap_err();
    assert!(matches!(early, ClientError::Rejected { status: 409, .. }), "{early}");
    assert!(matches!(put(&url, 3).await, Err(ClientError::Rejected { .. })), "it has no such part");
    put(&again.url.unwrap(), 1).await.unwrap();
    for _ in 0..2 {
        task.join_parts(&url, &content).await.unwrap();
    }
    assert_eq!(ask().await.url, None, "it is there");
    let artifact = Artifact { path: "large".to_owned(), content: content.clone() };
    task.artifacts(&Artifacts { epoch: EPOCH, artifacts: vec![artifact] }).await.unwrap();
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0).id;
    let fetched = tempfile::tempfile().unwrap();
    house.operator.artifact((job, 0), "large", &content, &fetched).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn a_content_that_would_be_too_large_has_no_place() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (_, task) = begun(&house).await;
    let digest = file(b"never sent").1.digest;
    let asked = async |size| {
        let contents = vec![Content { digest: digest.clone(), size }];
        task.store(&Store { epoch: EPOCH, contents }).await
    };
    assert_eq!(asked(MAX_CONTENT).await.unwrap()[0].parts.as_ref().unwrap().stored, [0; 0]);
    let error = asked(MAX_CONTENT + 1).await.unwrap_err();
    assert!(matches!(error, ClientError::Rejected { status: 400, .. }), "{error:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_part_of_an_artifact_is_what_of_it_was_asked_for() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let alone = store(&task, b"0123456789").await;
    let artifact = Artifact { path: "alone".to_owned(), content: alone };
    task.artifacts(&Artifacts { epoch: EPOCH, artifacts: vec![artifact] }).await.unwrap();
    let content = store(&task, &bundle(&[("within", b"0123456789")])).await;
    task.bundle(&PutBundle { epoch: EPOCH, request: 2, content }).await.unwrap();
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0).id;
    for path in ["alone", "within"] {
        for (range, status, text) in [
            ("bytes=2-4", 206, "234"),
            ("bytes=7-", 206, "789"),
            ("bytes=-1", 206, "9"),
            ("bytes=0-1,4-5", 200, "0123456789"),
            ("bytes=10-", 416, ""),
        ] {
            let headers = format!("{OPERATOR}\r\nRange: {range}");
            let at = format!("/api/v3/artifacts/{job}/0/{path}");
            let got = get(&house, &at, Some(("Circle-Token", &headers))).await;
            assert_eq!(got, (status, text.to_owned()), "{path} {range}");
        }
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_bundle_that_lies_is_refused_and_names_nothing() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (_, task) = begun(&house).await;
    let good = bundle(&[("a", b"one")]);
    let digest = file(b"one").1.digest;
    let table = format!(
        r#"[{{"path":"a","digest":"{digest}","size":3,"start":0,"stored":9}},{{"path":"../b","digest":"{digest}","size":3,"start":0,"stored":9}}]"#
    );
    let lying = [&good[..], &index(&zstd::bulk::compress(table.as_bytes(), 3).unwrap())].concat();
    for bytes in [&b"no bundle"[..], &good[..good.len() - 1], &lying] {
        let content = store(&task, bytes).await;
        let error = task.bundle(&PutBundle { epoch: EPOCH, request: 1, content }).await.unwrap_err();
        assert!(matches!(error, ClientError::Rejected { .. }), "{error}");
    }
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
    assert!(job.tasks[0].artifacts.is_empty());
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
