//! What is forgotten, and what never is.

use super::*;
use crate::{BundleRow, CacheRow, Keep, LayerRow};
use protocol::{bundle::Member, transfer::Artifact};

const ALL: Keep = Keep { since_ms: Some(i64::MAX), newest: 0 };

/// One pipeline of one task, and a newer one, so that the first is not the newest.
async fn two_pipelines(store: &Store) {
    with_task(store).await;
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let newer = PipelineRow {
        id: PipelineId(Uuid::from_u128(11)),
        project,
        number: 2,
        created_ms: 6,
        actor: Actor::Unknown,
        source: Source::Archive { digest: content("5").digest, size: 7 },
        git: Default::default(),
        state: Default::default(),
        errors: vec![],
        continued: None,
    };
    let next = Write::NextNumbers { project, pipeline: 3, job: 2 };
    store.write(None, vec![Write::Pipeline(newer.into()), next]).await.unwrap();
}

/// All that a task can store.
async fn store_everything(store: &Store) {
    let step = StepNumber(1);
    let artifact = Artifact { path: "a".to_owned(), content: content("1") };
    let bundle = BundleRow { task: TASK, request: 3, content: content("4"), members: vec![member("b", "6")] };
    let layer = LayerRow { task: TASK, request: 0, content: content("2") };
    let tests = crate::TestsRow { task: TASK, request: 0, cases: vec![] };
    let rows = vec![
        Write::Secrets(PIPELINE, vec![1]),
        claimed(1),
        Write::StepStarted { task: TASK, step, at_ms: 7 },
        Write::Chunk(chunk(0, 10)),
        Write::LogLength(TASK, step, 10),
        Write::Artifact(TASK, artifact),
        Write::Bundle(bundle.into()),
        Write::Layer(layer),
        Write::Tests(tests.into()),
    ];
    store.write(None, rows).await.unwrap();
}

fn member(path: &str, digit: &str) -> Member {
    let artifact = Artifact { path: path.to_owned(), content: content(digit) };
    Member { artifact, start: 5, stored: 9 }
}

async fn end(store: &Store) {
    let (outcome, epoch) = (Outcome::Success, Epoch(1));
    let ended = Write::TaskEnded { task: TASK, epoch, outcome, message: None, at_ms: 9 };
    let over = Write::WorkflowStatus(WORKFLOW, WorkflowStatus::Success);
    store.write(None, vec![ended, over]).await.unwrap();
}

async fn forget(store: &Store) -> Vec<u64> {
    let forget = vec![Write::ForgetTasks(PIPELINE, 9), Write::ForgetPipeline(PIPELINE)];
    store.write(None, forget).await.unwrap()
}

#[tokio::test]
async fn a_pipeline_that_is_over_is_forgotten_with_all_that_belongs_to_it() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    store_everything(&store).await;
    end(&store).await;
    assert_eq!(store.unkept_pipelines(ALL, 9).await.unwrap(), [PIPELINE]);
    assert!(store.is_named(&content("1").digest).await.unwrap());
    assert_eq!(forget(&store).await, [1, 1]);
    assert!(store.pipeline(PIPELINE).await.unwrap().is_none() && store.task(TASK).await.unwrap().is_none());
    assert_eq!(store.lease(&[1; 32]).await.unwrap(), None);
    for digit in ["1", "2", "4"] {
        assert!(!store.is_named(&content(digit).digest).await.unwrap());
    }
    assert!(store.is_named(&content("5").digest).await.unwrap(), "the source of the other one");
    assert_eq!(forget(&store).await, [0, 0], "again changes nothing");
}

#[tokio::test]
async fn an_artifact_in_a_bundle_is_found_there_and_keeps_the_bundle() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    store_everything(&store).await;
    let row = BundleRow { task: TASK, request: 3, content: content("4"), members: vec![member("b", "6")] };
    store.write(None, vec![Write::Bundle(row.into())]).await.unwrap();
    let found = async |path| store.artifact_of_job(JOB, 0, path).await.unwrap().unwrap();
    let place = found("b").await.place.unwrap();
    assert_eq!((place.bundle, place.start, place.stored), (content("4").digest, 5, 9));
    assert_eq!(found("b").await.artifact, member("b", "6").artifact);
    assert_eq!(found("a").await.place, None);
    assert!(store.is_named(&content("4").digest).await.unwrap());
    assert!(!store.is_named(&content("6").digest).await.unwrap(), "nothing lies under its own name");
    // The same path again, alone now.
    store.write(None, vec![Write::Artifact(TASK, member("b", "7").artifact)]).await.unwrap();
    assert_eq!(found("b").await.place, None);
    assert!(store.is_named(&content("7").digest).await.unwrap());
}

#[tokio::test]
async fn a_pipeline_that_goes_on_is_never_forgotten_whoever_asks() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    store_everything(&store).await;
    assert!(store.unkept_pipelines(ALL, 9).await.unwrap().is_empty());
    assert_eq!(forget(&store).await, [0, 0]);
    // A task that somebody holds keeps it, whatever the workflow says.
    store.write(None, vec![Write::WorkflowStatus(WORKFLOW, WorkflowStatus::Canceled)]).await.unwrap();
    assert!(store.unkept_pipelines(ALL, 9).await.unwrap().is_empty());
    assert_eq!(forget(&store).await, [0, 0]);
    assert_eq!(store.task(TASK).await.unwrap().unwrap().phase, Phase::Claimed);
    assert_eq!(store.log_lengths(TASK).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_newest_and_the_young_are_kept() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    end(&store).await;
    let unkept =
        async |since_ms, newest| store.unkept_pipelines(Keep { since_ms, newest }, 9).await.unwrap().len();
    assert_eq!(unkept(None, 2).await, 0);
    assert_eq!(unkept(None, 1).await, 1);
    assert_eq!(unkept(Some(5), 9).await, 0, "made at 5");
    assert_eq!(unkept(Some(6), 9).await, 1);
    assert_eq!(unkept(Some(i64::MAX), 0).await, 1, "the newest stays whatever the clock says");
}

#[tokio::test]
async fn caches_go_by_their_last_use_and_by_the_room_they_take() {
    let (_folder, store) = store().await;
    with_task(&store).await;
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let cache = |key: &str, saved_ms| {
        let (key, content) = (key.to_owned(), content("3"));
        Write::Cache(CacheRow { project, trust: String::new(), key, content, saved_ms })
    };
    store.write(None, vec![cache("a", 1), cache("b", 2), cache("c", 3), cache("d", 4)]).await.unwrap();
    store.write(None, vec![Write::CacheUsed(project, String::new(), "a".to_owned(), 9)]).await.unwrap();
    let forget = async |unused_since_ms, most_bytes| {
        let forget = Write::ForgetCaches { unused_since_ms, most_bytes };
        store.write(None, vec![forget]).await.unwrap()[0]
    };
    let found = async |key: &str| store.find_cache((project, ""), key, true).await.unwrap().is_some();
    assert_eq!(forget(3, u64::MAX).await, 1);
    assert!(!found("b").await && found("a").await);
    assert_eq!(forget(0, 15).await, 1, "each has seven bytes");
    assert!(!found("c").await && found("a").await && found("d").await);
}

#[tokio::test]
async fn variables_go_before_their_pipeline_but_never_from_one_that_goes_on() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    store_everything(&store).await;
    let forget = async |before_ms| store.write(None, vec![Write::ForgetSecrets(before_ms)]).await.unwrap()[0];
    assert_eq!(forget(i64::MAX).await, 0, "it goes on");
    end(&store).await;
    assert_eq!(forget(5).await, 0, "made at 5");
    assert_eq!(forget(6).await, 1);
    assert!(store.live_workflow(WORKFLOW).await.unwrap().unwrap().sealed.is_empty());
}

#[tokio::test]
async fn whoever_builds_on_the_tasks_of_a_job_hears_that_they_are_being_forgotten() {
    let (_folder, store) = store().await;
    two_pipelines(&store).await;
    store_everything(&store).await;
    end(&store).await;
    let build = async || store.write(None, vec![Write::HasTasks(JOB, 1), add("built")]).await;
    build().await.unwrap();
    store.write(None, vec![Write::ForgetTasks(PIPELINE, 9)]).await.unwrap();
    assert!(matches!(build().await, Err(StoreError::Conflict(_))));
}
