//! What a control plane takes up again after it was gone.

use crate::house::{self, House, ONE_JOB, claim_one, data_dir, end, finish};
use control_plane::{KeySource, Settings, Tls};
use protocol::{Epoch, JobStatus, Outcome, WorkflowStatus};
use std::{
    fs,
    time::{Duration, Instant},
};

#[actix_web::test]
async fn a_workflow_goes_on_where_it_was_left() {
    let house = House::new().await;
    let two = ONE_JOB.to_owned()
        + "  test: {machine: true, resource_class: acme/linux, steps: [run: make]}\nworkflows: {all: {jobs: [build, test: {requires: [build]}]}}\n";
    let pipeline = house.pipeline(&two).await.id;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let house = house.again(|_| {}).await;
    let task = house.transport.task(&claimed.task_token);
    task.begin(claimed.epoch).await.unwrap();
    end(&claimed, &task, Outcome::Success).await;
    finish(&house.runner().await, Outcome::Success).await;
    assert_eq!(house.view(pipeline).await.workflows[0].status, WorkflowStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_restored_control_plane_has_the_certificate_that_its_callers_trust() {
    let folder = tempfile::TempDir::new().unwrap();
    let copy = folder.path().join("copy");
    let mut authorities = Vec::new();
    for directory in [data_dir(&folder), copy.clone()] {
        let mut settings = house::settings(&folder);
        (settings.tls, settings.data_dir) = (Some(Tls::SelfSigned), directory.clone());
        control_plane::start(settings, house::log()).await.unwrap().stop().await;
        authorities.push(fs::read_to_string(directory.join("tls/authority.pem")).unwrap());
        if directory != copy {
            control_plane::backup(&directory, &copy).await.unwrap();
        }
    }
    assert_eq!(authorities[0], authorities[1]);
}

#[actix_web::test]
async fn a_task_that_waited_waits_again() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let house = house.again(|_| {}).await;
    assert_eq!(claim_one(&house.runner().await).await.0.epoch, Epoch(1));
    house.running.stop().await;
}

#[actix_web::test]
async fn every_lease_gets_a_whole_period_after_a_start() {
    let lease = Duration::from_millis(900);
    let house = House::with(|settings| settings.lease = lease).await;
    house.pipeline(ONE_JOB).await;
    claim_one(&house.runner().await).await;
    let house = house.again(|settings| settings.lease = lease).await;
    let since = Instant::now();
    let (again, _) = claim_one(&house.runner().await).await;
    assert_eq!(again.epoch, Epoch(2));
    assert!(since.elapsed() >= lease - Duration::from_millis(100), "{:?}", since.elapsed());
    house.running.stop().await;
}

#[actix_web::test]
async fn a_fenced_token_stays_fenced_and_a_finished_task_finished() {
    let house = House::with(|settings| settings.lease = Duration::from_millis(200)).await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let runner = house.runner().await;
    let (lost, _) = claim_one(&runner).await;
    let won = finish(&runner, Outcome::Success).await;
    let house = house.again(|_| {}).await;
    let lost = house.transport.task(&lost.task_token);
    assert!(matches!(lost.acknowledged().await, Err(client::ClientError::Fenced(_))));
    end(&won, &house.transport.task(&won.task_token), Outcome::Success).await;
    assert_eq!(house.statuses(pipeline).await[0].1, JobStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_workflow_whose_secrets_went_with_their_key_is_canceled() {
    let in_memory = |settings: &mut Settings| settings.key = KeySource::Memory([1; 32]);
    let house = House::with(in_memory).await;
    let (waits, runs) = (house.pipeline(ONE_JOB).await.id, house.pipeline(ONE_JOB).await.id);
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let house = house.again(|settings| settings.key = KeySource::Memory([2; 32])).await;
    let waiting = [waits, runs].map(|id| house.statuses(id));
    let statuses = futures_util::future::join_all(waiting).await.concat();
    let canceled = statuses.iter().filter(|(_, status)| *status == JobStatus::Canceled).count();
    assert_eq!(canceled, 1, "the one that ran is canceled by its launch-agent: {statuses:?}");
    end(&claimed, &house.transport.task(&claimed.task_token), Outcome::Canceled).await;
    for id in [waits, runs] {
        assert_eq!(house.view(id).await.workflows[0].status, WorkflowStatus::Canceled);
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn numbers_go_on_after_a_restart() {
    let house = House::new().await;
    let first = house.pipeline(ONE_JOB).await;
    let house = house.again(|_| {}).await;
    let second = house.pipeline(ONE_JOB).await;
    assert_eq!((first.number, second.number), (1, 2));
    assert_eq!(house.view(second.id).await.workflows[0].jobs[0].number, 2);
    house.running.stop().await;
}
