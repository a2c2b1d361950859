//! Tokens: random text for those who hold them, a hash for us.

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

/// The SHA-256 of a token: all that is ever kept of it.
pub(crate) type TokenHash = [u8; 32];

/// A new token: 256 random bits as hexadecimal digits.
pub(crate) fn new_token() -> String {
    let mut bits = [0_u8; 32];
    SystemRandom::new().fill(&mut bits).expect("the system has random bytes");
    protocol::Digest::of_bytes(&bits).into()
}

/// What is kept of a token.
pub(crate) fn hash(token: &str) -> TokenHash {
    let hash = digest(&SHA256, token.as_bytes());
    hash.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}
