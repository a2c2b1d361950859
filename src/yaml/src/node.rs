//! The spanned tree: scalars that keep their text, sequences and maps in the order of the source.

use crate::Span;
use std::sync::Arc;

/// A value and where it stands. Cloning is cheap: text and children are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// In the source; an aliased node has the place of its anchor.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// A key and its value.
pub type Entry = (Node, Node);

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// One word or text.
    Scalar(Scalar),
    /// A list.
    Seq(Arc<[Node]>),
    /// A map, merge keys resolved; keys are scalars and unique, in the order of the source.
    Map(Arc<[Entry]>),
}

/// A scalar with its text as written (escapes and folding resolved).
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Its type by YAML 1.2's core schema; quoted and block scalars are strings.
    pub value: Value,
    /// As written: `1.10` stays `1.10`.
    pub text: Arc<str>,
    /// Whether it stood without quotes, so that it may mean more than a string to a reader.
    pub plain: bool,
}

/// The type of a scalar, and its value where that is not its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// The scalar's text.
    String,
}

impl Node {
    /// Nothing, at `span`.
    pub fn null(span: Span) -> Self {
        Self::scalar(span, Value::Null, "")
    }

    /// A string, as if quoted.
    pub fn string(span: Span, text: impl Into<Arc<str>>) -> Self {
        Self { span, kind: Kind::Scalar(Scalar { value: Value::String, text: text.into(), plain: false }) }
    }

    /// A boolean.
    pub fn bool(span: Span, value: bool) -> Self {
        Self::scalar(span, Value::Bool(value), if value { "true" } else { "false" })
    }

    /// A whole number.
    pub fn int(span: Span, value: i64) -> Self {
        Self::scalar(span, Value::Int(value), value.to_string())
    }

    /// A list.
    pub fn seq(span: Span, items: Vec<Node>) -> Self {
        Self { span, kind: Kind::Seq(items.into()) }
    }

    /// A map; the keys must be unique.
    pub fn map(span: Span, entries: Vec<Entry>) -> Self {
        Self { span, kind: Kind::Map(entries.into()) }
    }

    fn scalar(span: Span, value: Value, text: impl Into<Arc<str>>) -> Self {
        Self { span, kind: Kind::Scalar(Scalar { value, text: text.into(), plain: true }) }
    }

    /// The same value at another place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// The value under `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// Key and value under `key` of a map, for messages that point at the key.
    pub fn get_entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key))
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        self.as_map().unwrap_or_default()
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        self.as_seq().unwrap_or_default()
    }

    /// The entries, if this is a map.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The scalar, if this is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The value of a scalar.
    pub fn value(&self) -> Option<Value> {
        self.as_scalar().map(|scalar| scalar.value)
    }

    /// The text of a string; numbers, booleans and nothing are no strings.
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().filter(|scalar| scalar.value == Value::String).map(|scalar| &*scalar.text)
    }

    /// The boolean, if this is one: exactly `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value() {
            Some(Value::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self.value() {
            Some(Value::Int(value)) => Some(value),
            _ => None,
        }
    }

    /// The text of any scalar but nothing, as written: `8080` of a number, `true` of a boolean.
    pub fn text(&self) -> Option<&str> {
        self.as_scalar().filter(|scalar| scalar.value != Value::Null).map(|scalar| &*scalar.text)
    }

    /// Whether this is nothing: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.value() == Some(Value::Null)
    }

    /// What it is, with its article, for messages: `a string`, `a map`, `nothing`.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Scalar(scalar) => match scalar.value {
                Value::Null => "nothing",
                Value::Bool(_) => "a boolean",
                Value::Int(_) => "an integer",
                Value::Float(_) => "a number",
                Value::String => "a string",
            },
        }
    }
}
