//! What fuzzing reaches of the readers that nobody else calls from without.

use crate::{api, ranges::Asked, triggers};
use protocol::webhook::Provider;
use std::ops::Range;

/// Reads a webhook by the name of its event and its body, whoever signed it.
pub fn webhook(provider: Provider, event: &str, body: &str) {
    triggers::fuzzed(provider, event, body);
}

/// Reads an expression by which runs are searched.
pub fn search(expression: &str) {
    api::fuzzed(expression);
}

/// The bytes that a header asks for, of so many.
pub fn range(header: &str, size: u64) -> Range<u64> {
    Asked::written(header, size).range(size)
}
