//! Tokens: random text for those who hold them, a hash for us.

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

/// The SHA-256 of a token: all that is ever kept of it.
pub(crate) type TokenHash = [u8; 32];

/// So many of a token's 64 digits may be shown.
const SHOWN: usize = 6;

/// A new token: 256 random bits as hexadecimal digits.
pub(crate) fn new_token() -> String {
    let mut bits = [0_u8; 32];
    SystemRandom::new().fill(&mut bits).expect("the system has random bytes");
    protocol::Digest::of_bytes(&bits).into()
}

/// A new token of a kind: what it begins with says to people and scanners whose it is. The beginning that may be shown
/// comes with it.
pub(crate) fn new_token_of(kind: &str) -> (String, String) {
    let token = format!("{kind}_{}", new_token());
    let shown = token.chars().take(kind.len() + 1 + SHOWN).collect();
    (token, shown)
}

/// Whether two hashes are the same, in a time that does not depend on where they differ.
pub(crate) fn are_same(one: &TokenHash, other: &TokenHash) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b))) == 0
}

/// What is kept of a token.
pub(crate) fn hash(token: &str) -> TokenHash {
    let hash = digest(&SHA256, token.as_bytes());
    hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_as_its_kind_does_and_shows_a_little_of_itself() {
        let (token, shown) = new_token_of("RHPAT");
        assert_eq!((token.len(), shown.len()), (6 + 64, 6 + 6));
        assert!(token.starts_with(&shown) && shown.starts_with("RHPAT_"));
    }

    #[test]
    fn hashes_are_the_same_only_when_every_byte_is() {
        let one = hash("a");
        assert!(are_same(&one, &hash("a")));
        for place in 0..32 {
            let mut other = one;
            other[place] ^= 0x80;
            assert!(!are_same(&one, &other), "{place}");
        }
    }
}
