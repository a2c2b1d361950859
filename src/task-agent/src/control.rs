//! Whether the task is being ended, how, and how long its processes have to go by themselves; or whether the job itself
//! wants no further step.

use crate::bell::Bell;
use protocol::{
    frame::CancelReason,
    status::{Outcome, StepStatus},
};
use std::{
    io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Between TERM and KILL where nobody said another time.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// How a task is ended before its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// What the task's journal will say.
    pub(crate) outcome: Outcome,
    /// When KILL follows TERM.
    pub(crate) kill_at: Instant,
}

impl Ending {
    /// What becomes of the steps that run now.
    pub(crate) fn step_status(self) -> StepStatus {
        if self.outcome == Outcome::Timedout { StepStatus::Timedout } else { StepStatus::Canceled }
    }
}

/// Shared by all threads.
#[derive(Debug)]
pub(crate) struct Control {
    ending: Mutex<Option<Ending>>,
    ended: Condvar,
    halted: AtomicBool,
    /// Rung at each call of [`end`](Self::end).
    pub(crate) bell: Bell,
}

impl Control {
    pub(crate) fn new() -> io::Result<Self> {
        let (ending, ended, halted) = (Mutex::new(None), Condvar::new(), AtomicBool::new(false));
        Ok(Self { ending, ended, halted, bell: Bell::new()? })
    }

    /// Ends the task. The first call says how; a later one can only make the time shorter.
    pub(crate) fn end(&self, outcome: Outcome, grace: Duration) {
        let kill_at = Instant::now() + grace;
        let mut ending = self.lock();
        *ending = Some(match *ending {
            None => Ending { outcome, kill_at },
            Some(first) => Ending { kill_at: first.kill_at.min(kill_at), ..first },
        });
        drop(ending);
        self.ended.notify_all();
        self.bell.ring();
    }

    /// From now on no step begins. Those that run go on, and nothing else changes.
    pub(crate) fn halt(&self) {
        self.halted.store(true, Ordering::Release);
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// Waits for that long, or until the task is being ended; whether it is.
    pub(crate) fn ends_within(&self, pause: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.lock(), pause, |ending| ending.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        *self.lock()
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ending>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a task ends that is ended for this reason.
pub(crate) fn outcome_of(why: CancelReason) -> Outcome {
    match why {
        CancelReason::MaxRunTime => Outcome::Timedout,
        CancelReason::Canceled | CancelReason::Fenced | CancelReason::Shutdown => Outcome::Canceled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_the_shortest_time() {
        let control = Control::new().unwrap();
        control.end(Outcome::Timedout, Duration::from_secs(60));
        let first = control.ending().unwrap();
        control.end(Outcome::Canceled, Duration::ZERO);
        let second = control.ending().unwrap();
        assert_eq!(second.outcome, Outcome::Timedout);
        assert!(second.kill_at < first.kill_at);
        control.end(Outcome::Canceled, Duration::from_secs(600));
        assert_eq!(control.ending(), Some(second));
    }

    #[test]
    fn a_pause_lasts_its_time_unless_the_task_is_ended() {
        let control = Control::new().unwrap();
        assert!(!control.ends_within(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| control.ends_within(Duration::from_secs(600)));
            control.end(Outcome::Canceled, Duration::ZERO);
            assert!(waits.join().unwrap());
        });
    }
}
