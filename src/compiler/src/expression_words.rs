//! The words of an expression: names, numbers, texts, patterns and signs.

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word<'t> {
    /// A name with dots and hyphens, or an operator that is a word (`and`, `starts-with`).
    Name(&'t str),
    /// A whole number.
    Number(i64),
    /// A text in quotes, its escapes resolved.
    Text(String),
    /// What stands between two slashes.
    Pattern(String),
    /// An operator or parenthesis.
    Sign(&'t str),
}

/// Where in the text: its first byte, and the byte after its last.
pub(crate) type Place = (usize, usize);

/// A word and where it stands.
pub(crate) type Located<'t> = (Word<'t>, Place);

/// The words with their places; else the place of what is none.
pub(crate) fn words(text: &str) -> Result<Vec<Located<'_>>, Place> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (word, length) = word(&text[at..]).ok_or((at, at + first.len_utf8()))?;
        words.push((word, (at, at + length)));
        at += length;
    }
    Ok(words)
}

fn word(text: &str) -> Option<(Word<'_>, usize)> {
    const SIGNS: [&str; 9] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "!"];
    let first = text.chars().next()?;
    if let Some(sign) = SIGNS.into_iter().find(|sign| text.starts_with(sign)) {
        return Some((Word::Sign(sign), sign.len()));
    }
    match first {
        '"' | '\'' => quoted(text, first).map(|(content, length)| (Word::Text(content), length)),
        '/' => quoted(text, first).map(|(content, length)| (Word::Pattern(content), length)),
        _ if first.is_ascii_alphabetic() => {
            let end =
                text.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.?".contains(c)).unwrap_or(text.len());
            Some((Word::Name(&text[..end]), end))
        }
        _ => {
            let mut rest = text.char_indices().skip(1);
            let end = rest.find(|(_, c)| !c.is_ascii_digit()).map_or(text.len(), |(end, _)| end);
            text.get(..end)?.parse().ok().map(|number| (Word::Number(number), end))
        }
    }
}

/// What stands between two of the same sign, and the length of it all. In a text a backslash takes the next character
/// as it is, in a pattern only a slash.
fn quoted(text: &str, sign: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == sign => return Some((content, at + 1)),
            '\\' => {
                let (_, next) = characters.next()?;
                if sign == '/' && next != '/' {
                    content.push('\\');
                }
                content.push(next);
            }
            _ => content.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_cut_into_its_words() {
        let words = words(r#"a.b-c? == "x\"y" and(1 >= -2) matches /v\d+\/x/"#).unwrap();
        let words: Vec<String> = words.into_iter().map(|(word, _)| format!("{word:?}")).collect();
        let expect = [
            r#"Name("a.b-c?")"#,
            r#"Sign("==")"#,
            r#"Text("x\"y")"#,
            r#"Name("and")"#,
            r#"Sign("(")"#,
            "Number(1)",
            r#"Sign(">=")"#,
            "Number(-2)",
            r#"Sign(")")"#,
            r#"Name("matches")"#,
            r#"Pattern("v\\d+/x")"#,
        ];
        assert_eq!(words, expect);
    }

    #[test]
    fn what_is_no_word_has_its_place() {
        assert_eq!(words("a == é"), Err((5, 7)));
        assert_eq!(words("a \"open"), Err((2, 3)));
    }
}
