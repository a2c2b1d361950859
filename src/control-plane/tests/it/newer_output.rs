//! What steps wrote, as the newer command line reads and follows it.

use crate::{
    house::{House, ONE_JOB, OPERATOR, end},
    newer::refused,
    page::{Answer, get},
    stream::{begun, body, log, records},
};
use protocol::Outcome;

/// What an operator is answered for these bytes of the step, and whether nothing follows them.
async fn piece(house: &House, path: &str, range: Option<&str>) -> (u16, String, bool) {
    let answer = ranged(house, path, range).await;
    (answer.status, answer.text(), answer.header("X-Terminal") == Some("true"))
}

async fn ranged(house: &House, path: &str, range: Option<&str>) -> Answer {
    let range = range.map(|range| format!("Range: {range}\r\n")).unwrap_or_default();
    get(house, path, &format!("Authorization: Bearer {OPERATOR}\r\n{range}")).await
}

#[actix_web::test]
async fn output_is_followed_from_byte_to_byte_until_nothing_follows() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let job = house.view(pipeline).await.workflows[0].jobs[0].id;
    let place = "filter[execution]=0&filter[step_num]=1";
    let path = format!("/api/v3/jobs/{job}/stdout?{place}");
    let told = refused(&house, &path, 404).await;
    assert!(told.starts_with("step 1 of execution 0 of the job"), "{told}");

    let (claimed, task) = begun(&house).await;
    let [started, over, ended] = <[_; 3]>::try_from(records()).unwrap();
    task.stream(claimed.epoch, body(&[started])).await.unwrap();
    assert_eq!(piece(&house, &path, Some("bytes=0-")).await, (200, String::new(), false));
    task.stream(claimed.epoch, body(&[log(0, "hello ")])).await.unwrap();
    assert_eq!(piece(&house, &path, Some("bytes=0-")).await, (206, "hello ".to_owned(), false));
    assert_eq!(piece(&house, &path, Some("bytes=6-")).await, (200, String::new(), false));
    assert_eq!(piece(&house, &path, None).await, (200, "hello ".to_owned(), false));
    task.stream(claimed.epoch, body(&[log(6, "\u{1b}[1mworld"), over, ended])).await.unwrap();
    end(&claimed, &task, Outcome::Success).await;
    assert_eq!(piece(&house, &path, Some("bytes=6-")).await, (206, "\u{1b}[1mworld".to_owned(), true));
    assert_eq!(piece(&house, &path, Some("bytes=15-")).await, (200, String::new(), true));
    assert_eq!(piece(&house, &path, None).await, (200, "hello \u{1b}[1mworld".to_owned(), true));

    let part = ranged(&house, &path, Some("bytes=2-4")).await;
    let head = ["Content-Range", "Content-Length", "X-Terminal"].map(|name| part.header(name));
    assert_eq!((part.text().as_str(), head), ("llo", [Some("bytes 2-4/15"), Some("3"), None]));
    let other = format!("/api/v3/jobs/{job}/stdout/condensed?{place}");
    assert_eq!(piece(&house, &other, None).await, (200, "hello world\n".to_owned(), false));
    let other = format!("/api/v3/jobs/{job}/stderr?{place}");
    assert_eq!(piece(&house, &other, None).await, (200, String::new(), true));
    house.running.stop().await;
}

#[actix_web::test]
async fn output_that_is_not_there_is_refused_by_name() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let job = house.view(pipeline).await.workflows[0].jobs[0].id;
    let (claimed, task) = begun(&house).await;
    task.stream(claimed.epoch, body(&records()[..1])).await.unwrap();
    for kind in ["stdout", "stdout/condensed", "stderr"] {
        let path = format!("/api/v3/jobs/{job}/{kind}");
        assert!(refused(&house, &path, 400).await.contains("`filter[step_num]`"));
        for place in ["filter[step_num]=2", "filter[execution]=1&filter[step_num]=1"] {
            assert!(
                refused(&house, &format!("{path}?{place}"), 404).await.contains("has not begun"),
                "{place}"
            );
        }
        assert_eq!(
            piece(&house, &format!("{path}?filter[step_num]=1"), None).await.0,
            200,
            "the first execution"
        );
        assert_eq!(
            piece(&house, &format!("{path}?filter[step_num]=0"), None).await.0,
            200,
            "the launch-agent's own"
        );
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_long_log_comes_whole() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let job = house.view(pipeline).await.workflows[0].jobs[0].id;
    let (claimed, task) = begun(&house).await;
    let [started, over, ended] = <[_; 3]>::try_from(records()).unwrap();
    let line = |number: usize| format!("line {number} of many\n");
    let text: String = (0..150_000).map(line).collect();
    task.stream(claimed.epoch, body(&[started])).await.unwrap();
    // A chunk has a megabyte at most.
    for (place, chunk) in (0..).zip(text.as_bytes().chunks(1_000_000)) {
        let chunk = log(place * 1_000_000, std::str::from_utf8(chunk).unwrap());
        task.stream(claimed.epoch, body(&[chunk])).await.unwrap();
    }
    task.stream(claimed.epoch, body(&[over, ended])).await.unwrap();
    end(&claimed, &task, Outcome::Failed).await;
    let path = format!("/api/v3/jobs/{job}/stdout?filter[step_num]=1");
    let (status, all, is_over) = piece(&house, &path, None).await;
    assert!(status == 200 && is_over && all == text, "{} of {} bytes", all.len(), text.len());
    let (_, rest, _) = piece(&house, &path, Some("bytes=1499990-")).await;
    assert!(rest == text[1_499_990..]);
    let condensed = format!("/api/v3/jobs/{job}/stdout/condensed?filter[step_num]=1");
    let (_, told, _) = piece(&house, &condensed, None).await;
    assert!(told.starts_with("[earlier output is left out]\n["), "{told:.80}");
    assert!(told.ends_with("line 149998 of many\nline 149999 of many\n"), "{told}");
    house.running.stop().await;
}
