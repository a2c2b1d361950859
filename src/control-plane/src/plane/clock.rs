//! The control plane's clocks: one that never goes back for leases, the wall's for people.

use crate::engine::task::Millis;
use protocol::times::{date, day};
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

/// The time that RFC 3339 writes so, in milliseconds since 1970.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let (of_day, time) = text.split_once(['T', 't'])?;
    let (clock, offset) = zoned(time)?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let ([year, month, of_month], [hour, minute, second]) = (numbers(of_day, '-')?, numbers(whole, ':')?);
    let days = (1..=12).contains(&month).then(|| day(year, month, of_month))?;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if date(days) != (year, month, of_month) || !is_time || !is_fraction {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some(days * 86_400_000 + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms)
}

/// A time of day and by how many minutes it is ahead of UTC.
fn zoned(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, offset) = time.split_at(time.rfind(['+', '-'])?);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = numbers::<1>(hours, ':')?[0] * 60 + numbers::<1>(minutes, ':')?[0];
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

/// Numbers without signs, so many.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let number = |part: &str| part.parse::<u16>().ok().filter(|_| !part.starts_with('+')).map(i64::from);
    text.split(between).map(number).collect::<Option<Vec<_>>>()?.try_into().ok()
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

    #[test]
    fn times_are_read_as_rfc_3339_in_every_zone() {
        for ms in [0, 951_827_696_789, 1_795_469_100_001] {
            assert_eq!(instant(&rfc3339(ms)), Some(ms));
        }
        for (text, wanted) in [
            ("2026-11-23T21:25:00Z", "2026-11-23T21:25:00.000Z"),
            ("2026-11-23T21:25:00.5+02:00", "2026-11-23T19:25:00.500Z"),
            ("2026-11-23t21:25:00.123456789-00:30", "2026-11-23T21:55:00.123Z"),
        ] {
            assert_eq!(instant(text).map(rfc3339).as_deref(), Some(wanted), "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-11-23",
            "2026-11-23T21:25Z",
            "2026-11-23T21:25:00",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T21:25:00.Z",
            "2026-11-23T21:25:00+2",
            "+026-11-23T21:25:00Z",
            "2026-11-23T21:25:00é",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
