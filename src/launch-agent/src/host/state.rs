//! The life of a launch-agent, as a table: it serves, drains or hands over, and is done. Pure.

use super::life::EndOrder;

/// Where a launch-agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostState {
    /// It claims and runs tasks.
    Serving,
    /// It claims no more and leaves its tasks to the program that takes its place.
    HandingOver,
    /// It claims no more and waits for its tasks.
    Draining,
    /// It has told its tasks to end.
    Stopping,
    /// No task is left.
    Done,
}

/// What can happen to it, in any order, more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostEvent {
    /// Another program is to take its place, under the tasks that run.
    HandOver,
    /// No task is just being launched.
    Settled,
    /// It is to end: the first signal, the end of its single task, idleness, or too many failures of its leases.
    Drain,
    /// It is to end now: the second signal, or a drain that took too long.
    Stop,
    /// No task is left on the host.
    Empty,
}

/// What its Supervisor must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostEffect {
    /// Claim no more, and say so once no task is just being launched.
    Settle,
    /// Claim no more; a drain is bounded in time.
    EndClaims,
    /// Claim no more and tell every task to end; one that was told before is killed at once.
    EndTasks,
    /// Stop: nothing is left to do.
    Leave,
}

impl From<EndOrder> for HostEvent {
    fn from(order: EndOrder) -> Self {
        match order {
            EndOrder::Drain => Self::Drain,
            EndOrder::Stop => Self::Stop,
        }
    }
}

impl HostState {
    /// The only way a launch-agent changes state.
    pub(crate) fn on(self, event: HostEvent) -> (Self, Option<HostEffect>) {
        use {HostEvent::*, HostState::*};
        match (self, event) {
            (Serving, HandOver) => (HandingOver, Some(HostEffect::Settle)),
            (HandingOver, Settled) => (Done, Some(HostEffect::Leave)),
            (Serving | HandingOver, Drain) => (Draining, Some(HostEffect::EndClaims)),
            // Once more: whoever asks twice has no patience for the grace.
            (Serving | HandingOver | Draining | Stopping, Stop) => (Stopping, Some(HostEffect::EndTasks)),
            (Draining | Stopping, Empty) => (Done, Some(HostEffect::Leave)),
            _ => (self, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {HostEvent::*, HostState::*};

    #[test]
    fn the_table_is_the_documented_one() {
        let mut table = String::new();
        for state in [Serving, HandingOver, Draining, Stopping, Done] {
            for event in [HandOver, Settled, Drain, Stop, Empty] {
                let (next, effect) = state.on(event);
                let effect = effect.map_or_else(String::new, |effect| format!("  {effect:?}"));
                table += &format!("{state:?} + {event:?} -> {next:?}{effect}\n");
            }
        }
        insta::assert_snapshot!(table);
    }

    proptest::proptest! {
        #[test]
        fn a_host_that_ends_claims_no_more_and_leaves_once(
            events in proptest::collection::vec(proptest::sample::select(vec![Drain, Stop, Empty]), 0..30),
        ) {
            let (mut state, mut claims_ended, mut left) = (Serving, false, 0);
            for event in events {
                let (next, effect) = state.on(event);
                proptest::prop_assert!(state != Done || (next, effect) == (Done, None), "done is done");
                proptest::prop_assert!(state == Serving || next != Serving, "it never serves again");
                proptest::prop_assert!(state != Stopping || next != Draining, "no patience comes back");
                claims_ended |= matches!(effect, Some(HostEffect::EndClaims | HostEffect::EndTasks));
                left += usize::from(effect == Some(HostEffect::Leave));
                proptest::prop_assert!(left == 0 || claims_ended, "it leaves only what it told to end");
                state = next;
            }
            proptest::prop_assert_eq!(left, usize::from(state == Done));
            // Whatever came, these two end it.
            proptest::prop_assert_eq!(state.on(Stop).0.on(Empty).0, Done);
        }
    }
}
