//! A pipeline's page: its workflows, and their jobs along the time they took.

use super::{
    graph::{self, Drawing},
    pipelines::source,
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::{ago, between, duration, status},
};
use crate::{
    api::may::ThePipeline,
    pipelines::view::view,
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{
    Actor, JobId, JobStatus, PipelineId, PipelineState, WorkflowId, WorkflowStatus,
    api::{GitValues, JobView, PipelineView, Reruns, WorkflowView},
    pipeline::{Kind, Requirement},
};
use std::collections::HashMap;

#[derive(Template)]
#[template(path = "pipeline.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    id: PipelineId,
    project: String,
    number: u64,
    created: String,
    ago: String,
    /// Who had it made, where that is known.
    by: String,
    source: String,
    running: bool,
    /// What is to be said of a setup pipeline.
    setup: &'static str,
    errors: Vec<String>,
    workflows: Vec<Workflow>,
}

struct Workflow {
    id: WorkflowId,
    name: String,
    /// Which run it repeats, and how that came about.
    repeats: Option<WorkflowId>,
    repeats_text: String,
    status: WorkflowStatus,
    status_text: String,
    took: String,
    running: bool,
    /// Whether some of it may run again by itself.
    failed: bool,
    failed_tests: bool,
    done: usize,
    graph: Option<Drawing>,
    jobs: Vec<Line>,
}

struct Line {
    id: JobId,
    name: String,
    status: JobStatus,
    status_text: String,
    /// What people should know beside that.
    note: String,
    /// For somebody's approval, or for their word how its release ended.
    waits: bool,
    releases: bool,
    requires: String,
    has_tasks: bool,
    parallel: bool,
    tasks: usize,
    tasks_done: usize,
    tests_total: u64,
    tests_failed: u64,
    artifacts: usize,
    /// When it began, where it still runs.
    since: Option<i64>,
    took: String,
    /// Of a bar a thousand wide that stands for the workflow's time.
    from: u64,
    width: u64,
}

/// `GET /pipelines/{id}`.
pub(crate) async fn page(
    _: Visitor<ThePipeline>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    id: web::Path<String>,
) -> Result<HttpResponse, NoPage> {
    let (git, pipeline) = read(&plane, &id).await?;
    let sheet = &Sheet::of(&request);
    Ok(html(StatusCode::OK, sheet, &Page::of(sheet, &git, pipeline)))
}

async fn read(plane: &Plane, id: &str) -> Result<(GitValues, PipelineView), Refusal> {
    let missing = || Refusal::Missing("there is no such pipeline".to_owned());
    let id = id.parse().map_err(|_| missing())?;
    let rows = plane.store.pipeline(id).await?.ok_or_else(missing)?;
    Ok((rows.pipeline.git.clone(), view(rows)))
}

/// What is to be said of a pipeline whose setup workflow has not continued it, or wrongly.
fn setup(pipeline: &PipelineView) -> &'static str {
    let runs = pipeline.workflows.iter().any(|workflow| !workflow.status.is_terminal());
    match pipeline.state {
        PipelineState::Created => "",
        PipelineState::Setup if runs => "its setup workflow decides what else runs",
        PipelineState::Setup => "its setup workflow ended without continuing the pipeline: nothing else runs",
        PipelineState::Errored if pipeline.workflows.is_empty() => "nothing of it runs",
        PipelineState::Errored => "it was continued with a configuration that is not valid",
    }
}

impl<'s> Page<'s> {
    fn of(sheet: &'s Sheet, git: &GitValues, pipeline: PipelineView) -> Self {
        let (now, setup) = (sheet.now, setup(&pipeline));
        Self {
            sheet,
            id: pipeline.id,
            project: pipeline.project,
            number: pipeline.number,
            created: rfc3339(pipeline.created_ms),
            ago: ago(pipeline.created_ms, now),
            by: by(&pipeline.actor),
            source: source(git),
            running: pipeline.workflows.iter().any(|workflow| !workflow.status.is_terminal()),
            setup,
            errors: pipeline.errors,
            workflows: pipeline.workflows.into_iter().map(|workflow| Workflow::of(workflow, now)).collect(),
        }
    }
}

/// As it stands behind what they did; nothing of whom nobody knows.
fn by(actor: &Actor) -> String {
    match actor {
        Actor::Unknown => String::new(),
        Actor::Schedule => "the clock".to_owned(),
        other => other.login().to_owned(),
    }
}

/// The time in which a workflow's jobs ran.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn of(workflow: &WorkflowView, now: i64) -> Option<Self> {
        let own = || workflow.jobs.iter().filter(|job| !job.inherited);
        let from = own().filter_map(|job| job.started_ms).min()?;
        let last = own().filter_map(|job| job.ended_ms).max();
        let to = if workflow.status.is_terminal() { last.unwrap_or(now) } else { now };
        Some(Self { from, to: to.max(from + 1) })
    }

    /// Where a time stands in thousandths of the span.
    fn place(self, at: i64) -> u64 {
        (between(self.from, at) * 1000 / between(self.from, self.to)).min(1000)
    }
}

impl Workflow {
    fn of(workflow: WorkflowView, now: i64) -> Self {
        let span = Span::of(&workflow, now);
        Self {
            status_text: status(workflow.status),
            took: span.map(|span| duration(between(span.from, span.to))).unwrap_or_default(),
            running: !workflow.status.is_terminal(),
            failed: matches!(workflow.status, WorkflowStatus::Failed | WorkflowStatus::Canceled),
            failed_tests: workflow.status == WorkflowStatus::Failed
                && workflow.jobs.iter().any(|job| job.tests.failed > 0),
            done: workflow.jobs.iter().filter(|job| job.status.is_terminal()).count(),
            graph: graph::drawing(&places(&workflow.jobs)),
            jobs: workflow.jobs.into_iter().map(|job| Line::of(job, span, now)).collect(),
            id: workflow.id,
            repeats: workflow.reruns.of,
            repeats_text: repeats(workflow.reruns, workflow.actor.as_ref()),
            name: workflow.name,
            status: workflow.status,
        }
    }
}

/// The places of the jobs that each one requires.
fn places(jobs: &[JobView]) -> Vec<Vec<usize>> {
    let by_name: HashMap<&str, usize> = (0..).zip(jobs).map(|(at, job)| (job.name.as_str(), at)).collect();
    let place = |of: &Requirement| by_name.get(of.job.as_str()).copied();
    jobs.iter().map(|job| job.requires.iter().filter_map(place).collect()).collect()
}

fn repeats(Reruns { automatic, most, .. }: Reruns, actor: Option<&Actor>) -> String {
    match actor.map(by).filter(|by| !by.is_empty()) {
        _ if automatic > 0 => format!("auto-rerun {automatic} of {most}"),
        Some(by) => format!("rerun by {by}"),
        None => "rerun".to_owned(),
    }
}

impl Line {
    fn of(job: JobView, span: Option<Span>, now: i64) -> Self {
        let took = job.started_ms.map(|from| between(from, job.ended_ms.unwrap_or(now)));
        let (from, width) = bar(&job, span, now);
        Self {
            id: job.id,
            status: job.status,
            status_text: status(job.status),
            note: note(&job),
            waits: job.kind == Kind::Approval && job.status == JobStatus::OnHold,
            releases: job.kind == Kind::Release && job.status == JobStatus::OnHold,
            requires: job.requires.iter().map(Requirement::shown).collect::<Vec<_>>().join(", "),
            has_tasks: !job.tasks.is_empty(),
            parallel: job.tasks.len() > 1,
            tasks: job.tasks.len(),
            tasks_done: job.tasks.iter().filter(|task| task.outcome.is_some()).count(),
            tests_total: job.tests.passed + job.tests.failed + job.tests.skipped,
            tests_failed: job.tests.failed,
            artifacts: job.tasks.iter().map(|task| task.artifacts.len()).sum(),
            since: job.started_ms.filter(|_| !job.status.is_terminal()),
            took: took.map(duration).unwrap_or_default(),
            from,
            width,
            name: job.name,
        }
    }
}

/// How to answer a job that waits for it, and who did it afterwards.
fn note(job: &JobView) -> String {
    match (job.answer(), job.status) {
        (Some(answer), _) => answer,
        (None, _) if job.inherited => "kept".to_owned(),
        (None, JobStatus::OnHold) => match &job.plan {
            Some(plan) => format!("waits for the end of {plan}, told here or by roundhouse release"),
            None => "waits for an approval here or by roundhouse approve".to_owned(),
        },
        (None, _) => job.reason.clone().unwrap_or_default(),
    }
}

/// Where a job's bar begins and how wide it is; the shortest is still seen.
fn bar(job: &JobView, span: Option<Span>, now: i64) -> (u64, u64) {
    let started = job.started_ms.filter(|_| !job.inherited);
    let (Some(span), Some(started)) = (span, started) else { return (0, 0) };
    let from = span.place(started).min(996);
    let to = span.place(job.ended_ms.unwrap_or(now));
    (from, to.saturating_sub(from).max(4))
}
