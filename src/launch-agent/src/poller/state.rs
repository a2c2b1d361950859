//! The life of one token's claims, as a table. Pure.

/// Where a Poller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollerState {
    /// It has no room to fill.
    Idle,
    /// A claim is held open.
    Asking,
    /// The last claim failed; it waits before the next.
    Waiting,
    /// Its token was refused; it waits longer.
    Parked,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollerEvent {
    /// The Supervisor lends it slots.
    Room,
    /// The control plane answered, with tasks or without.
    Answered,
    /// The control plane could not be asked.
    Failed,
    /// The control plane refuses the token.
    TokenRefused,
    /// The wait is over.
    Due,
    /// The Supervisor wants its slots back.
    Withdrawn,
}

/// What it must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollerEffect {
    /// Claim.
    Ask,
    /// Wait a while, longer after each failure.
    BackOff,
    /// Wait a minute.
    Park,
    /// Tell the Supervisor that slots would be welcome.
    SayReady,
    /// Let the claim go, and give its slots back.
    LetGo,
}

impl PollerState {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Asking => "Asking",
            Self::Waiting => "Waiting",
            Self::Parked => "Parked",
        }
    }

    /// The only way a Poller changes state.
    pub(crate) fn on(self, event: PollerEvent) -> (Self, Option<PollerEffect>) {
        use {PollerEvent::*, PollerState::*};
        match (self, event) {
            (Idle, Room) => (Asking, Some(PollerEffect::Ask)),
            (Asking, Answered) => (Idle, Some(PollerEffect::SayReady)),
            (Asking, Failed) => (Waiting, Some(PollerEffect::BackOff)),
            (Asking, TokenRefused) => (Parked, Some(PollerEffect::Park)),
            (Asking, Withdrawn) => (Idle, Some(PollerEffect::LetGo)),
            (Waiting | Parked, Due) => (Idle, Some(PollerEffect::SayReady)),
            _ => (self, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {PollerEvent::*, PollerState::*};

    #[test]
    fn the_table_is_the_documented_one() {
        let mut table = String::new();
        for state in [Idle, Asking, Waiting, Parked] {
            for event in [Room, Answered, Failed, TokenRefused, Due, Withdrawn] {
                let (next, effect) = state.on(event);
                let effect = effect.map_or_else(String::new, |effect| format!("  {effect:?}"));
                table += &format!("{state:?} + {event:?} -> {next:?}{effect}\n");
            }
        }
        insta::assert_snapshot!(table);
    }

    /// What comes in the end of what a Poller asked for.
    fn comes_of(effect: PollerEffect, answer: PollerEvent) -> PollerEvent {
        match effect {
            PollerEffect::Ask => answer,
            PollerEffect::BackOff | PollerEffect::Park => Due,
            PollerEffect::SayReady | PollerEffect::LetGo => Room,
        }
    }

    proptest::proptest! {
        #[test]
        fn a_poller_never_asks_twice_at_once_and_asks_again_in_the_end(
            noise in proptest::collection::vec(
                (proptest::bool::ANY, proptest::sample::select(vec![Room, Answered, Failed, TokenRefused, Due, Withdrawn])),
                0..60,
            ),
        ) {
            // What it waits for, beside what comes late and twice.
            let (mut state, mut waited_for) = (Idle, Room);
            for (is_due, event) in noise {
                let is_of_a_claim = matches!(event, Answered | Failed | TokenRefused);
                let event = match (is_due, waited_for) {
                    (true, Answered) if is_of_a_claim => event,
                    (true, waited_for) => waited_for,
                    // Lent slots and late timers come whenever they like; the end of a claim only while one is held.
                    (false, _) if is_of_a_claim => continue,
                    (false, _) => event,
                };
                let (next, effect) = state.on(event);
                let asks = effect == Some(PollerEffect::Ask);
                proptest::prop_assert!(!asks || state != Asking, "one claim at a time");
                proptest::prop_assert!(!asks || event == Room, "only for slots that were lent");
                proptest::prop_assert!(next == state || effect.is_some(), "every change has its consequence");
                if let Some(effect) = effect {
                    waited_for = comes_of(effect, Answered);
                }
                state = next;
            }
            let mut events = std::iter::successors(Some((state, waited_for)), |(state, waited_for)| {
                let (next, effect) = state.on(*waited_for);
                Some((next, effect.map_or(*waited_for, |effect| comes_of(effect, Answered))))
            });
            proptest::prop_assert!(events.by_ref().take(8).any(|(state, _)| state == Asking), "it asks again");
        }
    }
}
