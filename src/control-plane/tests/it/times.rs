//! When the lines of a log were written: taken with the stream, told by a call, in the raw log and on the page.

use crate::{
    driven::Driven,
    house::{self, House, OPERATOR},
    page::{begun, read},
};
use client::{StreamAnswer, TaskClient};
use protocol::{
    Epoch, Outcome, StepNumber, StepStatus, TaskId,
    journal::{Record, TaskEvent},
    marks::{LogTimes, Mark, Marks},
    stream::{self, Chunk, Item},
};

const EPOCH: Epoch = Epoch(1);
const STEP: StepNumber = StepNumber(1);
/// When the step began: 2026-11-23T21:25:00.001Z.
const BEGAN: i64 = 1_795_469_100_001;

fn chunk(offset: u64, text: &str, times: &[(u64, u32)]) -> Item {
    let length = text.len().try_into().unwrap();
    let mut marks = Marks::default();
    times.iter().for_each(|(offset, ms)| assert!(marks.push(Mark { offset: *offset, ms: *ms })));
    let frame = zstd::bulk::compress(text.as_bytes(), 1).unwrap();
    Item::Log { chunk: Chunk { step: STEP, offset, length }, marks, frame }
}

fn record(seq: u64, event: TaskEvent) -> Item {
    Item::Record(Record { seq, at_ms: BEGAN, event })
}

fn started() -> Item {
    record(0, TaskEvent::StepStarted { step: STEP })
}

fn over(log_bytes: u64) -> Item {
    let (status, exit_code) = (StepStatus::Success, Some(0));
    record(1, TaskEvent::StepEnded { step: STEP, status, exit_code, duration_ms: 1, log_bytes })
}

async fn send(task: &TaskClient, items: &[Item]) {
    let mut body = Vec::new();
    items.iter().for_each(|item| stream::encode(item, &mut body));
    assert!(matches!(task.stream(EPOCH, body.into()).await.unwrap(), StreamAnswer::Stored(_)));
}

async fn times(house: &House, task: TaskId, query: &str) -> LogTimes {
    let path = format!("/api/v3/tasks/{task}/steps/1/times{query}");
    let (status, text) = house::get(house, &path, Some(("Circle-Token", OPERATOR))).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn told(marks: &[(u64, u32)], until: u64) -> LogTimes {
    LogTimes { started_ms: Some(BEGAN), marks: marks.to_vec(), until }
}

#[actix_web::test]
async fn the_times_of_a_log_are_told_for_any_part_of_it_however_often_they_were_sent() {
    let house = House::new().await;
    let (claimed, client, job, _) = begun(&house).await;
    let task = job.tasks[0].id;
    assert_eq!(times(&house, task, "").await, LogTimes::default());
    let items = [
        started(),
        chunk(0, "one\ntwo\n", &[(0, 10), (4, 250)]),
        chunk(8, "more\n", &[]),
        chunk(13, "three\nfour\n", &[(6, 90_000)]),
    ];
    for _ in 0..3 {
        send(&client, &items).await;
    }
    let all = [(0, 10), (4, 250), (19, 90_000)];
    assert_eq!(times(&house, task, "").await, told(&all, 24));
    assert_eq!(times(&house, task, "?offset=13").await, told(&all[1..], 24), "the mark of its first byte");
    assert_eq!(times(&house, task, "?offset=19").await, told(&all[2..], 24));
    assert_eq!(times(&house, task, "?offset=9&length=2").await, told(&all[1..2], 11));
    assert_eq!(times(&house, task, "?offset=99").await, told(&[], 24));
    send(&client, &[items.as_slice(), &[chunk(24, "five\n", &[(0, 90_150)]), over(29)]].concat()).await;
    assert_eq!(times(&house, task, "?offset=24").await, told(&[(24, 90_150)], 29));
    house::end(&claimed, &client, Outcome::Success).await;
    assert_eq!(times(&house, task, "?offset=20").await.of(20), Some(90_000), "also once the task is over");
    let house = house.again(|_| {}).await;
    assert_eq!(times(&house, task, "").await.marks.len(), 4, "and after a restart");
    house.running.stop().await;
}

#[actix_web::test]
async fn marks_that_lie_refuse_their_body_whole_and_the_log_goes_on_after_it() {
    let house = House::new().await;
    let (_, client, job, _) = begun(&house).await;
    let task = job.tasks[0].id;
    send(&client, &[started(), chunk(0, "good\n", &[(0, 1)])]).await;
    let hostile =
        ["[5,1]", "[0,1,0,2]", "[3]", "[1,-1]", "[0,4294967296]", "[18446744073709551615,1,1,1]", "7"];
    for marks in hostile.map(str::to_owned).into_iter().chain([format!("[{}0]", "1,".repeat(8191))]) {
        let header = format!("{{\"log\":{{\"step\":1,\"offset\":5,\"length\":5,\"marks\":{marks}}}}}");
        let frame = zstd::bulk::compress(b"evil\n", 1).unwrap();
        let length = u32::try_from(2 + header.len() + frame.len()).unwrap().to_be_bytes();
        let header_length = u16::try_from(header.len()).unwrap().to_be_bytes();
        let body = [&length[..], &header_length, header.as_bytes(), &frame].concat();
        client.stream(EPOCH, body.into()).await.unwrap_err();
    }
    send(&client, &[chunk(5, "fine\n", &[(0, 2)])]).await;
    assert_eq!(times(&house, task, "").await, told(&[(0, 1), (5, 2)], 10));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_raw_log_has_its_times_where_they_are_asked_for_and_where_there_are_any() {
    let house = House::new().await;
    let (_, client, job, _) = begun(&house).await;
    let raw = format!("/tasks/{}/steps/1/raw", job.tasks[0].id);
    send(&client, &[started(), chunk(0, "early\n", &[]), chunk(6, "one\ntwo\n", &[(0, 10), (4, 61_250)])])
        .await;
    assert_eq!(read(&house, &raw).await, "early\none\ntwo\n");
    let timed = "early\n2026-11-23T21:25:00.011Z one\n2026-11-23T21:26:01.251Z two\n";
    assert_eq!(read(&house, &format!("{raw}?times=true")).await, timed);
    let part = read(&house, &format!("{raw}?times=true&offset=11&length=2")).await;
    assert_eq!(part, "2026-11-23T21:26:01.251Z wo");
    // More lines and more marks than one answer or one piece has.
    let text: String = (0..40_000).map(|line| format!("{line}\n")).collect();
    let marks: Vec<_> = (0..2000).map(|at| (100 * at, 100_000 + 100 * at as u32)).collect();
    let mut items = Vec::new();
    for (at, piece) in text.as_bytes().chunks(200_000).enumerate() {
        items.push(chunk(
            14 + 200_000 * at as u64,
            std::str::from_utf8(piece).unwrap(),
            &marks[..piece.len() / 100],
        ));
    }
    send(&client, &items).await;
    let page = read(&house, &format!("{raw}?times=true&offset=14")).await;
    let lines: Vec<_> = page.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!((0..40_000).eq(lines.iter().map(|(_, line)| line.parse::<usize>().unwrap())));
    assert_eq!((lines[0].0, lines[30].0), ("2026-11-23T21:26:40.001Z", "2026-11-23T21:26:40.001Z"));
    let (last, _) = lines[39_999];
    assert_eq!(last.len(), 24, "{last}");
    house.running.stop().await;
}

/// Of each line in view: its time, when that was, and its text.
const SHOWN: &str =
    "[...document.querySelectorAll('.l')].map((row) => [row.querySelector('time'), row.querySelector('.t')]
    .map((part) => part.checkVisibility() ? part.textContent : '-').join(' ')).join('|')";

#[actix_web::test]
async fn the_times_of_a_log_come_and_go_on_the_page_by_a_button_and_a_key_and_are_remembered() {
    let house = House::new().await;
    let (_, client, job, _) = begun(&house).await;
    send(&client, &[started(), chunk(0, "one\n", &[(0, 10)])]).await;
    let page = format!("http://{}/jobs/{}/0/1", house.running.address, job.id);
    let url = format!("{page}?token=operator%27s%20token");
    let open = move || Driven::open(&url);
    let Some(mut tab) = actix_web::web::block(open).await.unwrap() else {
        return eprintln!("skipped: there is no Chromium on this machine");
    };
    let shows = |wanted: &str| format!("{SHOWN} === {}", serde_json::json!(wanted));
    let (first, off, both, plain) =
        (shows("0:00.0 one"), shows("- one"), shows("0:00.0 one|1:01.2 two"), page.clone());
    let tab = actix_web::web::block(move || {
        tab.until(&off);
        tab.click("button.when");
        tab.until(&first);
        let title = tab.look("document.querySelector('.l time').title");
        assert!(title.as_str().unwrap().starts_with("2026-11-23T21:25:00.011Z"), "{title}");
        assert_eq!(tab.look("document.querySelector('button.when').getAttribute('aria-pressed')"), "true");
        tab
    });
    let mut tab = tab.await.unwrap();
    send(&client, &[chunk(4, "two\n", &[(0, 61_250)])]).await;
    actix_web::web::block(move || {
        tab.until(&both);
        tab.go(&plain);
        tab.until(&both);
        tab.press("t");
        tab.until(&shows("- one|- two"));
        let raw = tab.look("document.querySelector('a.raw').getAttribute('href')");
        assert!(raw.as_str().unwrap().ends_with("/raw"), "{raw}");
    })
    .await
    .unwrap();
    house.running.stop().await;
}
