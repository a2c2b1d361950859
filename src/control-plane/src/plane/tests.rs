//! What becomes of memory when the store refuses.

mod retention;
mod rotation;
mod serial;
mod webhooks;

use super::{Plane, leases::Ending, token};
use crate::{KeySource, Running, Settings, refusal::Refusal, start};
use protocol::{
    Epoch, JobId, JobStatus, Outcome, PipelineId, WorkflowStatus,
    api::{NewPipeline, Selection},
    http::{Claim, Claimed, Lease},
    task::Source,
};
use slog::{Discard, Logger, o};
use std::{fs, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use store::{ClassRow, Command, Guard, StoreError, TokenRow, Write};
use tempfile::TempDir;
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

const CONFIG: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
";

fn class_row() -> ClassRow {
    let class = "acme/linux".parse().unwrap();
    ClassRow { id: Uuid::now_v7(), class, description: String::new(), created_ms: 0, max_tasks: None }
}

fn settings(folder: &TempDir) -> Settings {
    let agent = folder.path().join("agent");
    fs::write(&agent, b"a program").unwrap();
    let mut settings = Settings::new(folder.path().join("data"), ([127, 0, 0, 1], 0).into(), agent);
    settings.key = KeySource::Memory([7; 32]);
    settings
}

async fn running(folder: &TempDir) -> (Running, Arc<Plane>) {
    let running = start(settings(folder), Logger::root(Discard, o!())).await.unwrap();
    let plane = running.plane.clone();
    plane.change_access(vec![Write::Class(class_row())]).await.unwrap();
    (running, plane)
}

fn new_pipeline(config: &str) -> NewPipeline {
    NewPipeline {
        project: "local/x".to_owned(),
        config: config.to_owned(),
        config_path: "config.yml".to_owned(),
        parameters: Default::default(),
        selection: Selection::default(),
        source: Source::None,
        git: Default::default(),
        environment: Vec::new(),
        contexts: Default::default(),
        default_class: None,
        native: false,
        orbs: Vec::new(),
        ssh_keys: Vec::new(),
        actor: Default::default(),
    }
}

async fn pipeline(plane: &Arc<Plane>) -> PipelineId {
    plane.create_pipeline(new_pipeline(CONFIG)).await.unwrap().id
}

fn guard(plane: &Plane, pipeline: PipelineId) -> Guard {
    let mut core = plane.core();
    let workflow = core.workflows_of(pipeline)[0];
    core.workflow(workflow).unwrap().guard
}

async fn claim(plane: &Arc<Plane>) -> Result<Vec<Claimed>, Refusal> {
    let claim = Claim {
        name: "n".to_owned(),
        hostname: "h".to_owned(),
        ip: String::new(),
        version: "1".to_owned(),
        platform: None,
        max_tasks: Some(1),
        wait_ms: Some(100),
        containers: false,
    };
    plane.claim(&"acme/linux".parse().unwrap(), &claim).await
}

/// Lets a write fail that the workflow's next ones build on.
async fn fail_a_write(plane: &Plane, guard: Guard) {
    let (tell, told) = oneshot::channel();
    let done = Box::new(move |result: Result<Vec<u64>, StoreError>| tell.send(result.is_err()).unwrap());
    plane.store.submit(Command { guard: Some(guard), writes: vec![Write::Class(class_row())], done });
    assert!(told.await.unwrap(), "a second class of that name is a conflict");
}

#[actix_web::test]
async fn what_builds_on_a_failed_write_fails_and_the_workflow_is_read_again() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let pipeline = pipeline(&plane).await;
    fail_a_write(&plane, guard(&plane, pipeline)).await;
    let refused = claim(&plane).await;
    assert!(refused.is_err(), "{refused:?}");
    let again = async {
        loop {
            if let Some(claimed) = claim(&plane).await.ok().and_then(|mut tasks| tasks.pop()) {
                return claimed;
            }
        }
    };
    let claimed = timeout(Duration::from_secs(10), again).await.unwrap();
    assert_eq!(claimed.epoch, Epoch(1), "the claim that failed never was");
    running.stop().await;
}

#[actix_web::test]
async fn a_holder_is_asked_to_try_again_and_never_fenced_while_its_workflow_is_read() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let pipeline = pipeline(&plane).await;
    let claimed = claim(&plane).await.unwrap().remove(0);
    let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
    fail_a_write(&plane, guard(&plane, pipeline)).await;
    let begun = async {
        loop {
            match plane.begin(lease).await {
                Ok(granted) => return granted,
                Err(refusal) => assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(!timeout(Duration::from_secs(10), begun).await.unwrap().canceled);
    running.stop().await;
}

const TWO_JOBS: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [run: make]}
  test: {machine: true, resource_class: acme/linux, steps: [run: make]}
workflows: {all: {jobs: [build, test: {requires: [build]}]}}
";

#[actix_web::test]
async fn a_dependent_whose_tasks_were_not_stored_is_queued_again_under_names_that_are() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let pipeline = plane.create_pipeline(new_pipeline(TWO_JOBS)).await.unwrap().id;
    let claimed = claim(&plane).await.unwrap().remove(0);
    let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
    plane.begin(lease).await.unwrap();
    let guard = guard(&plane, pipeline);
    let ending = || Ending { outcome: Outcome::Success, message: None };
    // Behind a write that fails, so that the tasks it makes are in memory and nowhere else.
    let (tell, told) = oneshot::channel();
    let done = Box::new(move |result: Result<Vec<u64>, StoreError>| tell.send(result.is_err()).unwrap());
    plane.store.submit(Command { guard: Some(guard), writes: vec![Write::Class(class_row())], done });
    assert!(plane.end(lease, ending()).await.is_err());
    assert!(told.await.unwrap());
    let again = async {
        while plane.end(lease, ending()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), again).await.unwrap();
    let dependent = claim(&plane).await.unwrap().remove(0);
    let row = plane.store.task(dependent.task_id).await.unwrap().expect("it is in the store");
    assert_eq!((row.epoch, dependent.epoch), (Epoch(1), Epoch(1)));
    assert!(claim(&plane).await.unwrap().is_empty(), "and there is no second");
    plane.begin(Lease { task_id: dependent.task_id, epoch: dependent.epoch }).await.unwrap();
    running.stop().await;
}

#[actix_web::test]
async fn a_late_failure_of_an_older_generation_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let guard = guard(&plane, pipeline(&plane).await);
    plane.restore(guard.workflow).await.unwrap();
    plane.lose(guard, &StoreError::Superseded);
    assert_eq!(claim(&plane).await.unwrap().len(), 1);
    running.stop().await;
}

const GATED: &str = "
version: 2.1
jobs: {last: {type: no-op}}
workflows: {main: {jobs: [hold: {type: approval}, last: {requires: [hold: canceled]}]}}
";

#[actix_web::test]
async fn an_approval_that_nobody_gave_for_ninety_days_ends_as_canceled() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let pipeline = plane.create_pipeline(new_pipeline(GATED)).await.unwrap().id;
    let workflow = guard(&plane, pipeline).workflow;
    let day = 24 * 60 * 60 * 1000;
    let held_for = |days: i64| {
        let since = plane.clock.moment().wall_ms - days * day;
        plane.core().workflow(workflow).unwrap().jobs[0].on_hold_since = Some(since);
        plane.expire_approvals();
    };
    held_for(89);
    assert_eq!(plane.on_hold().len(), 1);
    held_for(91);
    assert!(plane.on_hold().is_empty());
    // Writes come in order: this one is after what the end of the approval wrote.
    plane.change_access(vec![Write::RemoveToken(Uuid::now_v7())]).await.unwrap();
    let view = plane.view(pipeline).await.unwrap().unwrap().workflows.remove(0);
    assert_eq!(view.status, WorkflowStatus::Canceled);
    assert_eq!((view.jobs[0].status, view.jobs[1].status), (JobStatus::Canceled, JobStatus::Success));
    running.stop().await;
}

/// Adds a job to a stored workflow that requires one which is not there, as no version of ours would.
async fn confuse(plane: &Plane, pipeline: PipelineId) {
    let workflow = guard(plane, pipeline).workflow;
    let mut job = plane.store.live_workflow(workflow).await.unwrap().unwrap().jobs.remove(0);
    job.id = JobId(Uuid::now_v7());
    job.place = 1;
    job.definition.requires = vec![protocol::pipeline::Requirement::success("nobody")];
    plane.write(vec![Write::Job(Box::new(job))]).await.unwrap();
}

#[actix_web::test]
async fn a_workflow_that_cannot_be_understood_keeps_no_other_from_going_on() {
    let folder = TempDir::new().unwrap();
    let (before, plane) = running(&folder).await;
    let (broken, whole) = (pipeline(&plane).await, pipeline(&plane).await);
    let workflow = guard(&plane, broken).workflow;
    confuse(&plane, broken).await;
    let seen = plane.feed(broken, 0, 0).await.unwrap().unwrap();
    plane.restore(workflow).await.unwrap();
    let told = timeout(Duration::from_secs(10), plane.feed(broken, seen.next, 60_000)).await;
    assert!(told.unwrap().unwrap().unwrap().life != seen.life, "followers look again");
    before.stop().await;
    let again = start(settings(&folder), Logger::root(Discard, o!())).await.unwrap();
    let plane = again.plane.clone();
    let rows = plane.store.live_workflow(workflow).await.unwrap().unwrap();
    assert_eq!(rows.workflow.status, WorkflowStatus::Failed);
    assert!(rows.jobs.iter().all(|job| job.status == JobStatus::InfrastructureFail));
    let claimed = claim(&plane).await.unwrap().remove(0);
    let task = plane.store.task(claimed.task_id).await.unwrap().unwrap();
    assert_eq!(plane.store.job(task.job).await.unwrap().unwrap().1, whole);
    again.stop().await;
}

#[actix_web::test]
async fn a_removed_token_is_refused_although_who_removed_it_went_away() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let (id, class, hash) = (Uuid::now_v7(), class_row().class, token::hash("t"));
    let row = TokenRow { id, class, nickname: String::new(), hash, created_ms: 0 };
    plane.change_access(vec![Write::Token(row)]).await.unwrap();
    assert!(plane.access.class_of("t").is_some());
    drop(plane.change_access(vec![Write::RemoveToken(id)]));
    plane.write(Vec::new()).await.unwrap();
    assert!(plane.access.class_of("t").is_none());
    running.stop().await;
}

/// What a future comes to if it is polled at most so often.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[actix_web::test]
async fn whoever_claims_and_goes_away_leaves_the_task_to_others_at_once() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    for times in 1..100 {
        pipeline(&plane).await;
        let before = plane.count(&class_row().class);
        if polled(times, claim(&plane)).await.is_some() {
            break;
        }
        assert_eq!(plane.count(&class_row().class), before, "after {times} polls");
    }
    let claimed = claim(&plane).await.unwrap().remove(0);
    plane.begin(claimed.lease()).await.unwrap();
    running.stop().await;
}

#[actix_web::test]
async fn whoever_asks_for_a_pipeline_and_goes_away_leaves_no_number_to_be_given_twice() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    for times in 1..100 {
        let whole = polled(times, plane.create_pipeline(new_pipeline(CONFIG))).await;
        pipeline(&plane).await;
        if whole.is_some() {
            break;
        }
    }
    running.stop().await;
}

#[actix_web::test]
async fn a_call_that_comes_after_the_store_was_closed_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    pipeline(&plane).await;
    let claimed = claim(&plane).await.unwrap().remove(0);
    let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
    plane.store.close().await;
    let (tell, told) = std::sync::mpsc::channel();
    // On a thread of its own: what would hang is the thread.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tell.send(runtime.block_on(plane.unclaim(lease, None)).is_err()).unwrap();
    });
    assert!(told.recv_timeout(Duration::from_secs(10)).unwrap());
    running.stop().await;
}
