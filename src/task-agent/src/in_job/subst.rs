//! `env subst`: variables of the environment filled into a text.
//!
//! ```text
//! $NAME ${NAME}             its value; nothing where it is not set
//! ${NAME-TEXT} ${NAME=TEXT}   the text where it is not set
//! ${NAME:-TEXT} ${NAME:=TEXT} the text where it is not set or empty
//! ${NAME+TEXT} ${NAME:+TEXT}  the text where it is set, else nothing
//! $$                        a dollar, and what follows stays as it is
//! ```
//!
//! A text within braces may have variables in it, without braces of their own: as CircleCI's own command reads it.

use super::{Failure, say};
use std::io::{self, Read};

/// The longest text that is read from standard input.
const MOST: u64 = 64 * 1024 * 1024;

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let text = match arguments {
        [] => read()?,
        [text] => text.clone(),
        [_, odd, ..] => {
            return Err(Failure::Usage(format!("one text is wanted, in quotes; `{odd}` is too much")));
        }
    };
    let filled = filled(&text, |name| std::env::var(name).ok());
    say(&filled.map_err(|error| Failure::Refused(error.to_string()))?)
}

fn read() -> Result<String, Failure> {
    let mut text = String::new();
    let length = io::stdin().lock().take(MOST + 1).read_to_string(&mut text);
    match length.map_err(Failure::io("read standard input"))? as u64 {
        0..=MOST => Ok(text),
        _ => Err(Failure::Refused(format!("standard input has more than {MOST} bytes"))),
    }
}

/// A text that cannot be filled in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadText {
    #[error("`${{{0}` has no closing brace on its line")]
    Open(String),
    #[error("`${{{0}}}` is no expression: a name is wanted, and behind it nothing or one of - = + :- := :+")]
    Expression(String),
}

fn filled(text: &str, value: impl Fn(&str) -> Option<String> + Copy) -> Result<String, BadText> {
    let (mut rest, mut filled) = (text, String::with_capacity(text.len()));
    while let Some((before, after)) = rest.split_once('$') {
        filled += before;
        rest = match after.chars().next() {
            Some('$') => literally(after, &mut filled),
            Some('{') => braced(&after[1..], value, &mut filled)?,
            _ => plain(after, value, &mut filled),
        };
    }
    Ok(filled + rest)
}

/// The second of two dollars, and the name behind it.
fn literally<'t>(after: &'t str, filled: &mut String) -> &'t str {
    let (name, rest) = name(&after[1..]);
    filled.push('$');
    *filled += name;
    rest
}

/// A dollar before no name stays one.
fn plain<'t>(after: &'t str, value: impl Fn(&str) -> Option<String>, filled: &mut String) -> &'t str {
    let (name, rest) = name(after);
    if name.is_empty() || name == "_" {
        filled.push('$');
        *filled += name;
    } else {
        *filled += &value(name).unwrap_or_default();
    }
    rest
}

fn braced<'t>(
    text: &'t str,
    value: impl Fn(&str) -> Option<String> + Copy,
    filled: &mut String,
) -> Result<&'t str, BadText> {
    let end = text.find(['}', '\n', '\r']).filter(|end| text.as_bytes()[*end] == b'}');
    let end = end.ok_or_else(|| BadText::Open(text.lines().next().unwrap_or_default().to_owned()))?;
    *filled += &expression(&text[..end], value)?;
    Ok(&text[end + 1..])
}

fn expression(text: &str, value: impl Fn(&str) -> Option<String> + Copy) -> Result<String, BadText> {
    let (name, rest) = name(text);
    let bad = || BadText::Expression(text.to_owned());
    if name.is_empty() {
        return Err(bad());
    }
    let (known, colon) = (value(name), rest.starts_with(':'));
    let operation = rest.strip_prefix(':').unwrap_or(rest);
    let Some((kind, word)) = operation.split_at_checked(1) else {
        return if rest.is_empty() { Ok(known.unwrap_or_default()) } else { Err(bad()) };
    };
    match kind {
        "-" | "=" => match known.filter(|known| !(colon && known.is_empty())) {
            Some(known) => Ok(known),
            None => filled_in(word, value),
        },
        "+" if known.is_some() => filled_in(word, value),
        "+" => Ok(String::new()),
        _ => Err(bad()),
    }
}

/// The text of an expression: it ends at the first closing brace, so it has none of its own.
fn filled_in(word: &str, value: impl Fn(&str) -> Option<String> + Copy) -> Result<String, BadText> {
    if word.contains("${") { Err(BadText::Open(word.to_owned())) } else { filled(word, value) }
}

/// The name at the beginning of a text, empty where there is none.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        let known = [("WORD", "word"), ("OTHER", "$WORD"), ("EMPTY", "")];
        known.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }

    #[test]
    fn variables_are_filled_in_as_by_circlecis_own_command() {
        for (text, expected) in [
            ("", ""),
            ("no variable: {} $ $- $_ 5$", "no variable: {} $ $- $_ 5$"),
            ("<$WORD> <${WORD}s> <$NONE> <$OTHER>", "<word> <words> <> <$WORD>"),
            ("{\"a\": \"$WORD\"}\n", "{\"a\": \"word\"}\n"),
            ("${NONE-text} ${NONE=text} ${EMPTY-text} ${WORD-text}", "text text  word"),
            ("${NONE:-text} ${EMPTY:-text} ${EMPTY:=text} ${WORD:-text}", "text text text word"),
            ("${NONE+text}|${EMPTY+text}|${EMPTY:+text}|${WORD+text}", "|text|text|text"),
            ("${NONE:-$WORD} ${NONE:-a-$WORD-b}", "word a-word-b"),
            ("$$WORD $${WORD} costs $$5", "$WORD ${WORD} costs $5"),
            ("é$WORD-é", "éword-é"),
        ] {
            assert_eq!(filled(text, value).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_expression_that_is_none_is_named() {
        for text in ["${", "${WORD", "${WORD\n}", "${}", "${WORD?text}", "${WORD:}", "${-x}", "${A-${B}}"] {
            let error = filled(text, value).unwrap_err();
            assert!(error.to_string().contains("${"), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_filled_in_or_refused(text: String) {
            let _ = filled(&text, value);
        }
    }
}
