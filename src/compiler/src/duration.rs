//! Spans of time as configurations write them: `20m`, `1.5h`, `1h30m`.

/// The milliseconds of a duration; none if it is no such thing or longer than a year.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    const YEAR: f64 = 365.0 * 24.0 * 3_600_000.0;
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        total += number.parse::<f64>().ok()? * unit_milliseconds(unit)?;
        rest = next;
    }
    (1.0..=YEAR).contains(&total).then_some(total as u64)
}

fn unit_milliseconds(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(1.0),
        // A bare number is taken for seconds.
        "s" | "" => Some(1_000.0),
        "m" => Some(60_000.0),
        "h" => Some(3_600_000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_decimals_and_several_units() {
        assert_eq!(milliseconds("20m"), Some(1_200_000));
        assert_eq!(milliseconds("1.5h"), Some(5_400_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("90"), Some(90_000));
        assert_eq!(milliseconds("250ms"), Some(250));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "m", "0", "-5m", "5 m", "1.2.3s", "10d", "1e9h", "99999999999h"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
