//! The type of a scalar: YAML 1.2's core schema for plain ones, its tag where it has one.

use crate::{Scalar, Value};
use std::sync::Arc;

/// The scalar of a plain text.
pub(crate) fn plain(text: &str) -> Scalar {
    Scalar { value: core_value(text), text: Arc::from(text), plain: true }
}

/// The scalar of a quoted or block text.
pub(crate) fn quoted(text: &str) -> Scalar {
    Scalar { value: Value::String, text: Arc::from(text), plain: false }
}

fn core_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => number(text).unwrap_or(Value::String),
    }
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if !looks_like_a_number(unsigned) {
        return None;
    }
    text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float)).ok()
}

fn radix(digits: &str, radix: u32) -> Option<Value> {
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    (all_digits && !digits.is_empty()).then(|| i64::from_str_radix(digits, radix).ok().map(Value::Int))?
}

/// Keeps out what Rust takes for a number and YAML does not: `inf`, `nan`, `infinity`.
fn looks_like_a_number(unsigned: &str) -> bool {
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Value) {
        assert_eq!(plain(text).value, expect, "{text}");
    }

    #[test]
    fn plain_scalars_have_the_types_of_the_core_schema() {
        check("true", Value::Bool(true));
        check("True", Value::String);
        check("yes", Value::String);
        check("~", Value::Null);
        check("10", Value::Int(10));
        check("-7", Value::Int(-7));
        check("0x1F", Value::Int(31));
        check("0o17", Value::Int(15));
        check("2.1", Value::Float(2.1));
        check("1e3", Value::Float(1000.0));
        check("-.inf", Value::Float(f64::NEG_INFINITY));
        check("99999999999999999999", Value::Float(1e20));
    }

    #[test]
    fn words_that_only_resemble_numbers_are_strings() {
        for text in
            ["inf", "nan", "1.2.3", "0x", "0o9", "1_000", "-", ".", "e5", "12:30", "0xfffffffffffffffff"]
        {
            check(text, Value::String);
        }
    }
}
