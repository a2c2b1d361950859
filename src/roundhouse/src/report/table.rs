//! The table of jobs that a person reads at the end.

use super::{duration_ms, jobs, status};
use crate::follow::{
    Model,
    words::{self, Paint},
};
use protocol::{
    JobStatus, PipelineState, StepStatus, WorkflowStatus,
    api::{JobView, PipelineView, TestCounts},
    former::FailedTest,
};
use std::path::Path;

/// So many failed tests are named, and so many lines of what each said.
const FAILURES: usize = 10;
const SAID: usize = 3;

/// What is said below the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a> {
    /// Where the artifacts lie.
    pub(crate) artifacts: Option<&'a Path>,
    /// How to look at the pipeline's page.
    pub(crate) page: Option<&'a str>,
    /// From the start of the run.
    pub(crate) took_ms: u64,
}

/// The table, with what is said below it.
pub(crate) fn table(view: &PipelineView, closing: Closing<'_>, paint: Paint) -> String {
    let model = Model::new(view.clone());
    let mut lines = vec![String::new()];
    let labels: Vec<String> = model.jobs().map(|(at, _)| model.job_label(at)).collect();
    let width = labels.iter().map(|label| console::measure_text_width(label)).max().unwrap_or(0);
    for ((_, job), label) in model.jobs().zip(&labels) {
        lines.push(row(job, label, width, paint));
    }
    lines.push(String::new());
    lines.push(sentence(view, closing.took_ms, paint));
    lines.extend(continuation(view));
    lines.extend(tests(view));
    lines.extend(failures(view));
    lines.extend(closing.artifacts.and_then(|folder| artifacts(view, folder)));
    lines.extend(closing.page.map(|page| format!("page: {page}")));
    lines.push(String::new());
    lines.join("\n")
}

/// What became of a setup pipeline, where it got no more workflows.
fn continuation(view: &PipelineView) -> Vec<String> {
    match view.state {
        PipelineState::Created => Vec::new(),
        PipelineState::Setup => {
            vec!["the setup workflow ended without continuing the pipeline: nothing else runs".to_owned()]
        }
        PipelineState::Errored => {
            let said = view.errors.iter().map(|error| error.trim_end().to_owned());
            let what = match view.workflows.is_empty() {
                true => "nothing of the pipeline runs:",
                false => "the pipeline was continued with a configuration that is not valid:",
            };
            [what.to_owned()].into_iter().chain(said).collect()
        }
    }
}

fn row(job: &JobView, label: &str, width: usize, paint: Paint) -> String {
    let pad = " ".repeat(width - console::measure_text_width(label));
    let mark = paint.status(job.status, words::mark(job.status));
    let status = paint.status(job.status, &format!("{:<19}", words::status(job.status)));
    let took = if job.started_ms.is_some() { words::duration(duration_ms(job)) } else { "-".to_owned() };
    format!("{mark} {label}{pad}  {status}  {took:>8}  {}", reason(job)).trim_end().to_owned()
}

/// Why a job is not a success.
fn reason(job: &JobView) -> String {
    if let Some(answer) = job.answer() {
        return words::shown(&answer);
    }
    if let Some(reason) = &job.reason {
        return words::shown(reason);
    }
    if job.status == JobStatus::NotRun {
        let requires: Vec<String> = job.requires.iter().map(|one| words::shown(&one.shown())).collect();
        return format!("requires {}", requires.join(", ")).trim_end_matches("requires ").to_owned();
    }
    if matches!(job.status, JobStatus::Success | JobStatus::Canceled) {
        return String::new();
    }
    let several = job.tasks.len() > 1;
    let bad = job
        .tasks
        .iter()
        .filter(|task| task.outcome.is_some_and(|outcome| outcome.job_status() == job.status));
    bad.map(|task| {
        let step =
            task.steps.iter().find(|step| matches!(step.status, StepStatus::Failed | StepStatus::Timedout));
        let step = step.map(|step| format!("{}: {}", words::shown(&step.name), words::step_end(step)));
        let why = step.or(task.message.clone()).unwrap_or_default();
        if several { format!("[{}] {why}", task.index) } else { why }
    })
    .collect::<Vec<_>>()
    .join("; ")
}

fn sentence(view: &PipelineView, took_ms: u64, paint: Paint) -> String {
    let (word, color) = match status(view) {
        WorkflowStatus::Success => ("success", JobStatus::Success),
        WorkflowStatus::NotRun => ("nothing to run", JobStatus::NotRun),
        WorkflowStatus::Canceled => ("canceled", JobStatus::Canceled),
        WorkflowStatus::Running | WorkflowStatus::Failing => ("still running", JobStatus::Running),
        WorkflowStatus::OnHold => ("on hold", JobStatus::OnHold),
        WorkflowStatus::Failed => ("failed", JobStatus::Failed),
    };
    let word = paint.bold(&paint.status(color, word));
    format!("{word} in {}: {}", words::duration(took_ms), tally(view))
}

fn tally(view: &PipelineView) -> String {
    use JobStatus::{
        Blocked, Canceled, Failed, InfrastructureFail, NotRun, OnHold, Queued, Running, Success, Timedout,
    };
    let order =
        [Success, Failed, Timedout, InfrastructureFail, Canceled, NotRun, OnHold, Blocked, Queued, Running];
    let count = |wanted| jobs(view).filter(|job| job.status == wanted).count();
    let told = order.into_iter().map(|status| (count(status), status)).filter(|(number, _)| *number > 0);
    let parts: Vec<_> = told.map(|(number, status)| format!("{number} {}", words::status(status))).collect();
    if parts.is_empty() { "no jobs".to_owned() } else { parts.join(", ") }
}

fn tests(view: &PipelineView) -> Option<String> {
    let sum = jobs(view).fold(TestCounts::default(), |sum, job| TestCounts {
        passed: sum.passed + job.tests.passed,
        failed: sum.failed + job.tests.failed,
        skipped: sum.skipped + job.tests.skipped,
    });
    let any = sum != TestCounts::default();
    any.then(|| format!("tests: {} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped))
}

/// The first lines of what the first failed tests said.
fn failures(view: &PipelineView) -> Vec<String> {
    let failed: u64 = jobs(view).map(|job| job.tests.failed).sum();
    let all = jobs(view).flat_map(|job| job.failures.iter().map(move |test| (job, test)));
    let mut lines: Vec<String> = all.take(FAILURES).flat_map(|(job, test)| failure(job, test)).collect();
    let named = lines.iter().filter(|line| line.starts_with("  ✘")).count();
    let left = usize::try_from(failed).unwrap_or(usize::MAX).saturating_sub(named);
    if left > 0 {
        lines.push(format!("  and {} more", words::counted(left, "failed test")));
    }
    lines
}

fn failure(job: &JobView, test: &FailedTest) -> Vec<String> {
    let file = test.file.as_ref().map(|file| format!("{}: ", words::shown(file))).unwrap_or_default();
    let named = format!("  ✘ {} · {file}{} {}", words::shown(&job.name), test.classname, test.name);
    let message = test.message.as_deref().unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
    let said = message.take(SAID).map(|line| console::strip_ansi_codes(line).into_owned());
    let said = said.map(|line| format!("      {}", words::shown(&line)));
    std::iter::once(words::shown(&named)).chain(said).collect()
}

fn artifacts(view: &PipelineView, folder: &Path) -> Option<String> {
    let all = jobs(view).flat_map(|job| &job.tasks).flat_map(|task| &task.artifacts);
    let (number, bytes) = all.fold((0, 0), |(number, bytes), one| (number + 1, bytes + one.content.size));
    let said = || format!("{}, {}", words::counted(number, "file"), words::size(bytes));
    (number > 0).then(|| format!("artifacts: {} ({})", folder.display(), said()))
}

#[cfg(test)]
mod tests_of_the_table {
    use super::*;
    use crate::follow::scripted::{finished, pipeline};

    #[test]
    fn the_table_says_how_each_job_ended_and_why() {
        let mut view = finished();
        view.workflows[0].jobs[1].requires = vec![protocol::pipeline::Requirement::success("build")];
        let closing = Closing {
            artifacts: Some(Path::new("/out")),
            page: Some("http://127.0.0.1:8080/pipelines/7"),
            took_ms: 63_000,
        };
        insta::assert_snapshot!(table(&view, closing, Paint::PLAIN), @r"
        ✘ build   failed                 1m 02s  Run tests: failed (exit code 1)
        · deploy  not run                     -  requires build

        failed in 1m 03s: 1 failed, 1 not run
        tests: 3 passed, 1 failed, 0 skipped
          ✘ build · spec/basket_spec.rb: Basket differs
              expected 2
                   got 3
              spec/basket_spec.rb:3
        artifacts: /out (1 file, 1.2 KiB)
        page: http://127.0.0.1:8080/pipelines/7
        ");
    }

    #[test]
    fn a_pipeline_of_nothing_says_so() {
        let closing = Closing { artifacts: None, page: None, took_ms: 5 };
        let text = table(&pipeline(&[]), closing, Paint::PLAIN);
        assert_eq!(text.trim(), "nothing to run in 0.0s: no jobs");
    }
}
