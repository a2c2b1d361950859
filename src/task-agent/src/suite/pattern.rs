//! Patterns of files: braces are alternatives, `**` is any number of directories; the rest is as in [`crate::glob`].

use crate::glob;

/// So many alternatives one pattern may have.
const MOST: usize = 1000;

/// A pattern that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadPattern {
    /// Something in it has no end.
    #[error("the pattern `{0}` has an unclosed `[` or `{{`, or ends in `\\`")]
    Unclosed(String),
    /// It has too many alternatives, or matches too much.
    #[error("the pattern `{0}` has over {1}, which is the limit")]
    TooMany(String, &'static str),
}

/// The patterns without braces that a pattern stands for, in its order.
pub(crate) fn alternatives(pattern: &str) -> Result<Vec<String>, BadPattern> {
    let unclosed = || BadPattern::Unclosed(pattern.to_owned());
    let (mut done, mut left) = (Vec::new(), vec![pattern.to_owned()]);
    while let Some(next) = left.pop() {
        if done.len() + left.len() >= MOST {
            return Err(BadPattern::TooMany(pattern.to_owned(), "1000 alternatives"));
        }
        match braces(&next).ok_or_else(unclosed)? {
            None => done.push(next),
            // Backwards, for the last one is taken first.
            Some((start, parts, end)) => {
                left.extend(
                    parts.iter().rev().map(|part| format!("{}{part}{}", &next[..start], &next[end..])),
                );
            }
        }
    }
    let parts = done.iter().flat_map(|pattern| pattern.split('/'));
    parts.map(|part| glob::matches(part, "")).collect::<Result<Vec<_>, _>>().map_err(|_| unclosed())?;
    Ok(done)
}

/// The first braces: where they start, what is between their commas, and where they end. None: they have no end.
fn braces(pattern: &str) -> Option<Option<(usize, Vec<&str>, usize)>> {
    let (mut open, mut depth, mut parts, mut from) = (None, 0, Vec::new(), 0);
    let mut characters = pattern.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, open) {
            ('\\', _) => drop(characters.next()?),
            ('{', None) => (open, depth, from) = (Some(at), 1, at + 1),
            ('{', Some(_)) => depth += 1,
            (',', Some(_)) if depth == 1 => {
                parts.push(&pattern[from..at]);
                from = at + 1;
            }
            ('}', Some(start)) => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&pattern[from..at]);
                    return Some(Some((start, parts, at + 1)));
                }
            }
            _ => {}
        }
    }
    if open.is_some() { None } else { Some(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_their_alternatives_in_order() {
        for (pattern, expect) in [
            ("a*.rb", &["a*.rb"][..]),
            ("{a,b}/{c,d}", &["a/c", "a/d", "b/c", "b/d"]),
            ("x{a,{b,c}}", &["xa", "xb", "xc"]),
            ("{,a}b", &["b", "ab"]),
            ("\\{a,b\\}", &["\\{a,b\\}"]),
            ("a}b", &["a}b"]),
        ] {
            assert_eq!(alternatives(pattern).unwrap(), expect, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_without_an_end_or_of_too_much_is_refused() {
        for pattern in ["{a,b", "{a,{b}", "[a", "a/\\", "x/[/b"] {
            assert_eq!(alternatives(pattern), Err(BadPattern::Unclosed(pattern.to_owned())), "{pattern}");
        }
        let many = "{a,b,c,d,e,f,g,h,i,j}".repeat(4);
        assert!(matches!(alternatives(&many), Err(BadPattern::TooMany(..))));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_has_alternatives_or_is_refused(pattern in "[a{},\\\\*/\\[\\]]{0,24}") {
            let _ = alternatives(&pattern);
        }
    }
}
