//! The task's journal: what happened, one record a line, in a file that outlives this process.

use crate::hints::Hints;
use failpoints::around;
use protocol::{
    ids::StepNumber,
    journal::{Record, TaskEvent},
    status::{Outcome, StepStatus},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How long a full disk is waited for. The record of the end is worth waiting; a host that stays full is lost anyway.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
const PAUSE: Duration = Duration::from_millis(200);

/// Written to by all threads, closed by the record of the end.
///
/// Only that one is synced. What was written survives the death of this process and of the launch-agent in the kernel's
/// memory. Only the host's own death takes it, and then the lease runs out and nobody comes back for it.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    hints: Arc<Hints>,
}

#[derive(Debug)]
struct State {
    file: File,
    next: u64,
    running: BTreeMap<StepNumber, Instant>,
    closed: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepEnd {
    pub(crate) status: StepStatus,
    pub(crate) exit_code: Option<i32>,
}

impl Journal {
    pub(crate) fn new(file: File, hints: Arc<Hints>) -> Self {
        let state = State { file, next: 0, running: BTreeMap::new(), closed: false };
        Self { state: Mutex::new(state), hints }
    }

    pub(crate) fn started(&self, step: StepNumber) -> io::Result<()> {
        let mut state = self.lock();
        state.running.insert(step, Instant::now());
        state.append(TaskEvent::StepStarted { step })?;
        self.hints.give();
        Ok(())
    }

    /// Of a step that ended before, or never started, nothing is written.
    pub(crate) fn ended(&self, step: StepNumber, end: StepEnd, log_bytes: u64) -> io::Result<()> {
        self.lock().end_step(step, end, log_bytes)?;
        self.hints.give();
        Ok(())
    }

    /// Ends the steps that still run, then the task, and syncs. Nothing is written after it.
    pub(crate) fn close(
        &self,
        outcome: Outcome,
        running: StepStatus,
        log_bytes: impl Fn(StepNumber) -> u64,
    ) -> io::Result<()> {
        let mut state = self.lock();
        for step in state.running.keys().copied().collect::<Vec<_>>() {
            state.end_step(step, StepEnd { status: running, exit_code: None }, log_bytes(step))?;
        }
        state.append(TaskEvent::Ended { outcome })?;
        state.closed = true;
        around("agent.jsonl", "synced", || state.file.sync_data())?;
        self.hints.give();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_step(&mut self, step: StepNumber, end: StepEnd, log_bytes: u64) -> io::Result<()> {
        let Some(began) = self.running.remove(&step) else { return Ok(()) };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let StepEnd { status, exit_code } = end;
        self.append(TaskEvent::StepEnded { step, status, exit_code, duration_ms, log_bytes })
    }

    fn append(&mut self, event: TaskEvent) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let record = Record { seq: self.next, at_ms: now_ms(), event };
        let line = record.to_line();
        around("agent.jsonl", name(&record.event), || write_patiently(&mut self.file, line.as_bytes()))?;
        self.next += 1;
        Ok(())
    }
}

fn name(event: &TaskEvent) -> &'static str {
    match event {
        TaskEvent::StepStarted { .. } => "step-started",
        TaskEvent::StepEnded { .. } => "step-ended",
        TaskEvent::Ended { .. } => "ended",
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits while the disk is full. A line is written to its end, however many pieces that takes.
fn write_patiently(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    let begin = Instant::now();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if is_full(&error) && begin.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a write failed for want of room, which may come.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::invariants::journal_is_sound;
    use std::io::{Read, Seek};

    const SUCCESS: StepEnd = StepEnd { status: StepStatus::Success, exit_code: Some(0) };

    fn records(write: impl FnOnce(&Journal)) -> Vec<Record> {
        let mut file = tempfile::tempfile().unwrap();
        write(&Journal::new(file.try_clone().unwrap(), Arc::new(Hints::new().unwrap())));
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let (records, used) = protocol::journal::read(&bytes);
        assert_eq!(used, bytes.len());
        journal_is_sound(&records).unwrap();
        records
    }

    #[test]
    fn steps_start_and_end_and_the_end_is_last() {
        let records = records(|journal| {
            journal.started(StepNumber(1)).unwrap();
            journal.ended(StepNumber(1), SUCCESS, 12).unwrap();
            journal.close(Outcome::Success, StepStatus::Success, |_| 0).unwrap();
            journal.started(StepNumber(2)).unwrap();
        });
        assert_eq!(records.len(), 3);
        assert_eq!(records[2].event, TaskEvent::Ended { outcome: Outcome::Success });
    }

    #[test]
    fn what_still_runs_is_ended_before_the_task() {
        let records = records(|journal| {
            journal.started(StepNumber(1)).unwrap();
            journal.close(Outcome::Canceled, StepStatus::Canceled, |step| u64::from(step.0) * 7).unwrap();
            journal.ended(StepNumber(1), SUCCESS, 0).unwrap();
        });
        let canceled = |event: &TaskEvent| {
            matches!(event, TaskEvent::StepEnded { status: StepStatus::Canceled, log_bytes: 7, .. })
        };
        assert!(canceled(&records[1].event), "{records:?}");
        assert_eq!(records.len(), 3);
    }
}
