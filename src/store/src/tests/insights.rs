//! Tests that failed: what is read of them, and where they passed.

use super::*;
use crate::{Elsewhere, Past, TestsRow};
use protocol::{
    api::GitValues,
    former::FailedTest,
    transfer::{TestCase, TestResult},
};

const PROJECT: &str = "gh/a/b";

fn case(classname: &str, name: &str, result: TestResult) -> TestCase {
    let message = (result == TestResult::Failure).then(|| "expected one".to_owned());
    let (classname, name) = (classname.to_owned(), name.to_owned());
    TestCase { classname, name, file: None, result, run_time: None, message }
}

/// The rows of a pipeline on a revision with one job that is over.
fn rows(project: ProjectId, number: u64, (revision, name): (&str, &str)) -> (JobId, Vec<Write>) {
    let id = |kind: u128| Uuid::from_u128(u128::from(number) * 10 + kind);
    let (pipeline_id, workflow, job) = (PipelineId(id(1)), WorkflowId(id(2)), JobId(id(3)));
    let git = GitValues { revision: Some(revision.to_owned()), ..GitValues::default() };
    let row = PipelineRow { id: pipeline_id, number, git, ..pipeline(project) };
    let workflow_row = WorkflowRow {
        id: workflow,
        pipeline: pipeline_id,
        place: 0,
        name: "all".to_owned(),
        status: WorkflowStatus::Failed,
        canceled: false,
        reruns: Reruns::default(),
        actor: None,
        setup: false,
    };
    let working_directory = "~/project".to_owned();
    let job_row = JobRow {
        id: job,
        workflow,
        place: 0,
        origin: None,
        failed_of: None,
        number,
        class: "acme/a".parse().ok(),
        definition: Job { parallelism: 1, working_directory, ..Job::without_tasks(name, Kind::Build) },
        status: JobStatus::Failed,
        started_ms: Some(1),
        ended_ms: Some(2),
        approved_by: None,
        answered_by: None,
        waits_ms: None,
        reason: None,
    };
    let task = TaskRow::queued(TaskId(id(4)), job, 0, 6);
    (
        job,
        vec![
            Write::Pipeline(row.into()),
            Write::Workflow(workflow_row),
            Write::Job(job_row.into()),
            Write::Task(task.into()),
        ],
    )
}

/// A run of a job on a revision that stored these results.
async fn ran(store: &Store, number: u64, of: (&str, &str), cases: Vec<TestCase>) -> JobId {
    let project = store.project(PROJECT).await.unwrap().unwrap().0;
    let (job, mut rows) = rows(project, number, of);
    let task = TaskId(Uuid::from_u128(u128::from(number) * 10 + 4));
    rows.push(Write::Tests(TestsRow { task, request: 1, cases }.into()));
    store.write(None, rows).await.unwrap();
    job
}

#[tokio::test]
async fn a_failed_test_passed_elsewhere_where_its_class_and_name_did_in_another_run_of_its_job_on_its_revision()
 {
    use TestResult::{Failure, Skipped, Success};
    let (_folder, store) = store().await;
    store.write(None, vec![Write::Project(PROJECT.to_owned())]).await.unwrap();
    let failed =
        ["both", "own", "class", "skipped", "job", "revision"].map(|name| case("suite", name, Failure));
    let job =
        ran(&store, 1, ("r1", "build"), failed.into_iter().chain([case("suite", "own", Success)]).collect())
            .await;
    let passed =
        [case("suite", "both", Success), case("other", "class", Success), case("suite", "skipped", Skipped)];
    ran(&store, 2, ("r1", "build"), passed.clone().into()).await;
    ran(&store, 3, ("r1", "build"), passed.into()).await;
    ran(&store, 4, ("r1", "test"), vec![case("suite", "job", Success)]).await;
    ran(&store, 5, ("r2", "build"), vec![case("suite", "revision", Success)]).await;
    let past = Past { project: PROJECT, workflow: None, branch: None, since_ms: 0, most: 9 };
    let mut runs = store.failed_runs(past).await.unwrap();
    assert_eq!(runs.len(), 1);
    let run = runs.remove(0);
    assert_eq!((run.id, run.failures.len()), (job, 6));
    assert!(run.failures.iter().all(|failure| failure.message.is_none()), "{:?}", run.failures);
    let elsewhere = Elsewhere { project: PROJECT, revision: "r1", name: "build", job };
    let twice: Vec<FailedTest> = run.failures.iter().chain(&run.failures).cloned().collect();
    let found = store.passed_elsewhere(&twice, elsewhere).await.unwrap();
    assert_eq!(found.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["both"]);
}
