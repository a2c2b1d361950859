//! A project over time: how its workflows fare, one run beside the other, its jobs, and its flaky tests.

use super::{
    job::in_url,
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::{ago, duration},
};
use crate::{
    api::may::TheProject,
    insights::{
        DAY, End, Metrics, Ran, by_name,
        flaky::{Flaky, flaky},
    },
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{JobId, PipelineId};
use serde::Deserialize;
use store::{Past, WorkflowRun};

/// So many runs are counted.
const MOST_RUNS: u32 = 2000;
/// So many of the newest are drawn.
const DRAWN: usize = 120;
/// The height of the plot.
const HEIGHT: u64 = 120;

#[derive(Template)]
#[template(path = "insights.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    project: String,
    place: String,
    workflow: String,
    branch: String,
    days: u32,
    branches: Vec<String>,
    workflows: Vec<Line>,
    /// Of the chosen workflow, the oldest first.
    bars: Vec<Bar>,
    longest: String,
    jobs: Vec<Line>,
    flaky: Vec<FlakyTest>,
}

/// What the runs of one workflow or job come to.
struct Line {
    name: String,
    here: bool,
    runs: u64,
    rate: String,
    median: String,
    p95: String,
    per_day: String,
    recovery: String,
}

/// A run in the plot.
struct Bar {
    pipeline: PipelineId,
    title: String,
    class: &'static str,
    place: usize,
    top: u64,
    height: u64,
}

struct FlakyTest {
    name: String,
    of: String,
    job: JobId,
    job_name: String,
    times: u64,
    ago: String,
}

/// What is looked at.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    workflow: String,
    branch: String,
    days: u32,
}

impl Default for Asked {
    fn default() -> Self {
        Self { workflow: String::new(), branch: String::new(), days: 30 }
    }
}

/// `GET /insights/{project}`.
pub(crate) async fn page(
    _: Visitor<TheProject>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    project: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, NoPage> {
    if !plane.store.has_project(&project).await.map_err(Refusal::from)? {
        return Err(Refusal::Missing("there is no such project".to_owned()).into());
    }
    let sheet = &Sheet::of(&request);
    let page = read(&plane, sheet, project.into_inner(), asked.into_inner()).await?;
    Ok(html(StatusCode::OK, sheet, &page))
}

async fn read<'s>(
    plane: &Plane,
    sheet: &'s Sheet,
    project: String,
    mut asked: Asked,
) -> Result<Page<'s>, Refusal> {
    asked.days = asked.days.clamp(1, 365);
    let since_ms = sheet.now - i64::from(asked.days) * DAY;
    let branch = Some(asked.branch.as_str()).filter(|branch| !branch.is_empty());
    let past = Past { project: &project, workflow: None, branch, since_ms, most: MOST_RUNS };
    let runs = plane.store.workflow_runs(past).await?;
    let workflows = by_name(&runs, |run| &run.name);
    let most_run = workflows.iter().max_by_key(|(_, runs)| runs.len());
    if asked.workflow.is_empty() {
        asked.workflow = most_run.map(|(name, _)| (*name).to_owned()).unwrap_or_default();
    }
    let jobs = plane.store.job_runs(Past { workflow: Some(&asked.workflow), ..past }).await?;
    let longest = drawn(&runs, &asked.workflow).map(|run| Ran::from(run).seconds()).max().unwrap_or_default();
    let line = |(name, runs): (&&str, &Vec<Ran>)| Line::of(name, &asked.workflow, runs, asked.days);
    Ok(Page {
        sheet,
        place: in_url(&project),
        branches: plane.store.branches(&project, since_ms).await?,
        workflows: workflows.iter().map(line).collect(),
        bars: bars(&runs, &asked.workflow, longest),
        longest: seconds(longest),
        jobs: by_name(&jobs, |run| &run.name).iter().map(line).collect(),
        flaky: flaky(plane, &project, branch, since_ms)
            .await?
            .into_iter()
            .map(|one| shown(one, sheet.now))
            .collect(),
        workflow: asked.workflow.clone(),
        branch: asked.branch.clone(),
        days: asked.days,
        project,
    })
}

/// The newest runs of a workflow.
fn drawn<'r>(runs: &'r [WorkflowRun], workflow: &'r str) -> impl DoubleEndedIterator<Item = &'r WorkflowRun> {
    let mut own: Vec<_> = runs.iter().filter(|run| run.name == workflow).collect();
    own.truncate(DRAWN);
    own.into_iter()
}

fn bars(runs: &[WorkflowRun], workflow: &str, longest: u64) -> Vec<Bar> {
    drawn(runs, workflow).rev().enumerate().map(|(place, run)| bar(place, run, longest)).collect()
}

fn bar(place: usize, run: &WorkflowRun, longest: u64) -> Bar {
    let ran = Ran::from(run);
    // The shortest is still seen.
    let height = (ran.seconds() * HEIGHT / longest.max(1)).max(3);
    let class = match ran.end {
        End::Success => "success",
        End::Failed => "failed",
        End::Canceled => "canceled",
    };
    let took = seconds(ran.seconds());
    let title = format!("#{}: {}, {took}, {}", run.number, run.status, rfc3339(run.started_ms));
    Bar { pipeline: run.pipeline, title, class, place: place * 9, top: HEIGHT - height, height }
}

impl Line {
    fn of(name: &str, chosen: &str, runs: &[Ran], days: u32) -> Self {
        let Metrics {
            total_runs, success_rate, throughput, mttr, total_recoveries, duration_metrics, ..
        } = Metrics::of(runs, days);
        Self {
            name: name.to_owned(),
            here: name == chosen,
            runs: total_runs,
            rate: format!("{:.0} %", success_rate * 100.0),
            median: seconds(duration_metrics.median),
            p95: seconds(duration_metrics.p95),
            per_day: format!("{throughput:.1}"),
            recovery: if total_recoveries > 0 { seconds(mttr) } else { String::new() },
        }
    }
}

fn shown(Flaky { test, times, last }: Flaky, now: i64) -> FlakyTest {
    FlakyTest {
        name: test.name,
        of: test.file.unwrap_or(test.classname),
        job: last.id,
        job_name: last.name,
        times,
        ago: ago(last.created_ms, now),
    }
}

/// Whole ones are all that is kept.
fn seconds(number: u64) -> String {
    if number == 0 { "< 1s".to_owned() } else { duration(number * 1000) }
}
