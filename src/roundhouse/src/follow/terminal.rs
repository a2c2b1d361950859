//! The live view: a line for each running job, the log of a failed step at once, what is over above.

use super::{
    View, Wanted, escapes,
    model::{Model, Place},
    words::{self, Paint},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::{
    JobStatus, StepNumber, StepStatus, TaskId,
    api::{JobView, StepView, TaskView},
    feed::News,
};
use std::{
    collections::HashMap,
    io::{self, Write},
    time::{Duration, Instant},
};

/// Which stream is the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The live view of one pipeline.
#[derive(Debug)]
pub(crate) struct Live {
    stream: Stream,
    paint: Paint,
    lines: MultiProgress,
    footer: ProgressBar,
    rows: Vec<(Place, ProgressBar)>,
    running: Vec<Place>,
    since: HashMap<Place, Instant>,
    began: Instant,
    noted: String,
    /// What leads the commands that answer jobs to the pipeline.
    reach: String,
    unfinished: Vec<u8>,
}

impl Live {
    /// Draws on this stream, which is a terminal.
    pub(crate) fn new(stream: Stream, paint: Paint, reach: &str) -> Self {
        let target = match stream {
            Stream::Output => ProgressDrawTarget::stdout_with_hz(12),
            Stream::Error => ProgressDrawTarget::stderr_with_hz(12),
        };
        let lines = MultiProgress::with_draw_target(target);
        let footer = lines.add(ProgressBar::new_spinner().with_style(style(paint, "{wide_msg}")));
        Self {
            stream,
            paint,
            lines,
            footer,
            rows: Vec::new(),
            running: Vec::new(),
            since: HashMap::new(),
            began: Instant::now(),
            noted: String::new(),
            reach: reach.to_owned(),
            unfinished: Vec::new(),
        }
    }

    /// Writes above the live lines.
    fn above(&self, text: &str) {
        let write = |mut out: Box<dyn Write>| {
            let _ = writeln!(out, "{text}");
        };
        self.lines.suspend(|| match self.stream {
            Stream::Output => write(Box::new(io::stdout().lock())),
            Stream::Error => write(Box::new(io::stderr().lock())),
        });
    }

    fn job_news(&mut self, model: &Model, at: Place, status: JobStatus) {
        match status {
            JobStatus::Queued if model.job(at).reason.is_some() => {
                self.above(&waiting_line(model, at, self.paint));
            }
            JobStatus::Blocked | JobStatus::Queued => {}
            JobStatus::Running | JobStatus::OnHold => {
                if status == JobStatus::OnHold {
                    self.above(&on_hold_line(model, at, &self.reach, self.paint));
                }
                self.since.insert(at, Instant::now());
                self.running.push(at);
            }
            over => {
                self.running.retain(|running| *running != at);
                let took = self.since.remove(&at).map(|since| since.elapsed());
                self.arrange();
                self.above(&over_line(model, at, over, took, self.paint));
            }
        }
        self.arrange();
    }

    /// As many of the running jobs get a row as the window has room for, the oldest first.
    fn arrange(&mut self) {
        let gone = |at: &Place| !self.running.contains(at);
        for (_, row) in self.rows.iter().filter(|(at, _)| gone(at)) {
            row.finish_and_clear();
            self.lines.remove(row);
        }
        self.rows.retain(|(at, _)| self.running.contains(at));
        let room = self.room();
        for at in &self.running {
            if self.rows.len() < room && !self.rows.iter().any(|(shown, _)| shown == at) {
                let row =
                    ProgressBar::new_spinner().with_style(style(self.paint, "{spinner:.cyan} {wide_msg}"));
                self.rows.push((*at, self.lines.insert_before(&self.footer, row)));
            }
        }
    }

    fn room(&self) -> usize {
        let terminal = match self.stream {
            Stream::Output => console::Term::stdout(),
            Stream::Error => console::Term::stderr(),
        };
        usize::from(terminal.size().0).saturating_sub(3).max(1)
    }

    fn step_over(&self, model: &Model, task: TaskId, step: StepNumber) {
        let Some(view) = model.step(task, step).filter(|view| is_failure(view)) else { return };
        let text = format!(
            "── {} · {} · {} ",
            model.task_label(task),
            words::shown(&view.name),
            words::step_end(view)
        );
        self.above(&self.paint.bold(&self.paint.status(JobStatus::Failed, &ruled(&text))));
    }
}

impl View for Live {
    fn wants(&self) -> Wanted {
        Wanted::Failed
    }

    fn began(&mut self, _model: &Model, page: Option<&str>) {
        if let Some(page) = page {
            self.above(&self.paint.dim(&format!("page: {page}")));
        }
    }

    fn told(&mut self, model: &Model, news: &News) {
        match news {
            News::Job { workflow, job, status, .. } => {
                self.job_news(model, Place { workflow: *workflow, job: *job }, *status);
            }
            News::StepEnded { task, step, .. } => self.step_over(model, *task, *step),
            News::TaskEnded { task, message: Some(message), .. } => {
                self.above(&format!("{}: {}", model.task_label(*task), words::shown(message)));
            }
            _ => {}
        }
    }

    fn log(&mut self, _model: &Model, _task: TaskId, _step: StepNumber, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        let Some(end) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        let lines = whole.split_inclusive(|byte| *byte == b'\n');
        let clean: Vec<String> = lines.map(|line| escapes::harmless(line, self.paint.is_on())).collect();
        self.above(&clean.join("\n"));
    }

    fn log_ended(&mut self, _model: &Model, _task: TaskId, _step: StepNumber) {
        let rest = std::mem::take(&mut self.unfinished);
        if !rest.is_empty() {
            self.above(&escapes::harmless(&rest, self.paint.is_on()));
        }
        self.above(&self.paint.dim(&ruled("")));
    }

    fn note(&mut self, text: &str) {
        self.above(text);
        self.noted = format!(" · {text}");
    }

    fn tick(&mut self, model: &Model) {
        self.arrange();
        for (at, row) in &self.rows {
            let since = self.since.get(at).map_or(Duration::ZERO, Instant::elapsed);
            row.set_message(row_text(model, *at, since));
            row.tick();
        }
        let hidden = self.running.len() - self.rows.len();
        let text = footer_text(model, hidden, self.began.elapsed());
        self.footer.set_message(self.paint.dim(&format!("{text}{}", self.noted)));
        self.footer.tick();
    }

    fn close(&mut self) {
        for (_, row) in self.rows.drain(..) {
            row.finish_and_clear();
        }
        self.footer.finish_and_clear();
        let _ = self.lines.clear();
    }
}

fn style(paint: Paint, template: &str) -> ProgressStyle {
    let template = if paint.is_on() { template.to_owned() } else { template.replace(":.cyan", "") };
    let known = "the templates are constants that the tests below parse";
    ProgressStyle::with_template(&template).expect(known).tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// Whether a step's log is shown at once.
pub(crate) fn is_failure(step: &StepView) -> bool {
    matches!(step.status, StepStatus::Failed | StepStatus::Timedout)
}

fn ruled(text: &str) -> String {
    let width = console::measure_text_width(text);
    format!("{text}{}", "─".repeat(72_usize.saturating_sub(width)))
}

/// `✔ build                12.3s`
fn over_line(model: &Model, at: Place, status: JobStatus, took: Option<Duration>, paint: Paint) -> String {
    let mark = paint.status(status, words::mark(status));
    let name = padded(&model.job_label(at));
    let how = match status {
        JobStatus::Success => String::new(),
        other => format!("  {}", paint.status(other, &words::over(model.job(at)))),
    };
    let took = took.map_or(String::new(), |took| words::duration(millis(took)));
    format!("{mark} {name} {took:>8}{how}").trim_end().to_owned()
}

/// The whole of what to do about a job that waits for an answer, which a row may have no room for.
fn on_hold_line(model: &Model, at: Place, reach: &str, paint: Paint) -> String {
    let label = model.job_label(at);
    let mark = paint.status(JobStatus::OnHold, words::mark(JobStatus::OnHold));
    format!("{mark} {} {}", padded(&label), words::on_hold(reach, &label, model.job(at).plan.as_deref()))
}

/// Why a job is queued, where that is not for want of a launch-agent.
fn waiting_line(model: &Model, at: Place, paint: Paint) -> String {
    let mark = paint.status(JobStatus::Queued, words::mark(JobStatus::Queued));
    let reason = model.job(at).reason.as_deref().unwrap_or_default();
    format!("{mark} {} {}", padded(&model.job_label(at)), words::shown(reason))
}

/// `test                     12s  2/4 ▰▰▱▱  Run tests`
fn row_text(model: &Model, at: Place, since: Duration) -> String {
    let job = model.job(at);
    let label = model.job_label(at);
    let elapsed = words::elapsed(since.as_secs());
    let tasks = if job.tasks.len() > 1 { format!("{}  ", tasks_bar(job)) } else { String::new() };
    let now = match job.status {
        JobStatus::OnHold => "on hold".to_owned(),
        _ => current_step(job),
    };
    format!("{} {elapsed:>8}  {tasks}{now}", padded(&label))
}

fn tasks_bar(job: &JobView) -> String {
    let all = job.tasks.len();
    let done = job.tasks.iter().filter(|task| task.outcome.is_some()).count();
    let width = all.min(10);
    let full = done * width / all;
    format!("{done}/{all} {}{}", "▰".repeat(full), "▱".repeat(width - full))
}

fn current_step(job: &JobView) -> String {
    let unfinished = job.tasks.iter().filter(|task| task.outcome.is_none());
    unfinished
        .filter_map(running_step)
        .max_by_key(|step| step.number)
        .map_or_else(|| "starting".to_owned(), |step| words::shown(&step.name))
}

fn running_step(task: &TaskView) -> Option<&StepView> {
    let own = |step: &&StepView| step.status == StepStatus::Running && step.number != StepNumber::HOST;
    task.steps.iter().rev().find(own)
}

/// `3/12 jobs · 2 running, 4 queued · 1 failed · 1m 02s`
fn footer_text(model: &Model, hidden: usize, since: Duration) -> String {
    let counts = model.counts();
    let mut parts = vec![format!("{}/{} jobs", counts.done(), counts.all)];
    let more = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
    match (counts.running, counts.queued) {
        (running, 0) => parts.push(format!("{running} running{more}")),
        (running, queued) => parts.push(format!("{running} running{more}, {queued} queued")),
    }
    if counts.on_hold > 0 {
        parts.push(format!("{} on hold", counts.on_hold));
    }
    if counts.failed > 0 {
        parts.push(format!("{} failed", counts.failed));
    }
    parts.push(words::elapsed(since.as_secs()));
    parts.join(" · ")
}

fn padded(name: &str) -> String {
    let width = console::measure_text_width(name);
    format!("{name}{}", " ".repeat(24_usize.saturating_sub(width)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::scripted::{finished, news_job, pipeline, step_started, task, task_id};
    use protocol::Outcome;

    fn running() -> Model {
        let mut model = Model::new(pipeline(&[("main", &["build", "test", "deploy"])]));
        for news in [
            news_job(0, 0, JobStatus::Success),
            news_job(0, 1, JobStatus::Running),
            task(0, 1, 1, 0),
            task(0, 1, 2, 1),
            step_started(1, 1, "Run tests"),
            step_started(2, 1, "Restore cache"),
            News::TaskEnded { task: task_id(1), outcome: Outcome::Success, message: None },
        ] {
            assert!(model.apply(&news));
        }
        model
    }

    #[test]
    fn a_row_says_the_job_its_time_its_tasks_and_the_current_step() {
        let (at, since) = (Place { workflow: 0, job: 1 }, Duration::from_secs(62));
        let row = row_text(&running(), at, since);
        assert_eq!(row, "test                       1m 02s  1/2 ▰▱  Restore cache");
    }

    #[test]
    fn what_waits_for_an_approval_is_said_with_how_to_give_it() {
        let mut model = Model::new(pipeline(&[("main", &["hold"])]));
        assert!(model.apply(&news_job(0, 0, JobStatus::OnHold)));
        let at = Place { workflow: 0, job: 0 };
        let line = on_hold_line(&model, at, "", Paint::PLAIN);
        assert_eq!(line, "‖ hold                     on hold: approve it with `roundhouse approve hold`");
        let row = row_text(&model, at, Duration::from_secs(7));
        assert_eq!(row, "hold                           7s  on hold");
        let footer = footer_text(&model, 0, Duration::from_secs(7));
        assert_eq!(footer, "0/1 jobs · 0 running · 1 on hold · 7s");
    }

    #[test]
    fn the_footer_counts_jobs() {
        let text = footer_text(&running(), 5, Duration::from_secs(3));
        assert_eq!(text, "1/3 jobs · 1 running (5 not shown) · 3s");
    }

    #[test]
    fn a_job_that_is_over_leaves_a_line() {
        let model = Model::new(finished());
        let at = |job| Place { workflow: 0, job };
        let took = Some(Duration::from_millis(12_345));
        let line = over_line(&model, at(0), JobStatus::Failed, took, Paint::PLAIN);
        assert_eq!(line, "✘ build                       12.3s  failed");
        assert_eq!(
            over_line(&model, at(1), JobStatus::NotRun, None, Paint::PLAIN),
            "· deploy                             not run"
        );
    }

    #[test]
    fn every_template_is_one() {
        for paint in [Paint::PLAIN, Paint::of(&io::stdout())] {
            style(paint, "{spinner:.cyan} {wide_msg}");
            style(paint, "{wide_msg}");
        }
    }
}
