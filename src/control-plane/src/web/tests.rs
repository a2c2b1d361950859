//! A job's test results: those that failed first, then the slowest, with the flaky ones marked.

use super::{
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::{duration, without_colors},
};
use crate::{api::may::TheJob, plane::Plane, refusal::Refusal};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{
    JobId, PipelineId,
    former::FailedTest,
    transfer::{TestCase, TestResult},
};
use std::{cmp::Reverse, collections::HashSet, time::Duration};
use store::Elsewhere;

/// So many results are read.
const MOST: u32 = 20_000;
/// So many are shown; the failures come first.
const SHOWN: usize = 500;

#[derive(Template)]
#[template(path = "tests.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    job: JobId,
    name: String,
    pipeline: PipelineId,
    project: String,
    number: u64,
    total: usize,
    failed: usize,
    skipped: usize,
    took: String,
    tests: Vec<Test>,
}

struct Test {
    name: String,
    of: String,
    status: &'static str,
    took: String,
    message: String,
    /// Where it failed and passed on one revision.
    flaky: bool,
}

/// `GET /jobs/{job}/tests`.
pub(crate) async fn page(
    _: Visitor<TheJob>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    job: web::Path<String>,
) -> Result<HttpResponse, NoPage> {
    let sheet = &Sheet::of(&request);
    Ok(html(StatusCode::OK, sheet, &read(&plane, sheet, &job).await?))
}

async fn read<'s>(plane: &Plane, sheet: &'s Sheet, job: &str) -> Result<Page<'s>, Refusal> {
    let missing = || Refusal::Missing("there is no such job".to_owned());
    let id = job.parse().map_err(|_| missing())?;
    let (row, pipeline, project) = plane.store.job(id).await?.ok_or_else(missing)?;
    let (_, of) = plane.store.pipeline_row(pipeline).await?.ok_or_else(missing)?;
    let mut cases = plane.store.test_cases(id, 0, MOST).await?;
    let revision = of.git.revision.as_deref();
    let elsewhere = revision.map(|revision| Elsewhere {
        project: &project,
        revision,
        name: &row.definition.name,
        job: id,
    });
    let flaky = flaky(plane, elsewhere, &cases).await?;
    cases.sort_by_key(order);
    let number = |result| cases.iter().filter(|case| case.result == result).count();
    Ok(Page {
        sheet,
        job: id,
        pipeline,
        number: of.number,
        total: cases.len(),
        failed: number(TestResult::Failure),
        skipped: number(TestResult::Skipped),
        took: seconds(cases.iter().filter_map(|case| case.run_time).sum()),
        tests: cases.iter().take(SHOWN).map(|case| Test::of(case, &flaky)).collect(),
        name: row.definition.name,
        project,
    })
}

/// Failures, then by time, the longest first, then by name.
fn order(case: &TestCase) -> (bool, Reverse<u128>, String) {
    (
        case.result != TestResult::Failure,
        Reverse(time(case.run_time.unwrap_or_default()).as_micros()),
        case.name.clone(),
    )
}

/// A time that a report gave; what is no time is none.
fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn seconds(seconds: f64) -> String {
    duration(u64::try_from(time(seconds).as_millis()).unwrap_or(u64::MAX))
}

/// Which of those that failed passed in another run of this job on this revision; none where it is not known.
async fn flaky(
    plane: &Plane,
    elsewhere: Option<Elsewhere<'_>>,
    cases: &[TestCase],
) -> Result<HashSet<(String, String)>, Refusal> {
    let failed: Vec<FailedTest> =
        cases.iter().filter(|case| case.result == TestResult::Failure).map(FailedTest::from).collect();
    let Some(elsewhere) = elsewhere.filter(|_| !failed.is_empty()) else { return Ok(HashSet::new()) };
    let passed = plane.store.passed_elsewhere(&failed, elsewhere).await?;
    Ok(passed.into_iter().map(|test| (test.classname, test.name)).collect())
}

impl Test {
    fn of(case: &TestCase, flaky: &HashSet<(String, String)>) -> Self {
        let status = match case.result {
            TestResult::Success => "success",
            TestResult::Failure => "failed",
            TestResult::Skipped => "skipped",
        };
        let is_flaky = || flaky.contains(&(case.classname.clone(), case.name.clone()));
        Self {
            name: case.name.clone(),
            of: case.file.as_ref().unwrap_or(&case.classname).clone(),
            status,
            took: case.run_time.map(seconds).unwrap_or_default(),
            message: without_colors(case.message.as_deref().unwrap_or_default().as_bytes()),
            flaky: case.result == TestResult::Failure && is_flaky(),
        }
    }
}
