//! References inside texts: `<< parameters.x >>`, sections `<<# x >>…<</ x >>`, and the escape `\<<`.

use crate::{condition::is_truthy, diagnostics, findings::Findings, scope::Scope};
use yaml::{Node, Span};

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

/// The mark that a text starts with, and its length. What is no name, or a name without a dot, is the author's own:
/// a here-document (`<<EOF`), a shift.
fn mark(text: &str) -> Option<(Token<'_>, usize)> {
    let inside = text[2..].trim_start();
    let kind = inside.chars().next().filter(|c| "#^/".contains(*c));
    let body = inside[kind.map_or(0, char::len_utf8)..].trim_start();
    let end = body.find(|c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c))?;
    let (name, rest) = body.split_at(end);
    let rest = rest.trim_start().strip_prefix(">>")?;
    if !name.contains('.') {
        return None;
    }
    let length = text.len() - rest.len();
    let mark = Mark { name, raw: &text[..length] };
    let token = match kind {
        None => Token::Reference(mark),
        Some('#') => Token::Section(mark),
        Some('^') => Token::Inverted(mark),
        Some(_) => Token::End(mark),
    };
    Some((token, length))
}

/// Fills in the references of one scalar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'a> {
    pub(crate) source: &'a str,
    pub(crate) scope: Scope<'a>,
    pub(crate) findings: &'a Findings,
}

impl Filling<'_> {
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
        match self.scope.value(mark.name, self.place(mark, span)) {
            Ok(value) if value.as_scalar().is_some() => value.clone().at(span),
            Ok(value) => value.clone(),
            Err(diagnostic) => {
                self.findings.say(diagnostic);
                Node::string(span, "")
            }
        }
    }

    fn joined(&self, tokens: &[Token<'_>], span: Span) -> String {
        let mut out = String::new();
        // Of every open section: its mark, and whether its text is kept.
        let mut open: Vec<(Mark<'_>, bool)> = Vec::new();
        for token in tokens {
            let kept = open.iter().all(|(_, kept)| *kept);
            match *token {
                Token::Text(text) if kept => out.push_str(text),
                Token::Reference(mark) if kept => out.push_str(&self.text(mark, span)),
                Token::Text(_) | Token::Reference(_) => {}
                Token::Section(mark) => open.push((mark, self.truth(mark, span))),
                Token::Inverted(mark) => open.push((mark, !self.truth(mark, span))),
                Token::End(mark) => self.close(&mut open, mark, span),
            }
        }
        if let Some((mark, _)) = open.first() {
            self.findings.say(diagnostics::section_without_end(self.place(*mark, span), mark.name));
        }
        out
    }

    fn close(&self, open: &mut Vec<(Mark<'_>, bool)>, mark: Mark<'_>, span: Span) {
        if open.pop().is_none_or(|(opened, _)| opened.name != mark.name) {
            self.findings.say(diagnostics::section_without_start(self.place(mark, span), mark.name));
        }
    }

    fn truth(&self, mark: Mark<'_>, span: Span) -> bool {
        self.scope.value(mark.name, self.place(mark, span)).map(is_truthy).unwrap_or_else(|diagnostic| {
            self.findings.say(diagnostic);
            false
        })
    }

    fn text(&self, mark: Mark<'_>, span: Span) -> String {
        let place = self.place(mark, span);
        match self.scope.value(mark.name, place) {
            Ok(value) if value.as_scalar().is_some() => value.text().unwrap_or_default().to_owned(),
            Ok(value) => {
                self.findings.say(diagnostics::no_text(place, mark.name, value.type_name()));
                String::new()
            }
            Err(diagnostic) => {
                self.findings.say(diagnostic);
                String::new()
            }
        }
    }

    /// Where a mark stands, as exactly as the source tells.
    fn place(&self, mark: Mark<'_>, span: Span) -> Span {
        let found = self.source.get(span.start..span.end).and_then(|source| source.find(mark.raw));
        found.map_or(span, |offset| Span::new(span.start + offset, span.start + offset + mark.raw.len()))
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
        assert_eq!(shape("cat <<EOF >> f"), ["\"cat <<EOF >> f\""]);
        assert_eq!(shape("cat <<< x"), ["\"cat <<< x\""]);
        assert_eq!(shape(r"\<< p.x >>"), ["\"<< p.x >>\""]);
        assert_eq!(shape(r"a\<<EOF"), ["\"a\"", "\"<<EOF\""]);
        assert_eq!(shape("<<<p.x>>"), ["\"<\"", "p.x"]);
        assert_eq!(shape("<<"), ["\"<<\""]);
    }
}
