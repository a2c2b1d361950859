//! Whether a webhook is the provider's: as each of them signs, compared in constant time.

use super::provider::Told;
use protocol::webhook::Provider;
use ring::{
    digest::{SHA256, digest},
    hmac,
};

/// Whether it was made with this secret.
pub(super) fn is_of(provider: Provider, secret: &[u8], told: &Told) -> bool {
    let signed = |header: &str, prefix: &str| {
        let given = told.header(header).and_then(|text| bytes(text.strip_prefix(prefix)?));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // Of constant time.
        given.is_some_and(|given| hmac::verify(&key, &told.body, &given).is_ok())
    };
    match provider {
        Provider::Github => signed("x-hub-signature-256", "sha256="),
        Provider::Bitbucket => signed("x-hub-signature", "sha256="),
        Provider::Gitea => signed("x-gitea-signature", ""),
        Provider::Gitlab => {
            told.header("x-gitlab-token").is_some_and(|token| is_same(token.as_bytes(), secret))
        }
    }
}

/// Tags of both under a key of this very text: how long the comparison takes says nothing of either.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, digest(&SHA256, secret).as_ref());
    hmac::verify(&key, given, hmac::sign(&key, secret).as_ref()).is_ok()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_that_github_publishes_is_theirs() {
        let told = |signature: &str| {
            Told::new([("X-Hub-Signature-256", format!("sha256={signature}"))], b"Hello, World!".to_vec())
        };
        let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = b"It's a Secret to Everybody";
        assert!(is_of(Provider::Github, secret, &told(right)));
        assert!(!is_of(Provider::Github, b"another", &told(right)));
        assert!(!is_of(Provider::Gitea, secret, &told(right)), "another provider's header");
        for wrong in ["", "75", &right[..62], &right.replace('7', "8"), &"é".repeat(32)] {
            assert!(!is_of(Provider::Github, secret, &told(wrong)), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_the_secret_or_it_is_not() {
        let told = |token: &str| Told::new([("X-Gitlab-Token", token.to_owned())], Vec::new());
        assert!(is_of(Provider::Gitlab, b"a secret", &told("a secret")));
        for wrong in ["", "a secre", "a secret ", "A secret"] {
            assert!(!is_of(Provider::Gitlab, b"a secret", &told(wrong)));
        }
        assert!(!is_of(Provider::Gitlab, b"a secret", &Told::new::<[_; 0]>([], Vec::new())));
    }
}
