//! The control plane's clocks: one that never goes back for leases, the wall's for people.

use crate::engine::task::Millis;
use protocol::times::date;
use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A clock on the wall: by it schedules are due.
pub trait Wall: std::fmt::Debug + Send + Sync {
    /// Milliseconds since 1970.
    fn ms(&self) -> i64;
}

/// That of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemWall;

impl Wall for SystemWall {
    fn ms(&self) -> i64 {
        wall_ms()
    }
}

/// Both clocks.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    wall: Arc<dyn Wall>,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Of the clock that never goes back.
    pub(crate) now: Millis,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

impl Clock {
    pub(crate) fn new(wall: Arc<dyn Wall>) -> Self {
        Self { origin: Instant::now(), wall }
    }

    /// Milliseconds since 1970, by the clock on the wall.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.wall.ms()
    }

    pub(crate) fn moment(&self) -> Moment {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { now, wall_ms: self.wall.ms() }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX) + failpoints::clock_is_off_by_ms()
}

/// A time as RFC 3339, in UTC.
pub(crate) fn rfc3339(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(rfc3339(1_795_469_100_001), "2026-11-23T21:25:00.001Z");
    }
}
