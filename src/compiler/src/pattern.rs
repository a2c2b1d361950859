//! Patterns of conditions and filters, written as for Java: they hold for a whole text or not at all.

use fancy_regex::{Error, Regex, RegexBuilder};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// How often a pattern that looks around may try again, so that none takes longer than it can be meant to.
const MAX_BACKTRACKS: usize = 100_000;

/// The most memory that a pattern may take.
const MAX_SIZE: usize = 1 << 20;

/// Signs that mean something else here than they do in Java, and what they mean there.
const FOREIGN: [(&str, &str); 5] = [
    ("\\h", "a blank"),
    ("\\H", "no blank"),
    ("\\G", "the end of the last match"),
    ("\\K", "nothing"),
    ("\\Q", "the beginning of a quotation"),
];

/// How many patterns are kept for the next one who asks: jobs of many copies ask the same again and again.
const MAX_KEPT: usize = 100;

/// The patterns of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    kept: RefCell<HashMap<String, Result<Rc<Pattern>, String>>>,
}

impl Patterns {
    /// Whether a whole text is as a pattern says; the reason where that cannot be told.
    pub(crate) fn matches(&self, pattern: &str, text: &str) -> Result<bool, String> {
        self.get(pattern)?.matches(text)
    }

    /// A pattern, once it was understood; what is wrong with it otherwise.
    pub(crate) fn get(&self, pattern: &str) -> Result<Rc<Pattern>, String> {
        if let Some(known) = self.kept.borrow().get(pattern) {
            return known.clone();
        }
        let read = Pattern::new(pattern).map(Rc::new);
        let mut kept = self.kept.borrow_mut();
        if kept.len() < MAX_KEPT {
            kept.insert(pattern.to_owned(), read.clone());
        }
        read
    }
}

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern; what is wrong with it otherwise.
    fn new(pattern: &str) -> Result<Self, String> {
        let bare = pattern.replace("\\\\", "");
        if let Some((sign, meaning)) = FOREIGN.iter().find(|(sign, _)| bare.contains(sign)) {
            return Err(format!("`{sign}` ({meaning}) is not supported"));
        }
        let built = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .backtrack_limit(MAX_BACKTRACKS)
            .delegate_size_limit(MAX_SIZE)
            .build();
        built.map(Self).map_err(|error| match error {
            Error::ParseError(_, reason) => reason.to_string(),
            other => other.to_string(),
        })
    }

    /// Whether the whole text is as the pattern says; a reason where that takes too long to tell.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, String> {
        self.0.is_match(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matched: &[&str], others: &[&str]) {
        let pattern = Pattern::new(pattern).unwrap();
        for text in matched {
            assert_eq!(pattern.matches(text), Ok(true), "{text}");
        }
        for text in others {
            assert_eq!(pattern.matches(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_pattern_holds_for_the_whole_text() {
        check("v[0-9]+|main", &["v12", "main"], &["v12-rc", "xmain", ""]);
        check("^main$", &["main"], &["main\n", "mains"]);
        check(".*", &["", "a b"], &["a\nb"]);
    }

    #[test]
    fn patterns_are_written_as_for_java() {
        check("^(?!main$).*", &["dev", "mains"], &["main"]);
        check(r"(?=.*\d)[a-z\d]+", &["a1"], &["ab"]);
        check(r"(?<!x)a|.(?<=b)", &["a", "b"], &["c"]);
        check(r"(?i)release", &["RELEASE", "release"], &["x"]);
        check(r"v\d++(?:\.\d+)*+", &["v1.2"], &["v1."]);
        check(r"(?<first>[a-z])\k<first>", &["aa"], &["ab"]);
        check(r"[a-z&&[^b]]\w\s\p{L}", &["a_ é"], &["b_ é"]);
        check(r"(\w)\1", &["xx"], &["xy"]);
        check(r"dependabot/\S+", &["dependabot/npm"], &["dependabot/a b"]);
    }

    #[test]
    fn a_pattern_that_cannot_be_is_refused_with_a_reason() {
        for wrong in ["(", "[", "*", r"\Qx\E", r"\hx", "(?<n>a"] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::new(r"\\h").is_ok());
    }

    #[test]
    fn a_pattern_that_tries_without_end_is_a_reason() {
        let pattern = Pattern::new("(?=x|a)((a|aa)+)+(?!c)b").unwrap();
        assert!(pattern.matches(&"a".repeat(60)).is_err());
    }
}
