//! Times, sizes and statuses as people read them.

/// A duration, to the second from a minute on.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) if ms < 1000 => format!("{ms}ms"),
        (0, 0, s) if ms < 10_000 => format!("{s}.{}s", ms / 100 % 10),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

/// The time between two moments (milliseconds since 1970), never less than nothing.
pub(crate) fn between(from: i64, to: i64) -> u64 {
    u64::try_from(to - from).unwrap_or_default()
}

/// How long ago a moment was.
pub(crate) fn ago(then: i64, now: i64) -> String {
    let seconds = between(then, now) / 1000;
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => "just now".to_owned(),
        (0, 0, minutes) => format!("{minutes} min ago"),
        (0, hours, _) => format!("{hours} h ago"),
        (1, ..) => "yesterday".to_owned(),
        (days, ..) => format!("{days} days ago"),
    }
}

/// A number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// A status as words: `not_run` is «not run».
pub(crate) fn status(status: impl ToString) -> String {
    status.to_string().replace('_', " ")
}

/// The text of a log without the sequences that color a terminal.
pub(crate) fn without_colors(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)).map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_they_are_long() {
        let known = [(7, "7ms"), (1500, "1.5s"), (59_999, "59s"), (61_000, "1m 01s"), (7_260_000, "2h 01m")];
        known.iter().for_each(|(ms, text)| assert_eq!(duration(*ms), *text));
    }

    #[test]
    fn what_is_long_ago_is_counted_in_days() {
        let day = 86_400_000;
        let known = [(0, "just now"), (120_000, "2 min ago"), (day, "yesterday"), (9 * day, "9 days ago")];
        known.iter().for_each(|(passed, text)| assert_eq!(ago(0, *passed), *text));
        assert_eq!(ago(5, 0), "just now");
    }

    #[test]
    fn sizes_have_one_digit_after_the_point() {
        let known = [(999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (1_260_000_000, "1.2 GB")];
        known.iter().for_each(|(bytes, text)| assert_eq!(size(*bytes), *text));
    }

    #[test]
    fn colors_are_left_out_and_text_stays() {
        assert_eq!(without_colors(b"\x1b[1;31mred\x1b[0m \x1b[Kplain [x]"), "red plain [x]");
        assert_eq!(without_colors(b"cut \x1b[3"), "cut ");
    }
}
