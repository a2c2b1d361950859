//! A store that is looked at: its faults, what it names, and a copy of it.

use super::*;
use crate::{CacheRow, Look};

async fn faults(folder: &TempDir) -> Vec<String> {
    let mut look = Look::open(&path(folder)).await.unwrap();
    look.hold().await.unwrap();
    let faults = look.faults().await.unwrap();
    look.close().await;
    faults
}

async fn with_log() -> (TempDir, Store) {
    let (folder, store) = store().await;
    with_task(&store).await;
    let rows = vec![
        Write::Chunk(chunk(0, 10)),
        Write::Chunk(chunk(10, 10)),
        Write::Chunk(chunk(20, 10)),
        Write::LogLength(TASK, StepNumber(1), 30),
    ];
    store.write(None, rows).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_whole_store_has_no_fault_while_it_is_open_and_when_it_is_closed() {
    let (folder, store) = with_log().await;
    assert!(faults(&folder).await.is_empty());
    store.close().await;
    assert!(faults(&folder).await.is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a look leaves nothing");
}

#[tokio::test]
async fn a_log_with_a_hole_an_overlap_a_wrong_length_or_no_frame_is_named() {
    for (damage, said) in [
        ("DELETE FROM chunks WHERE start = 10", "has no bytes from 10 to 20"),
        ("UPDATE chunks SET length = 15 WHERE start = 0", "has its bytes from 10 to 15 twice"),
        ("UPDATE logs SET length = 31", "has 31 bytes, its chunks 30"),
        ("DELETE FROM logs", "has chunks and no length"),
        ("UPDATE chunks SET frame = NULL WHERE start = 20", "has no frame for its byte 20"),
        ("UPDATE chunks SET stored = 9 WHERE start = 0", "has no frame for its byte 0"),
    ] {
        let (folder, store) = with_log().await;
        store.close().await;
        execute(&folder, damage).await;
        let faults = faults(&folder).await;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0], format!("the log of step 1 of task {TASK} {said}"));
    }
}

#[tokio::test]
async fn a_row_without_what_it_belongs_to_is_named() {
    let (folder, store) = with_log().await;
    store.close().await;
    execute(&folder, "PRAGMA foreign_keys = OFF; DELETE FROM jobs").await;
    assert_eq!(faults(&folder).await, ["1 rows of `tasks` belong to no row of `jobs`"]);
}

#[tokio::test]
async fn every_content_that_a_row_names_is_shown() {
    let (folder, store) = with_log().await;
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let cache =
        CacheRow { project, trust: String::new(), key: "k".to_owned(), content: content("3"), saved_ms: 1 };
    let sealed = Write::LogSealed(TASK, StepNumber(1), content("4"));
    store.write(None, vec![Write::Cache(cache), sealed]).await.unwrap();
    let mut look = Look::open(&path(&folder)).await.unwrap();
    let mut shown = Vec::new();
    look.contents(|named| shown.push(named)).await.unwrap();
    let by: Vec<_> = shown.iter().map(|named| named.by.as_str()).collect();
    assert_eq!(by, ["the cache `k` of gh/a/b", &format!("the log of step 1 of task {TASK}")]);
    assert_eq!(shown[0].project.as_deref(), Some("gh/a/b"));
    assert_eq!((&shown[1].project, &shown[1].content), (&None, &content("4")));
    let logs = look.logs().await.unwrap();
    assert_eq!((logs.len(), logs[0].file_end), (1, Some(9)));
    look.close().await;
}

#[tokio::test]
async fn a_copy_is_a_store_as_it_was_at_one_moment() {
    let (folder, store) = with_log().await;
    let copy = TempDir::new().unwrap();
    let mut look = Look::open(&path(&folder)).await.unwrap();
    look.copy_to(&path(&copy)).await.unwrap();
    look.close().await;
    store.write(None, vec![add("later")]).await.unwrap();
    let copied = Store::open(&path(&copy)).await.unwrap();
    assert_eq!(copied.log_lengths(TASK).await.unwrap(), [(StepNumber(1), 30)].into());
    assert!(names(&copied).await.is_empty());
}

#[tokio::test]
async fn where_there_is_no_store_none_is_made() {
    let folder = TempDir::new().unwrap();
    let error = Look::open(&path(&folder)).await.unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
