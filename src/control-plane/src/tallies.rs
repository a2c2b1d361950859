//! What was done since the start, counted: calls by route, method and answer with the time they took, and tasks by their ends.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode},
};
use protocol::Outcome;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::Outbox;

/// Upper bounds of the times that are told apart, in milliseconds. Calls that are held open take seconds.
pub(crate) const BOUNDS_MS: [u64; 8] = [1, 5, 25, 100, 500, 2_500, 10_000, 60_000];

/// A route by its pattern and a method. Both are bounded: what no route takes, or no method of HTTP is, counts as one.
pub(crate) type Route = (String, &'static str);

/// What was done since the start.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    calls: Mutex<BTreeMap<Route, Calls>>,
    ended: Mutex<BTreeMap<String, u64>>,
    told: Mutex<BTreeMap<(Outbox, &'static str), u64>>,
}

/// The calls of a route.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// By status.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// How many took no longer than each bound, and longer than the one before.
    pub(crate) within: [u64; BOUNDS_MS.len()],
    /// Of all together.
    pub(crate) micros: u64,
}

impl Calls {
    fn note(&mut self, status: StatusCode, took: Duration) {
        *self.answers.entry(status.as_u16()).or_default() += 1;
        let bound = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        bound.into_iter().for_each(|bound| self.within[bound] += 1);
        self.micros += u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    }
}

impl Tallies {
    /// Notes a call that was answered.
    pub(crate) fn answered(&self, request: &HttpRequest, status: StatusCode, took: Duration) {
        let route = (request.match_pattern().unwrap_or_else(|| "none".to_owned()), method(request.method()));
        locked(&self.calls).entry(route).or_default().note(status, took);
    }

    /// Notes a task that is over.
    pub(crate) fn ended(&self, outcome: Outcome) {
        *locked(&self.ended).entry(outcome.to_string()).or_default() += 1;
    }

    /// Notes what came of telling others.
    pub(crate) fn told(&self, of: Outbox, outcome: &'static str, count: u64) {
        *locked(&self.told).entry((of, outcome)).or_default() += count;
    }

    /// How often that came of it.
    pub(crate) fn how_often(&self, of: Outbox, outcome: &'static str) -> u64 {
        locked(&self.told).get(&(of, outcome)).copied().unwrap_or_default()
    }

    /// All calls, by route.
    pub(crate) fn calls(&self) -> BTreeMap<Route, Calls> {
        locked(&self.calls).clone()
    }

    /// All tasks, by their ends.
    pub(crate) fn ends(&self) -> BTreeMap<String, u64> {
        locked(&self.ended).clone()
    }
}

fn locked<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    // A count that panicked on its way is one that is missing.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
