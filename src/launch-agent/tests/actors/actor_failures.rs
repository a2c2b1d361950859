//! What a failure in the middle of an actor's work costs: nothing that anybody else notices.

use crate::rig::{DEADLINE, Rig, appears, drained};
use failpoints::arm;
use fakes::Task;
use launch_agent::Handle;
use protocol::{Outcome, TaskId};
use std::time::{Duration, Instant};
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

    /// How often actors of this kind were started again, up to the end of the struck task.
    async fn restarts(&self, actor: &str) -> u64 {
        self.rig.plane.ended(self.struck).await;
        let status = self.agent.status().await.unwrap();
        status.counts.restarts.get(actor).copied().unwrap_or_default()
    }

    /// The others never noticed; the end of the struck one.
    async fn ended(self) -> Task {
        let struck = self.rig.plane.ended(self.struck).await;
        self.others_ended().await;
        struck
    }

    async fn others_ended(self) {
        for other in &self.others {
            let other = self.rig.plane.ended(*other).await;
            assert_eq!(outcome(&other), Outcome::Success);
            assert_eq!(other.log(1), numbers(LINES), "whole and in order");
            assert!(!other.log(0).contains("failed"), "{}", other.log(0));
            assert_eq!(other.claims, 1);
        }
        drained(&self.agent).await;
        self.rig.assert_clean();
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

/// The two children of a task's actor, each with a place that fails whenever it has to work, and work for it.
const CHILDREN: [(&str, &str, &str, &str); 2] = [
    ("LogStreamer", "Logs", "log_streamer:before_post", "count 200 1"),
    ("ArtifactUploader", "Uploads", "artifact_uploader:carry", "artifact a alpha"),
];

#[actix_rt::test]
async fn a_child_that_fails_beyond_its_tolerance_fails_the_task_actor_which_goes_on_and_loses_nothing() {
    for (actor, part, point, work) in CHILDREN {
        let company = Company::of(work).await;
        // Five are borne by the first task's actor, which the sixth ends, and two by the second.
        arm(point, company.struck, 8);
        let began = Instant::now();
        company.go();
        assert_eq!(company.restarts("TaskActor").await, 1);
        assert!(began.elapsed() >= BACKED_OFF, "it paused only {:?}", began.elapsed());
        // A streamer is there from the start, an uploader when there is something to carry.
        let restarts = company.restarts(actor).await;
        assert_eq!(restarts, 7, "{actor}");
        let struck = company.ended().await;
        is_whole(&struck);
        assert_eq!((struck.claims, struck.begins), (1, 1));
        let fell = format!("was started again: the {part} of the task keep failing");
        assert!(struck.log(0).contains(&fell), "{}", struck.log(0));
    }
}

/// Before the restarts of a child's five, of its parent, and of the next child's two.
const BACKED_OFF: Duration = Duration::from_millis((20 + 40 + 80 + 160 + 320) + 20 + (20 + 40));

#[actix_rt::test]
async fn a_child_that_is_beyond_help_costs_its_own_task_alone() {
    for (_, part, point, work) in CHILDREN {
        let company = Company::of(&format!("{work}\nstubborn\nhang")).await;
        arm(point, company.struck, 1000);
        company.go();
        assert_eq!(company.restarts("TaskActor").await, 4, "three that go on, and one that ends it");
        let struck = company.ended().await;
        assert_eq!(outcome(&struck), Outcome::InfrastructureFail);
        let message = struck.ended.unwrap().message.unwrap();
        let why = format!("failed again and again, so the task is given up: the {part} of the task");
        assert!(message.contains(&why), "{message}");
    }
}

#[actix_rt::test]
async fn a_task_that_not_even_a_last_actor_can_end_is_cleared_away_and_its_lease_runs_out() {
    let company = Company::of("stubborn\nhang").await;
    let directory = company.rig.state_dir().join("tasks").join(company.struck.to_string());
    arm("task:received", company.struck, 4);
    arm("task:journaled", company.struck, 1000);
    company.go();
    let gone = async {
        while directory.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("it is cleared away");
    assert!(company.rig.plane.task(company.struck).ended.is_none(), "nobody is left who could tell");
    company.others_ended().await;
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
