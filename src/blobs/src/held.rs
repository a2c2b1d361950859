//! Contents that somebody is about to name: they are not removed, however old their files are.

use crate::Scope;
use protocol::Digest;
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// What was asked for or stored during this round and the one before, eight bytes each. Two contents that fall
/// together only stay longer.
#[derive(Debug, Default)]
pub(crate) struct Held {
    now: HashSet<u64>,
    before: HashSet<u64>,
}

impl Held {
    pub(crate) fn insert(&mut self, scope: &Scope, digest: &Digest) {
        self.now.insert(key(scope, digest));
    }

    pub(crate) fn contains(&self, scope: &Scope, digest: &Digest) -> bool {
        let key = key(scope, digest);
        self.now.contains(&key) || self.before.contains(&key)
    }

    /// Begins a round.
    pub(crate) fn turn(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}

fn key(scope: &Scope, digest: &Digest) -> u64 {
    let mut hasher = DefaultHasher::new();
    (scope.as_segment(), digest.as_str()).hash(&mut hasher);
    hasher.finish()
}
