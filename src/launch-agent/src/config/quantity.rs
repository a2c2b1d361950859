//! Durations as Go writes them, and sizes in bytes.

use std::time::Duration;

/// `5h`, `1h30m`, `1.5s`, `300ms`, `0`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number;
        (number, rest) = split(rest, |c| !c.is_ascii_digit() && c != '.')?;
        let unit;
        (unit, rest) = split(rest, |c| c.is_ascii_digit() || c == '.').unwrap_or((rest, ""));
        total = total
            .checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds(unit)?).ok()?)?;
    }
    if text.is_empty() { None } else { Some(total) }
}

fn split(text: &str, at: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.find(at).filter(|place| *place > 0).map(|place| text.split_at(place))
}

fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// `1048576`, `512MiB`, `10GB`, `1.5GiB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let unit: f64 = match unit.trim() {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * unit;
    if bytes < 9e15 { Some(bytes as u64) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let read = |text| duration(text).map(|duration| duration.as_millis());
        for (text, millis) in
            [("5h", 18_000_000), ("1h30m", 5_400_000), ("1.5s", 1500), ("300ms", 300), ("0", 0)]
        {
            assert_eq!(read(text), Some(millis), "{text}");
        }
        for wrong in ["", "5", "h", "5x", "-5s", "5 s", "1h30", ".", "99999999999999999999h"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units_of_either_kind() {
        for (text, size) in [("7", 7), ("2KiB", 2048), ("1.5MiB", 1_572_864), ("10GB", 10_000_000_000)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1Mib", "1 potato", "9999999TiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
