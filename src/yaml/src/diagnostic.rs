//! Located messages, and how they look: file, line, column, the source line, a caret.

use crate::{
    Span,
    position::{Position, before, position},
};
use std::fmt::{self, Write as _};

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing comes of the text.
    Error,
    /// Something is not as its author may think.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// What is to be said about a place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, message: message.into(), help: None }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// A note at `span`.
    pub fn note(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(span, message) }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether nothing comes of the text because of this.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The diagnostic as people read it, in plain text, ending with a newline:
///
/// ```text
/// config.yml:3:7: error: unknown step `chekout`
///   |
/// 3 |     - chekout
///   |       ^^^^^^^
///   = help: did you mean `checkout`?
/// ```
pub fn render(diagnostic: &Diagnostic, file: &str, text: &str) -> String {
    let at = position(text, diagnostic.span.start);
    let head = format!("{file}:{}:{}: {}: {}\n", at.line, at.column, diagnostic.severity, diagnostic.message);
    let gutter = " ".repeat(at.line.to_string().len());
    let mut out = printable(&head);
    if let Some(excerpt) = Excerpt::of(text, diagnostic.span, at) {
        excerpt.write(&mut out, &gutter, at.line);
    }
    for line in diagnostic.help.iter().flat_map(|help| help.lines()) {
        out.push_str(&printable(&format!("{gutter} = help: {line}\n")));
    }
    out
}

/// The most of a source line that is shown, before the caret and after it.
const WIDTH: usize = 60;

/// The shown part of a source line and where its carets stand.
struct Excerpt {
    shown: String,
    indent: String,
    carets: usize,
}

impl Excerpt {
    fn of(text: &str, span: Span, at: Position) -> Option<Self> {
        let line = text.lines().nth(at.line - 1)?;
        let column = at.column - 1;
        let first = if column > WIDTH { column - WIDTH / 2 } else { 0 };
        let shown: String = line.chars().skip(first).take(column - first + WIDTH).collect();
        let (lead, tail) =
            (if first > 0 { "…" } else { "" }, line.chars().count() > first + shown.chars().count());
        let indent = lead.chars().chain(shown.chars().take(column - first)).map(blank).collect();
        let marked = before(text, span.end).len().saturating_sub(span.start.min(text.len()));
        let rest = shown.chars().skip(column - first);
        let carets = rest.scan(0, |bytes, c| (*bytes < marked).then(|| *bytes += c.len_utf8())).count();
        let shown = format!("{lead}{shown}{}", if tail { "…" } else { "" });
        Some(Self { shown: printable(&shown), indent, carets: carets.max(1) })
    }

    fn write(&self, out: &mut String, gutter: &str, line: usize) {
        let carets = "^".repeat(self.carets);
        let parts = format!("{gutter} |\n{line} | {}\n{gutter} | {}{carets}\n", self.shown, self.indent);
        out.write_str(&parts).expect("a string takes all text");
    }
}

/// A character of the caret's line that stands below `c`: a tab stays one, so that carets stay in place.
fn blank(c: char) -> char {
    if c == '\t' { c } else { ' ' }
}

/// The text without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, marked: &str, expect: &str) {
        let start = text.find(marked).unwrap();
        let diagnostic = Diagnostic::error(Span::new(start, start + marked.len()), "wrong");
        assert_eq!(render(&diagnostic, "f.yml", text), expect);
    }

    #[test]
    fn a_diagnostic_shows_its_line_and_marks_its_place() {
        check("a: 1\nbé: two\n", "two", "f.yml:2:5: error: wrong\n  |\n2 | bé: two\n  |     ^^^\n");
    }

    #[test]
    fn a_mark_over_several_lines_ends_with_its_first() {
        check("a:\n  b: 1\n", "a:\n  b", "f.yml:1:1: error: wrong\n  |\n1 | a:\n  | ^^\n");
    }

    #[test]
    fn tabs_stay_so_that_the_caret_is_in_place() {
        check("a:\tb", "b", "f.yml:1:4: error: wrong\n  |\n1 | a:\tb\n  |   \t^\n");
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let text = format!("{}!{}", "x".repeat(200), "y".repeat(200));
        let shown = format!("…{}!{}…", "x".repeat(30), "y".repeat(59));
        let expect = format!("f.yml:1:201: error: wrong\n  |\n1 | {shown}\n  | {}^\n", " ".repeat(31));
        check(&text, "!", &expect);
    }

    #[test]
    fn help_stands_below_and_control_characters_are_not_printed() {
        let diagnostic = Diagnostic::warning(Span::new(0, 1), "odd \u{1b}[31m").with_help("do this");
        let expect = "f:1:1: warning: odd \u{fffd}[31m\n  |\n1 | x\n  | ^\n  = help: do this\n";
        assert_eq!(render(&diagnostic, "f", "x"), expect);
    }

    #[test]
    fn an_empty_text_has_a_place_too() {
        assert_eq!(render(&Diagnostic::error(Span::default(), "empty"), "f", ""), "f:1:1: error: empty\n");
    }
}
