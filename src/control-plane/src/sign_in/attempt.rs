//! A sign-in that has begun: what its browser keeps of it, sealed, until the provider sends them back.

use crate::{
    plane::token::{are_same, hash, new_token},
    secrets::Vault,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// How long a visitor may take at the provider, in seconds.
pub(crate) const GOOD_FOR: i64 = 600;
/// The longest path that a visitor comes back to.
const LONGEST_PATH: usize = 1000;

/// A sign-in that has begun.
#[derive(PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Comes back with the visitor.
    pub(super) state: String,
    /// Comes back in the ID token.
    pub(super) nonce: String,
    /// Whoever has the code and not this gets nothing for it.
    pub(super) verifier: String,
    /// Where the visitor goes on, below the page's address.
    pub(crate) to: String,
    /// Since 1970.
    pub(super) until_ms: i64,
}

impl Attempt {
    pub(super) fn new(to: &str, now_ms: i64) -> Self {
        let [state, nonce, verifier] = [new_token(), new_token(), new_token()];
        Self { state, nonce, verifier, to: path(to).to_owned(), until_ms: now_ms + GOOD_FOR * 1000 }
    }

    /// What is told of the verifier beforehand.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }

    /// Whether it is the attempt that a visitor comes back from.
    pub(crate) fn is_of(&self, state: &str) -> bool {
        are_same(&hash(&self.state), &hash(state))
    }

    pub(super) fn is_good(&self, now_ms: i64) -> bool {
        // Also not where the clock has gone back since.
        (now_ms..=now_ms + GOOD_FOR * 1000).contains(&self.until_ms)
    }

    pub(super) fn sealed(&self, vault: &Vault, life: &str) -> String {
        let text = serde_json::to_vec(self).expect("it has only string keys");
        URL_SAFE_NO_PAD.encode(vault.seal_for(&bound(life), &text))
    }

    pub(super) fn open(vault: &Vault, life: &str, sealed: &str) -> Option<Self> {
        let text = vault.unseal_for(&bound(life), &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn bound(life: &str) -> Vec<u8> {
    format!("sign-in {life}").into_bytes()
}

/// A path of the page, or its first one: no other host is led to, whatever a browser takes for one.
fn path(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//") && to.len() <= LONGEST_PATH;
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"'<>".contains(&byte));
    let is_sign_in = to.starts_with("/sign-in") || to.starts_with("/sign-out");
    if is_path && is_plain && !is_sign_in { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::KeySource;
    use std::path::Path;

    #[test]
    fn only_a_path_of_the_page_is_led_to() {
        for good in ["/", "/jobs/1/0/2?x=1&y=%20", "/insights/gh/acme/shop"] {
            assert_eq!(path(good), good);
        }
        for bad in [
            "",
            "jobs/1",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/ü",
            "/a b",
            "/\"><script>",
            "/sign-in/oidc",
            &format!("/{}", "x".repeat(1000)),
        ] {
            assert_eq!(path(bad), "/", "{bad}");
        }
    }

    #[test]
    fn an_attempt_is_found_again_in_its_own_life_under_its_own_key_and_in_its_time() {
        let vault = |byte| Vault::open(&KeySource::Memory([byte; 32]), Path::new("/nowhere")).unwrap();
        let attempt = Attempt::new("/runners", 1_000);
        let kept = attempt.sealed(&vault(1), "life");
        assert!(!kept.contains(&attempt.verifier) && !kept.contains(&attempt.state));
        assert!(Attempt::open(&vault(1), "life", &kept).is_some_and(|found| found == attempt));
        assert!(Attempt::open(&vault(1), "another life", &kept).is_none());
        assert!(Attempt::open(&vault(2), "life", &kept).is_none());
        assert!(Attempt::open(&vault(1), "life", &kept[1..]).is_none());
        assert!(Attempt::open(&vault(1), "life", "no base64!").is_none());
        assert!(attempt.is_good(1_000) && attempt.is_good(601_000));
        assert!(!attempt.is_good(601_001) && !attempt.is_good(999));
        assert!(attempt.is_of(&attempt.state) && !attempt.is_of(&attempt.nonce) && !attempt.is_of(""));
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let mut attempt = Attempt::new("/", 0);
        // RFC 7636, appendix B.
        attempt.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let other = Attempt::new("/", 0);
        assert!(other.verifier.len() == 64 && other.verifier != other.state && other.state != other.nonce);
    }
}
