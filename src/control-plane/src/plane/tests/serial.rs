//! Turns in serial groups when the store refuses what would have ended them, and when they are late.

use super::*;
use crate::engine::serial::LONGEST_MS;
use protocol::WorkflowId;

const ALONE: &str = "
version: 2.1
jobs:
  build: {machine: true, resource_class: acme/linux, serial-group: a/b, steps: [run: make]}
";

async fn alone(plane: &Arc<Plane>, project: &str) -> PipelineId {
    let new = NewPipeline { project: project.to_owned(), ..new_pipeline(ALONE) };
    plane.create_pipeline(new).await.unwrap().id
}

/// Who has the turn, and how many wait for it.
fn standing(plane: &Plane) -> (Option<WorkflowId>, usize) {
    let (holder, waiting) = plane.core().groups.standing("a/b");
    (holder.map(|party| party.workflow), waiting.len())
}

async fn until(plane: &Plane, wanted: (Option<WorkflowId>, usize)) {
    let stands = async {
        while standing(plane) != wanted {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), stands).await.unwrap_or_else(|_| panic!("{:?}", standing(plane)));
}

#[actix_web::test]
async fn a_turn_whose_end_was_not_stored_is_given_to_nobody_else() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let first = alone(&plane, "local/first").await;
    let guard_of = |pipeline| guard(&plane, pipeline);
    let first_guard = guard_of(first);
    until(&plane, (Some(first_guard.workflow), 0)).await;
    let second = guard_of(alone(&plane, "local/second").await).workflow;
    until(&plane, (Some(first_guard.workflow), 1)).await;
    let claimed = claim(&plane).await.unwrap().remove(0);
    let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
    plane.begin(lease).await.unwrap();
    let ending = || Ending { outcome: Outcome::Success, message: None };
    // Behind a write that fails, so that its end is in memory and nowhere else.
    let (tell, told) = oneshot::channel();
    let done = Box::new(move |result: Result<Vec<u64>, StoreError>| tell.send(result.is_err()).unwrap());
    plane.store.submit(Command { guard: Some(first_guard), writes: vec![Write::Class(class_row())], done });
    assert!(plane.end(lease, ending()).await.is_err());
    assert!(told.await.unwrap());
    assert_eq!(standing(&plane), (Some(first_guard.workflow), 1), "it runs still, as the store has it");
    let again = async {
        while plane.end(lease, ending()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), again).await.unwrap();
    until(&plane, (Some(second), 0)).await;
    assert_eq!(claim(&plane).await.unwrap().len(), 1);
    running.stop().await;
}

#[actix_web::test]
async fn who_waits_for_its_turn_for_five_hours_is_canceled_and_says_why() {
    let folder = TempDir::new().unwrap();
    let (running, plane) = running(&folder).await;
    let first = guard(&plane, alone(&plane, "local/first").await).workflow;
    until(&plane, (Some(first), 0)).await;
    let late = alone(&plane, "local/second").await;
    until(&plane, (Some(first), 1)).await;
    let workflow = guard(&plane, late).workflow;
    {
        let mut core = plane.core();
        let since = plane.clock.moment().wall_ms - LONGEST_MS - 1;
        core.workflow(workflow).unwrap().jobs[0].waits_since = Some(since);
        let waiter = core.workflow(workflow).unwrap().waiter(0);
        core.groups.leave(&Arc::from("a/b"), workflow, 0);
        core.groups.join(&Arc::from("a/b"), waiter);
    }
    plane.serve_groups();
    until(&plane, (Some(first), 0)).await;
    plane.change_access(vec![Write::RemoveToken(Uuid::now_v7())]).await.unwrap();
    let job = plane.view(late).await.unwrap().unwrap().workflows.remove(0).jobs.remove(0);
    let why = "waited five hours for its turn in the serial group `a/b`";
    assert_eq!((job.status, job.reason.as_deref()), (JobStatus::Canceled, Some(why)));
    running.stop().await;
}
