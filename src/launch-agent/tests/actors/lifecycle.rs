//! One task from its claim to its last byte.

use crate::rig::{Rig, appears, drained};
use protocol::Outcome;

#[actix_rt::test]
async fn a_task_runs_from_its_claim_to_its_last_byte() {
    let rig = Rig::new();
    let agent = rig.start();
    let task = rig.enqueue(&["say hello", "count 100 0"]);
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
    assert_eq!(ended.log(1), "hello\n");
    assert_eq!(ended.log(2).lines().count(), 100);
    assert!(ended.log(0).contains("Task-agent fake"), "{}", ended.log(0));
    assert_eq!((ended.claims, ended.begins), (1, 1));
    let life = rig.state_dir().join("life");
    assert!(life.exists());
    drained(&agent).await;
    assert!(!life.exists(), "a clean end is not taken for a crash");
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_failed_step_fails_the_task() {
    let rig = Rig::new();
    let agent = rig.start();
    let task = rig.enqueue(&["say before", "fail 3", "say never"]);
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Failed);
    assert_eq!(ended.log(3), "");
    drained(&agent).await;
}

#[actix_rt::test]
async fn what_a_job_stores_and_restores_is_carried() {
    let rig = Rig::new();
    let agent = rig.start();
    let (layer, source) = rig.plane.with(|state| {
        let source = state.blobs.put(b"the source".to_vec());
        state.source = Some(source.clone());
        (state.blobs.put(b"from upstream".to_vec()), source)
    });
    let task = rig.enqueue(&[
        "artifact out/a.txt alpha\nartifact b.txt beta",
        r#"tests {"classname":"c","name":"n","file":null,"result":"success","run_time":0.5,"message":null}"#,
        "find k\nsave k content\nsave k other\nrestore k\nrestore none",
        "layer mine\nattach\nsource",
    ]);
    rig.plane.with(|state| state.task(task).upstream = vec![("before".to_owned(), layer)]);
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
    assert_eq!(ended.artifacts.keys().collect::<Vec<_>>(), ["b.txt", "out/a.txt"]);
    assert_eq!(ended.tests.values().map(|tests| tests.cases.len()).sum::<usize>(), 1);
    let log = ended.log(3);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], r#""no_cache""#);
    assert_eq!(lines[1], r#"{"stored":{"size":7}}"#);
    assert_eq!(lines[2], r#""already_saved""#);
    assert_eq!(lines[3], r#"{"cache":{"key":"k","size":7}} content"#);
    assert_eq!(lines[4], r#""no_cache""#);
    let log = ended.log(4);
    assert!(log.contains(r#"{"layer":{"job":"before","size":13}} from upstream"#), "{log}");
    assert!(log.contains(r#""no_layer""#) && log.contains(&format!("{}", source.size)), "{log}");
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_canceled_task_is_gone_soon_after_its_grace_whatever_it_left() {
    let rig = Rig::new();
    let agent = rig.start();
    let mark = rig.shared("up");
    let task = rig.enqueue(&[&format!("stubborn\ntouch {}\nhang", mark.display())]);
    appears(&mark).await;
    rig.plane.with(|state| state.cancel(task));
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Canceled);
    let log = ended.log(1);
    let stubborn = log.lines().find_map(|line| line.strip_prefix("stubborn ")).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{stubborn}/stat"));
    assert!(
        state.is_err() || state.unwrap().contains(") Z "),
        "a setsid grandchild that ignores TERM is gone"
    );
    drained(&agent).await;
    rig.assert_clean();
}
