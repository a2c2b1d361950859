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
    let masked = secrets.iter().filter(|secret| is_masked(secret));
    for secret in masked {
        assert!(
            !whole.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret:?} came out"
        );
    }
});

fn is_masked(secret: &str) -> bool {
    secret.chars().count() >= 4
        && !secret.trim().is_empty()
        && !["true", "false"].contains(&secret.to_ascii_lowercase().as_str())
}
