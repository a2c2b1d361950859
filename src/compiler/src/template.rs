//! References inside texts: `<< parameters.x >>`, sections `<<# x >>…<</ x >>`, and the escape `\<<`.

use crate::{
    budget::Budget, condition::is_truthy, diagnostics, findings::Findings, library::Library, scope::Scope,
};
use yaml::{Node, Sources, Span};

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// Stays as it is.
    Text(&'t str),
    /// `<< name >>`
    Reference(Mark<'t>),
    /// `<<# name >>`
    Section(Mark<'t>),
    /// `<<^ name >>`
    Inverted(Mark<'t>),
    /// `<</ name >>`
    End(Mark<'t>),
    /// `<< name >>` of a name without a dot: the author's own text, a here-document perhaps.
    Bare(Mark<'t>),
}

/// A name between angle brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark<'t> {
    name: &'t str,
    raw: &'t str,
}

/// Cuts a text into its pieces.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut start, mut search) = (0, 0);
    while let Some(found) = text[search..].find("<<") {
        let at = search + found;
        if text[..at].ends_with('\\') {
            tokens.push(Token::Text(&text[start..at - 1]));
            (start, search) = (at, at + 2);
        } else if let Some((token, length)) = mark(&text[at..]) {
            tokens.push(Token::Text(&text[start..at]));
            tokens.push(token);
            (start, search) = (at + length, at + length);
        } else {
            search = at + 1;
        }
    }
    tokens.push(Token::Text(&text[start..]));
    tokens.retain(|token| *token != Token::Text(""));
    tokens
}

/// The mark that a text starts with, and its length. What is no name is the author's own: a here-document (`<<EOF`),
/// a shift.
fn mark(text: &str) -> Option<(Token<'_>, usize)> {
    let inside = text[2..].trim_start();
    let kind = inside.chars().next().filter(|c| "#^/".contains(*c));
    let body = inside[kind.map_or(0, char::len_utf8)..].trim_start();
    let end = body.find(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c))?;
    let (name, rest) = body.split_at(end);
    let rest = rest.trim_start().strip_prefix(">>")?;
    let length = text.len() - rest.len();
    let mark = Mark { name, raw: &text[..length] };
    let token = match kind {
        None if !name.contains('.') => Token::Bare(mark),
        _ if !name.contains('.') => return None,
        None => Token::Reference(mark),
        Some('#') => Token::Section(mark),
        Some('^') => Token::Inverted(mark),
        Some(_) => Token::End(mark),
    };
    Some((token, length))
}

/// The names that a text refers to, each with how it is written there.
pub(crate) fn references(text: &str) -> Vec<(&str, &str)> {
    let mark = |token| match token {
        Token::Reference(mark) | Token::Section(mark) | Token::Inverted(mark) => Some((mark.name, mark.raw)),
        Token::Text(_) | Token::End(_) | Token::Bare(_) => None,
    };
    if text.contains("<<") { tokens(text).into_iter().filter_map(mark).collect() } else { Vec::new() }
}

/// Where something is written within a span, as exactly as the source tells.
pub(crate) fn place(sources: &Sources, span: Span, raw: &str) -> Span {
    let found = sources.text(span).and_then(|source| source.find(raw));
    found.map_or(span, |offset| Span::new(span.start + offset, span.start + offset + raw.len()))
}

/// Fills in the references of one scalar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) library: &'a Library<'a>,
    pub(crate) scope: Scope<'a>,
    pub(crate) findings: &'a Findings,
    pub(crate) budget: &'a Budget,
}

/// The most that a text may become, and what each of its pieces costs of the budget.
const MAX_TEXT: usize = 16 * 1024 * 1024;
const TOKEN: usize = 16;

/// The sections that are open at a place of a text.
#[derive(Default)]
struct Sections<'t> {
    /// Each with whether its own text is kept.
    open: Vec<(Mark<'t>, bool)>,
    /// How many of them are not.
    dropped: usize,
}

impl<'t> Sections<'t> {
    fn push(&mut self, mark: Mark<'t>, kept: bool) {
        self.dropped += usize::from(!kept);
        self.open.push((mark, kept));
    }

    fn pop(&mut self) -> Option<Mark<'t>> {
        let (mark, kept) = self.open.pop()?;
        self.dropped -= usize::from(!kept);
        Some(mark)
    }
}

impl<'a> Filling<'a> {
    /// The scalar with its references filled in; none if it has none. A scalar that is one reference and nothing
    /// else becomes the value with its type; in all else values become text.
    pub(crate) fn fill(&self, text: &str, span: Span) -> Option<Node> {
        if !text.contains("<<") {
            return None;
        }
        match tokens(text)[..] {
            [Token::Text(whole)] if whole == text => None,
            [Token::Reference(mark)] => Some(self.whole(mark, span)),
            ref tokens => Some(Node::string(span, self.joined(tokens, span))),
        }
    }

    fn whole(&self, mark: Mark<'_>, span: Span) -> Node {
        match self.value(mark, span) {
            Some(value) if value.as_scalar().is_some() && self.is_of_one_text(value, span) => {
                value.clone().at(span)
            }
            // What another text gave is told by its place: a name in it is looked up there.
            Some(value) => value.clone(),
            None => Node::string(span, ""),
        }
    }

    /// Whether a value may count as written where it is used. One without a place came from outside.
    fn is_of_one_text(&self, value: &Node, span: Span) -> bool {
        value.span == Span::default() || self.library.is_one_document(value.span, span)
    }

    fn joined(&self, tokens: &[Token<'_>], span: Span) -> String {
        let mut out = String::new();
        let mut sections = Sections::default();
        for token in tokens {
            if out.len() >= MAX_TEXT || !self.budget.spend(TOKEN) {
                self.findings.say_last(diagnostics::too_large(span));
                return String::new();
            }
            match *token {
                Token::Section(mark) => sections.push(mark, self.value(mark, span).is_some_and(is_truthy)),
                Token::Inverted(mark) => sections.push(mark, !self.value(mark, span).is_some_and(is_truthy)),
                Token::End(mark) => {
                    if sections.pop().is_none_or(|opened| opened.name != mark.name) {
                        self.findings
                            .say(diagnostics::section_without_start(self.place(mark, span), mark.name));
                    }
                }
                _ if sections.dropped > 0 => {}
                Token::Text(text) => out.push_str(text),
                Token::Reference(mark) => out.push_str(self.text(mark, span)),
                Token::Bare(mark) => {
                    self.warn_of_bare(mark, span);
                    out.push_str(mark.raw);
                }
            }
        }
        if let Some((mark, _)) = sections.open.first() {
            self.findings.say(diagnostics::section_without_end(self.place(*mark, span), mark.name));
        }
        out
    }

    fn text(&self, mark: Mark<'_>, span: Span) -> &'a str {
        let Some(value) = self.value(mark, span) else { return "" };
        if value.as_scalar().is_none() {
            self.findings.say(diagnostics::no_text(self.place(mark, span), mark.name, value.type_name()));
        }
        value.text().unwrap_or_default()
    }

    fn value(&self, mark: Mark<'_>, span: Span) -> Option<&'a Node> {
        let value = self.scope.value(mark.name);
        if value.is_none() {
            self.findings.say(self.scope.explain(mark.name, self.place(mark, span), self.findings));
        }
        value
    }

    fn warn_of_bare(&self, mark: Mark<'_>, span: Span) {
        if self.scope.parameters.is_some_and(|parameters| parameters.contains_key(mark.name)) {
            self.findings.say(diagnostics::bare_reference(self.place(mark, span), mark.name));
        }
    }

    /// Where a mark stands; not worth the search once too much is wrong.
    fn place(&self, mark: Mark<'_>, span: Span) -> Span {
        if self.findings.is_full() { span } else { place(self.sources, span, mark.raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<String> {
        let shape = |token: &Token<'_>| match token {
            Token::Text(text) => format!("{text:?}"),
            Token::Reference(mark) => mark.name.to_owned(),
            Token::Section(mark) => format!("#{}", mark.name),
            Token::Inverted(mark) => format!("^{}", mark.name),
            Token::End(mark) => format!("/{}", mark.name),
            Token::Bare(mark) => format!("{:?}", mark.raw),
        };
        tokens(text).iter().map(shape).collect()
    }

    #[test]
    fn references_and_sections_are_found_with_any_blanks() {
        assert_eq!(shape("a << p.x >>b<<p.y>>"), ["\"a \"", "p.x", "\"b\"", "p.y"]);
        assert_eq!(shape("<<# p.x >>t<</p.x>><<^p.y >>"), ["#p.x", "\"t\"", "/p.x", "^p.y"]);
        assert_eq!(shape("<< p.x\t>>"), ["p.x"]);
    }

    #[test]
    fn here_documents_and_escapes_stay_what_they_are() {
        assert_eq!(shape("cat <<EOF >> f"), ["\"cat \"", "\"<<EOF >>\"", "\" f\""]);
        assert_eq!(shape("cat <<< x"), ["\"cat <<< x\""]);
        assert_eq!(shape(r"\<< p.x >>"), ["\"<< p.x >>\""]);
        assert_eq!(shape(r"a\<<EOF"), ["\"a\"", "\"<<EOF\""]);
        assert_eq!(shape("<<<p.x>>"), ["\"<\"", "p.x"]);
        assert_eq!(shape("<<"), ["\"<<\""]);
    }
}
