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
}

impl PollerState {
    /// The only way a Poller changes state.
    pub(crate) fn on(self, event: PollerEvent) -> (Self, Option<PollerEffect>) {
        use {PollerEvent::*, PollerState::*};
        match (self, event) {
            (Idle, Room) => (Asking, Some(PollerEffect::Ask)),
            (Asking, Answered) => (Idle, Some(PollerEffect::SayReady)),
            (Asking, Failed) => (Waiting, Some(PollerEffect::BackOff)),
            (Asking, TokenRefused) => (Parked, Some(PollerEffect::Park)),
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
            for event in [Room, Answered, Failed, TokenRefused, Due] {
                let (next, effect) = state.on(event);
                let effect = effect.map_or_else(String::new, |effect| format!("  {effect:?}"));
                table += &format!("{state:?} + {event:?} -> {next:?}{effect}\n");
            }
        }
        insta::assert_snapshot!(table);
    }
}
