//! How durations, sizes and endings are said to people, with colors where they are wanted.

use protocol::{
    JobStatus, StepStatus,
    api::{JobView, Reruns, StepView, WorkflowView},
};
use std::io::IsTerminal;

/// Whether to color, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Never colors.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { on: false };

    /// Colors where the stream is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { on: stream.is_terminal() && !refused && !dumb }
    }

    /// Whether it colors.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// In bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Less visible.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What somebody should look at.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// In the color of a status.
    pub(crate) fn status(self, status: JobStatus, text: &str) -> String {
        let code = match status {
            JobStatus::Success => "32",
            JobStatus::Running | JobStatus::Queued => "36",
            JobStatus::Blocked | JobStatus::NotRun => "2",
            JobStatus::Canceled | JobStatus::OnHold => "33",
            JobStatus::Failed
            | JobStatus::Timedout
            | JobStatus::InfrastructureFail
            | JobStatus::Unauthorized => "31",
        };
        self.wrap(code, text)
    }
}

/// One character for a job's end.
pub(crate) fn mark(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Success => "✔",
        JobStatus::NotRun | JobStatus::Blocked => "·",
        JobStatus::OnHold => "‖",
        JobStatus::Queued | JobStatus::Running => "…",
        JobStatus::Canceled => "■",
        JobStatus::Failed | JobStatus::Timedout | JobStatus::InfrastructureFail | JobStatus::Unauthorized => {
            "✘"
        }
    }
}

/// A status as a person says it.
pub(crate) fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Blocked => "blocked",
        JobStatus::OnHold => "on hold",
        JobStatus::Queued => "queued",
        JobStatus::Running => "running",
        JobStatus::Success => "success",
        JobStatus::Failed => "failed",
        JobStatus::Canceled => "canceled",
        JobStatus::Timedout => "timed out",
        JobStatus::InfrastructureFail => "infrastructure fail",
        JobStatus::NotRun => "not run",
        JobStatus::Unauthorized => "unauthorized",
    }
}

/// How a job stands, and why where that says too little.
pub(crate) fn over(job: &JobView) -> String {
    match &job.reason {
        Some(reason) => format!("{}: {}", status(job.status), shown(reason)),
        None => status(job.status).to_owned(),
    }
}

/// What to do about a job that waits for an approval or a release.
pub(crate) fn on_hold(reach: &str, label: &str, plan: Option<&str>) -> String {
    let job = in_shell(label);
    match plan {
        Some(plan) => format!(
            "on hold: once the release {} is over, say so with `roundhouse release{reach} {job}`, or with `--failed` behind it",
            shown(plan)
        ),
        None => format!("on hold: approve it with `roundhouse approve{reach} {job}`"),
    }
}

/// A word as a shell reads it back.
pub(crate) fn in_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `0.4s`, `12.3s`, `1m 02s`, `1h 03m`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}.{}s", milliseconds % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `4s`, `1m 02s`: of something that goes on.
pub(crate) fn elapsed(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { duration(seconds * 1000) }
}

/// `9 B`, `1.2 KiB`, `3.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 artifact`, `2 artifacts`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// How a step ended: `success`, `failed (exit code 3)`.
pub(crate) fn step_end(step: &StepView) -> String {
    let how = match step.status {
        StepStatus::Running => "running",
        StepStatus::Success => "success",
        StepStatus::Failed => "failed",
        StepStatus::Canceled => "canceled",
        StepStatus::Timedout => "timed out",
        StepStatus::Skipped => "skipped",
    };
    match step.exit_code {
        Some(code) if code != 0 => format!("{how} (exit code {code})"),
        _ => how.to_owned(),
    }
}

/// A name from a configuration, or a sentence of the machinery, as one line that moves no cursor.
pub(crate) fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// That a workflow runs again, and why.
pub(crate) fn rerun(workflow: &WorkflowView) -> String {
    let (name, Reruns { automatic, most, .. }) = (shown(&workflow.name), workflow.reruns);
    match automatic {
        0 => format!("the workflow {name} runs again"),
        _ => format!("the workflow {name} failed and runs again by itself ({automatic} of {most})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said: Vec<String> = [0, 450, 59_900, 62_000, 3_780_000].map(duration).into();
        assert_eq!(said, ["0.0s", "0.4s", "59.9s", "1m 02s", "1h 03m"]);
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        let said: Vec<String> = [9, 1024, 1_536, 10 << 20, 3 << 40].map(size).into();
        assert_eq!(said, ["9 B", "1.0 KiB", "1.5 KiB", "10.0 MiB", "3.0 TiB"]);
    }

    #[test]
    fn a_shell_reads_back_the_word_it_was_given() {
        let said: Vec<String> = ["hold", "a b", "it's", ""].map(in_shell).into();
        assert_eq!(said, ["hold", "'a b'", r"'it'\''s'", "''"]);
    }

    #[test]
    fn without_colors_nothing_but_the_text_is_written() {
        assert_eq!(Paint::PLAIN.bold("x"), "x");
        assert_eq!(Paint { on: true }.bold("x"), "\u{1b}[1mx\u{1b}[0m");
    }

    #[test]
    fn a_name_stays_on_its_line_and_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2J\nb ü"), "a [2J b ü");
    }
}
