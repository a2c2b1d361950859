//! Whether something is due by its times: the last minute since it was started, and whether others were missed. Pure.

use protocol::times::Times;

/// What begins later than that was missed, and is made up for.
const LATE_MS: i64 = 2 * 60_000;

/// A minute for which something is to be started now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Milliseconds since 1970.
    pub(crate) minute_ms: i64,
    /// Whether it comes late, or others before it went by: those are not made up for.
    pub(crate) is_late: bool,
}

/// The one minute that is due of all those behind `since_ms`, whatever went by: none is made up for but the last.
pub(crate) fn due(times: &Times, since_ms: i64, now_ms: i64) -> Option<Due> {
    let minute_ms = times.last(since_ms, now_ms)?;
    let is_late = now_ms - minute_ms >= LATE_MS || times.last(since_ms, minute_ms - 1).is_some();
    Some(Due { minute_ms, is_late })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_minute_is_due_from_its_beginning_on_and_once() {
        let times = Times { minutes: 1 << 5, ..Times::ALWAYS };
        let five = 5 * MINUTE;
        assert_eq!(due(&times, 0, five - 1), None);
        assert_eq!(due(&times, 0, five), Some(Due { minute_ms: five, is_late: false }));
        assert_eq!(due(&times, five, five + 59_999), None, "it was started for this minute");
        assert_eq!(due(&times, five + 1, five + 2), None, "it was made within the minute");
    }

    #[test]
    fn what_went_by_is_made_up_for_once_and_called_late() {
        let times = Times { minutes: 1, ..Times::ALWAYS };
        let hour = 60 * MINUTE;
        let late = |since, now| due(&times, since, now).map(|due| (due.minute_ms / hour, due.is_late));
        assert_eq!(late(0, 5 * hour + 30 * MINUTE), Some((5, true)));
        assert_eq!(late(0, hour + 3 * MINUTE), Some((1, true)));
        assert_eq!(late(0, 2 * hour), Some((2, true)), "the one before it was missed");
        assert_eq!(late(5 * hour, 2 * hour), None, "the clock went back");
    }

    proptest! {
        #[test]
        fn however_the_clock_jumps_no_minute_is_due_twice(
            minutes in 1..1_u64 << 60, looks in prop::collection::vec(0..500_000_000_i64, 1..50),
        ) {
            let times = Times { minutes, ..Times::ALWAYS };
            let (mut fired, mut seen) = (0, Vec::new());
            for now in looks {
                if let Some(due) = due(&times, fired, now) {
                    prop_assert!(due.minute_ms > fired && due.minute_ms <= now);
                    fired = due.minute_ms;
                    seen.push(due.minute_ms);
                }
            }
            let mut once = seen.clone();
            once.dedup();
            prop_assert_eq!(once, seen);
        }
    }
}
