//! Troubles from outside: refused tokens, lost leases, wrong programs, a control plane that comes and goes.

use crate::rig::{DEADLINE, Rig, appears, drained, log};
use fakes::Trouble;
use launch_agent::{
    Handle,
    config::{ClassSettings, Secret},
    start,
};
use protocol::{Digest, Outcome, transfer::Content};
use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

/// Waits until no task has a slot.
async fn idle(agent: &Handle) {
    let none = async {
        while agent.status().await.is_some_and(|status| status.taken > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, none).await.expect("every slot gets free");
}

/// Waits until the order to drain is heard.
async fn draining(agent: &Handle) {
    let heard = async {
        while agent.status().await.is_some_and(|status| status.host != "Draining") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, heard).await.expect("an order is heard");
}

#[actix_rt::test]
async fn a_wrong_program_is_refused_and_the_task_given_back() {
    let rig = Rig::new();
    rig.plane.with(|state| {
        let right = state.agent.clone();
        let wrong = Content { digest: Digest::of_bytes(&[7; 32]), size: right.size };
        let bytes = state.blobs.get(&right.digest).unwrap().to_vec();
        state.blobs.lie(wrong.digest.clone(), bytes);
        state.agent = wrong;
    });
    let agent = rig.start();
    let task = rig.enqueue(&["say never"]);
    let reasons = rig
        .plane
        .until("three unclaims", |state| {
            let task = &state.tasks[&task];
            (task.unclaims.len() >= 3).then(|| task.unclaims.clone())
        })
        .await;
    assert!(reasons.iter().all(|reason| reason.contains("SHA-256")), "{reasons:?}");
    assert!(!rig.plane.task(task).begun);
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_killed_task_agent_is_an_infrastructure_failure_and_its_log_is_kept() {
    let rig = Rig::new();
    let agent = rig.start();
    let task = rig.enqueue(&["count 1000 0\ncrash"]);
    let ended = rig.plane.ended(task).await;
    let end = ended.ended.as_ref().unwrap();
    assert_eq!(end.outcome, Outcome::InfrastructureFail);
    assert!(end.message.as_ref().unwrap().contains("137"), "{end:?}");
    assert_eq!(ended.log(1).lines().count(), 1000);
    assert!(ended.log(0).contains("before the task did"), "{}", ended.log(0));
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_fenced_task_is_ended_and_its_slot_free() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.concurrency = 1;
    let agent = start(settings, log()).unwrap();
    let up = rig.shared("up");
    let lost = rig.enqueue(&[&format!("touch {}\nhang", up.display())]);
    appears(&up).await;
    rig.plane.with(|state| state.lose(lost));
    let next = rig.enqueue(&["say mine"]);
    let ended = rig.plane.ended(next).await;
    assert_eq!(ended.log(1), "mine\n");
    assert!(rig.plane.task(lost).ended.is_none(), "nobody wants to hear of it");
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn no_byte_is_lost_or_doubled_while_the_control_plane_fails() {
    let rig = Rig::new();
    let agent = rig.start();
    let up = rig.shared("up");
    let work = format!("touch {}\ncount 400 2\nartifact a alpha\nflood 3000000", up.display());
    let task = rig.enqueue(&[&work]);
    appears(&up).await;
    for trouble in [Trouble::Status(500), Trouble::CutAfter, Trouble::Cut, Trouble::CutAfter] {
        rig.plane.trouble("/api/v3/task/", 3, trouble);
    }
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
    let log = ended.log(1);
    let numbers: String = (0..400).map(|number| format!("{number}\n")).collect();
    assert!(log.starts_with(&numbers));
    assert_eq!(log.len(), numbers.len() + r#"{"stored":{"size":5}}"#.len() + 1 + 3_000_000);
    drained(&agent).await;
}

#[actix_rt::test]
async fn a_refused_token_parks_its_poller_and_the_others_go_on() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    let token = Secret::new("nobody knows this one");
    let class = Some("local/other".parse().unwrap());
    settings.classes.push(ClassSettings { class, token, concurrency: None });
    let agent = start(settings, log()).unwrap();
    let task = rig.enqueue(&["say fine"]);
    rig.plane.ended(task).await;
    let status = agent.status().await.unwrap();
    let reason = status.pollers[1].reason.as_ref().unwrap();
    assert!(reason.contains("refuses the token"), "{reason}");
    assert_eq!(status.pollers[0].reason, None);
    drained(&agent).await;
}

#[actix_rt::test]
async fn two_tokens_never_run_more_than_the_host_has_room_for() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.concurrency = 2;
    rig.plane.with(|state| state.class_tokens.insert("second".to_owned()));
    let class = Some("local/second".parse().unwrap());
    settings.classes.push(ClassSettings { class, token: Secret::new("second"), concurrency: None });
    let agent = start(settings, log()).unwrap();
    let tasks: Vec<_> = (0..6).map(|_| rig.enqueue(&["count 20 5"])).collect();
    for task in &tasks {
        assert!(agent.status().await.unwrap().taken <= 2);
        rig.plane.ended(*task).await;
    }
    drained(&agent).await;
    let claimed = rig.plane.with(|state| state.heartbeats.iter().map(Vec::len).max());
    assert!(claimed <= Some(2), "{claimed:?}");
}

#[actix_rt::test]
async fn a_task_over_its_time_is_ended_as_timed_out() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.max_run_time = Duration::from_millis(700);
    let agent = start(settings, log()).unwrap();
    let task = rig.enqueue(&["hang"]);
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.unwrap().outcome, Outcome::Timedout);
    idle(&agent).await;
    rig.assert_clean();
    drained(&agent).await;
}

#[actix_rt::test]
async fn a_drain_waits_for_tasks_and_a_second_order_ends_them() {
    let rig = Rig::new();
    let agent = rig.start();
    let (up, go) = (rig.shared("up"), rig.shared("go"));
    let calm = rig.enqueue(&[&format!("touch {}\nwait {}\nsay done", up.display(), go.display())]);
    appears(&up).await;
    agent.drain();
    // The order is a message: until it is heard, a claim may still be answered.
    draining(&agent).await;
    let never = rig.enqueue(&["say never"]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(rig.plane.ended(calm).await.log(1), "done\n");
    assert_eq!(agent.finished().await.failure, None);
    // The claim that was under way may still bring it; then it is never begun, and its lease runs out.
    assert!(!rig.plane.task(never).begun);
    rig.assert_clean();

    rig.plane.with(|state| state.queue.clear());
    let agent = rig.start();
    let up = rig.shared("up again");
    let hung = rig.enqueue(&[&format!("touch {}\nstubborn\nhang", up.display())]);
    appears(&up).await;
    agent.stop_now();
    assert_eq!(agent.finished().await.failure, None);
    let ended = rig.plane.task(hung).ended.expect("it is told before the launch-agent ends");
    assert_eq!(ended.outcome, Outcome::InfrastructureFail);
    rig.assert_clean();
}

#[actix_rt::test]
async fn whoever_orders_the_end_twice_waits_for_no_grace() {
    let rig = Rig::new();
    let mut settings = rig.settings();
    settings.grace = Duration::from_secs(600);
    let agent = start(settings, log()).unwrap();
    let up = rig.shared("up");
    let hung = rig.enqueue(&[&format!("touch {}\nstubborn\nhang", up.display())]);
    appears(&up).await;
    agent.stop_now();
    agent.stop_now();
    let end = tokio::time::timeout(DEADLINE, agent.finished()).await.expect("long before the grace is over");
    assert_eq!(end.failure, None);
    assert_eq!(rig.plane.task(hung).ended.unwrap().outcome, Outcome::InfrastructureFail);
    rig.assert_clean();
}

#[actix_rt::test]
async fn an_end_that_the_control_plane_cannot_hear_is_told_by_the_next_launch_agent() {
    let rig = Rig::new();
    let agent = rig.start();
    let up = rig.shared("up");
    let task = rig.enqueue(&[&format!("say kept\ntouch {}\nhang", up.display())]);
    appears(&up).await;
    rig.plane.trouble("/api/v3/task/end", usize::MAX, Trouble::Status(503));
    agent.stop_now();
    let end = tokio::time::timeout(DEADLINE, agent.finished()).await.expect("it does not wait for ever");
    assert_eq!(end.failure, None);
    assert!(rig.plane.task(task).ended.is_none());
    rig.plane.calm();
    let next = rig.start();
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::InfrastructureFail);
    assert_eq!((ended.log(1).as_str(), ended.claims), ("kept\n", 1));
    drained(&next).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_claim_that_is_canceled_before_it_begins_runs_nothing() {
    let rig = Rig::new();
    let task = rig.enqueue(&[&format!("touch {}", rig.shared("ran").display())]);
    rig.plane.with(|state| state.cancel(task));
    let agent = rig.start();
    let ended = rig.plane.ended(task).await;
    assert_eq!(ended.ended.unwrap().outcome, Outcome::Canceled);
    assert!(!rig.shared("ran").exists());
    drained(&agent).await;
}

#[actix_rt::test]
async fn a_program_that_does_not_start_is_given_back_with_what_it_said() {
    let rig = Rig::new();
    rig.plane.with(|state| state.publish_agent(b"#!/bin/sh\necho no such library >&2\nexit 127\n"));
    let agent = rig.start();
    let task = rig.enqueue(&["say never"]);
    // Begin may be granted before the process is gone: then it is a failure of the infrastructure.
    let why = rig
        .plane
        .until("a reason", |state| {
            let task = &state.tasks[&task];
            let end = task.ended.as_ref().and_then(|end| end.message.clone());
            end.or_else(|| task.unclaims.first().cloned())
        })
        .await;
    assert!(why.contains("no such library"), "{why}");
    rig.plane.with(|state| state.queue.clear());
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn a_second_launch_agent_on_the_same_state_is_refused_with_the_pid_of_the_first() {
    let rig = Rig::new();
    let agent = rig.start();
    let refused = start(rig.settings(), log()).unwrap_err().to_string();
    assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
    drained(&agent).await;
    let again = rig.start();
    drained(&again).await;
}

#[actix_rt::test]
async fn what_an_earlier_life_left_without_a_claim_is_removed() {
    let rig = Rig::new();
    let stray = uuid::Uuid::new_v4().to_string();
    for folder in ["tasks", "work"] {
        std::fs::create_dir_all(rig.state_dir().join(folder).join(&stray)).unwrap();
    }
    let agent = rig.start();
    let task = rig.enqueue(&["say fine"]);
    rig.plane.ended(task).await;
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn tasks_of_root_have_accounts_of_their_own() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: accounts of their own need root");
    }
    let rig = Rig::new();
    let mut settings = rig.settings();
    (settings.user, settings.concurrency) = (None, 2);
    let agent = start(settings, log()).unwrap();
    let (one, other) = (rig.shared("one"), rig.shared("other"));
    let wait = |mine: &std::path::Path, yours: &std::path::Path| {
        rig.enqueue(&[&format!("touch {}\nwait {}", mine.display(), yours.display())])
    };
    let tasks = [wait(&one, &other), wait(&other, &one)];
    for task in tasks {
        let ended = rig.plane.ended(task).await;
        assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
        assert!(ended.log(0).contains("account roundhouse-"), "{}", ended.log(0));
    }
    let owner = |path| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).unwrap());
    assert_ne!(owner(&one), owner(&other));
    assert!(owner(&one) != 0 && owner(&other) != 0);
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions();
    assert_eq!(mode(rig.state_dir().join("tasks")), Permissions::from_mode(0o040_711));
    assert_eq!(
        mode(rig.state_dir()),
        Permissions::from_mode(0o040_755),
        "a job's program may read it on its way"
    );
    drained(&agent).await;
    rig.assert_clean();
}

#[actix_rt::test]
async fn garbage_on_the_wire_or_in_the_journal_hurts_nobody_else() {
    let rig = Rig::new();
    let agent = rig.start();
    let odd = rig.enqueue(&["garbage\nsay on", "nonsense\nsay more"]);
    let calm = rig.enqueue(&["count 100 1"]);
    assert_eq!(rig.plane.ended(calm).await.log(1).lines().count(), 100);
    let ended = rig.plane.ended(odd).await;
    assert_eq!(ended.log(1), "on\n");
    // What follows a line that is no record was never synced: the task has no end of its own.
    assert_eq!(ended.ended.unwrap().outcome, Outcome::InfrastructureFail);
    assert!(ended.logs.values().any(|log| log == b"more\n"));

    drained(&agent).await;
}

#[actix_rt::test]
async fn a_silent_task_renews_its_lease_by_its_own_token_while_heartbeats_are_refused() {
    let rig = Rig::new();
    rig.plane.with(|state| state.lease_ms = 2_000);
    rig.plane.trouble("/api/v3/runner/heartbeat", usize::MAX, Trouble::Status(404));
    let agent = rig.start();
    let go = rig.shared("go");
    let task = rig.enqueue(&[&format!("say silent\nwait {}", go.display())]);
    let often = |state: &fakes::State| (state.tasks[&task].asked >= 5).then_some(());
    rig.plane.until("it asks again and again", often).await;
    std::fs::write(&go, "").unwrap();
    let ended = rig.plane.ended(task).await;
    assert_eq!((ended.ended.as_ref().unwrap().outcome, ended.claims), (Outcome::Success, 1));
    assert_eq!(ended.log(1), "silent\n");
    rig.plane.calm();
    drained(&agent).await;
    rig.assert_clean();
}
