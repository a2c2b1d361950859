//! A log condensed to what matters where something failed: its lines that speak of errors with those around them, and its
//! end. What is left out is counted.

use std::fmt::Write;

/// Words that lines about errors have in them, in small letters.
const WORDS: [&str; 12] = [
    "error",
    "fail",
    "fatal",
    "panic",
    "exception",
    "traceback",
    "assert",
    "denied",
    "not found",
    "cannot",
    "unable to",
    "killed",
];
/// Lines that are kept before and behind such a one, and at the end.
const BEFORE: usize = 2;
const BEHIND: usize = 5;
const LAST: usize = 20;
/// So many lines are kept at most: the last ones.
const MOST: usize = 200;
/// Of a line so many bytes are kept.
const LONGEST: usize = 1000;

/// Condenses the end of a log, which may be only a part of it.
pub(super) fn condensed(bytes: &[u8], is_cut: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<(String, usize)> = Vec::new();
    // The first line of a part is likely none.
    for line in text.lines().skip(usize::from(is_cut)).map(plain) {
        match lines.last_mut() {
            Some((last, times)) if *last == line => *times += 1,
            _ => lines.push((line, 1)),
        }
    }
    told(&lines, &kept(&lines), is_cut)
}

/// Which lines are kept.
fn kept(lines: &[(String, usize)]) -> Vec<bool> {
    let mut kept = vec![false; lines.len()];
    kept[lines.len().saturating_sub(LAST)..].fill(true);
    let mut number = lines.len().min(LAST);
    // From the last one on: what is before those that are enough is not looked at.
    for (place, (line, _)) in lines.iter().enumerate().rev() {
        if number >= MOST {
            break;
        }
        if speaks_of_errors(line) {
            let around = place.saturating_sub(BEFORE)..(place + BEHIND + 1).min(lines.len());
            number += kept[around.clone()].iter().filter(|kept| !**kept).count();
            kept[around].fill(true);
        }
    }
    kept.iter_mut().filter(|kept| **kept).take(number.saturating_sub(MOST)).for_each(|kept| *kept = false);
    kept
}

fn speaks_of_errors(line: &str) -> bool {
    let has_word = |line: &str| WORDS.iter().any(|word| line.contains(word));
    has_word(line)
        || line.bytes().any(|byte| byte.is_ascii_uppercase()) && has_word(&line.to_ascii_lowercase())
}

fn told(lines: &[(String, usize)], kept: &[bool], is_cut: bool) -> String {
    let (mut told, mut left_out) = (String::new(), 0);
    if is_cut {
        told.push_str("[earlier output is left out]\n");
    }
    for ((line, times), is_kept) in lines.iter().zip(kept) {
        if !is_kept {
            left_out += times;
            continue;
        }
        tell_left_out(&mut told, &mut left_out);
        told.push_str(line);
        if *times > 1 {
            // A String takes whatever is written to it.
            let _ = write!(told, " [{times} times]");
        }
        told.push('\n');
    }
    told
}

fn tell_left_out(told: &mut String, left_out: &mut usize) {
    if *left_out > 0 {
        let lines = if *left_out == 1 { "line is" } else { "lines are" };
        let _ = writeln!(told, "[{left_out} {lines} left out]");
    }
    *left_out = 0;
}

/// A line as it was last on a terminal: without colors, and without what it was drawn over.
fn plain(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = behind_escape(escape);
    }
    plain.push_str(rest);
    plain.retain(|c| c == '\t' || !c.is_control());
    plain.truncate(plain.floor_char_boundary(LONGEST));
    plain
}

/// What follows a control sequence: parameters, then one letter.
fn behind_escape(escape: &str) -> &str {
    let Some(sequence) = escape.strip_prefix('[') else {
        let mut all = escape.chars();
        all.next();
        return all.as_str();
    };
    let end = sequence.find(|c: char| ('@'..='~').contains(&c));
    end.map_or("", |end| &sequence[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(range: std::ops::Range<usize>) -> String {
        range.map(|number| format!("line {number}\n")).collect()
    }

    #[test]
    fn lines_about_errors_are_kept_with_those_around_them_and_so_is_the_end() {
        let log = format!("{}src/a.rs: error: no\n{}", numbered(0..100), numbered(100..200));
        let told = condensed(log.as_bytes(), false);
        let wanted = format!(
            "[98 lines are left out]\n{}src/a.rs: error: no\n{}[75 lines are left out]\n{}",
            numbered(98..100),
            numbered(100..105),
            numbered(180..200),
        );
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_short_log_stays_as_it_is_but_for_colors_redrawing_and_repetition() {
        let log = b"\x1b[1;31mred\x1b[0m\tend\r\n10 %\r50 %\rdone\nagain\nagain\nagain\n\x1b]weird\x07\xff\n";
        let told = condensed(log, false);
        assert_eq!(told, "red\tend\ndone\nagain [3 times]\nweird\u{fffd}\n");
        assert_eq!(condensed(b"", false), "");
    }

    #[test]
    fn a_log_full_of_errors_is_still_short_and_its_last_ones_are_told() {
        let log: String =
            (0..10_000).map(|number| format!("error {number} {}\n", "x".repeat(5000))).collect();
        let told = condensed(log.as_bytes(), true);
        assert!(told.len() < MOST * (LONGEST + 2) + 100, "{}", told.len());
        assert!(
            told.starts_with("[earlier output is left out]\n[9799 lines are left out]\nerror 9800 x"),
            "{told:.90}"
        );
        assert!(told.lines().last().unwrap().starts_with("error 9999 "));
    }

    #[test]
    fn one_line_that_is_left_out_is_one() {
        let log = format!("error\n{}", numbered(0..BEHIND + 1 + LAST));
        assert!(condensed(log.as_bytes(), false).contains("\n[1 line is left out]\n"));
    }
}
