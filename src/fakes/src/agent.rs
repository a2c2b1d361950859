//! The fake task-agent: real frames, spools and journal; but the command of a step is words of its own, one a line.
//!
//! | word | what it does |
//! |---|---|
//! | `say TEXT` | writes the text and a line feed to the step's log |
//! | `count N MS` | writes the numbers below N, one a line, each after a pause of so many milliseconds |
//! | `flood BYTES` | writes so many bytes |
//! | `wait FILE` | until the file is there |
//! | `touch FILE` | makes the file |
//! | `fail CODE` | ends the step as failed |
//! | `artifact PATH TEXT` | stores an artifact |
//! | `tests LINE` | stores one test result, given as JSON |
//! | `save KEY TEXT`, `find KEY`, `restore KEY` | caches; their answers are written to the log |
//! | `layer TEXT`, `attach` | workspace layers; their answers are written to the log |
//! | `source` | fetches the archive of the source |
//! | `crash` | dies by SIGKILL |
//! | `hang` | goes on for ever, whatever is canceled |
//! | `stubborn` | leaves a process behind, in a session of its own, that ignores TERM |
//! | `garbage` | sends a packet that is no frame |
//! | `nonsense` | writes a line into the journal that is no record |

mod link;
mod program;
mod words;

pub use program::program;

use link::{Link, Received};
use protocol::{
    frame::{CancelReason, Invitation},
    ids::StepNumber,
    journal::{Record, TaskEvent},
    status::{Outcome, StepStatus},
    task::{Action, Step, TaskSpec, When},
};
use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Reads its invitation, runs its task, journals the outcome.
pub fn main() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let invitation: Invitation = serde_json::from_str(&line)?;
    let link = Link::start(invitation);
    let Received { spec, journal, spools } = link.task();
    let spec: TaskSpec = serde_json::from_reader(File::from(spec))?;
    link.begun();
    let mut journal = Journal { file: journal.into(), next: 0 };
    let outcome = steps(&spec, spools, &link, &mut journal)?;
    journal.write(TaskEvent::Ended { outcome })?;
    journal.file.sync_all()?;
    link.progress();
    Ok(())
}

struct Journal {
    file: File,
    next: u64,
}

impl Journal {
    fn write(&mut self, event: TaskEvent) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record { seq: self.next, at_ms: now.as_millis() as i64, event };
        self.next += 1;
        self.file.write_all(record.to_line().as_bytes())
    }
}

fn steps(spec: &TaskSpec, spools: Vec<OwnedFd>, link: &Link, journal: &mut Journal) -> io::Result<Outcome> {
    let mut outcome = Outcome::Success;
    for ((number, step), spool) in (1..).zip(&spec.steps).zip(spools) {
        if link.canceled().is_none() && is_its_turn(step.when, outcome) {
            let status = run(StepNumber(number), step, spool.into(), link, journal)?;
            outcome = if status == StepStatus::Success { outcome } else { Outcome::Failed };
        }
    }
    Ok(ended_from_outside(link).unwrap_or(outcome))
}

fn is_its_turn(when: When, so_far: Outcome) -> bool {
    match when {
        When::Always => true,
        When::OnSuccess => so_far == Outcome::Success,
        When::OnFail => so_far == Outcome::Failed,
    }
}

fn ended_from_outside(link: &Link) -> Option<Outcome> {
    Some(match link.canceled()? {
        CancelReason::Canceled | CancelReason::Fenced => Outcome::Canceled,
        CancelReason::MaxRunTime => Outcome::Timedout,
        CancelReason::Shutdown => Outcome::InfrastructureFail,
    })
}

fn run(
    number: StepNumber,
    step: &Step,
    spool: File,
    link: &Link,
    journal: &mut Journal,
) -> io::Result<StepStatus> {
    let began = Instant::now();
    journal.write(TaskEvent::StepStarted { step: number })?;
    link.progress();
    let mut output = words::Output { spool, written: 0 };
    let script = match &step.action {
        Action::Run(run) => run.command.as_str(),
        _ => "",
    };
    let (status, exit_code) = words::run(script, &mut output, link, &mut journal.file)?;
    journal.write(TaskEvent::StepEnded {
        step: number,
        status,
        exit_code,
        duration_ms: began.elapsed().as_millis() as u64,
        log_bytes: output.written,
    })?;
    link.progress();
    Ok(status)
}
