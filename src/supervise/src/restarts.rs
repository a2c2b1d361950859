//! Restart intensity, after Erlang's `MaxR`/`MaxT`: some failures are noise, a burst of them is a fault.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many failures a parent absorbs before the failure becomes its own.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// So many are absorbed.
    pub failures: usize,
    /// Within this long; older ones are forgotten.
    pub within: Duration,
    /// The pause before the first restart; doubled for each further one.
    pub backoff: Duration,
}

/// What to do about one more failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin again after a pause.
    RestartAfter(Duration),
    /// It is no noise: the failure is the parent's now.
    Escalate,
}

/// The recent failures of one child. Pure: the caller says what time it is.
#[derive(Debug)]
pub(crate) struct Restarts {
    tolerance: Tolerance,
    recent: VecDeque<Instant>,
}

/// Pauses are doubled this often at most.
const DOUBLINGS: usize = 10;

impl Restarts {
    /// No failure yet.
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, recent: VecDeque::new() }
    }

    /// Counts one more failure.
    pub(crate) fn failed_at(&mut self, now: Instant) -> Verdict {
        let Tolerance { failures, within, backoff } = self.tolerance;
        self.recent.retain(|at| now.duration_since(*at) < within);
        self.recent.push_back(now);
        match self.recent.len() {
            recent if recent > failures => Verdict::Escalate,
            recent => Verdict::RestartAfter(backoff * (1 << (recent - 1).min(DOUBLINGS))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn restarts() -> Restarts {
        Restarts::new(Tolerance { failures: 3, within: 60 * SECOND, backoff: SECOND })
    }

    #[test]
    fn backs_off_then_escalates() {
        let (mut restarts, now) = (restarts(), Instant::now());
        let verdicts = [0, 1, 2, 3].map(|s| restarts.failed_at(now + s * SECOND));
        let after = |s| Verdict::RestartAfter(s * SECOND);
        assert_eq!(verdicts, [after(1), after(2), after(4), Verdict::Escalate]);
    }

    #[test]
    fn forgets_failures_older_than_the_window() {
        let (mut restarts, now) = (restarts(), Instant::now());
        for minute in 0..10 {
            assert_eq!(restarts.failed_at(now + minute * 60 * SECOND), Verdict::RestartAfter(SECOND));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_more_restarts_than_tolerated_within_the_window(gaps: Vec<u8>) {
            let (mut restarts, mut now) = (restarts(), Instant::now());
            let mut restarted = VecDeque::new();
            for gap in gaps {
                now += SECOND * u32::from(gap);
                if restarts.failed_at(now) != Verdict::Escalate {
                    restarted.push_back(now);
                }
                restarted.retain(|at| now.duration_since(*at) < 60 * SECOND);
                proptest::prop_assert!(restarted.len() <= 3);
            }
        }
    }
}
