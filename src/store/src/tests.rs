//! The store as its callers see it: groups, guards, rows that are read as they were written.

mod audited;
mod forgetting;
mod identities;
mod insights;
mod looking;
mod orbs;
mod policies;
mod standing;
mod telling;
mod versions;

use crate::{
    ChunkRow, ClassRow, Command, Guard, JobRow, OpenError, Phase, PipelineRow, ProjectId, Store, StoreError,
    TaskRow, TokenRow, WorkflowRow, Write,
};
use protocol::{
    Actor, Epoch, JobId, JobStatus, Outcome, PipelineId, ResourceClass, StepNumber, TaskId, WorkflowId,
    WorkflowStatus,
    api::Reruns,
    ids::Digest,
    pipeline::{Job, Kind},
    task::Source,
    transfer::Content,
};
use sqlx::{Connection, SqliteConnection};
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;

const WORKFLOW: WorkflowId = WorkflowId(Uuid::from_u128(2));
const PIPELINE: PipelineId = PipelineId(Uuid::from_u128(1));
const JOB: JobId = JobId(Uuid::from_u128(3));
const TASK: TaskId = TaskId(Uuid::from_u128(4));

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("store.db")
}

async fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&path(&folder)).await.unwrap();
    (folder, store)
}

fn class(name: &str) -> ClassRow {
    let class: ResourceClass = format!("acme/{name}").parse().unwrap();
    ClassRow { id: Uuid::now_v7(), class, description: String::new(), created_ms: 0, max_tasks: None }
}

fn add(name: &str) -> Write {
    Write::Class(class(name))
}

fn content(digit: &str) -> Content {
    Content { digest: Digest::try_from(digit.repeat(64)).unwrap(), size: 7 }
}

async fn names(store: &Store) -> Vec<String> {
    store.classes().await.unwrap().into_iter().map(|row| row.class.to_string()).collect()
}

fn pipeline(project: ProjectId) -> PipelineRow {
    PipelineRow {
        id: PIPELINE,
        project,
        number: 1,
        created_ms: 5,
        actor: Actor::Operator,
        source: Source::None,
        git: Default::default(),
        state: Default::default(),
        errors: vec![],
        continued: None,
    }
}

/// One workflow of one job of one task.
async fn with_task(store: &Store) {
    store.write(None, vec![Write::Project("gh/a/b".to_owned())]).await.unwrap();
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let working_directory = "~/project".to_owned();
    let definition = Job { parallelism: 1, working_directory, ..Job::without_tasks("build", Kind::Build) };
    let pipeline = pipeline(project);
    let (name, status) = ("all".to_owned(), WorkflowStatus::Running);
    let (canceled, reruns) = (false, Reruns::default());
    let workflow = WorkflowRow {
        id: WORKFLOW,
        pipeline: PIPELINE,
        place: 0,
        name,
        status,
        canceled,
        reruns,
        actor: None,
        setup: false,
    };
    let job = JobRow {
        id: JOB,
        workflow: WORKFLOW,
        place: 0,
        origin: None,
        failed_of: None,
        number: 1,
        class: "acme/a".parse().ok(),
        definition,
        status: JobStatus::Queued,
        started_ms: None,
        ended_ms: None,
        approved_by: None,
        answered_by: None,
        waits_ms: None,
        reason: None,
    };
    let task = Write::Task(TaskRow::queued(TASK, JOB, 0, 6).into());
    let rows =
        vec![Write::Pipeline(pipeline.into()), Write::Workflow(workflow), Write::Job(job.into()), task];
    store.write(None, rows).await.unwrap();
}

fn claimed(epoch: u64) -> Write {
    let (runner, host) = ("r".to_owned(), "h".to_owned());
    let hash = [u8::try_from(epoch).unwrap(); 32];
    Write::TaskClaimed { task: TASK, epoch: Epoch(epoch), hash, runner, host, at_ms: 9 }
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_file_is_opened_again() {
    let (folder, store) = store().await;
    store.write(None, vec![add("a")]).await.unwrap();
    store.close().await;
    let again = Store::open(&path(&folder)).await.unwrap();
    assert_eq!(names(&again).await, ["acme/a"]);
}

#[tokio::test]
async fn a_command_is_done_whole_or_not_at_all_and_alone() {
    let (_folder, store) = store().await;
    let commands = [vec![add("a")], vec![add("b"), add("a")], vec![add("c")]];
    let mut results = Vec::new();
    for writing in commands.map(|writes| store.queue(None, writes)) {
        results.push(writing.await);
    }
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(StoreError::Conflict(_))), "{:?}", results[1]);
    assert_eq!(names(&store).await, ["acme/a", "acme/c"]);
}

#[tokio::test]
async fn commands_are_done_and_told_in_the_order_they_came() {
    let (_folder, store) = store().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    for number in 0..200 {
        let told = told.clone();
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            told.lock().unwrap().push((number, result.is_ok()));
        });
        store.submit(Command { guard: None, writes: vec![add(&number.to_string())], done });
    }
    store.write(None, vec![]).await.unwrap();
    assert_eq!(*told.lock().unwrap(), (0..200).map(|number| (number, true)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_builds_on_a_failed_write_fails_until_a_newer_generation() {
    let (_folder, store) = store().await;
    let guard = |generation| Some(Guard { workflow: WORKFLOW, generation });
    store.write(guard(1), vec![add("a")]).await.unwrap();
    let failed = store.queue(guard(1), vec![add("a")]);
    let behind = store.queue(guard(1), vec![add("b")]);
    let other =
        store.queue(Some(Guard { workflow: WorkflowId(Uuid::from_u128(9)), generation: 1 }), vec![add("c")]);
    assert!(matches!(failed.await, Err(StoreError::Conflict(_))));
    assert!(matches!(behind.await, Err(StoreError::Superseded)));
    assert!(other.await.is_ok());
    store.write(guard(2), vec![add("d")]).await.unwrap();
    assert_eq!(names(&store).await, ["acme/a", "acme/c", "acme/d"]);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_done() {
    let (_folder, store) = store().await;
    drop(store.queue(None, vec![add("a")]));
    store.write(None, vec![]).await.unwrap();
    assert_eq!(names(&store).await, ["acme/a"]);
}

#[tokio::test]
async fn a_closed_store_refuses_and_says_so() {
    let (_folder, store) = store().await;
    store.close().await;
    assert!(matches!(store.write(None, vec![add("a")]).await, Err(StoreError::Stopped)));
    let (tell, told) = oneshot::channel();
    let done = Box::new(move |result: Result<Vec<u64>, StoreError>| tell.send(result.is_err()).unwrap());
    store.submit(Command { guard: None, writes: vec![], done });
    assert!(told.await.unwrap());
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let (folder, store) = store().await;
    store.write(None, vec![add("a")]).await.unwrap();
    names(&store).await;
    store.close().await;
    let files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["store.db"]);
}

/// Changes rows behind the store's back, as another version or program may.
async fn execute(folder: &TempDir, statement: &'static str) {
    let url = format!("sqlite://{}?mode=rwc", path(folder).display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_class_with_tokens_goes_only_by_force() {
    let (_folder, store) = store().await;
    let row = class("a");
    let token = TokenRow {
        id: Uuid::now_v7(),
        class: row.class.clone(),
        nickname: String::new(),
        hash: [1; 32],
        created_ms: 0,
    };
    store.write(None, vec![Write::Class(row.clone()), Write::Token(token)]).await.unwrap();
    let remove = |force| vec![Write::RemoveClass { id: row.id, force }];
    assert!(matches!(store.write(None, remove(false)).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.write(None, remove(true)).await.unwrap(), [1]);
    assert!(store.tokens().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_is_read_as_it_was_written_and_its_old_tokens_are_known() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    store.write(None, vec![claimed(1)]).await.unwrap();
    store.write(None, vec![Write::TaskRequeued { task: TASK, unclaims: 1 }, claimed(2)]).await.unwrap();
    let row = store.task(TASK).await.unwrap().unwrap();
    assert_eq!((row.phase, row.epoch, row.unclaims), (Phase::Claimed, Epoch(2), 1));
    let old = store.lease(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((old.epoch, old.current, old.outcome), (Epoch(1), Epoch(2), None));
    assert_eq!(store.lease(&[3; 32]).await.unwrap(), None);
    assert_eq!(store.current_leases(WORKFLOW).await.unwrap(), [([2; 32], TASK)]);
    let (outcome, epoch) = (Outcome::Failed, Epoch(2));
    store
        .write(None, vec![Write::TaskEnded { task: TASK, epoch, outcome, message: None, at_ms: 9 }])
        .await
        .unwrap();
    assert_eq!(store.lease(&[2; 32]).await.unwrap().unwrap().outcome, Some(outcome));
    let live = store.live_workflow(WORKFLOW).await.unwrap().unwrap();
    assert_eq!((live.project.as_str(), live.jobs.len(), live.tasks.len()), ("gh/a/b", 1, 1));
    assert_eq!(store.unfinished_workflows().await.unwrap(), [WORKFLOW]);
}

fn chunk(start: u64, length: u32) -> ChunkRow {
    let (step, frame) = (StepNumber(1), Some(vec![1; 3]));
    ChunkRow { task: TASK, step, start, length, stored: 3, file_offset: None, frame, marks: None }
}

#[tokio::test]
async fn the_chunks_from_a_byte_begin_with_the_one_that_holds_it() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let chunks = [chunk(0, 10), chunk(10, 10), chunk(20, 10)];
    store.write(None, chunks.iter().cloned().map(Write::Chunk).collect()).await.unwrap();
    let starts = async |from, most| {
        let chunks = store.chunks(TASK, StepNumber(1), from, most).await.unwrap();
        chunks.into_iter().map(|chunk| chunk.start).collect::<Vec<_>>()
    };
    assert_eq!(starts(0, 10).await, [0, 10, 20]);
    assert_eq!(starts(15, 10).await, [10, 20]);
    assert_eq!(starts(10, 1).await, [10]);
    assert!(starts(30, 10).await.is_empty());
}

#[tokio::test]
async fn the_marks_of_a_part_begin_with_a_chunk_that_has_one_of_its_first_byte_or_before() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let marked = |start| ChunkRow { marks: Some(vec![0, 1]), ..chunk(start, 10) };
    let chunks = [marked(0), chunk(10, 10), marked(20), chunk(30, 10), marked(40), marked(50)];
    store.write(None, chunks.iter().cloned().map(Write::Chunk).collect()).await.unwrap();
    let starts = async |part, most| {
        let rows = store.marks((TASK, StepNumber(1)), part, most).await.unwrap();
        rows.into_iter().map(|row| row.start).collect::<Vec<_>>()
    };
    assert_eq!(starts(0..60, 10).await, [0, 20, 40, 50]);
    assert_eq!(starts(35..41, 10).await, [0, 20, 40], "that of 20 may begin later than its chunk");
    assert_eq!(starts(55..60, 1).await, [40]);
    assert_eq!(starts(15..16, 10).await, [0]);
    assert!(store.marks((TASK, StepNumber(2)), 0..60, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_that_waits_again_has_no_log_any_more() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let step = StepNumber(1);
    store.write(None, vec![Write::Chunk(chunk(0, 10)), Write::LogLength(TASK, step, 10)]).await.unwrap();
    assert_eq!(store.log_lengths(TASK).await.unwrap(), [(step, 10)].into());
    store.write(None, vec![Write::TaskRequeued { task: TASK, unclaims: 0 }]).await.unwrap();
    assert!(store.log_lengths(TASK).await.unwrap().is_empty());
    assert!(store.chunks(TASK, step, 0, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cache_is_found_by_prefix_whatever_characters_its_key_has() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let cache = |key: &str, saved_ms, digit| {
        Write::Cache(crate::CacheRow {
            project,
            trust: String::new(),
            key: key.to_owned(),
            content: content(digit),
            saved_ms,
        })
    };
    let caches =
        vec![cache("v%_x", 1, "a"), cache("v%_xé", 2, "b"), cache("vay", 3, "c"), cache("v%_x", 4, "d")];
    assert_eq!(store.write(None, caches).await.unwrap(), [1, 1, 1, 0]);
    let found =
        async |key: &str| store.find_cache((project, ""), key, false).await.unwrap().map(|cache| cache.key);
    assert_eq!(found("v%_").await.as_deref(), Some("v%_xé"));
    assert_eq!(found("v%_x").await.as_deref(), Some("v%_x"));
    assert_eq!(found("w").await, None);
}

#[tokio::test]
async fn a_workflow_that_cannot_be_read_is_set_aside_with_its_holders_fenced() {
    let (folder, store) = store().await;
    with_task(&store).await;
    store.write(None, vec![Write::Secrets(PIPELINE, vec![1]), claimed(1)]).await.unwrap();
    execute(&folder, "UPDATE jobs SET definition = '{}', status = 'paused'").await;
    let error = store.live_workflow(WORKFLOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { column: "definition", .. }), "{error:?}");
    let (workflow, message) = (WORKFLOW, "why".to_owned());
    store.write(None, vec![Write::SetAside { workflow, message, at_ms: 11 }]).await.unwrap();
    assert!(store.unfinished_workflows().await.unwrap().is_empty());
    let task = store.task(TASK).await.unwrap().unwrap();
    assert_eq!(
        (task.phase, task.outcome, task.epoch),
        (Phase::Ended, Some(Outcome::InfrastructureFail), Epoch(2))
    );
    assert_eq!(task.message.as_deref(), Some("why"));
    store.write(None, vec![Write::Secrets(PIPELINE, vec![2])]).await.expect("the old ones are forgotten");
}
