//! Stored contents, and their URLs.

use protocol::{ids::Digest, transfer::Content};
use ring::digest::{SHA256, digest};
use std::{collections::BTreeMap, fmt};

/// Contents by digest.
#[derive(Clone, Default)]
pub struct Blobs(BTreeMap<Digest, Vec<u8>>);

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.0.iter().map(|(digest, bytes)| (digest.as_str(), bytes.len()));
        f.debug_map().entries(sizes).finish()
    }
}

impl Blobs {
    /// Stores some bytes.
    pub fn put(&mut self, bytes: Vec<u8>) -> Content {
        let content = content_of(&bytes);
        self.0.insert(content.digest.clone(), bytes);
        content
    }

    /// Serves this content where another was named.
    pub fn lie(&mut self, named: Digest, bytes: Vec<u8>) {
        self.0.insert(named, bytes);
    }

    /// The bytes of a content.
    pub fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.0.get(digest).map(Vec::as_slice)
    }

    pub(crate) fn url(digest: &Digest) -> String {
        format!("/blobs/fake/{digest}?expires=1&signature=right")
    }
}

fn content_of(bytes: &[u8]) -> Content {
    let hash = digest(&SHA256, bytes);
    let hash = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Content { digest: Digest::of_bytes(hash), size: bytes.len() as u64 }
}
