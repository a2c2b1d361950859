//! The fields of a map that has a known shape: typed reads that say what is wrong.

use crate::{Context, diagnostics};
use yaml::{Node, Span};

/// A map of known keys, and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) what: &'a str,
    pub(crate) span: Span,
    pub(crate) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// The fields of a map; anything else is said. `span` is where messages about missing keys point.
    pub(crate) fn new(context: Context<'a>, what: &'a str, span: Span, node: &'a Node) -> Option<Self> {
        if node.as_map().is_none() {
            context.findings.say(diagnostics::wrong_type(span, what, "a map", node.type_name()));
            return None;
        }
        Some(Self { context, what, span, node })
    }

    /// Warns of each key that is not among the known ones.
    pub(crate) fn check_keys(&self, known: &[&str]) {
        for (key, _) in self.node.entries() {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name) {
                let near = self.context.findings.near(name, known.iter().copied());
                self.context.findings.say(diagnostics::unknown_key(key.span, self.what, name, near));
            }
        }
    }

    /// The value of a key, if it is there and not nothing.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|value| !value.is_null())
    }

    /// The text of a key that must be there.
    pub(crate) fn required(&self, key: &str) -> Option<String> {
        self.required_with_span(key).map(|(text, _)| text)
    }

    /// The text of a key that must be there, and where it stands.
    pub(crate) fn required_with_span(&self, key: &str) -> Option<(String, Span)> {
        let Some(value) = self.value(key).filter(|value| value.text() != Some("")) else {
            self.context.findings.say(diagnostics::missing_key(self.span, self.what, key));
            return None;
        };
        self.text_of(key, value).map(|text| (text, value.span))
    }

    /// The text of a key that may be there; an empty one is as none.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        self.text_of(key, value).filter(|text| !text.is_empty())
    }

    fn text_of(&self, key: &str, value: &Node) -> Option<String> {
        if value.text().is_none() {
            self.wrong_type(key, value, "a string");
        }
        value.text().map(str::to_owned)
    }

    fn wrong_type(&self, key: &str, value: &Node, wanted: &str) {
        let what = format!("`{key}` of {}", self.what);
        self.context.findings.say(diagnostics::wrong_type(value.span, &what, wanted, value.type_name()));
    }

    /// The texts of a key that is a list of them, or one; none if the key is not there or wrong.
    pub(crate) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        if let Some(text) = value.text() {
            return Some(vec![text.to_owned()]);
        }
        if value.as_seq().is_none() {
            self.wrong_type(key, value, "a list of strings");
            return None;
        }
        value.items().iter().map(|item| self.text_of(key, item)).collect()
    }

    /// The texts of a key that must be there, at least one.
    pub(crate) fn required_texts(&self, key: &str) -> Option<Vec<String>> {
        if self.value(key).is_none_or(|value| value.as_seq().is_some_and(<[Node]>::is_empty)) {
            self.context.findings.say(diagnostics::missing_key(self.span, self.what, key));
            return None;
        }
        self.texts(key)
    }

    /// Whether a key is there and true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let Some(value) = self.value(key) else { return false };
        value
            .as_bool()
            .or_else(|| match value.text() {
                Some("true" | "True" | "yes" | "on") => Some(true),
                Some("false" | "False" | "no" | "off" | "") => Some(false),
                _ => None,
            })
            .unwrap_or_else(|| {
                self.wrong_type(key, value, "a boolean");
                false
            })
    }
}
