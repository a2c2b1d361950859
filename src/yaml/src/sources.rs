//! Several texts that count their places as one, so that a span alone says which text it is of.

use crate::{Diagnostic, Span, position, render};
use std::sync::Arc;

/// Texts by the place where each begins.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    texts: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    start: usize,
}

impl Source {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

impl Sources {
    /// One text, which begins at 0.
    pub fn of(name: &str, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add(name, text);
        sources
    }

    /// Adds a text; where it begins.
    pub fn add(&mut self, name: &str, text: &str) -> usize {
        let start = self.texts.last().map_or(0, |last| last.end() + 1);
        self.texts.push(Source { name: name.into(), text: text.into(), start });
        start
    }

    /// The first text.
    pub fn first(&self) -> &str {
        self.texts.first().map_or("", |source| &source.text)
    }

    /// The name of the first text.
    pub fn first_name(&self) -> &str {
        self.texts.first().map_or("", |source| &source.name)
    }

    /// What a span covers.
    pub fn text(&self, span: Span) -> Option<&str> {
        let source = self.source(span)?;
        source.text.get(span.start - source.start..span.end.checked_sub(source.start)?)
    }

    /// A diagnostic as people read it, with the text that it is about.
    pub fn render(&self, diagnostic: &Diagnostic) -> String {
        let Some(source) = self.source(diagnostic.span) else { return render(diagnostic, "", "") };
        let within = |place: usize| place.saturating_sub(source.start);
        let span = Span::new(within(diagnostic.span.start), within(diagnostic.span.end));
        render(&Diagnostic { span, ..diagnostic.clone() }, &source.name, &source.text)
    }

    /// Where a span begins, in words: `at config.yml:3`; none if it is of no text.
    pub fn place(&self, span: Span) -> Option<String> {
        let source = self.source(span).filter(|source| span.start <= source.end())?;
        let line = position(&source.text, span.start - source.start).line;
        Some(if source.name.is_empty() {
            format!("in line {line}")
        } else {
            format!("at {}:{line}", source.name)
        })
    }

    fn source(&self, span: Span) -> Option<&Source> {
        let after = self.texts.partition_point(|source| source.start <= span.start);
        self.texts.get(after.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_at;

    #[test]
    fn a_place_tells_its_text() {
        let mut sources = Sources::of("a.yml", "a: 1\n");
        let base = sources.add("b.yml", "x: 1\nb: two\n");
        let root = parse_at("x: 1\nb: two\n", base).0.unwrap();
        let span = root.get("b").unwrap().span;
        assert_eq!(sources.text(span), Some("two"));
        let rendered = sources.render(&Diagnostic::error(span, "wrong"));
        assert_eq!(rendered, "b.yml:2:4: error: wrong\n  |\n2 | b: two\n  |    ^^^\n");
    }

    #[test]
    fn a_text_of_many_says_its_lines_as_its_own() {
        let mut sources = Sources::of("a.yml", "a: 1\n");
        let text = "b: 1\nb: 2\n";
        let base = sources.add("b.yml", text);
        let (_, said) = parse_at(text, base);
        assert!(
            sources
                .render(&said[0])
                .starts_with("b.yml:2:1: warning: the key `b` is in this map already, in line 1")
        );
        let base = sources.add("c.yml", "c: [");
        let (_, said) = parse_at("c: [", base);
        assert!(sources.render(&said[0]).starts_with("c.yml:1:"), "{said:?}");
    }
}
