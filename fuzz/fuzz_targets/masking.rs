//! However a stream is cut, no secret comes out of it, and always the same does.

#![no_main]

use masking::Masker;

libfuzzer_sys::fuzz_target!(|input: (Vec<String>, Vec<Vec<u8>>)| {
    let (secrets, pieces) = input;
    // A mask beside other text could make up a secret that has asterisks in it.
    let secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.contains('*')).collect();
    let mut cut = Vec::new();
    let mut masker = Masker::new(secrets.clone());
    pieces.iter().for_each(|piece| masker.push(piece, &mut cut));
    masker.flush(&mut cut);
    let mut whole = Vec::new();
    let mut masker = masker.fresh();
    masker.push(&pieces.concat(), &mut whole);
    masker.flush(&mut whole);
    assert!(cut == whole, "a cut changed what comes out");
    let mut waited = Vec::new();
    let mut masker = masker.fresh();
    for piece in &pieces {
        masker.push(piece, &mut waited);
        masker.release(&mut waited);
    }
    masker.flush(&mut waited);
    for secret in secrets.iter().filter(|secret| is_masked(secret)) {
        let (lower, upper) = (hexadecimal(secret, "0123456789abcdef"), hexadecimal(secret, "0123456789ABCDEF"));
        for form in [secret.as_bytes(), &lower, &upper] {
            let came_out = |out: &[u8]| out.windows(form.len()).any(|window| window == form);
            assert!(!came_out(&whole) && !came_out(&waited), "{secret:?} came out");
        }
    }
});

fn hexadecimal(secret: &str, digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes();
    secret.bytes().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

fn is_masked(secret: &str) -> bool {
    secret.chars().count() >= 4
        && !secret.trim().is_empty()
        && !["true", "false"].contains(&secret.to_ascii_lowercase().as_str())
}
