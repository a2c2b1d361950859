//! Claims, leases and fences: a task runs once, whoever dies, and whoever lost it is told.

use crate::house::{House, ONE_JOB, claim, claim_one, end, finish};
use client::ClientError;
use protocol::{
    Epoch, JobStatus, Outcome,
    http::{Claim, End, Fail, Heartbeat, HeartbeatAnswer, Lease, MAX_UNCLAIMS, Unclaim},
};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

fn lease(claimed: &protocol::http::Claimed) -> Lease {
    Lease { task_id: claimed.task_id, epoch: claimed.epoch }
}

fn heartbeat(leases: &[Lease], wait_ms: u64) -> Heartbeat {
    Heartbeat { name: "runner-1".to_owned(), tasks: leases.to_vec(), wait_ms }
}

fn unclaim(claimed: &protocol::http::Claimed) -> Unclaim {
    let (task_id, task_token) = (claimed.task_id, claimed.task_token.clone());
    Unclaim { task_id, task_token, reason: Some("no room".to_owned()) }
}

#[actix_web::test]
async fn a_held_open_claim_is_answered_the_moment_work_exists() {
    let house = House::new().await;
    let runner = house.runner().await;
    let since = Instant::now();
    let asked = claim(4, 60_000);
    let (claimed, _) = futures_util::future::join(runner.claim(&asked), house.pipeline(ONE_JOB)).await;
    assert_eq!(claimed.unwrap().len(), 1);
    assert!(since.elapsed() < Duration::from_secs(30), "no timer is waited for");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_claim_without_work_ends_with_nothing_when_its_wait_is_over() {
    let house = House::new().await;
    assert!(house.runner().await.claim(&claim(1, 20)).await.unwrap().is_empty());
    house.running.stop().await;
}

#[actix_web::test]
async fn no_task_is_claimed_twice_however_many_ask() {
    let house = House::new().await;
    let config = ONE_JOB.replace("machine: true", "machine: true\n    parallelism: 20");
    house.pipeline(&config).await;
    let runner = house.runner().await;
    let asked = claim(3, 200);
    let claims = futures_util::future::join_all((0..10).map(|_| runner.claim(&asked))).await;
    let mut tasks: Vec<_> = claims.into_iter().flat_map(Result::unwrap).map(|task| task.task_id).collect();
    tasks.sort();
    let all = tasks.len();
    tasks.dedup();
    assert_eq!((tasks.len(), all), (20, 20));
    house.running.stop().await;
}

#[actix_web::test]
async fn begin_is_granted_again_within_its_lease() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    for _ in 0..2 {
        assert!(!task.begin(claimed.epoch).await.unwrap().canceled);
    }
    let error = task.begin(Epoch(claimed.epoch.0 + 1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Fenced(_)), "{error:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_lease_that_runs_out_before_begin_is_given_to_somebody_else_and_its_holder_is_fenced() {
    let house = House::with(|settings| settings.lease = SHORT).await;
    house.pipeline(ONE_JOB).await;
    let runner = house.runner().await;
    let (first, lost) = claim_one(&runner).await;
    let (second, task) = claim_one(&runner).await;
    assert_eq!((second.task_id, second.epoch), (first.task_id, Epoch(2)));
    assert!(matches!(lost.begin(first.epoch).await, Err(ClientError::Fenced(_))));
    assert!(matches!(lost.acknowledged().await, Err(ClientError::Fenced(_))));
    let answer = runner.heartbeat(&heartbeat(&[lease(&first)], 0)).await.unwrap();
    assert_eq!(answer.fenced, [first.task_id]);
    task.begin(second.epoch).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn a_lease_that_runs_out_after_begin_fails_the_task_naming_host_and_time() {
    let house = House::with(|settings| settings.lease = SHORT).await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let next = house.operator.feed(pipeline, 0, 0).await.unwrap().next;
    house.operator.feed(pipeline, next, 10_000).await.unwrap();
    let view = house.view(pipeline).await;
    let job = &view.workflows[0].jobs[0];
    assert_eq!(job.status, JobStatus::InfrastructureFail);
    let message = job.tasks[0].message.clone().unwrap();
    assert!(message.contains("`host-1`") && message.contains("Z;"), "{message}");
    let over = End { epoch: claimed.epoch, outcome: Outcome::Success, message: None };
    assert!(matches!(task.end(&over).await, Err(ClientError::Fenced(_))));
    let answer = runner.heartbeat(&heartbeat(&[lease(&claimed)], 0)).await.unwrap();
    assert_eq!(answer.fenced, [claimed.task_id]);
    house.running.stop().await;
}

#[actix_web::test]
async fn heartbeats_keep_a_lease() {
    let house = House::with(|settings| settings.lease = SHORT).await;
    house.pipeline(ONE_JOB).await;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    let until = Instant::now() + 4 * SHORT;
    while Instant::now() < until {
        let answer = runner.heartbeat(&heartbeat(&[lease(&claimed)], 50)).await.unwrap();
        assert_eq!(answer, HeartbeatAnswer::default());
    }
    task.begin(claimed.epoch).await.unwrap();
    house.running.stop().await;
}

#[actix_web::test]
async fn a_held_open_heartbeat_tells_of_a_cancel_at_once_and_again() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    let asked = heartbeat(&[lease(&claimed)], 10_000);
    let (answer, canceled) =
        futures_util::future::join(runner.heartbeat(&asked), house.operator.cancel(pipeline)).await;
    canceled.unwrap();
    assert_eq!(answer.unwrap().canceled, [claimed.task_id]);
    assert_eq!(runner.heartbeat(&asked).await.unwrap().canceled, [claimed.task_id]);
    assert!(task.begin(claimed.epoch).await.unwrap().canceled);
    end(&claimed, &task, Outcome::Canceled).await;
    assert_eq!(house.statuses(pipeline).await[0].1, JobStatus::Canceled);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_task_that_is_given_back_too_often_fails() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let runner = house.runner().await;
    for _ in 0..MAX_UNCLAIMS {
        let (claimed, task) = claim_one(&runner).await;
        task.unclaim(&unclaim(&claimed)).await.unwrap();
    }
    let (claimed, task) = claim_one(&runner).await;
    let error = task.unclaim(&unclaim(&claimed)).await.unwrap_err();
    assert!(matches!(error, ClientError::Conflict(_)), "{error:?}");
    assert_eq!(house.statuses(pipeline).await[0].1, JobStatus::InfrastructureFail);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_task_that_began_cannot_be_given_back() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    assert!(matches!(task.unclaim(&unclaim(&claimed)).await, Err(ClientError::Conflict(_))));
    house.running.stop().await;
}

#[actix_web::test]
async fn an_end_is_accepted_again_also_when_its_workflow_is_over() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let runner = house.runner().await;
    let claimed = finish(&runner, Outcome::Success).await;
    end(&claimed, &runner.task(&claimed.task_token), Outcome::Success).await;
    let answer = runner.heartbeat(&heartbeat(&[lease(&claimed)], 0)).await.unwrap();
    assert_eq!(answer, HeartbeatAnswer::default());
    assert_eq!(house.statuses(pipeline).await[0].1, JobStatus::Success);
    house.running.stop().await;
}

#[actix_web::test]
async fn the_public_fail_call_fails_a_task_with_its_message() {
    let house = House::new().await;
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    let mut fail = Fail { allocation: "another".to_owned(), timestamp: 0, message: "Ym9vbQ==".to_owned() };
    assert!(matches!(task.fail(&fail).await, Err(ClientError::Refused { .. })));
    fail.allocation.clone_from(&claimed.allocation);
    task.fail(&fail).await.unwrap();
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
    assert_eq!((job.status, job.tasks[0].message.as_deref()), (JobStatus::InfrastructureFail, Some("boom")));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_stop_answers_held_open_calls_at_once() {
    let house = House::new().await;
    let (runner, operator) = (house.runner().await, house.operator.clone());
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let (claimed, _) = claim_one(&runner).await;
    let next = operator.feed(pipeline, 0, 0).await.unwrap().next;
    let (asked, beat) = (claim(1, 60_000), heartbeat(&[lease(&claimed)], 60_000));
    let asked = Claim { name: "runner-2".to_owned(), ..asked };
    let held = futures_util::future::join3(
        runner.claim(&asked),
        runner.heartbeat(&beat),
        operator.feed(pipeline, next, 60_000),
    );
    let stop = async {
        house.until_seen("runner-2").await;
        let since = Instant::now();
        house.running.stop().await;
        since
    };
    let ((claims, ..), since) = futures_util::future::join(held, stop).await;
    assert!(claims.unwrap().is_empty());
    assert!(since.elapsed() < Duration::from_secs(10));
}

/// Sends a claim that is held open, and goes away once it was heard.
async fn ghost(house: &House) {
    let token = house.token().await;
    let body = serde_json::to_string(&Claim { name: "ghost".to_owned(), ..claim(1, 60_000) }).unwrap();
    let request = format!(
        "POST /api/v3/runner/claim HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(house.running.address).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    house.until_seen("ghost").await;
}

#[actix_web::test]
async fn a_claim_whose_caller_went_away_takes_nothing() {
    let house = House::new().await;
    ghost(&house).await;
    house.pipeline(ONE_JOB).await;
    let (claimed, _) = claim_one(&house.runner().await).await;
    assert_eq!(claimed.epoch, Epoch(1));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_task_whose_class_token_is_revoked_is_kept_by_calls_with_its_own() {
    let house = House::with(|settings| settings.lease = SHORT).await;
    house.pipeline(ONE_JOB).await;
    let runner = house.runner().await;
    let (claimed, task) = claim_one(&runner).await;
    task.begin(claimed.epoch).await.unwrap();
    let tokens = house.operator.tokens(&crate::house::class()).await.unwrap();
    for token in tokens {
        house.operator.delete_token(&token.id.unwrap()).await.unwrap();
    }
    assert!(matches!(
        runner.heartbeat(&heartbeat(&[lease(&claimed)], 0)).await,
        Err(ClientError::Refused { .. })
    ));
    let since = Instant::now();
    while since.elapsed() < SHORT * 3 {
        task.acknowledged().await.unwrap();
    }
    end(&claimed, &task, Outcome::Success).await;
    house.running.stop().await;
}
