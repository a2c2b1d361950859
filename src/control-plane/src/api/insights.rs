//! Insights of the public API v2: what the runs of a project's workflows and jobs come to, and its flaky tests.

use super::{
    may::{May, TheProject, View},
    paging::{Page, PageQuery},
    project::known,
    slug,
    tagged::Tagged,
};
use crate::{
    insights::{
        DAY, Metrics, Ran, by_name,
        flaky::{Flaky, flaky},
    },
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::web::{Data, Path, Query, ServiceConfig, get, resource};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{JobRun, Past, WorkflowRun};

/// So many of the newest runs are looked at.
pub(super) const MOST_RUNS: u32 = 5000;
/// How long flaky tests are looked for, in days.
const FLAKY_DAYS: i64 = 14;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v2/insights/{slug:.+}/workflows").route(get().to(workflows)))
        .service(resource("/api/v2/insights/{slug:.+}/workflows/{workflow}").route(get().to(runs)))
        .service(resource("/api/v2/insights/{slug:.+}/workflows/{workflow}/jobs").route(get().to(jobs)))
        .service(
            resource("/api/v2/insights/{slug:.+}/workflows/{workflow}/jobs/{job}").route(get().to(job_runs)),
        )
        .service(resource("/api/v2/insights/{slug:.+}/workflows/{workflow}/summary").route(get().to(summary)))
        .service(
            resource("/api/v2/insights/{slug:.+}/workflows/{workflow}/test-metrics").route(get().to(tests)),
        )
        .service(resource("/api/v2/insights/{slug:.+}/branches").route(get().to(branches)))
        .service(resource("/api/v2/insights/{slug:.+}/flaky-tests").route(get().to(flaky_tests)));
}

/// Which runs are wanted. Without a branch: those of all.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Asked {
    branch: Option<String>,
    reporting_window: Window,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) enum Window {
    #[serde(rename = "last-24-hours")]
    Day,
    #[serde(rename = "last-7-days")]
    Week,
    #[serde(rename = "last-30-days")]
    Month,
    #[serde(rename = "last-60-days")]
    TwoMonths,
    #[default]
    #[serde(rename = "last-90-days")]
    Quarter,
}

impl Window {
    pub(super) fn days(self) -> u32 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::TwoMonths => 60,
            Self::Quarter => 90,
        }
    }
}

/// A project, by a name of its own, and what of its runs is looked at.
struct Looked {
    project: String,
    asked: Asked,
}

impl Looked {
    async fn at(plane: &Plane, slug: &str, asked: Query<Asked>) -> Result<Self, Refusal> {
        Ok(Self { project: slug::project(plane, slug).await?, asked: asked.into_inner() })
    }

    fn days(&self) -> u32 {
        self.asked.reporting_window.days()
    }

    fn past<'p>(&'p self, workflow: Option<&'p str>) -> Past<'p> {
        let since_ms = wall_ms() - i64::from(self.days()) * DAY;
        let branch = self.asked.branch.as_deref();
        Past { project: &self.project, workflow, branch, since_ms, most: MOST_RUNS }
    }

    /// The runs of one workflow; one that never ran is not known.
    async fn runs(&self, plane: &Plane, workflow: &str) -> Result<Vec<WorkflowRun>, Refusal> {
        let runs = plane.store.workflow_runs(self.past(Some(workflow))).await?;
        let nothing =
            || Refusal::Missing(format!("no run of a workflow {workflow} of {} is over", self.project));
        (!runs.is_empty()).then_some(runs).ok_or_else(nothing)
    }
}

/// The name of something, and what its runs come to.
fn measured(project: &str, name: &str, runs: &[Ran], days: u32) -> Value {
    json!({
        "name": name,
        "metrics": Metrics::of(runs, days),
        "window_start": runs.iter().map(|run| run.started_ms).min().map(rfc3339),
        "window_end": runs.iter().map(|run| run.ended_ms).max().map(rfc3339),
        "project_id": stable_id(project),
    })
}

async fn workflows(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    asked: Query<Asked>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let looked = Looked::at(&plane, &slug, asked).await?;
    let runs = plane.store.workflow_runs(looked.past(None)).await?;
    let all = by_name(&runs, |run| &run.name);
    let shown = all.iter().map(|(name, runs)| measured(&looked.project, name, runs, looked.days()));
    Ok(Tagged(page.cut(shown)?))
}

/// A workflow of a project, as a path names it.
type OfWorkflow = Path<(String, String)>;

async fn runs(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: OfWorkflow,
    asked: Query<Asked>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let looked = Looked::at(&plane, &path.0, asked).await?;
    let runs = looked.runs(&plane, &path.1).await?;
    Ok(Tagged(page.cut(runs.iter().map(workflow_run))?))
}

fn workflow_run(run: &WorkflowRun) -> Value {
    known(json!({
        "id": run.id,
        "branch": run.branch,
        "status": run.status,
        "duration": Ran::from(run).seconds(),
        "created_at": rfc3339(run.started_ms),
        "stopped_at": rfc3339(run.ended_ms),
        "credits_used": 0,
        "is_approval": false,
    }))
}

async fn jobs(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: OfWorkflow,
    asked: Query<Asked>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let looked = Looked::at(&plane, &path.0, asked).await?;
    let runs = plane.store.job_runs(looked.past(Some(&path.1))).await?;
    let all = by_name(&runs, |run| &run.name);
    let shown = all.iter().map(|(name, runs)| measured(&looked.project, name, runs, looked.days()));
    Ok(Tagged(page.cut(shown)?))
}

async fn job_runs(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String, String)>,
    asked: Query<Asked>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let (slug, workflow, job) = path.into_inner();
    let looked = Looked::at(&plane, &slug, asked).await?;
    let runs = plane.store.job_runs(looked.past(Some(&workflow))).await?;
    Ok(Tagged(page.cut(runs.iter().filter(|run| run.name == job).map(job_run))?))
}

fn job_run(run: &JobRun) -> Value {
    json!({
        "id": run.id,
        "status": run.status,
        "duration": Ran::from(run).seconds(),
        "started_at": rfc3339(run.started_ms),
        "stopped_at": rfc3339(run.ended_ms),
        "credits_used": 0,
    })
}

async fn summary(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: OfWorkflow,
    asked: Query<Asked>,
) -> Result<Tagged<Value>, Refusal> {
    let looked = Looked::at(&plane, &path.0, asked).await?;
    let runs: Vec<Ran> = looked.runs(&plane, &path.1).await?.iter().map(Ran::from).collect();
    let all = plane.store.workflow_runs(looked.past(None)).await?;
    let names: Vec<_> = by_name(&all, |run| &run.name).into_keys().map(str::to_owned).collect();
    Ok(Tagged(json!({
        "metrics": Metrics::of(&runs, looked.days()),
        "workflow_names": names,
    })))
}

async fn tests(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: OfWorkflow,
    asked: Query<Asked>,
) -> Result<Tagged<Value>, Refusal> {
    let looked = Looked::at(&plane, &path.0, asked).await?;
    let runs = looked.runs(&plane, &path.1).await?;
    let tested: Vec<_> = runs.iter().filter(|run| total(run) > 0).collect();
    let all: u64 = tested.iter().map(|run| total(run)).sum();
    Ok(Tagged(json!({
        "average_test_count": all / (tested.len() as u64).max(1),
        "total_test_runs": tested.len(),
        "test_runs": tested.into_iter().map(tested_run).collect::<Vec<_>>(),
    })))
}

fn total(run: &WorkflowRun) -> u64 {
    run.passed + run.failed + run.skipped
}

fn tested_run(run: &WorkflowRun) -> Value {
    let ran = run.passed + run.failed;
    json!({
        "pipeline_number": run.number,
        "workflow_id": run.id,
        // In thousandths, so that it needs no more than whole numbers.
        "success_rate": f64::from(u32::try_from(run.passed * 1000 / ran.max(1)).unwrap_or_default()) / 1000.0,
        "test_counts": {
            "error": 0,
            "failure": run.failed,
            "skipped": run.skipped,
            "success": run.passed,
            "total": total(run),
        },
    })
}

async fn branches(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
) -> Result<Tagged<Value>, Refusal> {
    let project = slug::project(&plane, &slug).await?;
    let since_ms = wall_ms() - i64::from(Window::Quarter.days()) * DAY;
    Ok(Tagged(json!({
        "org_id": stable_id(slug::organization(&project)),
        "project_id": stable_id(&project),
        "branches": plane.store.branches(&project, since_ms).await?,
    })))
}

async fn flaky_tests(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    asked: Query<Asked>,
) -> Result<Tagged<Value>, Refusal> {
    let project = slug::project(&plane, &slug).await?;
    let since_ms = wall_ms() - FLAKY_DAYS * DAY;
    let found = flaky(&plane, &project, asked.branch.as_deref(), since_ms).await?;
    Ok(Tagged(json!({
        "flaky_tests": found.iter().map(flaky_test).collect::<Vec<_>>(),
        "total_flaky_tests": found.len(),
    })))
}

fn flaky_test(Flaky { test, times, last }: &Flaky) -> Value {
    known(json!({
        "test_name": test.name,
        "classname": test.classname,
        "file": test.file,
        "source": "unknown",
        "times_flaked": times,
        "job_name": last.name,
        "job_number": last.number,
        "workflow_id": last.workflow,
        "workflow_name": last.workflow_name,
        "workflow_created_at": rfc3339(last.created_ms),
        "pipeline_number": last.pipeline_number,
    }))
}
