//! The forms in which a secret shows itself: whole, line by line, encoded, escaped and quoted.

/// Shorter values would mask ordinary words.
const SHORTEST: usize = 4;

/// Of what an encoder broke into lines: a shorter rest is as good as any word.
const SHORTEST_REST: usize = 8;

/// All forms of one value, some of them more than once; none if it is not to be masked.
pub(crate) fn of(secret: &str) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    if is_secret(secret) {
        whole(secret, &mut forms);
        if is_secret(secret.trim()) {
            whole(secret.trim(), &mut forms);
        }
        forms.extend(secret.lines().map(str::trim).filter(|line| is_secret(line)).map(Vec::from));
    }
    on_terminals(&mut forms);
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// A terminal ends each line with two characters.
fn on_terminals(forms: &mut Vec<Vec<u8>>) {
    let has_lines = |form: &&Vec<u8>| form.contains(&b'\n');
    let ended = |form: &Vec<u8>| {
        let mut ended = Vec::with_capacity(form.len() + 8);
        for byte in form {
            if *byte == b'\n' && ended.last() != Some(&b'\r') {
                ended.push(b'\r');
            }
            ended.push(*byte);
        }
        ended
    };
    let ended: Vec<_> = forms.iter().filter(has_lines).map(ended).collect();
    forms.extend(ended);
}

fn is_secret(value: &str) -> bool {
    let is_long = !value.trim().is_empty() && value.chars().count() >= SHORTEST;
    is_long && !matches!(value.to_ascii_lowercase().as_str(), "true" | "false")
}

fn whole(secret: &str, forms: &mut Vec<Vec<u8>>) {
    forms.push(secret.into());
    base64(secret.as_bytes(), forms);
    hexadecimal(secret.as_bytes(), forms);
    forms.extend([json(secret, Unicode::Kept), json(secret, Unicode::Escaped)].map(Vec::from));
    url(secret, forms);
    shell(secret, forms);
}

const BASE64: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// The characters that depend on the secret alone, whatever is encoded before and after it; and, where it was encoded
/// by itself, the lines into which `base64` (76) and `openssl` (64) break it.
fn base64(secret: &[u8], forms: &mut Vec<Vec<u8>>) {
    for alphabet in BASE64 {
        for phase in 0..3 {
            forms.push(base64_core(secret, phase, alphabet));
        }
        let core = base64_core(secret, 0, alphabet);
        forms.extend(
            [64, 76]
                .iter()
                .filter(|width| core.len() > **width)
                .flat_map(|width| core.chunks(*width))
                .filter(|line| line.len() >= SHORTEST_REST)
                .map(Vec::from),
        );
    }
}

fn base64_core(secret: &[u8], phase: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let byte = |at: usize| usize::from(*secret.get(at).unwrap_or(&0));
    let six = |from: usize| (byte(from / 8) << 8 | byte(from / 8 + 1)) >> (10 - from % 8) & 63;
    let first = (6 - phase * 8 % 6) % 6;
    let starts = (first..).step_by(6).take_while(|from| from + 6 <= secret.len() * 8);
    starts.map(|from| alphabet[six(from)]).collect()
}

/// In one piece (`xxd -p`, most libraries), byte by byte (`od -tx1`, `hexdump -C`, `openssl`) and in twos (`xxd`); and, where
/// it was encoded by itself, the lines into which these break it.
fn hexadecimal(secret: &[u8], forms: &mut Vec<Vec<u8>>) {
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let written = |bytes: &[u8], between: &[u8], each: usize| hex(bytes, digits, between, each);
        forms.extend(
            [(&b""[..], 1), (b" ", 1), (b":", 1), (b" ", 2)].map(|(b, each)| written(secret, b, each)),
        );
        let (first, rest) = secret.split_at(1);
        forms.push([written(first, b"", 1), written(rest, b" ", 2)].join(&b' '));
        for (between, each, width) in [(&b""[..], 1, 30), (b" ", 1, 8), (b" ", 2, 16)] {
            let is_broken = secret.len() > width;
            let lines = secret.chunks(width).filter(|line| is_broken && line.len() * 2 >= SHORTEST_REST);
            forms.extend(lines.map(|line| written(line, between, each)));
        }
    }
}

/// So many bytes a word.
fn hex(bytes: &[u8], digits: &[u8; 16], between: &[u8], each: usize) -> Vec<u8> {
    let mut written = Vec::with_capacity(bytes.len() * 3);
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % each == 0 {
            written.extend_from_slice(between);
        }
        written.extend([byte >> 4, byte & 15].map(|digit| digits[usize::from(digit)]));
    }
    written
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unicode {
    Kept,
    Escaped,
}

fn json(secret: &str, unicode: Unicode) -> String {
    let mut escaped = String::new();
    for c in secret.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c < ' ' || (unicode == Unicode::Escaped && !c.is_ascii()) => escape_units(c, &mut escaped),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_units(c: char, escaped: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        escaped.push_str(&format!("\\u{unit:04x}"));
    }
}

/// Percent-encoded as RFC 3986 has it, as paths, as JavaScript's `encodeURIComponent` and as HTML forms.
fn url(secret: &str, forms: &mut Vec<Vec<u8>>) {
    for kept in ["-._~", "-._~/", "-._~!'()*", "-._* "] {
        let upper = percent(secret, kept).replace(' ', "+");
        forms.push(lower_hex(&upper).into());
        forms.push(upper.into());
    }
}

fn percent(secret: &str, kept: &str) -> String {
    let mut encoded = String::new();
    for byte in secret.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn lower_hex(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at(2);
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// Within single quotes, within double quotes, with backslashes (`printf %q`), and within `$'…'`.
fn shell(secret: &str, forms: &mut Vec<Vec<u8>>) {
    forms.push(secret.replace('\'', "'\\''").into());
    forms.push(with_backslashes(secret, |c| "\\\"$`".contains(c)).into());
    forms.push(
        with_backslashes(secret, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c))
            .into(),
    );
    forms.push(
        with_backslashes(secret, |c| "\\'".contains(c))
            .replace('\n', "\\n")
            .replace('\t', "\\t")
            .replace('\r', "\\r")
            .into(),
    );
}

fn with_backslashes(secret: &str, special: impl Fn(char) -> bool) -> String {
    let mut quoted = String::new();
    for c in secret.chars() {
        if special(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
