//! Settings that others can change and that here are as they are.

use crate::refusal::Refusal;
use serde_json::{Map, Value};

/// What is to be changed, by the names of settings.
pub(super) type Change = Map<String, Value>;

/// Whether nothing is to be changed of what is as it is: else the refusal names it, and says where it is decided.
pub(super) fn settled<'c>(
    now: &Value,
    change: impl IntoIterator<Item = (&'c String, &'c Value)>,
    decided: &str,
) -> Result<(), Refusal> {
    match change.into_iter().find(|(name, value)| now.get(name.as_str()) != Some(value)) {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::Bad(format!("`{name}` is not changed by this call: {decided}"))),
    }
}
