//! The tree as YAML text again: block style, in the order of the tree, so that reading it gives the same tree.

use crate::{Kind, Node, Scalar, Value, scalar};
use std::fmt::Write as _;

/// The text of a tree. Lists stand below their key without further indent.
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    match &node.kind {
        Kind::Scalar(scalar) => {
            out.push_str(&on_one_line(scalar));
            out.push('\n');
        }
        _ => block(node, 0, &mut out),
    }
    out
}

/// A list or map whose first line begins where `out` ends.
fn block(node: &Node, indent: usize, out: &mut String) {
    match &node.kind {
        Kind::Seq(items) if items.is_empty() => out.push_str("[]\n"),
        Kind::Map(entries) if entries.is_empty() => out.push_str("{}\n"),
        Kind::Seq(items) => {
            for (place, item) in items.iter().enumerate() {
                begin_line(place, indent, out);
                out.push_str("- ");
                after_dash(item, indent, out);
            }
        }
        Kind::Map(entries) => {
            for (place, (key, value)) in entries.iter().enumerate() {
                begin_line(place, indent, out);
                out.push_str(&key.as_scalar().map(on_one_line).unwrap_or_default());
                out.push(':');
                after_key(value, indent, out);
            }
        }
        Kind::Scalar(scalar) => scalar_value(scalar, indent, out),
    }
}

fn begin_line(place: usize, indent: usize, out: &mut String) {
    if place > 0 {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn after_dash(item: &Node, indent: usize, out: &mut String) {
    match &item.kind {
        Kind::Scalar(scalar) => scalar_value(scalar, indent, out),
        _ => block(item, indent + 2, out),
    }
}

fn after_key(value: &Node, indent: usize, out: &mut String) {
    let below = match &value.kind {
        Kind::Seq(items) if !items.is_empty() => Some(indent),
        Kind::Map(entries) if !entries.is_empty() => Some(indent + 2),
        _ => None,
    };
    match (below, &value.kind) {
        (Some(below), _) => {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', below));
            block(value, below, out);
        }
        (None, Kind::Scalar(scalar)) => {
            out.push(' ');
            scalar_value(scalar, indent, out);
        }
        (None, _) => {
            out.push(' ');
            block(value, indent, out);
        }
    }
}

fn scalar_value(scalar: &Scalar, indent: usize, out: &mut String) {
    match literal(scalar, indent + 2) {
        Some(text) => out.push_str(&text),
        None => {
            out.push_str(&on_one_line(scalar));
            out.push('\n');
        }
    }
}

/// A text of several lines as one writes it by hand; none if it would not be read as it is.
fn literal(scalar: &Scalar, indent: usize) -> Option<String> {
    let text = &*scalar.text;
    let body = text.trim_end_matches('\n');
    let last = body.rsplit('\n').next()?;
    let fits = |c: char| c == '\n' || c == '\t' || is_plain(c);
    if scalar.value != Value::String
        || !text.contains('\n')
        || last.trim().is_empty()
        || !text.chars().all(fits)
    {
        return None;
    }
    let chomp = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let sign = if body.starts_with([' ', '\n', '\t']) { "2" } else { "" };
    let mut out = format!("|{sign}{chomp}\n");
    let end = if chomp == "+" { &text[..text.len() - 1] } else { body };
    for line in end.split('\n') {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
        out.push('\n');
    }
    Some(out)
}

/// Characters that stand for themselves everywhere.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn on_one_line(scalar: &Scalar) -> String {
    let text = &*scalar.text;
    match scalar.value {
        Value::Null => "null".to_owned(),
        Value::String if !text.chars().all(is_plain) => escaped(text),
        Value::String if stays_a_string(text) => text.to_owned(),
        Value::String => format!("'{}'", text.replace('\'', "''")),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if is_plain(c) => out.push(c),
            _ => write!(out, "\\U{:08x}", u32::from(c)).expect("a string takes all text"),
        }
    }
    out.push('"');
    out
}

/// Whether a text is a string without quotes, also to readers of YAML 1.1.
fn stays_a_string(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "<<"];
    let numeric = |c: char| c.is_ascii_digit() || "+-._:eExXoabcdfABCDF".contains(c);
    let first = text.chars().next();
    let begins = match first {
        Some('-') => {
            !text.starts_with("--- ") && text != "---" && text[1..].starts_with(|c: char| !c.is_whitespace())
        }
        Some(c) => !c.is_whitespace() && !"?:,[]{}#&*!|>'\"%@`=".contains(c),
        None => false,
    };
    begins
        && text != "..."
        && scalar::plain(text).value == Value::String
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && !(text.contains(|c: char| c.is_ascii_digit()) && text.chars().all(numeric))
        && !text.ends_with(|c: char| c == ':' || c.is_whitespace())
        && !text.contains(": ")
        && !text.contains(" #")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Span, parse};
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(write(&parse(text).0.unwrap()), expect);
    }

    #[test]
    fn a_tree_is_written_in_block_style() {
        check(
            "{a: [x, {b: 1, c: [2]}, [w, [z]]], d: {}, e: [], f: ~, g: '1', h: 1.10, i: {j: k}}",
            "a:\n- x\n- b: 1\n  c:\n  - 2\n- - w\n  - - z\nd: {}\ne: []\nf: null\ng: '1'\nh: 1.10\ni:\n  j: k\n",
        );
    }

    #[test]
    fn texts_of_several_lines_stand_as_they_are() {
        check(
            "a: \"x\\ny\\n\"\nb: \"x\\n\\ny\"\nc: [\" x\\ny\\n\\n\"]\n",
            "a: |\n  x\n  y\nb: |-\n  x\n\n  y\nc:\n- |2+\n   x\n  y\n\n",
        );
    }

    #[test]
    fn strings_that_look_like_something_else_are_quoted() {
        for text in [
            "yes",
            "On",
            "~",
            "1",
            "1.5",
            "12:30",
            "2020-01-01",
            "1_000",
            "0x1f",
            "<<",
            "a: b",
            "a #b",
            "- a",
            "{x}",
            "*a",
            "",
            " a",
            "a:",
            "it's: so",
        ] {
            let node = Node::string(Span::default(), text);
            assert!(write(&node).starts_with('\''), "{text}");
        }
        for text in ["a", "~/x", "-x", "--flag", "it's", "a:b", "a#b", "v1.2.3", "main"] {
            let node = Node::string(Span::default(), text);
            assert_eq!(write(&node), format!("{text}\n"));
        }
    }

    /// Two trees with the same content, wherever they stand.
    fn same(a: &Node, b: &Node) -> bool {
        match (&a.kind, &b.kind) {
            (Kind::Scalar(a), Kind::Scalar(b)) => {
                a.value == b.value && (a.value == Value::Null || a.text == b.text)
            }
            (Kind::Seq(a), Kind::Seq(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
            }
            (Kind::Map(a), Kind::Map(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b.iter()).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
            }
            _ => false,
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            r#"[-?:,\[\]{}#&*!|>'"%@` \t\n\r<a0.~\\yes=\u{85}]{0,12}"#,
            "( |\t)?(a|- b|\n|\n\n| c:|#)*"
        ]
        .prop_map(|text| text.replace('\0', ""))
    }

    fn tree() -> impl Strategy<Value = Node> {
        let span = Span::default();
        let leaf = prop_oneof![
            text().prop_map(move |text| Node::string(span, text)),
            any::<i64>().prop_map(move |number| Node::int(span, number)),
            any::<bool>().prop_map(move |value| Node::bool(span, value)),
            Just(Node::null(span)),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(move |items| Node::seq(span, items)),
                prop::collection::btree_map(text(), inner, 0..5).prop_map(move |entries| {
                    let entry = |(key, value)| (Node::string(span, key), value);
                    Node::map(span, entries.into_iter().map(entry).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(tree in tree()) {
            let text = write(&tree);
            let (read, said) = parse(&text);
            prop_assert!(said.is_empty(), "{text}\n{said:?}");
            prop_assert!(same(&tree, &read.unwrap()), "{text}");
        }
    }
}
