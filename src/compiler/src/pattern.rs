//! Patterns of conditions and filters: they hold for a whole text or not at all.

use regex_lite::{Regex, RegexBuilder};

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern; what is wrong with it otherwise.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        const SIZE: usize = 1 << 20;
        if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) {
            return Err("looking ahead or behind is not supported".to_owned());
        }
        let whole = format!("^(?:{pattern})$");
        RegexBuilder::new(&whole).size_limit(SIZE).build().map(Self).map_err(|error| error.to_string())
    }

    /// Whether the whole text is as the pattern says.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_for_the_whole_text() {
        let pattern = Pattern::new("v[0-9]+|main").unwrap();
        assert!(pattern.matches("v12") && pattern.matches("main"));
        assert!(!pattern.matches("v12-rc") && !pattern.matches("xmain"));
    }

    #[test]
    fn a_pattern_that_cannot_be_is_refused_with_a_reason() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new("(?!x).*").unwrap_err().contains("looking ahead"));
    }
}
