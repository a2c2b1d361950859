//! A job's page: one of its tasks with its steps, and the log of one of them.

use super::{
    address::Address,
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::{between, duration, size, status, without_colors},
};
use crate::{
    api::may::TheJob,
    logs::{LogName, Range},
    plane::Plane,
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{
    JobId, JobStatus, PipelineId, StepNumber, StepStatus,
    api::{JobView, PipelineView, StepView, TaskView},
    former::FailedTest,
    transfer::Artifact,
};
use serde::Deserialize;
use std::time::Duration;

/// How much of a log a page without script shows.
const TAIL: u64 = 64 * 1024;

#[derive(Template)]
#[template(path = "job.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    id: JobId,
    name: String,
    number: u64,
    project: String,
    pipeline: PipelineId,
    pipeline_number: u64,
    workflow: String,
    status: JobStatus,
    status_text: String,
    running: bool,
    since: Option<i64>,
    took: String,
    message: String,
    runner: String,
    tests_total: u64,
    tests_failed: u64,
    failures: Vec<Failure>,
    task_index: u32,
    tasks: Vec<Task>,
    steps: Vec<Step>,
    artifacts: Vec<File>,
    log: Option<Log>,
}

struct Task {
    index: u32,
    status: String,
    here: bool,
}

struct Step {
    number: u32,
    name: String,
    status: StepStatus,
    since: Option<i64>,
    took: String,
    here: bool,
}

struct Failure {
    name: String,
    of: String,
    message: String,
}

struct File {
    path: String,
    size: String,
    /// Of its bytes.
    url: String,
    /// Where it is shown as its maker means it.
    report: String,
    is_report: bool,
}

struct Log {
    name: String,
    status: StepStatus,
    exit: String,
    url: String,
    times: String,
    raw: String,
    follow: bool,
    tail: String,
}

/// What the address names; what it leaves out is chosen.
#[derive(Deserialize)]
pub(crate) struct Place {
    job: JobId,
    task: Option<u32>,
    step: Option<u32>,
}

/// `GET /jobs/{job}[/{task}[/{step}]]`.
pub(crate) async fn page(
    _: Visitor<TheJob>,
    request: HttpRequest,
    plane: web::Data<Plane>,
    Address(place): Address<Place>,
) -> Result<HttpResponse, NoPage> {
    let sheet = &Sheet::of(&request);
    let found = find(&plane, &place).await?;
    // The script asks for the page again to see what changed; it reads the log by itself.
    let tail = if sheet.live { None } else { Some(&**plane) };
    let log = match found.log_step(place.step) {
        Some(step) => Some(log(tail, &found, step).await?),
        None => None,
    };
    Ok(html(StatusCode::OK, sheet, &found.page(sheet, log, place.step)))
}

/// A job where it stands in its pipeline, and the task that is looked at.
struct Found {
    pipeline: PipelineView,
    workflow: usize,
    job: usize,
    task: usize,
}

async fn find(plane: &Plane, place: &Place) -> Result<Found, Refusal> {
    let missing = || Refusal::Missing("there is no such job or task".to_owned());
    let id = place.job;
    let (_, pipeline, _) = plane.store.job(id).await?.ok_or_else(missing)?;
    let pipeline = plane.view_with(pipeline, id).await?.ok_or_else(missing)?;
    let of_workflow = |jobs: &[JobView]| jobs.iter().position(|job| job.id == id);
    let places = pipeline.workflows.iter().enumerate();
    let (workflow, job) = places
        .filter_map(|(at, workflow)| Some((at, of_workflow(&workflow.jobs)?)))
        .next()
        .ok_or_else(missing)?;
    let tasks = &pipeline.workflows[workflow].jobs[job].tasks;
    let task = match place.task {
        Some(index) => tasks.iter().position(|task| task.index == index).ok_or_else(missing)?,
        None => most_telling_task(tasks),
    };
    Ok(Found { pipeline, workflow, job, task })
}

/// The first that failed, else the first that runs, else the first.
fn most_telling_task(tasks: &[TaskView]) -> usize {
    let failed = |task: &TaskView| task.outcome.is_some_and(|outcome| outcome != protocol::Outcome::Success);
    let runs = |task: &TaskView| task.outcome.is_none() && task.runner.is_some();
    tasks.iter().position(failed).or_else(|| tasks.iter().position(runs)).unwrap_or_default()
}

/// The first of the job's own steps that failed, else the one that runs, else the last.
fn most_telling_step(steps: &[StepView]) -> Option<&StepView> {
    let bad = |status| matches!(status, StepStatus::Failed | StepStatus::Timedout);
    let own = || steps.iter().filter(|step| step.number != StepNumber::HOST);
    own()
        .find(|step| bad(step.status))
        .or_else(|| own().find(|step| step.status == StepStatus::Running))
        .or_else(|| own().rfind(|step| step.status != StepStatus::Skipped))
        .or(steps.first())
}

impl Found {
    fn job(&self) -> &JobView {
        &self.pipeline.workflows[self.workflow].jobs[self.job]
    }

    fn task(&self) -> Option<&TaskView> {
        self.job().tasks.get(self.task)
    }

    fn log_step(&self, number: Option<u32>) -> Option<&StepView> {
        let steps = &self.task()?.steps;
        match number {
            Some(number) => steps.iter().find(|step| step.number.0 == number),
            None => most_telling_step(steps),
        }
    }

    fn page<'s>(&self, sheet: &'s Sheet, log: Option<Log>, step: Option<u32>) -> Page<'s> {
        let here = self.log_step(step).map(|step| step.number);
        let (job, task) = (self.job(), self.task());
        let steps = task.map(|task| task.steps.as_slice()).unwrap_or_default();
        let tests = job.tests;
        let now = sheet.now;
        Page {
            sheet,
            id: job.id,
            name: job.name.clone(),
            number: job.number,
            project: self.pipeline.project.clone(),
            pipeline: self.pipeline.id,
            pipeline_number: self.pipeline.number,
            workflow: self.pipeline.workflows[self.workflow].name.clone(),
            status: job.status,
            status_text: status(job.status),
            running: !job.status.is_terminal(),
            since: job.started_ms.filter(|_| !job.status.is_terminal()),
            took: took(job, now),
            message: task.and_then(|task| task.message.clone()).unwrap_or_default(),
            runner: task.and_then(|task| task.runner.clone()).unwrap_or_default(),
            tests_total: tests.passed + tests.failed + tests.skipped,
            tests_failed: tests.failed,
            failures: job.failures.iter().map(Failure::of).collect(),
            task_index: task.map_or(0, |task| task.index),
            tasks: job.tasks.iter().enumerate().map(|(at, task)| Task::of(task, at == self.task)).collect(),
            steps: steps.iter().map(|step| Step::of(step, now, Some(step.number) == here)).collect(),
            artifacts: task.map(|task| files(job.id, task)).unwrap_or_default(),
            log,
        }
    }
}

fn took(job: &JobView, now: i64) -> String {
    let took = job.started_ms.map(|from| between(from, job.ended_ms.unwrap_or(now)));
    took.map(duration).unwrap_or_default()
}

impl Task {
    fn of(task: &TaskView, here: bool) -> Self {
        let waiting = if task.runner.is_some() { "running" } else { "queued" };
        let status = task.outcome.map_or(waiting.to_owned(), |outcome| outcome.to_string());
        Self { index: task.index, status, here }
    }
}

impl Step {
    fn of(step: &StepView, now: i64, here: bool) -> Self {
        let running = step.status == StepStatus::Running;
        let so_far = if running { Some(between(step.started_ms, now)) } else { None };
        Self {
            number: step.number.0,
            name: step.name.clone(),
            status: step.status,
            since: Some(step.started_ms).filter(|_| running),
            took: step.duration_ms.or(so_far).map(duration).unwrap_or_default(),
            here,
        }
    }
}

impl Failure {
    /// Told by its file, or else its class.
    fn of(test: &FailedTest) -> Self {
        let FailedTest { classname, name, file, message } = test;
        let of = file.as_ref().unwrap_or(classname).clone();
        let message = without_colors(message.as_deref().unwrap_or_default().as_bytes());
        Self { name: name.clone(), of, message }
    }
}

fn files(job: JobId, task: &TaskView) -> Vec<File> {
    let file = |artifact: &Artifact| File {
        path: artifact.path.clone(),
        size: size(artifact.content.size),
        url: format!("/api/v3/artifacts/{job}/{}/{}", task.index, in_url(&artifact.path)),
        report: format!("/jobs/{job}/{}/artifacts/{}", task.index, in_url(&artifact.path)),
        is_report: is_report(&artifact.path),
    };
    task.artifacts.iter().map(file).collect()
}

/// Whether it is more than its text or its picture.
fn is_report(path: &str) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    ["html", "htm", "xhtml", "svg"].iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// A path as it stands in a URL: everything but letters, digits and a few marks percent-encoded.
pub(crate) fn in_url(path: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let encoded = |byte: u8| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encoded).collect()
}

async fn log(plane: Option<&Plane>, found: &Found, step: &StepView) -> Result<Log, Refusal> {
    let task = found.task().expect("a step belongs to a task").id;
    let number = step.number;
    let tail = match plane {
        Some(plane) => tail(plane, LogName { task, step: number }, step.log_bytes).await?,
        None => String::new(),
    };
    Ok(Log {
        name: step.name.clone(),
        status: step.status,
        exit: step.exit_code.filter(|code| *code != 0).map(|code| format!("exit {code}")).unwrap_or_default(),
        url: format!("/api/v3/tasks/{task}/steps/{}/log", number.0),
        times: format!("/api/v3/tasks/{task}/steps/{}/times", number.0),
        raw: format!("/tasks/{task}/steps/{}/raw", number.0),
        follow: matches!(step.status, StepStatus::Running | StepStatus::Failed | StepStatus::Timedout),
        tail,
    })
}

async fn tail(plane: &Plane, log: LogName, length: u64) -> Result<String, Refusal> {
    let range = Range { offset: length.saturating_sub(TAIL), limit: TAIL as usize };
    let piece = plane.logs.read(log, range, Duration::ZERO).await?;
    let text = piece.map(|piece| without_colors(&piece.bytes)).unwrap_or_default();
    let note = format!("[the last {} of {}: all of it is under Raw]\n", size(TAIL), size(length));
    Ok(if length > TAIL { note + &text } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_url_names_nothing_else() {
        assert_eq!(in_url("a b/c?d#e%.txt"), "a%20b/c%3Fd%23e%25.txt");
        assert_eq!(in_url("ü"), "%C3%BC");
    }

    fn step(number: u32, status: StepStatus) -> StepView {
        StepView {
            number: StepNumber(number),
            name: format!("step {number}"),
            status,
            exit_code: None,
            started_ms: 0,
            duration_ms: None,
            log_bytes: 0,
        }
    }

    #[test]
    fn the_step_that_tells_most_is_shown() {
        use StepStatus::{Failed, Running, Skipped, Success};
        let number = |statuses: &[StepStatus]| {
            let steps: Vec<_> = (0..).zip(statuses).map(|(at, status)| step(at, *status)).collect();
            most_telling_step(&steps).map(|step| step.number.0)
        };
        assert_eq!(number(&[Failed, Success, Failed, Success]), Some(2));
        assert_eq!(number(&[Running, Success, Running, Running]), Some(2));
        assert_eq!(number(&[Success, Success, Success, Skipped]), Some(2));
        assert_eq!(number(&[Running]), Some(0));
        assert_eq!(number(&[]), None);
    }
}
