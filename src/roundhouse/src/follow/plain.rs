//! Lines for a file or a pipe: each begins with its job's name, and the logs are complete.

use super::{
    View, Wanted, escapes,
    model::Model,
    words::{self, Paint},
};
use protocol::{JobStatus, StepNumber, StepStatus, TaskId, feed::News};
use std::{collections::HashMap, io::Write};

/// A line that grows longer than this without ending is cut.
const MAX_LINE: usize = 64 * 1024;

/// Writes prefixed lines.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    out: W,
    logs: Wanted,
    paint: Paint,
    is_terminal: bool,
    /// What leads the commands that answer jobs to the pipeline.
    reach: String,
    unfinished: HashMap<(TaskId, StepNumber), Vec<u8>>,
}

impl<W: Write> Plain<W> {
    /// Writes everything, logs too.
    pub(crate) fn complete(out: W, paint: Paint, reach: &str) -> Self {
        let (reach, unfinished) = (reach.to_owned(), HashMap::new());
        Self { out, logs: Wanted::All, paint, is_terminal: false, reach, unfinished }
    }

    /// Writes logs as a terminal bears them, if it is one: elsewhere they are complete to the byte.
    pub(crate) fn on_terminal(self, is_terminal: bool) -> Self {
        Self { is_terminal, ..self }
    }

    /// Writes how jobs and steps begin and end, and no logs.
    pub(crate) fn brief(out: W, paint: Paint, reach: &str) -> Self {
        Self { logs: Wanted::None, ..Self::complete(out, paint, reach) }
    }

    // Who closed the other end does not want the rest, and the run goes on for its other results.
    fn line(&mut self, label: &str, text: &[u8]) {
        let prefix = self.paint.dim(&format!("{label} |"));
        let mut line = prefix.into_bytes();
        if !text.is_empty() {
            line.push(b' ');
            line.extend_from_slice(text);
        }
        line.push(b'\n');
        let _ = self.out.write_all(&line);
    }

    fn job_news(&mut self, model: &Model, at: super::model::Place, status: JobStatus) {
        let label = model.job_label(at);
        let text = match status {
            JobStatus::Queued => match &model.job(at).reason {
                Some(reason) => format!("{}: {}", words::status(status), words::shown(reason)),
                None => return,
            },
            JobStatus::Blocked => return,
            JobStatus::OnHold => {
                self.paint.status(status, &words::on_hold(&self.reach, &label, model.job(at).plan.as_deref()))
            }
            JobStatus::Running => "started".to_owned(),
            over => self.paint.status(over, &words::over(model.job(at))),
        };
        self.line(&label, text.as_bytes());
    }

    fn step_news(&mut self, model: &Model, task: TaskId, step: StepNumber) {
        let Some(view) = model.step(task, step) else { return };
        let text = match (view.status, view.duration_ms) {
            (StepStatus::Running, _) => format!("> {}", words::shown(&view.name)),
            (StepStatus::Skipped, _) => return,
            (_, took) => {
                format!(
                    "< {}: {}, {}",
                    words::shown(&view.name),
                    words::step_end(view),
                    words::duration(took.unwrap_or(0))
                )
            }
        };
        let text = self.paint.bold(&text);
        self.line(&model.task_label(task), text.as_bytes());
    }

    fn rest(&mut self, label: &str, task: TaskId, step: StepNumber) {
        let Some(rest) = self.unfinished.remove(&(task, step)).filter(|rest| !rest.is_empty()) else {
            return;
        };
        self.log_line(label, &rest);
    }

    fn log_line(&mut self, label: &str, line: &[u8]) {
        if self.is_terminal {
            self.line(label, escapes::harmless(line, self.paint.is_on()).as_bytes());
        } else {
            self.line(label, without_line_end(line));
        }
    }
}

impl<W: Write> View for Plain<W> {
    fn wants(&self) -> Wanted {
        self.logs
    }

    fn began(&mut self, _model: &Model, page: Option<&str>) {
        if let Some(page) = page {
            let _ = writeln!(self.out, "{}", self.paint.dim(&format!("page: {page}")));
        }
    }

    fn told(&mut self, model: &Model, news: &News) {
        match news {
            News::Job { workflow, job, status, .. } => {
                self.job_news(model, super::model::Place { workflow: *workflow, job: *job }, *status);
            }
            News::StepStarted { task, step, .. } | News::StepEnded { task, step, .. } => {
                self.step_news(model, *task, *step);
            }
            News::TaskEnded { task, message: Some(message), .. } => {
                self.line(&model.task_label(*task), words::shown(message).as_bytes());
            }
            _ => {}
        }
        let _ = self.out.flush();
    }

    fn log(&mut self, model: &Model, task: TaskId, step: StepNumber, bytes: &[u8]) {
        let label = model.task_label(task);
        let mut pending = self.unfinished.remove(&(task, step)).unwrap_or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(piece);
            if pending.ends_with(b"\n") || pending.len() > MAX_LINE {
                self.log_line(&label, &pending);
                pending.clear();
            }
        }
        self.unfinished.insert((task, step), pending);
        let _ = self.out.flush();
    }

    fn log_ended(&mut self, model: &Model, task: TaskId, step: StepNumber) {
        self.rest(&model.task_label(task), task, step);
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    fn tick(&mut self, _model: &Model) {}

    fn close(&mut self) {
        let _ = self.out.flush();
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::scripted::{news_job, pipeline, step_ended, step_started, task, task_id};

    fn tell(view: &mut Plain<Vec<u8>>, model: &mut Model, news: &News) {
        assert!(model.apply(news), "{news:?}");
        view.told(model, news);
    }

    fn two_tasks() -> (Plain<Vec<u8>>, Model) {
        let mut model = Model::new(pipeline(&[("main", &["build"])]));
        let mut view = Plain::complete(Vec::new(), Paint::PLAIN, "");
        for news in [
            news_job(0, 0, JobStatus::Queued),
            task(0, 0, 1, 0),
            task(0, 0, 2, 1),
            news_job(0, 0, JobStatus::Running),
            step_started(1, 1, "Run tests"),
            step_started(2, 1, "Run tests"),
        ] {
            tell(&mut view, &mut model, &news);
        }
        (view, model)
    }

    #[test]
    fn every_line_says_whose_it_is() {
        let (mut view, mut model) = two_tasks();
        let step = StepNumber(1);
        view.log(&model, task_id(1), step, b"one\ntw");
        view.log(&model, task_id(2), step, b"other\r\n");
        view.log(&model, task_id(1), step, b"o\n\nlast");
        view.log_ended(&model, task_id(1), step);
        tell(&mut view, &mut model, &step_ended(1, 1, StepStatus::Failed, Some(3)));
        tell(&mut view, &mut model, &step_ended(2, 1, StepStatus::Success, Some(0)));
        tell(&mut view, &mut model, &news_job(0, 0, JobStatus::Failed));
        insta::assert_snapshot!(String::from_utf8(view.out).unwrap(), @r"
        build | started
        build[0] | > Run tests
        build[1] | > Run tests
        build[0] | one
        build[1] | other
        build[0] | two
        build[0] |
        build[0] | last
        build[0] | < Run tests: failed (exit code 3), 1.2s
        build[1] | < Run tests: success, 1.2s
        build | failed
        ");
    }

    #[test]
    fn a_job_that_waits_for_an_approval_says_how_to_give_it() {
        let mut model = Model::new(pipeline(&[("main", &["hold on"])]));
        let mut view = Plain::brief(Vec::new(), Paint::PLAIN, "");
        tell(&mut view, &mut model, &news_job(0, 0, JobStatus::OnHold));
        tell(&mut view, &mut model, &news_job(0, 0, JobStatus::Success));
        let text = String::from_utf8(view.out).unwrap();
        assert_eq!(
            text,
            "hold on | on hold: approve it with `roundhouse approve 'hold on'`\nhold on | success\n"
        );
    }

    #[test]
    fn a_job_that_waits_for_its_turn_says_why_and_so_does_one_that_never_had_it() {
        let mut model = Model::new(pipeline(&[("main", &["one", "two"])]));
        let mut view = Plain::brief(Vec::new(), Paint::PLAIN, "");
        let job = |job, status, reason: Option<&str>| News::Job {
            workflow: 0,
            job,
            status,
            reason: reason.map(str::to_owned),
        };
        let waits = job(0, JobStatus::Queued, Some("waits for its turn"));
        tell(&mut view, &mut model, &waits);
        tell(&mut view, &mut model, &job(0, JobStatus::Queued, None));
        assert!(!model.apply(&waits), "what is told again after its turn came is old");
        tell(&mut view, &mut model, &job(1, JobStatus::NotRun, Some("skipped")));
        let text = String::from_utf8(view.out).unwrap();
        assert_eq!(text, "one | queued: waits for its turn\ntwo | not run: skipped\n");
    }

    #[test]
    fn bytes_that_are_no_text_go_through_as_they_are() {
        let (mut view, model) = two_tasks();
        view.out.clear();
        view.log(&model, task_id(1), StepNumber(1), b"\xff\xfe\n");
        assert_eq!(view.out, b"build[0] | \xff\xfe\n");
    }

    #[test]
    fn on_a_terminal_no_log_moves_the_cursor() {
        let (view, model) = two_tasks();
        let mut view = view.on_terminal(true);
        view.out.clear();
        view.log(&model, task_id(1), StepNumber(1), b"a\x1b[2Jb\x1b[31mc\r\n");
        assert_eq!(view.out, b"build[0] | abc\n");
    }

    #[test]
    fn the_last_line_of_a_step_that_nobody_saw_end_is_told_once_its_log_is() {
        let (mut view, model) = two_tasks();
        view.out.clear();
        view.log(&model, task_id(1), StepNumber(1), b"cut off");
        assert_eq!(view.out, b"");
        view.log_ended(&model, task_id(1), StepNumber(1));
        view.log_ended(&model, task_id(1), StepNumber(1));
        assert_eq!(view.out, b"build[0] | cut off\n");
    }

    #[test]
    fn a_line_without_end_is_cut_and_not_kept_for_ever() {
        let (mut view, model) = two_tasks();
        for _ in 0..40 {
            view.log(&model, task_id(1), StepNumber(1), &[b'x'; 4096]);
        }
        assert!(view.unfinished.values().all(|line| line.len() <= MAX_LINE));
    }
}
