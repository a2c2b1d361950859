//! Tests of logs on a real store and real files.

use super::{
    place::{INLINE, Item},
    read::Piece,
    *,
};
use bytes::Bytes;
use protocol::{
    Epoch, JobId, JobStatus, Outcome, PipelineId, StepNumber, WorkflowId, WorkflowStatus,
    marks::Marks,
    pipeline::{Executor, Job, Kind},
    stream::{self, Chunk, MAX_CHUNK},
    task::Source,
};
use std::{fs, time::Duration};
use store::{ChunkRow, JobRow, Phase, PipelineRow, ProjectId, TaskRow, WorkflowRow, Write};
use tempfile::TempDir;
use uuid::Uuid;

const TASK: TaskId = TaskId(Uuid::from_u128(4));
const STEP: StepNumber = StepNumber(1);
const LOG: LogName = LogName { task: TASK, step: STEP };
const ALL: Range = Range { offset: 0, limit: usize::MAX };

struct House {
    folder: TempDir,
    store: Store,
    logs: Logs,
}

impl House {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        store.write(None, one_task()).await.unwrap();
        let logs = reopened(&folder, &store).await;
        Self { folder, store, logs }
    }

    /// What the plane does: place, then commit chunks and length.
    async fn take(&self, raw: &[u8], at: u64) -> Vec<ChunkRow> {
        let items = self.logs.place(TASK, body(raw, at)).await.unwrap();
        let rows: Vec<_> = items.into_iter().map(row).collect();
        let mut writes: Vec<_> = rows.iter().cloned().map(Write::Chunk).collect();
        writes.push(Write::LogLength(TASK, STEP, at + raw.len() as u64));
        self.store.write(None, writes).await.unwrap();
        self.logs.changed(TASK);
        rows
    }

    async fn end(&self) {
        let (task, epoch, outcome, message, at_ms) = (TASK, Epoch(1), Outcome::Success, None, 9);
        self.store
            .write(None, vec![Write::TaskEnded { task, epoch, outcome, message, at_ms }])
            .await
            .unwrap();
        self.logs.ended(TASK);
    }

    async fn read(&self, range: Range) -> Piece {
        self.logs.read(LOG, range, Duration::ZERO).await.unwrap().unwrap()
    }
}

async fn reopened(folder: &TempDir, store: &Store) -> Logs {
    let blobs = Blobs::open(folder.path().join("blobs")).await.unwrap();
    let removals = Arc::new(Removals::of(folder.path()).unwrap());
    Logs::open(folder.path(), store.clone(), blobs, removals).unwrap()
}

fn row(item: Item) -> ChunkRow {
    match item {
        Item::Chunk(row) => row,
        Item::Record(record) => panic!("{record:?} is no chunk"),
    }
}

fn one_task() -> Vec<Write> {
    let (id, project) = (PipelineId(Uuid::from_u128(1)), ProjectId(1));
    let (source, git) = (Source::None, Default::default());
    vec![
        Write::Project("local/test".into()),
        Write::Pipeline(Box::new(PipelineRow {
            id,
            project,
            number: 1,
            created_ms: 0,
            actor: Default::default(),
            source,
            git,
            state: Default::default(),
            errors: vec![],
            continued: None,
        })),
        Write::Workflow(workflow(id)),
        Write::Job(Box::new(job())),
        Write::Task(Box::new(task())),
    ]
}

fn workflow(pipeline: PipelineId) -> WorkflowRow {
    let (id, status) = (WorkflowId(Uuid::from_u128(2)), WorkflowStatus::Running);
    let (canceled, reruns) = (false, Default::default());
    WorkflowRow {
        id,
        pipeline,
        place: 0,
        name: "main".into(),
        status,
        canceled,
        reruns,
        actor: None,
        setup: false,
    }
}

fn job() -> JobRow {
    let definition = Job {
        name: "build".into(),
        kind: Kind::Build,
        requires: vec![],
        serial_group: None,
        plan: None,
        parallelism: 1,
        executor: Executor::Machine,
        resource_class: None,
        environment: vec![],
        contexts: vec![],
        working_directory: "~/project".into(),
        steps: vec![],
    };
    JobRow {
        id: JobId(Uuid::from_u128(3)),
        workflow: WorkflowId(Uuid::from_u128(2)),
        place: 0,
        origin: None,
        failed_of: None,
        number: 1,
        class: "a/b".parse().ok(),
        definition,
        status: JobStatus::Running,
        started_ms: None,
        ended_ms: None,
        approved_by: None,
        answered_by: None,
        waits_ms: None,
        reason: None,
    }
}

fn task() -> TaskRow {
    TaskRow {
        id: TASK,
        job: JobId(Uuid::from_u128(3)),
        index: 0,
        phase: Phase::Begun,
        epoch: Epoch(1),
        unclaims: 0,
        canceled: false,
        runner: None,
        host: None,
        outcome: None,
        message: None,
        next_record: 0,
        queued_ms: 0,
        claimed_ms: None,
        ended_ms: None,
    }
}

fn body(raw: &[u8], at: u64) -> Bytes {
    let mut body = Vec::new();
    let mut offset = at;
    for piece in raw.chunks(MAX_CHUNK) {
        let chunk = Chunk { step: STEP, offset, length: piece.len().try_into().unwrap() };
        let frame = zstd::bulk::compress(piece, 1).unwrap();
        stream::encode(&stream::Item::Log { chunk, marks: Marks::default(), frame }, &mut body);
        offset += piece.len() as u64;
    }
    body.into()
}

/// Bytes that do not compress, so that their frames are large.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn every_range_of_small_and_large_chunks_is_read() {
    let house = House::new().await;
    let large = noise(INLINE * 2);
    let whole = [b"hello ".as_slice(), &large, b" bye"].concat();
    house.take(b"hello ", 0).await;
    let rows = house.take(&large, 6).await;
    assert_eq!((rows[0].file_offset, rows[0].frame.is_none()), (Some(0), true));
    house.take(b" bye", 6 + large.len() as u64).await;
    assert_eq!(house.read(ALL).await.bytes, whole);
    for offset in [0, 3, 6, 7, 6 + large.len() - 1, 6 + large.len(), whole.len() - 1] {
        for limit in [1, 5, INLINE, whole.len()] {
            let wanted = &whole[offset..(offset + limit).min(whole.len())];
            let piece = house.read(Range { offset: offset as u64, limit }).await;
            assert!(piece.bytes == wanted, "{limit} bytes from {offset}");
        }
    }
}

#[tokio::test]
async fn a_body_is_refused_whole_where_one_frame_lies() {
    let house = House::new().await;
    let chunk = Chunk { step: STEP, offset: 0, length: 3 };
    let mut bad = body(b"good", 4).to_vec();
    stream::encode(&stream::Item::Log { chunk, marks: Marks::default(), frame: b"junk".to_vec() }, &mut bad);
    let error = house.logs.place(TASK, bad.into()).await.unwrap_err();
    assert!(matches!(Refusal::from(error), Refusal::Bad(_)));
}

#[tokio::test]
async fn a_reader_is_woken_by_growth_and_by_the_end() {
    let house = House::new().await;
    let wait = Duration::from_secs(60);
    let at = |offset| Range { offset, limit: 100 };
    let (piece, _) = tokio::join!(house.logs.read(LOG, at(0), wait), house.take(b"one", 0));
    let one = Piece { bytes: b"one".to_vec(), terminal: false, length: 3 };
    assert_eq!(piece.unwrap().unwrap(), one);
    let (piece, ()) = tokio::join!(house.logs.read(LOG, at(3), wait), house.end());
    let end = Piece { bytes: vec![], terminal: true, length: 3 };
    assert_eq!(piece.unwrap().unwrap(), end);
    assert!(house.read(at(0)).await.terminal);
}

#[tokio::test]
async fn a_reader_of_a_silent_log_gets_nothing_in_the_end() {
    let house = House::new().await;
    let piece = house.logs.read(LOG, ALL, Duration::from_millis(5)).await.unwrap().unwrap();
    assert_eq!(piece, Piece { bytes: vec![], terminal: false, length: 0 });
    let nobody = LogName { task: TaskId(Uuid::nil()), step: STEP };
    assert_eq!(house.logs.read(nobody, ALL, Duration::ZERO).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeat_takes_no_room_in_the_file() {
    let house = House::new().await;
    let large = noise(INLINE * 2);
    house.take(&large, 0).await;
    let path = house.folder.path().join(format!("logs/{TASK}/1.zst"));
    let before = fs::metadata(&path).unwrap().len();
    let items = house.logs.place(TASK, body(&large, 0)).await.unwrap();
    assert_eq!(row(items[0].clone()).file_offset, None);
    assert_eq!(fs::metadata(&path).unwrap().len(), before);
}

#[tokio::test]
async fn a_tail_that_was_never_indexed_is_cut_after_a_restart() {
    let house = House::new().await;
    let large = noise(INLINE * 2);
    house.take(&large, 0).await;
    let more = body(&noise(INLINE * 3), large.len() as u64);
    house.logs.place(TASK, more).await.unwrap();
    let House { folder, store, .. } = house;
    let logs = reopened(&folder, &store).await;
    let house = House { folder, store, logs };
    let rest = noise(INLINE * 4);
    let at = u64::from(house.take(&rest, large.len() as u64).await[0].stored);
    let path = house.folder.path().join(format!("logs/{TASK}/1.zst"));
    let first = zstd::bulk::compress(&large, 1).unwrap().len() as u64;
    assert_eq!(fs::metadata(&path).unwrap().len(), first + at);
    assert!(house.read(ALL).await.bytes == [large, rest].concat());
}

#[tokio::test]
async fn a_sealed_log_is_one_object_and_reads_the_same() {
    let house = House::new().await;
    let mut whole = Vec::new();
    for line in 0..50u32 {
        let raw = if line == 20 { noise(INLINE * 2) } else { format!("line {line}\n").into_bytes() };
        house.take(&raw, whole.len() as u64).await;
        whole.extend(raw);
    }
    house.end().await;
    let journal = slog::Logger::root(slog::Discard, slog::o!());
    house.logs.seal_all(None, &journal).await;
    let sealed = house.store.log(TASK, STEP).await.unwrap().unwrap().sealed.unwrap();
    let object = house.logs.blobs.read(&blobs::Scope::logs(), &sealed.digest).await.unwrap().unwrap();
    assert!(zstd::stream::decode_all(object.into_file()).unwrap() == whole);
    assert!(!house.folder.path().join(format!("logs/{TASK}")).exists());
    for range in [ALL, Range { offset: 5, limit: 1000 }, Range { offset: 200, limit: INLINE * 2 }] {
        let from = range.offset as usize;
        let wanted = &whole[from..from.saturating_add(range.limit).min(whole.len())];
        assert!(house.read(range).await.bytes == wanted, "{range:?}");
    }
}

#[tokio::test]
async fn a_short_log_is_left_in_the_store() {
    let house = House::new().await;
    house.take(b"hello", 0).await;
    house.end().await;
    house.logs.seal_all(Some(TASK), &slog::Logger::root(slog::Discard, slog::o!())).await;
    assert_eq!(house.store.log(TASK, STEP).await.unwrap().unwrap().sealed, None);
}

/// The files of logs that came until now.
fn until_now() -> std::ops::Range<std::time::SystemTime> {
    std::time::UNIX_EPOCH..std::time::SystemTime::now() + Duration::from_secs(1)
}

#[tokio::test]
async fn only_files_that_no_log_needs_are_swept() {
    let house = House::new().await;
    house.take(&noise(INLINE * 2), 0).await;
    let file = house.folder.path().join(format!("logs/{TASK}/1.zst"));
    let (never_indexed, forgotten) = (file.with_file_name("2.zst"), Uuid::from_u128(99));
    let forgotten = house.folder.path().join(format!("logs/{forgotten}/1.zst"));
    fs::create_dir(forgotten.parent().unwrap()).unwrap();
    fs::write(&forgotten, "frames").unwrap();
    fs::write(&never_indexed, "frames").unwrap();
    assert_eq!(house.logs.sweep(until_now()).await.unwrap(), 1, "a task that runs may still write");
    assert!(file.exists() && never_indexed.exists() && !forgotten.parent().unwrap().exists());
    house.end().await;
    assert_eq!(house.logs.sweep(until_now()).await.unwrap(), 1);
    assert!(file.exists() && !never_indexed.exists());
    let kept = crate::data_dir::keep_files(house.folder.path()).unwrap();
    house.logs.seal(LOG).await.unwrap();
    assert!(file.exists(), "somebody copies just now");
    assert_eq!(house.logs.sweep(until_now()).await.unwrap(), 0);
    drop(kept);
    assert_eq!(house.logs.sweep(until_now()).await.unwrap(), 1);
    assert!(!file.exists() && house.read(ALL).await.length > 0);
}
