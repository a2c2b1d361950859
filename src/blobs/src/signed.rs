//! Signed URLs: who has one may fetch or store that one content until it expires, and nothing else.

use crate::Scope;
use protocol::{Digest, http::SignedQuery};
use ring::hmac;

/// Signs and verifies URLs under one key.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(***)")
    }
}

/// What a signed URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To fetch the content.
    Get,
    /// To store it, with this many bytes.
    Put {
        /// Of the content.
        size: u64,
    },
}

/// A URL that allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Nobody with the key made it, or somebody changed it.
    #[error("the URL's signature is not valid: ask for a new URL")]
    Forged,
    /// It was good until then.
    #[error("the URL has expired: ask for a new one")]
    Expired,
}

impl Signer {
    /// A signer with this key; whoever has the key can make URLs.
    pub fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// A URL to fetch a content from until then (milliseconds since 1970), relative to the control plane's own.
    pub fn get_url(&self, scope: &Scope, digest: &Digest, expires: i64) -> String {
        self.url(Access::Get, scope, digest, expires)
    }

    /// A URL to store a content of that many bytes at until then, relative to the control plane's own.
    pub fn put_url(&self, scope: &Scope, digest: &Digest, size: u64, expires: i64) -> String {
        self.url(Access::Put { size }, scope, digest, expires)
    }

    fn url(&self, access: Access, scope: &Scope, digest: &Digest, expires: i64) -> String {
        let path = path(scope, digest);
        let tag = hmac::sign(&self.key, text(access, &path, expires).as_bytes());
        let size = match access {
            Access::Get => String::new(),
            Access::Put { size } => format!("&size={size}"),
        };
        format!("{path}?expires={expires}{size}&signature={}", to_base64url(tag.as_ref()))
    }

    /// What the query allows on this content at this time. The method is `PUT` where the query must name a size.
    pub fn verify(
        &self,
        put: bool,
        scope: &Scope,
        digest: &Digest,
        query: &SignedQuery,
        now: i64,
    ) -> Result<Access, SignatureError> {
        let access = match (put, query.size) {
            (true, Some(size)) => Access::Put { size },
            (false, None) => Access::Get,
            _ => return Err(SignatureError::Forged),
        };
        let signed = text(access, &path(scope, digest), query.expires);
        let tag = from_base64url(&query.signature).ok_or(SignatureError::Forged)?;
        // Constant time: ring compares the whole tag.
        hmac::verify(&self.key, signed.as_bytes(), &tag).map_err(|_| SignatureError::Forged)?;
        if now < query.expires { Ok(access) } else { Err(SignatureError::Expired) }
    }
}

fn path(scope: &Scope, digest: &Digest) -> String {
    format!("/blobs/{scope}/{digest}")
}

fn text(access: Access, path: &str, expires: i64) -> String {
    match access {
        Access::Get => format!("GET\n{path}\n{expires}\n"),
        Access::Put { size } => format!("PUT\n{path}\n{expires}\n{size}"),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn to_base64url(bytes: &[u8]) -> String {
    let six_bits = |group: &[u8], place: usize| {
        let word = (0..3).fold(0u32, |word, at| word << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize])
    };
    bytes.chunks(3).flat_map(|group| (0..=group.len()).map(move |place| six_bits(group, place))).collect()
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0u32, 0);
    for c in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == c)?;
        word = (word << 6 | u32::try_from(value).ok()?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(url: &str) -> SignedQuery {
        let (_, query) = url.split_once('?').unwrap();
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
        SignedQuery {
            expires: value("expires=").unwrap().parse().unwrap(),
            size: value("size=").map(|size| size.parse().unwrap()),
            signature: value("signature=").unwrap(),
        }
    }

    fn content() -> (Scope, Digest) {
        (Scope::project("local/x"), Digest::of_bytes(&[7; 32]))
    }

    #[test]
    fn a_url_allows_what_it_was_made_for_until_it_expires() {
        let (signer, (scope, digest)) = (Signer::new(b"key"), content());
        let get = query(&signer.get_url(&scope, &digest, 100));
        let put = query(&signer.put_url(&scope, &digest, 5, 100));
        assert_eq!(signer.verify(false, &scope, &digest, &get, 99), Ok(Access::Get));
        assert_eq!(signer.verify(true, &scope, &digest, &put, 99), Ok(Access::Put { size: 5 }));
        assert_eq!(signer.verify(false, &scope, &digest, &get, 100), Err(SignatureError::Expired));
    }

    #[test]
    fn a_changed_url_is_forged() {
        let (signer, (scope, digest)) = (Signer::new(b"key"), content());
        let put = query(&signer.put_url(&scope, &digest, 5, 100));
        let forged = [
            SignedQuery { expires: 101, ..put.clone() },
            SignedQuery { size: Some(6), ..put.clone() },
            SignedQuery { signature: "A".repeat(43), ..put.clone() },
            SignedQuery { signature: "!".to_owned(), ..put.clone() },
        ];
        for query in forged {
            assert_eq!(signer.verify(true, &scope, &digest, &query, 1), Err(SignatureError::Forged));
        }
        let other = Scope::agents();
        assert_eq!(signer.verify(true, &other, &digest, &put, 1), Err(SignatureError::Forged));
        let get = SignedQuery { size: None, ..put.clone() };
        assert_eq!(signer.verify(false, &scope, &digest, &get, 1), Err(SignatureError::Forged));
        assert_eq!(
            Signer::new(b"another").verify(true, &scope, &digest, &put, 1),
            Err(SignatureError::Forged)
        );
    }

    #[test]
    fn base64url_is_that_of_the_rfc() {
        let known = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("fooba", "Zm9vYmE")];
        for (plain, encoded) in known {
            assert_eq!(to_base64url(plain.as_bytes()), encoded);
            assert_eq!(from_base64url(encoded).unwrap(), plain.as_bytes());
        }
        assert_eq!(to_base64url(&[0xfb, 0xff]), "-_8");
    }
}
