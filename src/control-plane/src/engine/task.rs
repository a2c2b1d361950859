//! One task and its leases: who may run it, until when, and what every late or repeated call gets.

use failpoints::Guard;
use protocol::{Epoch, Outcome, http::MAX_UNCLAIMS};

/// Milliseconds of a clock that never goes back.
pub(crate) type Millis = u64;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits for a claim.
    Queued,
    /// Held by a launch-agent until then; user code has not begun.
    Claimed { until: Millis },
    /// Held until then; user code may have run, so it is never queued again.
    Begun { until: Millis },
    /// Over.
    Ended(Outcome),
}

/// A task. Its epoch moves on whenever its holder loses it, so an old holder is known by the epoch alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) state: State,
    pub(crate) epoch: Epoch,
    pub(crate) unclaims: u32,
    pub(crate) canceled: bool,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody takes it, until then.
    Claim { until: Millis },
    /// Its holder lives.
    Renew { epoch: Epoch, until: Millis },
    /// Its holder asks leave to run user code.
    Begin { epoch: Epoch },
    /// Its holder gives it back.
    Unclaim { epoch: Epoch },
    /// Its holder says that it is over.
    Finish { epoch: Epoch, outcome: Outcome },
    /// Time has passed.
    Tick { now: Millis },
    /// It has waited too long.
    Overdue,
    /// Somebody cancels it.
    Cancel,
}

/// What an event came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken, under the task's epoch.
    Claimed,
    /// The lease is longer now.
    Renewed,
    /// User code may run, for the first time.
    Granted,
    /// The same was said before; nothing changed.
    Repeated,
    /// It waits for a claim again.
    Requeued,
    /// It is over.
    Over(Outcome),
    /// It is over: it was given back too often.
    Exhausted,
    /// Its holder is to end it.
    Told,
    /// Who says so does not hold it.
    Fenced,
    /// It has begun, so it cannot be given back.
    Begun,
    /// Nothing happened.
    Unmoved,
}

impl Task {
    /// A task that nobody has claimed yet.
    pub(crate) fn new() -> Self {
        Self { state: State::Queued, epoch: Epoch(0), unclaims: 0, canceled: false }
    }

    /// Whether a launch-agent holds it.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.state, State::Claimed { .. } | State::Begun { .. })
    }

    /// Whether this epoch is the one under which it is held.
    pub(crate) fn is_held_under(&self, epoch: Epoch) -> bool {
        self.is_held() && !self.fences(epoch)
    }

    /// Whether this epoch is another than the one it has now.
    fn fences(&self, epoch: Epoch) -> bool {
        self.epoch != epoch && !Guard::Fencing.is_out()
    }

    /// Whether it is held under a lease that is over.
    pub(crate) fn has_run_out(&self, now: Millis) -> bool {
        matches!(self.state, State::Claimed { until } | State::Begun { until } if until <= now)
    }

    /// The task after the event, and what it came to.
    pub(crate) fn after(mut self, event: Event) -> (Self, Verdict) {
        let verdict = match event {
            Event::Claim { until } => self.claim(until),
            Event::Renew { epoch, until } => self.renew(epoch, until),
            Event::Begin { epoch } => self.begin(epoch),
            Event::Unclaim { epoch } => self.unclaim(epoch),
            Event::Finish { epoch, outcome } => self.finish(epoch, outcome),
            Event::Tick { now } => self.tick(now),
            Event::Overdue => self.overdue(),
            Event::Cancel => self.cancel(),
        };
        (self, verdict)
    }

    fn claim(&mut self, until: Millis) -> Verdict {
        if self.state != State::Queued {
            return Verdict::Fenced;
        }
        self.state = State::Claimed { until };
        self.move_on();
        Verdict::Claimed
    }

    fn renew(&mut self, epoch: Epoch, until: Millis) -> Verdict {
        let fenced = self.fences(epoch);
        match &mut self.state {
            _ if fenced => Verdict::Fenced,
            State::Claimed { until: end } | State::Begun { until: end } => {
                *end = until.max(*end);
                Verdict::Renewed
            }
            // Its holder has just ended it and says so with its last breath.
            State::Ended(_) => Verdict::Unmoved,
            State::Queued => Verdict::Fenced,
        }
    }

    fn begin(&mut self, epoch: Epoch) -> Verdict {
        match self.state {
            State::Claimed { until } if !self.fences(epoch) => {
                self.state = State::Begun { until };
                Verdict::Granted
            }
            State::Begun { .. } if !self.fences(epoch) => Verdict::Repeated,
            _ => Verdict::Fenced,
        }
    }

    fn unclaim(&mut self, epoch: Epoch) -> Verdict {
        match self.state {
            _ if self.fences(epoch) => Verdict::Fenced,
            State::Queued => Verdict::Repeated,
            State::Begun { .. } => Verdict::Begun,
            State::Ended(_) => Verdict::Fenced,
            State::Claimed { .. } if self.canceled => self.end(Outcome::Canceled),
            State::Claimed { .. } if self.unclaims >= MAX_UNCLAIMS => {
                self.state = State::Ended(Outcome::InfrastructureFail);
                Verdict::Exhausted
            }
            State::Claimed { .. } => {
                self.unclaims += 1;
                self.state = State::Queued;
                Verdict::Requeued
            }
        }
    }

    fn finish(&mut self, epoch: Epoch, outcome: Outcome) -> Verdict {
        match self.state {
            _ if self.fences(epoch) => Verdict::Fenced,
            State::Claimed { .. } | State::Begun { .. } => self.end(outcome),
            State::Ended(_) => Verdict::Repeated,
            State::Queued => Verdict::Fenced,
        }
    }

    fn tick(&mut self, now: Millis) -> Verdict {
        match self.state {
            State::Claimed { until } if until <= now && !self.canceled => {
                self.state = State::Queued;
                Verdict::Requeued
            }
            State::Claimed { until } | State::Begun { until } if until <= now => {
                self.move_on();
                self.end(if self.canceled { Outcome::Canceled } else { Outcome::InfrastructureFail })
            }
            _ => Verdict::Unmoved,
        }
    }

    fn overdue(&mut self) -> Verdict {
        if self.state != State::Queued {
            return Verdict::Unmoved;
        }
        self.move_on();
        self.end(Outcome::InfrastructureFail)
    }

    fn cancel(&mut self) -> Verdict {
        match self.state {
            State::Queued => {
                self.canceled = true;
                self.move_on();
                self.end(Outcome::Canceled)
            }
            State::Claimed { .. } | State::Begun { .. } if !self.canceled => {
                self.canceled = true;
                Verdict::Told
            }
            _ => Verdict::Unmoved,
        }
    }

    fn end(&mut self, outcome: Outcome) -> Verdict {
        self.state = State::Ended(outcome);
        Verdict::Over(outcome)
    }

    fn move_on(&mut self) {
        self.epoch.0 += 1;
    }
}
