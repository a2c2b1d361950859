//! Insights of the public API v2 over time, and over all workflows, branches and projects: what runs come to, and beside the
//! time before.

use super::{
    insights::{MOST_RUNS, Window},
    may::{May, TheOrganization, TheProject, View},
    paging::{Page, PageQuery},
    slug,
    tagged::Tagged,
};
use crate::{
    insights::{DAY, Metrics, Ran, by_name},
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::web::{Data, Path, Query, ServiceConfig, get, resource};
use protocol::times::day;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{Past, WorkflowRun};

const HOUR: i64 = DAY / 24;
/// So many projects of an organization are looked at.
const MOST_PROJECTS: u32 = 100;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/insights/time-series/{slug:.+}/workflows/{workflow}/jobs")
                .route(get().to(jobs)),
        )
        .service(resource("/api/v2/insights/time-series/{slug:.+}/workflows").route(get().to(workflows)))
        .service(resource("/api/v2/insights/pages/{slug:.+}/summary").route(get().to(of_project)));
}

/// Registered behind all that ends in the same word.
pub(super) fn organization_route(config: &mut ServiceConfig) {
    config.service(resource("/api/v2/insights/{organization:.+}/summary").route(get().to(of_organization)));
}

/// Which runs of which time, by the hour or by the day.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Series {
    branch: Option<String>,
    granularity: Granularity,
    start_date: Option<String>,
    end_date: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Granularity {
    Hourly,
    #[default]
    Daily,
}

/// Runs by when they began, as far as they are wanted.
struct Span {
    from_ms: i64,
    to_ms: i64,
    step_ms: i64,
}

impl Series {
    /// Without a beginning: the last 90 days, or 48 hours.
    fn span(&self) -> Result<Span, Refusal> {
        let (step_ms, back_ms) = match self.granularity {
            Granularity::Hourly => (HOUR, 48 * HOUR),
            Granularity::Daily => (DAY, 90 * DAY),
        };
        let read = |name: &str, text: &Option<String>| {
            let no_time = |text: &String| Refusal::Bad(format!("`{name}`: `{text}` is no time of RFC 3339"));
            text.as_ref().map(|text| moment(text).ok_or_else(|| no_time(text))).transpose()
        };
        let to_ms = read("end-date", &self.end_date)?.unwrap_or_else(wall_ms);
        let from_ms = read("start-date", &self.start_date)?.unwrap_or(to_ms - back_ms);
        Ok(Span { from_ms, to_ms, step_ms })
    }
}

impl Span {
    /// What the runs of each name come to, in each step of time, the newest first.
    fn shown<'n>(&self, runs: impl Iterator<Item = (&'n str, Ran)>) -> Vec<Value> {
        let mut all: BTreeMap<(i64, &str), Vec<Ran>> = BTreeMap::new();
        for (name, run) in runs.filter(|(_, run)| (self.from_ms..=self.to_ms).contains(&run.started_ms)) {
            all.entry((-run.started_ms.div_euclid(self.step_ms), name)).or_default().push(run);
        }
        all.iter().map(|((step, name), runs)| self.measured(name, -step * self.step_ms, runs)).collect()
    }

    fn measured(&self, name: &str, at_ms: i64, runs: &[Ran]) -> Value {
        let metrics = Metrics::of(runs, 1);
        let lasted = metrics.duration_metrics;
        json!({
            "name": name,
            "timestamp": rfc3339(at_ms),
            "min_started_at": runs.iter().map(|run| run.started_ms).min().map(rfc3339),
            "max_ended_at": runs.iter().map(|run| run.ended_ms).max().map(rfc3339),
            "metrics": {
                "total_runs": metrics.total_runs,
                "failed_runs": metrics.failed_runs,
                "successful_runs": metrics.successful_runs,
                "throughput": metrics.throughput,
                "median_credits_used": 0,
                "total_credits_used": 0,
                "duration_metrics": {
                    "min": lasted.min, "median": lasted.median, "max": lasted.max, "p95": lasted.p95,
                    "total": total(runs),
                },
            },
        })
    }
}

/// In seconds.
fn total(runs: &[Ran]) -> u64 {
    runs.iter().map(Ran::seconds).sum()
}

/// A date, perhaps with a time in UTC behind it, in milliseconds since 1970.
pub(super) fn moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let numbers = |text: &str, between: char| -> Option<[i64; 3]> {
        let all: Option<Vec<i64>> = text.split(between).map(|part| part.parse().ok()).collect();
        all?.try_into().ok()
    };
    let [year, month, of_month] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.strip_suffix('Z')?.split('.').next()?, ':')?;
    let is_one = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&of_month);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let seconds = (hour * 60 + minute) * 60 + second;
    (is_one && is_time).then(|| day(year, month, of_month) * DAY + seconds * 1000)
}

async fn workflows(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    series: Query<Series>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let (project, span) = (slug::project(&plane, &slug).await?, series.span()?);
    let runs = plane.store.workflow_runs(past(&project, None, &series, &span)).await?;
    let shown = span.shown(runs.iter().map(|run| (run.name.as_str(), Ran::from(run))));
    Ok(Tagged(page.cut(shown.into_iter())?))
}

async fn jobs(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
    series: Query<Series>,
    page: Query<PageQuery>,
) -> Result<Tagged<Page<Value>>, Refusal> {
    let (project, span) = (slug::project(&plane, &path.0).await?, series.span()?);
    let runs = plane.store.job_runs(past(&project, Some(&path.1), &series, &span)).await?;
    let shown = span.shown(runs.iter().map(|run| (run.name.as_str(), Ran::from(run))));
    Ok(Tagged(page.cut(shown.into_iter())?))
}

fn past<'p>(project: &'p str, workflow: Option<&'p str>, series: &'p Series, span: &Span) -> Past<'p> {
    Past { project, workflow, branch: series.branch.as_deref(), since_ms: span.from_ms, most: MOST_RUNS }
}

/// How far back, and which projects, branches and workflows: lists by commas or by repetition are the same to us.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Which {
    reporting_window: Window,
    project_names: Option<String>,
    branches: Option<String>,
    workflow_names: Option<String>,
}

/// Whether a name is among those that are asked for; without any all are.
fn is_asked(names: Option<&String>, name: &str) -> bool {
    names.is_none_or(|names| names.split(',').any(|one| one.trim() == name))
}

/// Runs of the time that is asked for, and those of as long a time before.
struct Compared<'r> {
    days: u32,
    now: Vec<&'r WorkflowRun>,
    before: Vec<&'r WorkflowRun>,
}

impl<'r> Compared<'r> {
    fn of(runs: impl Iterator<Item = &'r WorkflowRun>, days: u32) -> Self {
        let since_ms = wall_ms() - i64::from(days) * DAY;
        let (now, before) = runs.partition(|run| run.started_ms >= since_ms);
        Self { days, now, before }
    }

    /// The numbers, and how many times those of before they are.
    fn shown(&self) -> (Value, Value) {
        let [now, before] = [&self.now, &self.before].map(|runs| {
            let runs: Vec<Ran> = runs.iter().map(|run| Ran::from(*run)).collect();
            (Metrics::of(&runs, self.days), total(&runs))
        });
        let ratio = |now: f64, before: f64| if before > 0.0 { now / before } else { 0.0 };
        let metrics = json!({
            "total_runs": now.0.total_runs,
            "total_duration_secs": now.1,
            "total_credits_used": 0,
            "success_rate": now.0.success_rate,
            "throughput": now.0.throughput,
        });
        let trends = json!({
            "total_runs": ratio(now.0.throughput, before.0.throughput),
            "total_duration_secs": ratio(float(now.1), float(before.1)),
            "total_credits_used": 0.0,
            "success_rate": ratio(now.0.success_rate, before.0.success_rate),
            "throughput": ratio(now.0.throughput, before.0.throughput),
        });
        (metrics, trends)
    }
}

fn float(seconds: u64) -> f64 {
    f64::from(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Of the time that is asked for, and of as long a time before.
async fn runs_of(plane: &Plane, project: &str, days: u32) -> Result<Vec<WorkflowRun>, Refusal> {
    let since_ms = wall_ms() - 2 * i64::from(days) * DAY;
    let past = Past { project, workflow: None, branch: None, since_ms, most: 2 * MOST_RUNS };
    Ok(plane.store.workflow_runs(past).await?)
}

fn branch(run: &WorkflowRun) -> &str {
    run.branch.as_deref().unwrap_or_default()
}

/// The runs of each key, in one look at all of them.
fn grouped<'r, K: Ord>(
    runs: &[&'r WorkflowRun],
    key: impl Fn(&'r WorkflowRun) -> K,
) -> BTreeMap<K, Vec<&'r WorkflowRun>> {
    let mut groups: BTreeMap<K, Vec<_>> = BTreeMap::new();
    for run in runs {
        groups.entry(key(run)).or_default().push(*run);
    }
    groups
}

async fn of_project(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    slug: Path<String>,
    which: Query<Which>,
) -> Result<Tagged<Value>, Refusal> {
    let (project, days) = (slug::project(&plane, &slug).await?, which.reporting_window.days());
    let all = runs_of(&plane, &project, days).await?;
    let runs: Vec<&WorkflowRun> = all
        .iter()
        .filter(|run| is_asked(which.workflow_names.as_ref(), &run.name))
        .filter(|run| is_asked(which.branches.as_ref(), branch(run)))
        .collect();
    let (metrics, trends) = Compared::of(runs.iter().copied(), days).shown();
    let by_workflow = grouped(&runs, |run| run.name.as_str()).into_iter().map(|(name, own)| {
        let (metrics, trends) = Compared::of(own.into_iter(), days).shown();
        json!({ "workflow_name": name, "metrics": metrics, "trends": trends })
    });
    let by_branch = grouped(&runs, |run| (run.name.as_str(), branch(run))).into_iter();
    let by_branch = by_branch.map(|((name, of), own)| {
        let (metrics, trends) = Compared::of(own.into_iter(), days).shown();
        json!({ "workflow_name": name, "branch": of, "metrics": metrics, "trends": trends })
    });
    let branches: BTreeSet<&str> = all.iter().filter_map(|run| run.branch.as_deref()).collect();
    Ok(Tagged(json!({
        "project_id": stable_id(&project),
        "project_data": { "metrics": metrics, "trends": trends },
        "project_workflow_data": by_workflow.collect::<Vec<_>>(),
        "project_workflow_branch_data": by_branch.collect::<Vec<_>>(),
        "all_branches": branches,
        "all_workflows": by_name(&all, |run| &run.name).into_keys().collect::<Vec<_>>(),
    })))
}

async fn of_organization(
    _: May<View, TheOrganization>,
    plane: Data<Plane>,
    asked: Path<String>,
    which: Query<Which>,
) -> Result<Tagged<Value>, Refusal> {
    let begin = slug::projects_of(&plane, &asked).await?;
    let projects = plane.store.projects(&begin, MOST_PROJECTS).await?;
    let days = which.reporting_window.days();
    let (mut all, mut by_project) = (Vec::new(), Vec::new());
    for project in projects.iter().filter(|name| is_asked(which.project_names.as_ref(), slug::last(name))) {
        let runs = runs_of(&plane, project, days).await?;
        let (metrics, trends) = Compared::of(runs.iter(), days).shown();
        by_project.push(json!({ "project_name": slug::last(project), "metrics": metrics, "trends": trends }));
        all.extend(runs);
    }
    let (metrics, trends) = Compared::of(all.iter(), days).shown();
    Ok(Tagged(json!({
        "org_data": { "metrics": metrics, "trends": trends },
        "org_project_data": by_project,
        "all_projects": projects.iter().map(|name| slug::last(name)).collect::<Vec<_>>(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_with_or_without_hours_and_nothing_else() {
        assert_eq!(moment("2026-11-30"), Some(20_787 * DAY));
        assert_eq!(moment("2026-11-30T01:02:03.500Z"), Some(20_787 * DAY + 3_723_000));
        for text in ["", "2026", "2026-13-01", "2026-11-30T25:00:00Z", "2026-11-30T01:00:00+01:00", "a-b-c"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
