//! Places in a text: byte ranges, and the lines and columns that people count.

/// A range of bytes of the source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// The range from `start` to `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// Where the byte at `offset` stands in `text`; an offset beyond the end is the end.
pub fn position(text: &str, offset: usize) -> Position {
    let before = before(text, offset);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    let column = before.get(line_start..).map_or(0, |head| head.chars().count()) + 1;
    Position { line, column }
}

/// The text before `offset`, cut at the nearest earlier character boundary.
pub(crate) fn before(text: &str, offset: usize) -> &str {
    let end = (0..=offset.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "aé\nb: ü!\n";
        assert_eq!(position(text, 0), Position { line: 1, column: 1 });
        assert_eq!(position(text, 3), Position { line: 1, column: 3 });
        assert_eq!(position(text, text.find('!').unwrap()), Position { line: 2, column: 5 });
    }

    #[test]
    fn an_offset_inside_a_character_or_beyond_the_end_is_no_panic() {
        assert_eq!(position("é", 1), Position { line: 1, column: 1 });
        assert_eq!(position("é", 99), Position { line: 1, column: 2 });
    }
}
