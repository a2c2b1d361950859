//! Pipelines and news made up for tests.

use protocol::{
    JobId, JobStatus, Outcome, PipelineId, StepNumber, StepStatus, TaskId, WorkflowId, WorkflowStatus,
    api::{JobView, PipelineView, Reruns, StepView, TaskView, TestCounts, WorkflowView},
    feed::News,
    former::FailedTest,
    pipeline::Kind,
    transfer::{Artifact, Content},
};

/// The task of this number.
pub(crate) fn task_id(number: u32) -> TaskId {
    format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    "00000000-0000-0000-0000-000000000000".parse().unwrap()
}

/// A pipeline of these workflows of these jobs, none of which has begun.
pub(crate) fn pipeline(workflows: &[(&str, &[&str])]) -> PipelineView {
    PipelineView {
        id: name::<PipelineId>(),
        number: 7,
        project: "local/tour-00000000".to_owned(),
        created_ms: 0,
        actor: Default::default(),
        state: Default::default(),
        errors: Vec::new(),
        workflows: workflows.iter().map(|(name, jobs)| workflow(name, jobs)).collect(),
    }
}

fn workflow(called: &str, jobs: &[&str]) -> WorkflowView {
    WorkflowView {
        id: name::<WorkflowId>(),
        name: called.to_owned(),
        status: WorkflowStatus::Running,
        reruns: Reruns::default(),
        actor: None,
        jobs: jobs.iter().map(|name| blocked(name)).collect(),
    }
}

fn blocked(called: &str) -> JobView {
    JobView {
        id: name::<JobId>(),
        number: 1,
        name: called.to_owned(),
        kind: Kind::Build,
        plan: None,
        status: JobStatus::Blocked,
        reason: None,
        inherited: false,
        requires: Vec::new(),
        started_ms: None,
        ended_ms: None,
        approved_by: None,
        parallelism: 1,
        tasks: Vec::new(),
        tests: TestCounts::default(),
        failures: Vec::new(),
    }
}

/// A pipeline whose one job failed in its first step.
pub(crate) fn finished() -> PipelineView {
    let mut view = pipeline(&[("main", &["build", "deploy"])]);
    view.workflows[0].status = WorkflowStatus::Failed;
    let jobs = &mut view.workflows[0].jobs;
    (jobs[1].status, jobs[1].parallelism) = (JobStatus::NotRun, 4);
    let build = &mut jobs[0];
    (build.status, build.started_ms, build.ended_ms) = (JobStatus::Failed, Some(1_000), Some(63_400));
    build.tests = TestCounts { passed: 3, failed: 1, skipped: 0 };
    build.failures = vec![FailedTest {
        classname: "Basket".to_owned(),
        name: "differs".to_owned(),
        file: Some("spec/basket_spec.rb".to_owned()),
        message: Some("expected 2\n     got 3\nspec/basket_spec.rb:3".to_owned()),
    }];
    build.tasks = vec![TaskView {
        id: task_id(1),
        index: 0,
        outcome: Some(Outcome::Failed),
        message: None,
        runner: Some("here".to_owned()),
        steps: vec![
            step(0, "Spin up environment", StepStatus::Success, 9),
            step(1, "Run tests", StepStatus::Failed, 20),
        ],
        artifacts: vec![artifact("out/report.txt", 1234)],
    }];
    view
}

/// A step that is over.
pub(crate) fn step(number: u32, name: &str, status: StepStatus, log_bytes: u64) -> StepView {
    StepView {
        number: StepNumber(number),
        name: name.to_owned(),
        status,
        exit_code: (status == StepStatus::Failed).then_some(1),
        started_ms: 0,
        duration_ms: Some(1_200),
        log_bytes,
    }
}

fn artifact(path: &str, size: u64) -> Artifact {
    Artifact { path: path.to_owned(), content: Content { digest: "ab".repeat(32).parse().unwrap(), size } }
}

/// A job's new status.
pub(crate) fn news_job(workflow: usize, job: usize, status: JobStatus) -> News {
    News::Job { workflow, job, status, reason: None }
}

/// A new task.
pub(crate) fn task(workflow: usize, of: usize, number: u32, index: u32) -> News {
    News::Task { workflow, job: of, task: task_id(number), index }
}

/// The start of a step.
pub(crate) fn step_started(number: u32, step: u32, name: &str) -> News {
    News::StepStarted { task: task_id(number), step: StepNumber(step), name: name.to_owned() }
}

/// The end of a step.
pub(crate) fn step_ended(number: u32, step: u32, status: StepStatus, exit_code: Option<i32>) -> News {
    News::StepEnded { task: task_id(number), step: StepNumber(step), status, exit_code, duration_ms: 1_200 }
}
