//! The client against the fake control plane: every route, and every trouble.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use client::{ClientError, Saved, Settings, StreamAnswer, TaskClient, Transport};
use fakes::{ControlPlane, Trouble};
use protocol::{
    http::{
        Artifacts, Claim, Claimed, End, FindCache, Heartbeat, Lease, PersistLayer, SaveCache, Store, Unclaim,
    },
    ids::{Digest, StepNumber, TaskId},
    journal::{Record, TaskEvent},
    marks::Marks,
    status::Outcome,
    stream::{Chunk, Item, encode},
    task::{Source, TaskSpec},
    transfer::{Artifact, Content},
};
use std::{
    io::{Read, Seek, Write},
    time::Duration,
};

fn transport(plane: &ControlPlane) -> Transport {
    let patience = Duration::from_secs(5);
    Transport::new(Settings { patience, ..Settings::new(plane.url()) }).unwrap()
}

fn spec() -> TaskSpec {
    TaskSpec {
        task: TaskId(uuid::Uuid::new_v4()),
        epoch: protocol::Epoch(0),
        job: "build".to_owned(),
        job_number: 1,
        node_index: 0,
        node_total: 1,
        environment: vec![],
        masks: vec![],
        working_directory: "~/project".to_owned(),
        source: Source::None,
        steps: vec![],
        max_run_time_ms: 60_000,
        containers: None,
        is_setup: false,
        ssh: protocol::repository::Ssh::default(),
        login: protocol::repository::Login::None,
        mirror: None,
    }
}

fn claim_of(wait_ms: u64) -> Claim {
    Claim {
        name: "here".to_owned(),
        hostname: "here".to_owned(),
        ip: String::new(),
        version: "1".to_owned(),
        platform: None,
        max_tasks: Some(4),
        wait_ms: Some(wait_ms),
        containers: false,
    }
}

async fn claimed(plane: &ControlPlane) -> (Claimed, TaskClient) {
    plane.enqueue(spec());
    let runner = transport(plane).runner(fakes::control_plane::CLASS_TOKEN);
    let claimed = runner.claim(&claim_of(1000)).await.unwrap().remove(0);
    let task = runner.task(&claimed.task_token);
    (claimed, task)
}

fn body(items: &[Item]) -> bytes::Bytes {
    let mut body = Vec::new();
    items.iter().for_each(|item| encode(item, &mut body));
    body.into()
}

fn log(offset: u64, text: &str) -> Item {
    let chunk = Chunk { step: StepNumber(1), offset, length: text.len() as u32 };
    Item::Log { chunk, marks: Marks::default(), frame: zstd::bulk::compress(text.as_bytes(), 1).unwrap() }
}

#[actix_rt::test]
async fn a_claim_is_held_open_until_there_is_a_task_or_its_time_is_over() {
    let plane = ControlPlane::start();
    let runner = transport(&plane).runner(fakes::control_plane::CLASS_TOKEN);
    assert!(runner.claim(&claim_of(10)).await.unwrap().is_empty());
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        plane.enqueue(spec())
    };
    let claim = claim_of(20_000);
    let (tasks, id) = tokio::join!(runner.claim(&claim), late);
    assert_eq!(tasks.unwrap()[0].task_id, id);
}

#[actix_rt::test]
async fn an_unknown_token_is_refused_at_once() {
    let plane = ControlPlane::start();
    let error = transport(&plane).runner("wrong").claim(&claim_of(1000)).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    let error = transport(&plane).task("wrong").config().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
}

#[actix_rt::test]
async fn a_heartbeat_brings_cancels_at_once() {
    let plane = ControlPlane::start();
    let (claimed, _) = claimed(&plane).await;
    let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
    let runner = transport(&plane).runner(fakes::control_plane::CLASS_TOKEN);
    let heartbeat = Heartbeat { name: "here".to_owned(), tasks: vec![lease], wait_ms: 20_000 };
    let cancel = async { plane.with(|state| state.cancel(claimed.task_id)) };
    let (news, ()) = tokio::join!(runner.heartbeat(&heartbeat), cancel);
    assert_eq!(news.unwrap().canceled, [claimed.task_id]);
}

#[actix_rt::test]
async fn a_stream_is_stored_once_whatever_is_lost_on_the_way() {
    let plane = ControlPlane::start();
    let (claimed, task) = claimed(&plane).await;
    plane.trouble("/api/v3/task/stream", 1, Trouble::Cut);
    plane.trouble("/api/v3/task/stream", 1, Trouble::CutAfter);
    plane.trouble("/api/v3/task/stream", 1, Trouble::Status(503));
    let record = Record { seq: 0, at_ms: 0, event: TaskEvent::StepStarted { step: StepNumber(1) } };
    let items = [Item::Record(record), log(0, "one "), log(4, "two")];
    let answer = task.stream(claimed.epoch, body(&items)).await.unwrap();
    let StreamAnswer::Stored(acknowledged) = answer else { panic!("{answer:?}") };
    assert_eq!((acknowledged.next_record, acknowledged.logs[&StepNumber(1)]), (1, 7));
    let rewind = task.stream(claimed.epoch, body(&[log(9, "gap")])).await.unwrap();
    assert_eq!(rewind, StreamAnswer::Rewind(acknowledged.clone()));
    assert_eq!(task.acknowledged().await.unwrap(), acknowledged);
    assert_eq!(plane.task(claimed.task_id).log(1), "one two");
    plane.assert_sound();
}

#[actix_rt::test]
async fn whoever_lost_the_lease_is_fenced() {
    let plane = ControlPlane::start();
    let (claimed, task) = claimed(&plane).await;
    assert!(!task.begin(claimed.epoch).await.unwrap().canceled);
    plane.with(|state| state.lose(claimed.task_id));
    let error = task.begin(claimed.epoch).await.unwrap_err();
    assert!(matches!(error, ClientError::Fenced(_)), "{error}");
    let error = task.stream(claimed.epoch, body(&[log(0, "late")])).await.unwrap_err();
    assert!(matches!(error, ClientError::Fenced(_)), "{error}");
    assert_eq!(plane.task(claimed.task_id).log(1), "");
}

#[actix_rt::test]
async fn a_task_is_given_back_before_it_began_and_not_after() {
    let plane = ControlPlane::start();
    let (first, task) = claimed(&plane).await;
    let unclaim =
        |of: &Claimed| Unclaim { task_id: of.task_id, task_token: of.task_token.clone(), reason: None };
    task.unclaim(&unclaim(&first)).await.unwrap();
    let runner = transport(&plane).runner(fakes::control_plane::CLASS_TOKEN);
    let again = runner.claim(&claim_of(1000)).await.unwrap().remove(0);
    assert!(again.epoch > first.epoch);
    let task = runner.task(&again.task_token);
    task.begin(again.epoch).await.unwrap();
    let error = task.unclaim(&unclaim(&again)).await.unwrap_err();
    assert!(matches!(error, ClientError::Conflict(_)), "{error}");
}

#[actix_rt::test]
async fn files_go_there_and_back_by_digest_over_cut_connections() {
    let plane = ControlPlane::start();
    let (claimed, task) = claimed(&plane).await;
    let mut bytes = vec![0; 700_000];
    bytes.iter_mut().zip(0u32..).for_each(|(byte, place)| *byte = (place * 31 % 251) as u8);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let content =
        Content { digest: Digest::of_bytes(hash.as_ref().try_into().unwrap()), size: bytes.len() as u64 };
    let store = Store { epoch: claimed.epoch, contents: vec![content.clone()] };
    let url = task.store(&store).await.unwrap().remove(0).url.unwrap();
    plane.trouble("/blobs", 1, Trouble::Cut);
    task.put(&url, &content, &file).await.unwrap();
    assert!(task.store(&store).await.unwrap()[0].url.is_none(), "the project has it now");
    plane.trouble("/blobs", 1, Trouble::Status(500));
    let mut back = tempfile::tempfile().unwrap();
    task.get(&url, &content, &back).await.unwrap();
    let mut got = Vec::new();
    back.rewind().unwrap();
    back.read_to_end(&mut got).unwrap();
    assert!(got == bytes);
    let other = Content { size: content.size - 1, ..content };
    let error = task.get(&url, &other, &back).await.unwrap_err();
    assert!(matches!(error, ClientError::Digest { .. }), "{error}");
}

#[actix_rt::test]
async fn a_file_shorter_than_told_is_the_files_fault() {
    let plane = ControlPlane::start();
    let (claimed, task) = claimed(&plane).await;
    let content = Content { digest: Digest::of_bytes(&[7; 32]), size: 100 };
    let store = Store { epoch: claimed.epoch, contents: vec![content.clone()] };
    let url = task.store(&store).await.unwrap().remove(0).url.unwrap();
    let error = task.put(&url, &content, &tempfile::tempfile().unwrap()).await.unwrap_err();
    assert!(matches!(error, ClientError::File(_)), "{error}");
}

#[actix_rt::test]
async fn artifacts_caches_layers_and_the_end_are_told() {
    let plane = ControlPlane::start();
    let (claimed, task) = claimed(&plane).await;
    let epoch = claimed.epoch;
    let content = plane.with(|state| state.blobs.put(b"content".to_vec()));
    let artifact = Artifact { path: "a/b".to_owned(), content: content.clone() };
    task.artifacts(&Artifacts { epoch, artifacts: vec![artifact] }).await.unwrap();
    let save = SaveCache { epoch, key: "v1-abc".to_owned(), content: content.clone() };
    assert_eq!(task.save_cache(&save).await.unwrap(), Saved::New);
    assert_eq!(task.save_cache(&save).await.unwrap(), Saved::Before);
    let find = |key: &str, exact| FindCache { keys: vec![key.to_owned()], exact };
    assert_eq!(task.find_cache(&find("v1-", false)).await.unwrap().unwrap().name, "v1-abc");
    assert!(task.find_cache(&find("v1-", true)).await.unwrap().is_none());
    task.persist_layer(&PersistLayer { epoch, request: 3, content: content.clone() }).await.unwrap();
    assert!(task.layers().await.unwrap().layers.is_empty());
    task.end(&End { epoch, outcome: Outcome::Success, message: None }).await.unwrap();
    let told = plane.ended(claimed.task_id).await;
    assert_eq!((told.artifacts.len(), told.layers.len()), (1, 1));
}

#[actix_rt::test]
async fn a_named_pause_is_kept_and_an_error_outlives_no_patience() {
    let plane = ControlPlane::start();
    let (_, task) = claimed(&plane).await;
    plane.trouble("/api/v2/task/config", 1, Trouble::Busy(1));
    let before = std::time::Instant::now();
    task.config().await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
    plane.trouble("/api/v2/task/config", usize::MAX, Trouble::Status(500));
    let short = Settings { patience: Duration::from_millis(300), ..Settings::new(plane.url()) };
    let error = Transport::new(short).unwrap().task("task:any").config().await.unwrap_err();
    assert!(matches!(error, ClientError::Server { status: 500, .. }) && error.is_transient(), "{error}");
}
