//! The minutes at which something is to happen, again and again, and the calendar that they follow. All in UTC.

/// Milliseconds.
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Minutes of days of months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Bit 0 is minute 0.
    pub minutes: u64,
    /// Bit 0 is hour 0.
    pub hours: u32,
    /// Bit 1 is the first.
    pub days_of_month: u32,
    /// Bit 1 is January.
    pub months: u16,
    /// Bit 0 is Sunday.
    pub days_of_week: u8,
    /// Whether a day may fit by its date or by its weekday, as cron has it where both are restricted; else by both.
    pub is_either_day: bool,
}

impl Times {
    /// Every minute there is.
    pub const ALWAYS: Self = Self {
        minutes: (1 << 60) - 1,
        hours: (1 << 24) - 1,
        days_of_month: !1,
        months: ((1 << 12) - 1) << 1,
        days_of_week: (1 << 7) - 1,
        is_either_day: false,
    };

    /// The last of these minutes behind `after` and not behind `until`, all in milliseconds since 1970.
    pub fn last(&self, after: i64, until: i64) -> Option<i64> {
        let days = (after.div_euclid(DAY)..=until.div_euclid(DAY)).rev();
        let fitting = days.filter(|day| self.has_day(*day));
        fitting.filter_map(|day| self.last_of_day(day, after, until)).next()
    }

    fn has_day(&self, days: i64) -> bool {
        let (_, month, day) = date(days);
        // The first day of 1970 was a Thursday.
        let weekday = (days + 4).rem_euclid(7);
        let by_date = self.days_of_month >> day & 1 == 1;
        let by_weekday = self.days_of_week >> weekday & 1 == 1;
        let by_day = if self.is_either_day { by_date || by_weekday } else { by_date && by_weekday };
        self.months >> month & 1 == 1 && by_day
    }

    fn last_of_day(&self, day: i64, after: i64, until: i64) -> Option<i64> {
        let times = (0..24 * 60)
            .rev()
            .filter(|time| self.hours >> (time / 60) & 1 == 1 && self.minutes >> (time % 60) & 1 == 1);
        times.map(|time| day * DAY + time * MINUTE).find(|time| *time <= until).filter(|time| *time > after)
    }
}

/// The Gregorian date of a day counted from 1970: year, month, day (Howard Hinnant's `civil_from_days`).
pub fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day of a Gregorian date, counted from 1970 (his `days_from_civil`).
pub fn day(year: i64, month: i64, of_month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + of_month - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-30, a Monday, at this hour and minute.
    fn monday(hour: i64, minute: i64) -> i64 {
        20_787 * DAY + (hour * 60 + minute) * MINUTE
    }

    const NOON: Times = Times { minutes: 1, hours: 1 << 12, ..Times::ALWAYS };

    #[test]
    fn a_day_has_its_date_and_its_weekday() {
        assert_eq!(date(20_787), (2026, 11, 30));
        assert_eq!(date(11_016), (2000, 2, 29));
        let mondays = Times { days_of_week: 1 << 1, ..NOON };
        assert_eq!(mondays.last(monday(0, 0), monday(23, 0)), Some(monday(12, 0)));
        let tuesdays = Times { days_of_week: 1 << 2, ..NOON };
        assert_eq!(tuesdays.last(monday(0, 0), monday(23, 0)), None);
    }

    #[test]
    fn what_was_is_not_and_what_is_counts() {
        assert_eq!(NOON.last(monday(12, 0), monday(13, 0)), None);
        assert_eq!(NOON.last(monday(12, 0) - 1, monday(12, 0)), Some(monday(12, 0)));
        assert_eq!(NOON.last(monday(0, 0), monday(12, 0) - 1), None);
        assert_eq!(
            NOON.last(monday(12, 0) - 30 * DAY, monday(13, 0)),
            Some(monday(12, 0)),
            "the last of many"
        );
    }

    #[test]
    fn a_day_fits_by_both_or_by_either() {
        let both = Times { days_of_month: 1 << 1, days_of_week: 1 << 1, ..NOON };
        assert_eq!(both.last(monday(0, 0), monday(0, 0) + 2 * DAY), None);
        let either = Times { is_either_day: true, ..both };
        assert_eq!(either.last(monday(0, 0), monday(23, 0)), Some(monday(12, 0)), "a Monday");
        let first = monday(12, 0) + DAY;
        assert_eq!(either.last(monday(13, 0), first), Some(first), "the first of December");
    }

    proptest! {
        #[test]
        fn a_date_has_its_day(number in -1_000_000..4_000_000_i64) {
            let (year, month, of_month) = date(number);
            prop_assert_eq!(day(year, month, of_month), number);
        }

        #[test]
        fn the_last_time_is_the_one_that_looking_at_each_minute_finds(
            minutes in 0..1_u64 << 60, hours in 0..1_u32 << 24, days_of_week in 0..128_u8, days_of_month: u32,
            is_either_day: bool, length in 0..5_000_i64, begin in 0..2_000_000_i64,
        ) {
            let times = Times { minutes, hours, days_of_month, days_of_week, is_either_day, ..Times::ALWAYS };
            let (after, until) = (begin * MINUTE + 7, (begin + length) * MINUTE + 7);
            let each = (begin + 1..=begin + length).rev().map(|minute| minute * MINUTE);
            let fits = |time: &i64| {
                let of_day = time.rem_euclid(DAY) / MINUTE;
                times.has_day(time.div_euclid(DAY)) && hours >> (of_day / 60) & 1 == 1 && minutes >> (of_day % 60) & 1 == 1
            };
            prop_assert_eq!(times.last(after, until), each.into_iter().find(fits));
        }
    }
}
