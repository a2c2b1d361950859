//! The tree of whole texts, and what is said of wrong ones.

use crate::{Kind, MAX_DEPTH, Node, parse, render};
use proptest::prelude::*;
use std::fmt::Write as _;

/// The first letter of a scalar's type.
fn initial(node: &Node) -> char {
    let word = node.type_name().rsplit(' ').next().unwrap();
    word.chars().next().unwrap()
}

/// The tree as one line: scalars with their type's letter.
fn show(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(_) if node.is_null() => "~".to_owned(),
        Kind::Scalar(scalar) => format!("{}{:?}", initial(node), scalar.text),
        Kind::Seq(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| format!("{}: {}", key.text().unwrap(), show(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn read(text: &str) -> String {
    let (node, diagnostics) = parse(text);
    let mut out = node.as_ref().map_or("no tree".to_owned(), show);
    for diagnostic in &diagnostics {
        write!(out, "\n{}", render(diagnostic, "f.yml", text)).unwrap();
    }
    out
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(read(text), expect);
}

#[test]
fn scalars_lists_and_maps_become_a_tree() {
    check(
        "a: 1\nb: [true, x, '2', 1.10]\nc:\n  - |\n    text\n",
        r#"{a: i"1", b: [b"true", s"x", s"2", n"1.10"], c: [s"text\n"]}"#,
    );
}

#[test]
fn an_empty_text_is_a_null_node() {
    for text in ["", "\n", "# only this\n", "---\n", "---\n...\n", "---\n---\n"] {
        check(text, "~");
    }
}

#[test]
fn a_document_after_an_empty_one_is_read_and_a_second_one_refused() {
    check("---\n---\na: 1\n---\n", r#"{a: i"1"}"#);
    let expect = "no tree\nf.yml:3:1: error: a second document stands here, where one is read\n  |\n3 | b: 2\n  | ^^^^\n";
    check("a: 1\n---\nb: 2\n", expect);
}

#[test]
fn aliases_stand_for_their_anchors_and_an_anchor_may_be_defined_again() {
    check("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", r#"{a: i"1", b: i"1", c: i"2", d: i"2"}"#);
    check("- &step {run: x}\n- *step\n", r#"[{run: s"x"}, {run: s"x"}]"#);
}

#[test]
fn what_a_map_merges_gives_way_to_what_it_has() {
    check("- &d {a: 1, b: 2}\n- {<<: *d, a: 3}\n", r#"[{a: i"1", b: i"2"}, {b: i"2", a: i"3"}]"#);
}

#[test]
fn an_earlier_merge_wins_over_a_later_one_in_a_list_and_under_two_keys() {
    let maps = "- &d {a: 1}\n- &e {a: 2, b: 3}\n";
    let expect = r#"[{a: i"1"}, {a: i"2", b: i"3"}, {a: i"1", b: i"3"}]"#;
    check(&format!("{maps}- <<: [*d, *e]\n"), expect);
    check(&format!("{maps}- <<: *d\n  <<: *e\n"), expect);
}

#[test]
fn a_quoted_merge_sign_is_a_plain_key() {
    check("'<<': 1\n", r#"{<<: i"1"}"#);
}

#[test]
fn of_a_doubled_key_the_last_counts_with_a_warning() {
    let expect = "{a: i\"2\", b: i\"3\"}\nf.yml:3:1: warning: the key `a` is in this map already, in line 1\n  |\n\
                  3 | a: 2\n  | ^\n  = help: the last one counts; remove the other\n";
    check("a: 1\nb: 3\na: 2\n", expect);
}

#[test]
fn a_tab_inside_a_plain_scalar_stays() {
    check("a: << pipeline.id\t>>\nb: x\ty\n", "{a: s\"<< pipeline.id\\t>>\", b: s\"x\\ty\"}");
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_are_read() {
    check("\u{feff}a:\r\n  - |\r\n    x\r\n    y\r\nb: 1\r\n", "{a: [s\"x\\ny\\n\"], b: i\"1\"}");
    assert!(
        read("a: 1\r\nb: *x\r\n")
            .contains("f.yml:2:4: error: the anchor `&x` is not defined before this\n  |\n2 | b: *x\n")
    );
}

#[test]
fn several_mistakes_are_said_at_once() {
    let out = read("a: *one\nb: *two\n<<: 3\n? [x]\n: y\nc: \"\\0\"\n");
    let said: Vec<&str> = out.lines().filter(|line| line.starts_with("f.yml")).collect();
    let expect = [
        "f.yml:1:4: error: the anchor `&one` is not defined before this",
        "f.yml:2:4: error: the anchor `&two` is not defined before this",
        "f.yml:6:4: error: a NUL character cannot stand in a value",
        "f.yml:4:3: error: a key must be a word, not a list",
        "f.yml:3:5: error: `<<` merges a map or a list of maps, not an integer",
    ];
    assert_eq!(said, expect);
}

#[test]
fn a_syntax_error_has_its_place() {
    let out = read("a:\n\t- b\n");
    assert!(out.starts_with("no tree\nf.yml:2:2: error: this is no YAML: "), "{out}");
    assert!(out.ends_with("= help: indent with spaces\n"), "{out}");
}

#[test]
fn a_string_tag_makes_a_string_and_an_unknown_tag_is_said() {
    check("a: !!str 1\nb: !!int '2'\n", r#"{a: s"1", b: i"2"}"#);
    assert!(read("a: !mine x\n").contains("warning: the tag `!mine` means nothing here"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..=30 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
    }
    let out = read(&text);
    assert!(out.starts_with("no tree"), "{out}");
    assert!(out.contains("error: with its aliases the text grows beyond 500000 nodes"), "{out}");
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    assert!(read("&a [*a]").contains("error: this alias stands inside its own anchor"));
}

#[test]
fn a_nest_without_end_is_refused_whether_written_or_aliased() {
    let flow = format!("{}x{}", "[".repeat(5000), "]".repeat(5000));
    let block = "- ".repeat(5000) + "x";
    let mut aliased = "- &a0 [x]\n".to_owned();
    for n in 1..=MAX_DEPTH {
        writeln!(aliased, "- &a{n} [*a{}]", n - 1).unwrap();
    }
    for text in [flow, block, aliased] {
        let out = read(&text);
        assert!(out.contains(": error: nested deeper than 100 levels"), "{out}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn no_text_of_yaml_signs_is_a_panic(text in r#"([-?:,\[\]{}#&*!|>'"%@` \t\n<a0.~\\é]|<<: |- |&a |\*a ){0,60}"#) {
        read(&text);
    }

    #[test]
    fn a_string_in_quotes_is_read_as_it_was(text in "[^\\x00-\\x1f\\x7f-\\x9f\u{feff}]{0,40}") {
        let quoted = format!("'{}'", text.replace('\'', "''"));
        let node = parse(&quoted).0.unwrap();
        prop_assert_eq!(node.as_str(), Some(text.as_str()));
    }
}
