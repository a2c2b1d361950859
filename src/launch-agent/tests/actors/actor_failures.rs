//! What a failure in the middle of an actor's work costs: nothing that anybody else notices.

use crate::rig::{Rig, appears, drained};
use failpoints::arm;
use fakes::Task;
use launch_agent::Handle;
use protocol::{Outcome, TaskId};
use uuid::Uuid;

/// How many lines each of the other tasks counts.
const LINES: usize = 300;

/// Eight tasks that write the whole time, and one that is to be struck, halted before its work.
struct Company {
    rig: Rig,
    agent: Handle,
    struck: TaskId,
    others: Vec<TaskId>,
}

impl Company {
    async fn of(work: &str) -> Self {
        let rig = Rig::new();
        let agent = rig.start();
        let (up, go) = (rig.shared("up"), rig.shared("go"));
        let others: Vec<_> = (0..8).map(|_| rig.enqueue(&[&format!("count {LINES} 5")])).collect();
        let wait = format!("count 50 0\ntouch {}\nwait {}\n{work}\ncount 50 0", up.display(), go.display());
        let struck = rig.enqueue(&[&wait, "say the end"]);
        appears(&up).await;
        // One that is about to start when the root falls is rightly given back.
        rig.plane
            .until("all of the company at work", |state| {
                others.iter().all(|other| state.tasks[other].begun).then_some(())
            })
            .await;
        Self { rig, agent, struck, others }
    }

    /// Lets the struck task go on.
    fn go(&self) {
        std::fs::write(self.rig.shared("go"), "").unwrap();
    }

    /// The others never noticed; the end of the struck one.
    async fn ended(self) -> Task {
        let struck = self.rig.plane.ended(self.struck).await;
        for other in &self.others {
            let other = self.rig.plane.ended(*other).await;
            assert_eq!(outcome(&other), Outcome::Success);
            assert_eq!(other.log(1), numbers(LINES), "whole and in order");
            assert!(!other.log(0).contains("failed"), "{}", other.log(0));
            assert_eq!(other.claims, 1);
        }
        drained(&self.agent).await;
        self.rig.assert_clean();
        struck
    }
}

fn outcome(task: &Task) -> Outcome {
    task.ended.as_ref().unwrap().outcome
}

fn numbers(count: usize) -> String {
    (0..count).map(|number| format!("{number}\n")).collect()
}

fn is_whole(task: &Task) {
    assert_eq!(outcome(task), Outcome::Success);
    assert!(task.log(1).starts_with(&numbers(50)) && task.log(1).ends_with(&numbers(50)));
    assert_eq!(task.log(2), "the end\n");
}

#[actix_rt::test]
async fn a_log_streamer_that_panics_before_or_after_a_post_loses_and_doubles_nothing() {
    for point in ["log_streamer:before_post", "log_streamer:after_post"] {
        let company = Company::of("count 200 1").await;
        arm(point, company.struck, 3);
        company.go();
        let struck = company.ended().await;
        is_whole(&struck);
        assert_eq!(struck.log(1), numbers(50) + &numbers(200) + &numbers(50));
        assert!(struck.log(0).contains("failpoint"), "the task's log says so: {}", struck.log(0));
    }
}

#[actix_rt::test]
async fn an_uploader_that_panics_at_any_point_stores_everything_once() {
    for point in ["artifact_uploader:hashed", "artifact_uploader:put", "artifact_uploader:told"] {
        let company = Company::of("artifact a alpha\nartifact b beta").await;
        arm(point, company.struck, 2);
        company.go();
        let struck = company.ended().await;
        is_whole(&struck);
        assert_eq!(struck.artifacts.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(struck.log(1).matches("stored").count(), 2);
        assert!(struck.log(0).contains("failpoint"), "{}", struck.log(0));
    }
}

#[actix_rt::test]
async fn a_task_actor_that_panics_goes_on_from_its_journal() {
    let company = Company::of("count 200 1\nartifact a alpha").await;
    arm("task:received", company.struck, 2);
    company.go();
    let struck = company.ended().await;
    is_whole(&struck);
    assert_eq!(struck.artifacts.len(), 1);
    assert_eq!((struck.claims, struck.begins), (1, 1), "it is not asked for twice");
    assert!(struck.log(0).contains("was started again"), "{}", struck.log(0));
}

#[actix_rt::test]
async fn a_task_actor_that_panics_at_its_end_ends_it_once() {
    let company = Company::of("say x").await;
    arm("task:journaled", company.struck, 3);
    company.go();
    let struck = company.ended().await;
    is_whole(&struck);
}

#[actix_rt::test]
async fn a_task_whose_actor_is_beyond_help_is_ended_and_its_processes_with_it() {
    let company = Company::of("stubborn\nhang").await;
    arm("task:received", company.struck, 1000);
    company.go();
    let struck = company.ended().await;
    assert_eq!(outcome(&struck), Outcome::InfrastructureFail);
    let message = struck.ended.unwrap().message.unwrap();
    assert!(message.contains("failed again and again"), "{message}");
}

#[actix_rt::test]
async fn a_launch_agent_that_dies_is_followed_by_one_that_adopts_its_tasks() {
    let company = Company::of("count 200 2\nartifact a alpha").await;
    arm("supervisor:standings", TaskId(Uuid::nil()), 1);
    assert_eq!(company.agent.status().await, None, "it died of the question");
    assert!(company.agent.finished().await.failure.is_some());
    company.go();
    let (rig, struck) = (&company.rig, company.struck);
    let company = Company { agent: rig.start(), struck, others: company.others.clone(), rig: company.rig };
    let struck = company.ended().await;
    is_whole(&struck);
    assert_eq!((struck.claims, struck.begins, struck.artifacts.len()), (1, 1, 1));
    assert!(struck.log(0).contains("goes on with this task"), "{}", struck.log(0));
}
