//! One thing and a page of things, as the public API v3 answers them; why there is none is told by
//! [`enveloped`].

pub(super) use super::newer::told as enveloped;
use serde::Serialize;
use serde_json::{Value, json};

/// A thing, with what it refers to.
pub(super) fn thing(id: impl Serialize, attributes: Value, references: Value) -> Value {
    json!({ "id": id, "attributes": attributes, "references": references })
}

/// An answer that is one thing.
pub(super) fn one(thing: Value) -> Value {
    json!({ "data": thing })
}

/// An answer that is a page of things, and where the next one begins; none: it is the last.
pub(super) fn page(things: Vec<Value>, next: Option<String>) -> Value {
    json!({ "data": things, "page": { "next": next, "prev": null } })
}
