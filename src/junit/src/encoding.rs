//! The text of a report, whatever its bytes are written in.

use crate::JunitError;
use std::borrow::Cow;

/// What `0x80` to `0x9f` are in windows-1252; the five that it leaves out are controls.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
/// How far the declaration of an encoding is looked for.
const DECLARATION: usize = 256;

/// The text, without a mark of byte order. Bytes of UTF-8 that are none are replaced.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, JunitError> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(String::from_utf8_lossy(rest)),
        [0xff, 0xfe, rest @ ..] => Ok(wide(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Ok(wide(rest, u16::from_be_bytes)),
        [b'<', 0, ..] => Ok(wide(bytes, u16::from_le_bytes)),
        [0, b'<', ..] => Ok(wide(bytes, u16::from_be_bytes)),
        _ => declared(bytes),
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, str> {
    let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| unit(*pair)).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}

/// By the word of its declaration. Writers that say UTF-16 and write bytes are not rare: those are UTF-8.
fn declared(bytes: &[u8]) -> Result<Cow<'_, str>, JunitError> {
    let name = encoding(bytes).unwrap_or_default();
    match name.as_str() {
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" | "utf-16" => Ok(String::from_utf8_lossy(bytes)),
        "iso-8859-1" | "latin1" | "latin-1" | "iso-8859-15" | "windows-1252" | "cp1252" => Ok(western(bytes)),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| JunitError::Encoding(name)),
    }
}

/// `windows-1252`, as the web reads all of these.
fn western(bytes: &[u8]) -> Cow<'static, str> {
    let character = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS[usize::from(byte - 0x80)],
        _ => char::from(*byte),
    };
    Cow::Owned(bytes.iter().map(character).collect())
}

/// What `<?xml … encoding="…"?>` says, in small letters.
fn encoding(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION)]).into_owned();
    let declaration = head.trim_start().strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Some(value[1..].split(quote).next()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<?xml version='1.0'?><a>ä€</a>";

    fn utf16(unit: fn(u16) -> [u8; 2], mark: &[u8]) -> Vec<u8> {
        mark.iter().copied().chain(TEXT.encode_utf16().flat_map(unit)).collect()
    }

    #[test]
    fn a_text_is_the_same_with_and_without_a_mark_of_its_byte_order() {
        let utf8 = [b"\xef\xbb\xbf", TEXT.as_bytes()].concat();
        let all = [
            TEXT.as_bytes().to_vec(),
            utf8,
            utf16(u16::to_le_bytes, b"\xff\xfe"),
            utf16(u16::to_be_bytes, b"\xfe\xff"),
            utf16(u16::to_le_bytes, b""),
            utf16(u16::to_be_bytes, b""),
        ];
        for bytes in all {
            assert_eq!(text(&bytes).unwrap(), TEXT);
        }
    }

    #[test]
    fn a_declared_encoding_is_believed_where_it_can_be() {
        let report = |encoding: &str, body: &[u8]| {
            [format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>").as_bytes(), body].concat()
        };
        for (encoding, body, end) in [
            ("ISO-8859-1", &b"\xe4"[..], "ä"),
            ("Windows-1252", b"\x80", "€"),
            ("utf-16", "ä".as_bytes(), "ä"),
            ("Shift_JIS", b"plain", "plain"),
        ] {
            assert!(text(&report(encoding, body)).unwrap().ends_with(end), "{encoding}");
        }
        let refused = text(&report("Shift_JIS", b"\x83\x65")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "its encoding `shift_jis` is not read here: write UTF-8, UTF-16, ISO-8859-1 or windows-1252"
        );
    }
}
