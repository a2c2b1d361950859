//! What the rules of all policies come to: which count, which are broken and why, and what follows of that.

use protocol::policies::{Decision, Status, Violation};
use serde_json::Value;
use std::collections::BTreeSet;

/// The most reasons of a decision that are kept, and the longest of one, in letters.
const MOST: usize = 1000;
const LONGEST: usize = 2000;

/// Of all that the package `org` has.
pub(crate) fn of(org: &Value) -> Result<Decision, String> {
    if !org.is_object() {
        return Err("the policies come to nothing".to_owned());
    }
    let hard = names(org, "enable_hard")?;
    let mut enabled = names(org, "enable_rule")?;
    enabled.extend(hard.iter().cloned());
    let kept: BTreeSet<_> = names(org, "hard_fail")?.union(&hard).cloned().collect();
    let mut decision = Decision::default();
    for rule in &enabled {
        let failures =
            if kept.contains(rule) { &mut decision.hard_failures } else { &mut decision.soft_failures };
        failures
            .extend(reasons(&org[rule]).into_iter().map(|reason| Violation { rule: rule.clone(), reason }));
    }
    for failures in [&mut decision.hard_failures, &mut decision.soft_failures] {
        failures.sort();
        failures.truncate(MOST);
    }
    decision.status = match (&decision.hard_failures[..], &decision.soft_failures[..]) {
        ([], []) => Status::Pass,
        ([], _) => Status::SoftFail,
        _ => Status::HardFail,
    };
    decision.enabled_rules = enabled.into_iter().collect();
    Ok(decision)
}

/// The texts of a set of rules.
fn names(org: &Value, set: &str) -> Result<BTreeSet<String>, String> {
    match &org[set] {
        Value::Null => Ok(BTreeSet::new()),
        Value::Array(names) => Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => Err(format!("`{set}` is no set: write `{set}[\"a_rule\"]`")),
    }
}

/// A text, a list of texts, or a map to texts; anything else is no reason.
fn reasons(value: &Value) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Object(items) => items.values().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().map(|text| text.chars().take(LONGEST).collect()).collect()
}
