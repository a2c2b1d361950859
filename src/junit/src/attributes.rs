//! What stands in a tag: names, times, and the characters that references mean.

use crate::MAX_NAME;
use quick_xml::{
    escape,
    events::{BytesRef, BytesStart},
};

/// The name of an element, without a prefix.
pub(crate) fn local_name(tag: &BytesStart<'_>) -> String {
    tag.local_name().as_ref().to_string()
}

/// An attribute's value. One that breaks the rules of references is taken as it stands.
pub(crate) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut all = tag.attributes();
    let found =
        all.with_checks(false).flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    let raw: &str = found.value.as_ref();
    Some(escape::unescape(raw).map_or_else(|_| raw.to_owned(), |value| value.into_owned()))
}

/// The same of a name, which is no longer than names are.
pub(crate) fn name(tag: &BytesStart<'_>, attribute_name: &str) -> Option<String> {
    attribute(tag, attribute_name).map(|name| cut(name, MAX_NAME))
}

/// The characters that `&…;` means in a text; one that means nothing stays as it is.
pub(crate) fn meaning(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let predefined = escape::resolve_predefined_entity(reference);
    predefined.map_or_else(|| format!("&{};", &**reference), str::to_owned)
}

/// Seconds, as the many writers write them: `1.5`, `1,200.5`, `0,5`.
pub(crate) fn seconds(written: &str) -> Option<f64> {
    let plain = match written.trim().split_once(',') {
        Some((whole, rest)) if is_fraction(whole, rest) => format!("{whole}.{rest}"),
        _ => written.trim().replace(',', ""),
    };
    plain.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
}

/// Whether a comma stands before the fraction: what follows is no group of three digits, or there is nothing to group.
fn is_fraction(whole: &str, rest: &str) -> bool {
    rest.bytes().all(|byte| byte.is_ascii_digit()) && (rest.len() != 3 || whole == "0")
}

/// At most that many bytes, and a mark where some are left out.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_as_they_are_written_anywhere() {
        for (written, expect) in [
            ("1.5", Some(1.5)),
            ("1,200.5", Some(1200.5)),
            ("1,200", Some(1200.0)),
            ("1,234,567.8", Some(1_234_567.8)),
            ("0,5", Some(0.5)),
            ("0,123", Some(0.123)),
            (" 2 ", Some(2.0)),
            ("1e-3", Some(0.001)),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(written), expect, "{written}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = cut("é".repeat(MAX_NAME), MAX_NAME);
        assert!(name.len() <= MAX_NAME + '…'.len_utf8() && name.ends_with('…'), "{}", name.len());
        assert_eq!(cut("short".to_owned(), MAX_NAME), "short");
    }
}
