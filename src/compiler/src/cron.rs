//! Times of schedules as cron has them: minute, hour, day of month, month, day of week.

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
    // Sunday is 0 and 7.
    Field { least: 0, most: 7, words: &DAYS },
];

/// Whether a text is such a time.
pub(crate) fn is_one(text: &str) -> bool {
    let parts: Vec<&str> = text.split_whitespace().collect();
    parts.len() == FIELDS.len() && parts.iter().zip(&FIELDS).all(|(part, field)| field.takes(part))
}

impl Field {
    fn takes(&self, part: &str) -> bool {
        part.split(',').all(|item| self.takes_item(item))
    }

    /// `*`, `5`, `1-5`, each with a step or without: `*/15`.
    fn takes_item(&self, item: &str) -> bool {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let is_step =
            step.is_none_or(|step| number(step).is_some_and(|step| (1..=self.most).contains(&step)));
        let is_range = match range.split_once('-') {
            Some((first, last)) => {
                self.value(first).zip(self.value(last)).is_some_and(|(first, last)| first <= last)
            }
            None => range == "*" || self.value(range).is_some(),
        };
        is_step && is_range
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
            assert!(is_one(right), "{right}");
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
            assert!(!is_one(wrong), "{wrong}");
        }
    }
}
