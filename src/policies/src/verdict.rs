//! What the rules of all policies come to: which count, which are broken and why, and what follows of that.

use protocol::policies::{Decision, Status, Violation};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// The most rules that count, and the most reasons of either kind that are kept.
const MOST: usize = 1000;
/// The longest name of a rule that counts, in bytes.
const LONGEST_RULE: usize = 200;
/// The longest reason, in letters.
const LONGEST: usize = 2000;
/// The longest of why there is no decision, in letters: the engine shows a line of a policy, and says below what is wrong there.
const LONGEST_ERROR: usize = 16_000;
/// All of a decision, in bytes as it is kept: one is kept for each pipeline, and a hundred are read at once.
const ALL: usize = 256 * 1024;

/// Of all that the package `org` has.
pub(crate) fn of(org: &Value) -> Result<Decision, String> {
    if !org.is_object() {
        return Err("the policies come to nothing".to_owned());
    }
    let hard = names(org, "enable_hard")?;
    let mut enabled = names(org, "enable_rule")?;
    enabled.extend(hard.iter().cloned());
    bounded(&enabled)?;
    let kept: BTreeSet<_> = names(org, "hard_fail")?.union(&hard).cloned().collect();
    let (mut hard_failures, mut soft_failures) = (Vec::new(), Vec::new());
    for rule in &enabled {
        let failures = if kept.contains(rule) { &mut hard_failures } else { &mut soft_failures };
        failures
            .extend(reasons(&org[rule]).into_iter().map(|reason| Violation { rule: rule.clone(), reason }));
    }
    // Of all failures, whichever are kept.
    let status = match (&hard_failures[..], &soft_failures[..]) {
        ([], []) => Status::Pass,
        ([], _) => Status::SoftFail,
        _ => Status::HardFail,
    };
    let mut room = ALL.saturating_sub(size(&enabled));
    let hard_failures = cut(hard_failures, &mut room);
    let soft_failures = cut(soft_failures, &mut room);
    let enabled_rules = enabled.into_iter().collect();
    Ok(Decision { status, reason: None, enabled_rules, hard_failures, soft_failures })
}

/// One that the policies could not make, for a reason that is not too long to be kept.
pub(crate) fn error(reason: String) -> Decision {
    Decision::error(short(&reason, LONGEST_ERROR))
}

fn bounded(enabled: &BTreeSet<String>) -> Result<(), String> {
    if enabled.len() > MOST {
        return Err(format!("{} rules are enabled: at most {MOST} are", enabled.len()));
    }
    match enabled.iter().find(|rule| rule.len() > LONGEST_RULE) {
        Some(rule) => Err(format!(
            "the name of the rule `{}…` has {} bytes: it may have {LONGEST_RULE}",
            short(rule, LONGEST_RULE / 4),
            rule.len()
        )),
        None => Ok(()),
    }
}

/// Those that there is room for, in their order; the last one says how many there is none for.
fn cut(mut failures: Vec<Violation>, room: &mut usize) -> Vec<Violation> {
    failures.sort();
    let mut fits = |failure: &&Violation| {
        let left = room.checked_sub(size(failure));
        *room = left.unwrap_or(0);
        left.is_some()
    };
    let kept = failures.iter().take(MOST).take_while(&mut fits).count();
    if let Some(first) = failures.get(kept) {
        let reason = format!("{} more reasons are left out", failures.len() - kept);
        let rest = Violation { rule: first.rule.clone(), reason };
        failures.truncate(kept);
        failures.push(rest);
    }
    failures
}

/// As it is kept: a letter may take six bytes there.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}

fn short(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
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
    texts.into_iter().map(|text| short(text, LONGEST)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_there_is_no_room_for_is_counted_and_does_not_make_a_decision_milder() {
        let long: Vec<_> = (0..400).map(|n| format!("{n:04}{}", "\n".repeat(1996))).collect();
        let org = json!({"enable_rule": ["soft"], "enable_hard": ["hard"], "soft": long, "hard": long});
        let decision = of(&org).unwrap();
        assert_eq!(decision.status, Status::HardFail);
        assert!(size(&decision) < ALL + 1000, "{}", size(&decision));
        let left_out = |failures: &[Violation]| {
            let last = failures.last().unwrap();
            assert_eq!(last.reason, format!("{} more reasons are left out", 401 - failures.len()));
            last.rule.clone()
        };
        assert!(decision.hard_failures.len() > 50, "{}", decision.hard_failures.len());
        assert_eq!(left_out(&decision.hard_failures), "hard");
        assert_eq!(left_out(&decision.soft_failures), "soft");
        let many: Vec<_> = (0..2000).map(|n| format!("{n:04}")).collect();
        let decision = of(&json!({"enable_rule": ["r"], "r": many})).unwrap();
        assert_eq!((decision.status, decision.soft_failures.len()), (Status::SoftFail, MOST + 1));
        assert_eq!(decision.soft_failures[MOST].reason, "1000 more reasons are left out");
    }

    #[test]
    fn more_rules_or_longer_names_than_are_kept_are_an_error() {
        let rules = |count: usize| (0..count).map(|n| format!("rule_{n}")).collect::<Vec<_>>();
        assert_eq!(of(&json!({"enable_rule": rules(MOST)})).unwrap().enabled_rules.len(), MOST);
        let error = of(&json!({"enable_rule": rules(MOST), "enable_hard": ["one"]})).unwrap_err();
        assert_eq!(error, "1001 rules are enabled: at most 1000 are");
        assert!(of(&json!({"enable_rule": ["ü".repeat(100)]})).is_ok());
        let error = of(&json!({"enable_rule": ["ü".repeat(101)]})).unwrap_err();
        assert!(error.contains("has 202 bytes") && error.len() < 300, "{error}");
        assert_eq!(super::error("x".repeat(1_000_000)).reason.unwrap().len(), LONGEST_ERROR);
    }
}
