//! A job's output made harmless for the terminal it is shown on: text and colors pass, nothing moves the cursor.

/// A line of a log for a terminal. Of what a carriage return overwrote only the last is left, as a terminal would
/// show it; of the escape sequences only colors are left, and those only where they are wanted.
pub(crate) fn harmless(line: &[u8], colors: bool) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line);
    let mut cleaner = Cleaner { out: String::with_capacity(last.len()), colored: false, colors };
    cleaner.text(&String::from_utf8_lossy(last));
    cleaner.finish()
}

struct Cleaner {
    out: String,
    colored: bool,
    colors: bool,
}

impl Cleaner {
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\u{1b}' => rest = self.escape(rest),
                '\t' => self.out.push(c),
                c if c.is_control() => {}
                c => self.out.push(c),
            }
        }
    }

    /// What follows the sequence.
    fn escape<'t>(&mut self, rest: &'t str) -> &'t str {
        match rest.chars().next() {
            Some('[') => self.control_sequence(&rest[1..]),
            Some(']' | 'P' | '_' | '^' | 'X') => after_string(&rest[1..]),
            Some(c) => &rest[c.len_utf8()..],
            None => rest,
        }
    }

    fn control_sequence<'t>(&mut self, rest: &'t str) -> &'t str {
        let Some(end) = rest.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)) else { return "" };
        let parameters = &rest[..end];
        let plain = parameters.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':');
        if self.colors && plain && rest[end..].starts_with('m') {
            self.out.push_str(&format!("\u{1b}[{parameters}m"));
            self.colored = true;
        }
        &rest[end + 1..]
    }

    fn finish(mut self) -> String {
        if self.colored {
            self.out.push_str("\u{1b}[0m");
        }
        self.out
    }
}

/// What follows a string sequence, which ends with BEL or ESC `\`.
fn after_string(text: &str) -> &str {
    let bell = text.find('\u{7}').map(|at| at + 1);
    let terminator = text.find("\u{1b}\\").map(|at| at + 2);
    let end = [bell, terminator].into_iter().flatten().min().unwrap_or(text.len());
    &text[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_pass_where_they_are_wanted() {
        assert_eq!(harmless(b"a \x1b[1;31mred\x1b[0m\n", true), "a \u{1b}[1;31mred\u{1b}[0m\u{1b}[0m");
        assert_eq!(harmless(b"a \x1b[1;31mred\x1b[0m\n", false), "a red");
    }

    #[test]
    fn nothing_moves_the_cursor_or_names_the_window() {
        assert_eq!(harmless(b"a\x1b[2J\x1b[10Ab\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d\x1bM", true), "abcd");
        assert_eq!(harmless(b"cut \x1b[3", true), "cut ");
        assert_eq!(harmless(b"cut \x1b]0;never ends", true), "cut ");
        assert_eq!(harmless(b"a\x08\x07b", true), "ab");
    }

    #[test]
    fn of_an_overwritten_line_the_last_writing_is_left() {
        assert_eq!(harmless(b" 10%\r 50%\r100%\r\n", true), "100%");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(harmless(b"\xffx", false), "\u{fffd}x");
    }
}
