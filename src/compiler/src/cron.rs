//! Times of schedules as cron has them: minute, hour, day of month, month, day of week.

use protocol::times::Times;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What one of the five may be.
struct Field {
    least: u32,
    most: u32,
    /// Words for the numbers from the least on.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { least: 0, most: 59, words: &[] },
    Field { least: 0, most: 23, words: &[] },
    Field { least: 1, most: 31, words: &[] },
    Field { least: 1, most: 12, words: &MONTHS },
    Field { least: 0, most: 7, words: &DAYS },
];

/// The times of a text, if it is one of such.
pub(crate) fn times(text: &str) -> Option<Times> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, days_of_month, months, days_of_week] = parts[..] else { return None };
    let [minute, hour, day, month, weekday] = &FIELDS;
    let restricts = |part: &str| !part.starts_with('*');
    let weekdays = weekday.bits(days_of_week)?;
    Some(Times {
        minutes: minute.bits(minutes)?,
        hours: u32::try_from(hour.bits(hours)?).ok()?,
        days_of_month: u32::try_from(day.bits(days_of_month)?).ok()?,
        months: u16::try_from(month.bits(months)?).ok()?,
        // Sunday is 0 and 7.
        days_of_week: u8::try_from((weekdays | weekdays >> 7) & 0x7f).ok()?,
        is_either_day: restricts(days_of_month) && restricts(days_of_week),
    })
}

impl Field {
    /// A bit for each number that a part stands for.
    fn bits(&self, part: &str) -> Option<u64> {
        part.split(',').try_fold(0, |bits, item| Some(bits | self.bits_of_item(item)?))
    }

    /// `*`, `5`, `1-5`, each with a step or without: `*/15`.
    fn bits_of_item(&self, item: &str) -> Option<u64> {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let step = step.map_or(Some(1), |step| number(step).filter(|step| (1..=self.most).contains(step)))?;
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if range == "*" => (self.least, self.most),
            // With a step, from there on.
            None => self.value(range).map(|one| (one, if item.contains('/') { self.most } else { one }))?,
        };
        let each = (first..=last).step_by(usize::try_from(step).ok()?);
        (first <= last).then(|| each.fold(0, |bits, one| bits | 1 << one))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = text.to_ascii_lowercase();
        let of_word = self.words.iter().position(|known| *known == word);
        let value = of_word.and_then(|place| u32::try_from(place).ok()).map(|place| self.least + place);
        value.or_else(|| number(text)).filter(|value| (self.least..=self.most).contains(value))
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_five_fields_within_their_bounds() {
        for right in [
            "0 4 * * 1",
            "49 19 * * *",
            "0 0,4,8,12,16,20 * * 1-5",
            "*/15 0-23/2 1,31 JAN,Mar-Dec SUN-Sat",
            "0 12 * * 7",
        ] {
            assert!(times(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "often",
            "0 4 * *",
            "0 4 * * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "1,,2 * * * *",
            "+1 * * * *",
            "0 0 * * funday",
        ] {
            assert!(times(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_time_stands_for_its_minutes_hours_and_days() {
        let of = |text: &str| times(text).unwrap();
        let every = Times::ALWAYS;
        assert_eq!(of("* * * * *"), every);
        assert_eq!(
            of("*/15 4-6 * * *"),
            Times { minutes: 1 | 1 << 15 | 1 << 30 | 1 << 45, hours: 0b111_0000, ..every }
        );
        assert_eq!(
            of("50/5 * * FEB sun"),
            Times { minutes: 1 << 50 | 1 << 55, months: 1 << 2, days_of_week: 1, ..every }
        );
        assert_eq!(of("* * * * 5-7").days_of_week, 0b110_0001);
        let both = of("* * 13 * fri");
        assert_eq!((both.days_of_month, both.days_of_week, both.is_either_day), (1 << 13, 1 << 5, true));
        assert!(!of("* * */2 * fri").is_either_day, "as cron has it, a star with a step restricts nothing");
    }
}
