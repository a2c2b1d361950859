//! What comes out of a masked stream.

use crate::{MASK, MOST_LEARNED, Masker, TooMany};
use proptest::prelude::*;

fn masker(secrets: &[&str]) -> Masker {
    Masker::new(secrets.iter().map(|secret| (*secret).to_owned()))
}

fn masked(secrets: &[&str], text: &str) -> String {
    let (mut masker, mut out) = (masker(secrets), Vec::new());
    masker.push(text.as_bytes(), &mut out);
    masker.flush(&mut out);
    String::from_utf8(out).unwrap()
}

fn check(secrets: &[&str], text: &str, expected: &str) {
    assert_eq!(masked(secrets, text), expected);
    let (mut masker, mut out) = (masker(secrets), Vec::new());
    text.as_bytes().iter().for_each(|byte| masker.push(&[*byte], &mut out));
    masker.flush(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), expected, "byte by byte");
}

#[test]
fn a_secret_is_masked_wherever_it_stands() {
    check(&["hunter2"], "hunter2, hunter2hunter2 and hunter", "****, ******** and hunter");
}

#[test]
fn short_values_blanks_and_booleans_are_not_masked() {
    check(&["     "], "a     b", "a     b");
    check(&["abc", "", "True", "FALSE", "äöü"], "abc True FALSE äöü", "abc True FALSE äöü");
    assert!(masker(&["abc", "true"]).is_empty());
}

#[test]
fn nothing_of_overlapping_or_nested_secrets_remains() {
    check(&["abcd", "cdef"], "xabcdefx", "x****x");
    check(&["abcd", "zabcdy", "bcde"], "zabcdy zabcde", "**** z****");
    check(&["abab"], "xabababx", "x****x");
    check(&["abcdefgh", "abcd"], "abcdefg!", "****efg!");
}

#[test]
fn a_multi_line_secret_is_masked_whole_and_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n}\n-----END KEY-----\n";
    check(&[key], key, "****");
    check(&[key], &key.replace('\n', "\r\n"), "****");
    check(&[key], "at MIIEpAIBAAKCAQEA }", "at **** }");
}

#[test]
fn encoded_forms_are_masked() {
    let secret = "p@ss \"word\"/'42'\\?";
    for form in [
        "p%40ss%20%22word%22%2F%2742%27%5C%3F",
        "p%40ss%20%22word%22%2f%2742%27%5c%3f",
        "p%40ss+%22word%22%2F%2742%27%5C%3F",
        "p@ss \\\"word\\\"/'42'\\\\?",
        "p@ss \"word\"/'\\''42'\\''\\?",
        "p@ss\\ \\\"word\\\"/\\'42\\'\\\\\\?",
    ] {
        check(&[secret], &format!("<{form}>"), "<****>");
    }
}

#[test]
fn base64_is_masked_at_every_phase_but_for_shared_characters() {
    // "user:" + secret as `Authorization: Basic` has it, the secret alone, and ":" + secret.
    check(&["correct-horse"], "dXNlcjpjb3JyZWN0LWhvcnNl", "dXNlcjp****");
    check(&["correct-horse"], "Y29ycmVjdC1ob3JzZQ==", "****Q==");
    check(&["correct-horse"], "OmNvcnJlY3QtaG9yc2U=", "Om****U=");
    check(&["\u{3ff}\u{3ff}>>>???"], "z7_Pvz4-Pj8_Pw z7/Pvz4+Pj8/Pw==", "****w ****w==");
}

#[test]
fn a_long_secret_in_base64_is_masked_line_by_line() {
    let secret = "0123456789".repeat(12);
    let encoded = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2\n\
                   Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\nNDU2Nzg5\n";
    check(&[&secret], encoded, "****\n****\n****\n");
}

#[test]
fn a_secret_in_hexadecimal_is_masked_as_tools_print_it() {
    // `xxd -p`, `xxd -u -p`, `od -An -tx1`, `openssl`, `xxd`, and `xxd` where one byte stands before the secret.
    for form in [
        "68756e74657232",
        "68756E74657232",
        "68 75 6e 74 65 72 32",
        "68:75:6E:74:65:72:32",
        "6875 6e74 6572 32",
        "68 756e 7465 7232",
    ] {
        check(&["hunter2"], &format!("<{form}>"), "<****>");
    }
    check(&["hunter2"], "6875 6e74", "6875 6e74");
}

#[test]
fn a_long_secret_in_hexadecimal_is_masked_line_by_line() {
    let secret = "0123456789".repeat(4);
    let xxd_p = "303132333435363738393031323334353637383930313233343536373839\n30313233343536373839\n";
    check(&[&secret], xxd_p, "****\n****\n");
    let hexdump_c = "00000000  30 31 32 33 34 35 36 37  38 39 30 31 32 33 34 35  |\n\
                     00000010  36 37 38 39 30 31 32 33  34 35 36 37 38 39 30 31  |\n\
                     00000020  32 33 34 35 36 37 38 39                           |\n";
    let masked =
        "00000000  ****  ****  |\n00000010  ****  ****  |\n00000020  ****                           |\n";
    check(&[&secret], hexdump_c, masked);
}

#[test]
fn lines_end_as_on_a_terminal_in_every_form() {
    check(&["it's\nlong"], "'it'\\''s\r\nlong'", "'****'");
    check(&["one two\nmore"], "one\\ two\\\r\nmore", "****");
    check(&["abcd\r\nefgh"], "<abcd\r\nefgh>", "<****>");
}

#[test]
fn a_short_tail_is_shown_where_nothing_follows_and_the_rest_is_masked_still() {
    let (mut masker, mut out) = (masker(&["hunter2", ": \u{e9}tat"]), Vec::new());
    masker.push(b"Password: ", &mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"Password"[..], 2));
    masker.release(&mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"Password: "[..], 0));
    masker.release(&mut out);
    masker.push(b"hu", &mut out);
    masker.release(&mut out);
    masker.push(b"nter2, hunt", &mut out);
    masker.release(&mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"Password: hu****, "[..], 4));
    masker.flush(&mut out);
    assert_eq!(out, b"Password: hu****, hunt");
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let (mut masker, mut out) = (masker(&["hunter2", "hunter2-and-more"]), Vec::new());
    masker.push(b"a line\nhun", &mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"a line\n"[..], 3));
    masker.push(b"ter2", &mut out);
    assert_eq!(out, b"a line\n****", "a whole secret shows at once");
    masker.push(b"!", &mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"a line\n****!"[..], 0));
}

#[test]
fn without_secrets_everything_passes_at_once() {
    let (mut masker, mut out) = (masker(&[]), Vec::new());
    masker.push(b"anything\0\xff", &mut out);
    assert_eq!((out.as_slice(), masker.pending()), (&b"anything\0\xff"[..], 0));
}

/// All occurrences of all words marked byte by byte, in the slowest and plainest way.
fn reference(words: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut spans: Vec<_> = (0..text.len())
        .filter_map(|at| {
            words.iter().filter(|word| text[at..].starts_with(word)).map(Vec::len).max().map(|n| (at, at + n))
        })
        .collect();
    spans.dedup_by(|next, last| {
        let overlap = next.0 < last.1;
        last.1 = if overlap { last.1.max(next.1) } else { last.1 };
        overlap
    });
    let (mut out, mut shown) = (Vec::new(), 0);
    for (start, end) in spans {
        out.extend_from_slice(&text[shown..start]);
        out.extend_from_slice(MASK);
        shown = end;
    }
    out.extend_from_slice(&text[shown..]);
    out
}

fn pieces(text: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| text[cut[0]..cut[1]].to_vec()).collect()
}

/// As often as `every` says nothing follows for a while.
fn check_waits(secrets: &[String], text: &[u8], cuts: &[usize], every: usize) -> Result<(), TestCaseError> {
    let words: Vec<_> = secrets.iter().flat_map(|secret| crate::forms::of(secret)).collect();
    let (mut masker, mut out) = (Masker::new(secrets.to_vec()), Vec::new());
    for (number, piece) in pieces(text, cuts).into_iter().enumerate() {
        masker.push(&piece, &mut out);
        if number % every == 0 {
            masker.release(&mut out);
        }
    }
    masker.flush(&mut out);
    for word in &words {
        prop_assert!(!out.windows(word.len()).any(|window| window == word), "{word:?} is left");
    }
    Ok(())
}

fn check_any(secrets: &[String], text: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let words: Vec<_> = secrets.iter().flat_map(|secret| crate::forms::of(secret)).collect();
    let longest = words.iter().map(Vec::len).max().unwrap_or(1);
    let (mut masker, mut out) = (Masker::new(secrets.to_vec()), Vec::new());
    for piece in pieces(text, cuts) {
        masker.push(&piece, &mut out);
        prop_assert!(masker.pending() < longest);
    }
    masker.flush(&mut out);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    prop_assert_eq!(lossy(&out), lossy(&reference(&words, text)));
    for word in &words {
        prop_assert!(!out.windows(word.len()).any(|window| window == word), "{:?} is left", lossy(word));
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_cut_changes_what_comes_out(
        secrets in prop::collection::vec("[ab]{4,12}|[abc]{4,30}", 0..6),
        text in "[abc]{0,300}",
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        check_any(&secrets, text.as_bytes(), &cuts)?;
        check_waits(&secrets, text.as_bytes(), &cuts, 2)?;
    }

    #[test]
    fn a_secret_among_other_text_never_comes_out(
        secrets in prop::collection::vec("[a-zA-Z0-9 /'\"\\\\\n]{4,40}", 1..6),
        between in prop::collection::vec("[a-z0-9 \n]{0,40}", 1..8),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let words: Vec<_> = secrets.iter().flat_map(|secret| crate::forms::of(secret)).collect();
        let mut text = Vec::new();
        for (number, filler) in between.iter().enumerate() {
            text.extend_from_slice(filler.as_bytes());
            text.extend_from_slice(words.get(number * 7 % words.len().max(1)).map_or(b"", Vec::as_slice));
        }
        check_any(&secrets, &text, &cuts)?;
        check_waits(&secrets, &text, &cuts, 1)?;
    }
}

#[test]
fn a_secret_that_is_learned_later_is_masked_in_every_stream_from_then_on() {
    for first in [vec![], vec!["hunter22"]] {
        let mut running = masker(&first);
        let (mut other, mut out) = (running.fresh(), Vec::new());
        running.push(b"a hunt", &mut out);
        other.learn("hunted-by-night").unwrap();
        assert!(!running.is_empty() && !other.is_empty());
        running.push(b", hunted-by-", &mut out);
        running.push(b"night ", &mut out);
        running.push(b"aHVudGVkLWJ5LW5pZ2h0", &mut out);
        running.flush(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a hunt, **** ****");
        let mut out = Vec::new();
        other.push(b"hunted-by-night", &mut out);
        assert_eq!(out, MASK);
    }
}

#[test]
fn so_many_are_learned_and_no_more() {
    let masker = masker(&[]);
    for number in 0..MOST_LEARNED {
        masker.learn(&format!("token-{number:04}")).unwrap();
    }
    assert_eq!(masker.learn("one too many"), Err(TooMany));
    let (mut masker, mut out) = (masker.fresh(), Vec::new());
    masker.push(b"token-0000 token-0255 one too many", &mut out);
    masker.flush(&mut out);
    assert_eq!(out, b"**** **** one too many");
}
