//! The path of one task, and its stream: stored once, in order, however often it is sent.

use crate::house::{House, ONE_JOB, claim_one, end};
use client::{ClientError, StreamAnswer, TaskClient};
use protocol::{
    JobStatus, Outcome, StepNumber, StepStatus, WorkflowStatus,
    feed::News,
    http::Claimed,
    journal::{Record, TaskEvent},
    marks::Marks,
    stream::{Acknowledged, Chunk, Item, MOST_LOGS, encode},
};

pub(crate) const STEP: StepNumber = StepNumber(1);

/// Bytes of the step's log.
pub(crate) fn log(offset: u64, text: &str) -> Item {
    of(STEP, offset, text)
}

/// Bytes of any step's log.
fn of(step: StepNumber, offset: u64, text: &str) -> Item {
    let length = u32::try_from(text.len()).unwrap();
    let frame = zstd::bulk::compress(text.as_bytes(), 1).unwrap();
    Item::Log { chunk: Chunk { step, offset, length }, marks: Marks::default(), frame }
}

/// The step begins, succeeds, and the task has.
pub(crate) fn records() -> Vec<Item> {
    let over = TaskEvent::StepEnded {
        step: STEP,
        status: StepStatus::Success,
        exit_code: Some(0),
        duration_ms: 5,
        log_bytes: 11,
    };
    let ended = TaskEvent::Ended { outcome: Outcome::Success };
    let events = [TaskEvent::StepStarted { step: STEP }, over, ended];
    (0..).zip(events).map(|(seq, event)| Item::Record(Record { seq, at_ms: 7, event })).collect()
}

/// Of a call that sends them.
pub(crate) fn body(items: &[Item]) -> bytes::Bytes {
    let mut body = Vec::new();
    items.iter().for_each(|item| encode(item, &mut body));
    body.into()
}

fn acknowledged(next_record: u64, length: u64) -> Acknowledged {
    Acknowledged {
        next_record,
        logs: [(STEP, length)].into_iter().filter(|(_, length)| *length > 0).collect(),
    }
}

/// The one task that waits, begun.
pub(crate) async fn begun(house: &House) -> (Claimed, TaskClient) {
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    (claimed, task)
}

#[actix_web::test]
async fn one_task_goes_from_claim_to_end_and_all_of_it_is_seen() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (claimed, task) = begun(&house).await;
    let spec = task.config().await.unwrap();
    assert_eq!((spec.task, spec.epoch, spec.steps.len()), (claimed.task_id, claimed.epoch, 1));
    let [started, over, ended] = <[Item; 3]>::try_from(records()).unwrap();
    let items = [started, log(0, "hello "), log(6, "world"), over, ended];
    let answer = task.stream(claimed.epoch, body(&items)).await.unwrap();
    assert_eq!(answer, StreamAnswer::Stored(acknowledged(3, 11)));
    end(&claimed, &task, Outcome::Success).await;
    let view = house.view(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success);
    let job = &view.workflows[0].jobs[0];
    assert_eq!((job.status, job.tasks[0].outcome), (JobStatus::Success, Some(Outcome::Success)));
    let steps: Vec<_> =
        job.tasks[0].steps.iter().map(|step| (step.number.0, step.status, step.log_bytes)).collect();
    assert_eq!(steps, [(0, StepStatus::Success, 0), (1, StepStatus::Success, 11)]);
    let log = house.operator.log((claimed.task_id, STEP), 0, 100, 0).await.unwrap();
    assert_eq!((&log.bytes[..], log.terminal), (&b"hello world"[..], true));
    house.running.stop().await;
}

#[actix_web::test]
async fn the_feed_tells_of_it_all_in_order() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (claimed, task) = begun(&house).await;
    task.stream(claimed.epoch, body(&[log(0, "hello")])).await.unwrap();
    end(&claimed, &task, Outcome::Failed).await;
    let news = house.operator.feed(pipeline, 0, 0).await.unwrap().news;
    let words: Vec<_> = news
        .iter()
        .map(|news| match news {
            News::Job { status, .. } => format!("job {status}"),
            News::Workflow { status, .. } => format!("workflow {status}"),
            News::Task { .. } => "task".to_owned(),
            News::TaskClaimed { .. } => "claimed".to_owned(),
            News::TaskEnded { outcome, .. } => format!("ended {outcome}"),
            News::StepStarted { step, .. } => format!("started {}", step.0),
            News::StepEnded { step, .. } => format!("over {}", step.0),
            News::LogGrew { length, .. } => format!("grew {length}"),
        })
        .collect();
    let wanted = [
        "job queued",
        "task",
        "claimed",
        "started 0",
        "job running",
        "grew 5",
        "over 0",
        "ended failed",
        "job failed",
        "workflow failed",
    ];
    assert_eq!(words, wanted);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_held_open_feed_is_answered_when_there_is_news() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let next = house.operator.feed(pipeline, 0, 0).await.unwrap().next;
    let (feed, _) =
        futures_util::future::join(house.operator.feed(pipeline, next, 60_000), begun(&house)).await;
    assert!(matches!(feed.unwrap().news[0], News::TaskClaimed { .. }));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_repeated_body_changes_nothing() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let items = [records().remove(0), log(0, "hello")];
    for _ in 0..3 {
        let answer = task.stream(claimed.epoch, body(&items)).await.unwrap();
        assert_eq!(answer, StreamAnswer::Stored(acknowledged(1, 5)));
    }
    let log = house.operator.log((claimed.task_id, STEP), 0, 100, 0).await.unwrap();
    assert_eq!(&log.bytes[..], b"hello");
    house.running.stop().await;
}

#[actix_web::test]
async fn bodies_sent_at_once_are_stored_once() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let items = body(&[log(0, "hello"), log(5, " world")]);
    let sending = (0..8).map(|_| task.stream(claimed.epoch, items.clone()));
    for answer in futures_util::future::join_all(sending).await {
        assert_eq!(answer.unwrap(), StreamAnswer::Stored(acknowledged(0, 11)));
    }
    let log = house.operator.log((claimed.task_id, STEP), 0, 100, 0).await.unwrap();
    assert_eq!(&log.bytes[..], b"hello world");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_gap_or_an_overlap_is_cut_anew_from_what_is_stored() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    task.stream(claimed.epoch, body(&[log(0, "hello")])).await.unwrap();
    for misfit in [log(6, "gap"), log(3, "overlap"), records().remove(1)] {
        let answer = task.stream(claimed.epoch, body(&[misfit])).await.unwrap();
        assert_eq!(answer, StreamAnswer::Rewind(acknowledged(0, 5)));
    }
    assert_eq!(task.acknowledged().await.unwrap(), acknowledged(0, 5));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_fits_before_a_misfit_is_kept() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let answer = task.stream(claimed.epoch, body(&[log(0, "hello"), log(9, "gap")])).await.unwrap();
    assert_eq!(answer, StreamAnswer::Rewind(acknowledged(0, 5)));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_body_that_is_no_stream_is_refused_whole() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let mut torn = body(&[log(0, "hello")]).to_vec();
    torn.pop();
    let error = task.stream(claimed.epoch, torn.into()).await.unwrap_err();
    assert!(matches!(error, ClientError::Rejected { .. }), "{error:?}");
    assert_eq!(task.acknowledged().await.unwrap(), acknowledged(0, 0));
    house.running.stop().await;
}

#[actix_web::test]
async fn logs_go_on_side_by_side_and_each_answer_has_them_all() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let mut stored = Acknowledged::default();
    for (step, offset, text, length) in
        [(1, 0, "one", 3), (2, 0, "two", 3), (1, 3, "!", 4), (3, 0, "three", 5)]
    {
        stored.logs.insert(StepNumber(step), length);
        let answer = task.stream(claimed.epoch, body(&[of(StepNumber(step), offset, text)])).await.unwrap();
        assert_eq!(answer, StreamAnswer::Stored(stored.clone()));
    }
    assert_eq!(task.acknowledged().await.unwrap(), stored);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_body_with_a_step_that_no_task_has_is_refused_whole() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    let (step, status) = (StepNumber(MOST_LOGS), StepStatus::Success);
    let ended = TaskEvent::StepEnded { step, status, exit_code: None, duration_ms: 5, log_bytes: 0 };
    let record = |event| Item::Record(Record { seq: 0, at_ms: 7, event });
    for item in [of(step, 0, "hello"), record(TaskEvent::StepStarted { step }), record(ended)] {
        let error = task.stream(claimed.epoch, body(&[log(0, "hello"), item])).await.unwrap_err();
        assert!(matches!(error, ClientError::Rejected { status: 400, .. }), "{error:?}");
    }
    assert_eq!(task.acknowledged().await.unwrap(), acknowledged(0, 0));
    task.stream(claimed.epoch, body(&[of(StepNumber(MOST_LOGS - 1), 0, "hello")])).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn a_stream_goes_on_after_a_restart() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = begun(&house).await;
    task.stream(claimed.epoch, body(&[records().remove(0), log(0, "hello")])).await.unwrap();
    let house = house.again(|_| {}).await;
    let task = house.transport.task(&claimed.task_token);
    assert_eq!(task.acknowledged().await.unwrap(), acknowledged(1, 5));
    let answer = task.stream(claimed.epoch, body(&[log(5, "!")])).await.unwrap();
    assert_eq!(answer, StreamAnswer::Stored(acknowledged(1, 6)));
    house.running.stop().await;
}
