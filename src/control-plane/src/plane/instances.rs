//! The runner instances that claim: who they are and when they were last heard of.

use protocol::{ResourceClass, http::Claim};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use store::{InstanceRow, Store, StoreError, Write};

/// How old the stored row of an instance may be: writing each call would cost more than it says.
const STALE_MS: i64 = 60_000;

/// An instance that waits calls at least this often.
pub(crate) const LIVE_MS: i64 = 3 * 60 * 1000;

/// More instances are served, but not noted.
const MOST: usize = 10_000;
/// The most bytes of what an instance says of itself.
pub(crate) const MOST_NAME: usize = 256;

/// All instances, newer than in the store by a minute at most.
#[derive(Debug)]
pub(crate) struct Instances {
    known: Mutex<HashMap<(ResourceClass, String), Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    row: InstanceRow,
    stored_ms: i64,
    /// Whether it has an engine for containers; none: it has not called in this life of ours.
    containers: Option<bool>,
}

impl Instances {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let rows = store.instances().await?.into_iter();
        let known = rows.map(|(class, row)| {
            let stored_ms = row.last_connected_ms;
            ((class, row.name.clone()), Known { row, stored_ms, containers: None })
        });
        Ok(Self { known: Mutex::new(known.collect()) })
    }

    /// Notes a call of an instance, and whether it got a task. What is to be written, if anything.
    pub(crate) fn seen(&self, class: &ResourceClass, claim: &Claim, used: bool, now: i64) -> Option<Write> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (class.clone(), claim.name.clone());
        if known.len() >= MOST && !known.contains_key(&name) {
            return None;
        }
        let entry = known.entry(name);
        let known =
            entry.or_insert_with(|| Known { row: new_row(claim, now), stored_ms: 0, containers: None });
        known.containers = Some(claim.containers);
        let described = (&claim.hostname, &claim.ip, &claim.version);
        let changed = (&known.row.hostname, &known.row.ip, &known.row.version) != described;
        let (hostname, ip, version) = described;
        known.row.hostname.clone_from(hostname);
        known.row.ip.clone_from(ip);
        known.row.version.clone_from(version);
        known.row.last_connected_ms = now;
        known.row.last_used_ms = Some(now).filter(|_| used).or(known.row.last_used_ms);
        if !changed && now < known.stored_ms + STALE_MS {
            return None;
        }
        known.stored_ms = now;
        Some(Write::Instance(class.clone(), known.row.clone()))
    }

    /// Whether all instances of a class that called have no engine for containers. Where none called nobody knows.
    pub(crate) fn lack_containers(&self, class: &ResourceClass) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_class = known.iter().filter(|((of, _), _)| of == class).map(|(_, known)| known).peekable();
        of_class.peek().is_some() && of_class.all(|known| known.containers == Some(false))
    }

    /// Whether an instance of a class lives, and may have an engine for containers where that is wanted.
    pub(crate) fn serves(&self, class: &ResourceClass, containers: bool, now: i64) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let may = |known: &Known| !containers || known.containers != Some(false);
        known
            .iter()
            .any(|((of, _), known)| of == class && may(known) && now - known.row.last_connected_ms < LIVE_MS)
    }

    /// Forgets those that were not seen since then.
    pub(crate) fn forget(&self, unseen_since_ms: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.row.last_connected_ms >= unseen_since_ms);
    }

    /// All of them, by class and name.
    pub(crate) fn all(&self) -> Vec<(ResourceClass, InstanceRow)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            known.iter().map(|((class, _), known)| (class.clone(), known.row.clone())).collect();
        all.sort_by(|(left, one), (right, other)| (left, &one.name).cmp(&(right, &other.name)));
        all
    }
}

/// Whether what an instance says of itself is of a length to remember.
pub(crate) fn is_bounded(claim: &Claim) -> bool {
    [&claim.name, &claim.hostname, &claim.ip, &claim.version].iter().all(|text| text.len() <= MOST_NAME)
}

fn new_row(claim: &Claim, now: i64) -> InstanceRow {
    InstanceRow {
        name: claim.name.clone(),
        hostname: claim.hostname.clone(),
        ip: claim.ip.clone(),
        version: claim.version.clone(),
        first_connected_ms: now,
        last_connected_ms: now,
        last_used_ms: None,
    }
}
