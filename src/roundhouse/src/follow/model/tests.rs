//! What news may and may not change.

use super::*;
use crate::follow::scripted::{finished, news_job, pipeline, step_ended, step_started, task, task_id};
use protocol::Outcome;

#[test]
fn news_moves_a_job_from_blocked_to_its_end() {
    let mut model = Model::new(pipeline(&[("main", &["build"])]));
    assert!(model.apply(&news_job(0, 0, JobStatus::Queued)));
    assert!(model.apply(&task(0, 0, 1, 0)));
    assert!(model.apply(&step_started(1, 1, "Run tests")));
    assert!(model.apply(&step_ended(1, 1, StepStatus::Failed, Some(3))));
    assert!(model.apply(&news_job(0, 0, JobStatus::Failed)));
    assert!(!model.is_over());
    assert!(model.apply(&News::Workflow { workflow: 0, status: WorkflowStatus::Failed }));
    assert!(model.is_over());
    let step = model.step(task_id(1), StepNumber(1)).unwrap();
    assert_eq!((step.status, step.exit_code), (StepStatus::Failed, Some(3)));
}

#[test]
fn old_news_after_a_fresh_view_changes_nothing() {
    let mut model = Model::new(finished());
    let before = model.view().clone();
    let old = [
        news_job(0, 0, JobStatus::Running),
        task(0, 0, 1, 0),
        step_started(1, 1, "Run tests"),
        step_ended(1, 1, StepStatus::Canceled, None),
        News::LogGrew { task: task_id(1), step: StepNumber(1), length: 1 },
        News::TaskEnded { task: task_id(1), outcome: Outcome::Canceled, message: None },
        News::Workflow { workflow: 0, status: WorkflowStatus::Failing },
    ];
    for news in &old {
        assert!(!model.apply(news), "{news:?}");
    }
    assert_eq!(*model.view(), before);
}

#[test]
fn news_about_what_is_not_in_the_view_changes_nothing() {
    let mut model = Model::new(pipeline(&[("main", &["build"])]));
    assert!(!model.apply(&news_job(0, 7, JobStatus::Running)));
    assert!(!model.apply(&news_job(7, 0, JobStatus::Running)));
    assert!(!model.apply(&step_started(9, 1, "x")));
}

#[test]
fn a_job_is_called_by_its_workflow_too_where_two_have_its_name() {
    let model = Model::new(pipeline(&[("main", &["build", "lint"]), ("nightly", &["build"])]));
    let labels: Vec<String> = model.jobs().map(|(at, _)| model.job_label(at)).collect();
    assert_eq!(labels, ["main/build", "lint", "nightly/build"]);
}

#[test]
fn a_task_of_several_is_called_by_its_index() {
    let mut model = Model::new(pipeline(&[("main", &["test"])]));
    model.apply(&task(0, 0, 2, 1));
    assert_eq!(model.task_label(task_id(2)), "test");
    model.apply(&task(0, 0, 1, 0));
    assert_eq!(model.task_label(task_id(2)), "test[1]");
}

#[test]
fn a_log_only_grows() {
    let mut model = Model::new(pipeline(&[("main", &["test"])]));
    model.apply(&task(0, 0, 1, 0));
    model.apply(&step_started(1, 1, "x"));
    let grew = |length| News::LogGrew { task: task_id(1), step: StepNumber(1), length };
    assert!(model.apply(&grew(10)));
    assert!(!model.apply(&grew(4)));
    assert_eq!(model.step(task_id(1), StepNumber(1)).unwrap().log_bytes, 10);
}

#[test]
fn counts_tell_how_many_jobs_stand_how() {
    let mut model = Model::new(pipeline(&[("main", &["a", "b", "c", "d"])]));
    model.apply(&news_job(0, 0, JobStatus::Success));
    model.apply(&news_job(0, 1, JobStatus::NotRun));
    model.apply(&news_job(0, 2, JobStatus::Running));
    let counts = model.counts();
    assert_eq!((counts.all, counts.running, counts.succeeded), (4, 1, 1));
    assert_eq!((counts.not_run, counts.failed), (1, 0));
    assert_eq!(counts.done(), 2);
}
