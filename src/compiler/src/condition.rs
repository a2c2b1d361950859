//! Conditions of steps and workflows: values that count as true or false, and the logic over them.

use crate::{Context, diagnostics, expression};
use yaml::{Kind, Node, Value};

const OPERATORS: [&str; 5] = ["and", "or", "not", "equal", "matches"];

/// Whether a value counts as true: all but nothing, `false`, zero, the empty text and the empty list.
pub(crate) fn is_truthy(node: &Node) -> bool {
    match &node.kind {
        Kind::Seq(items) => !items.is_empty(),
        Kind::Map(_) => true,
        Kind::Scalar(scalar) => match scalar.value {
            Value::Null => false,
            Value::Bool(value) => value,
            Value::Int(value) => value != 0,
            Value::Float(value) => value != 0.0 && !value.is_nan(),
            Value::String => !scalar.text.is_empty(),
        },
    }
}

/// Whether a resolved condition holds. A wrong one is said and does not.
pub(crate) fn holds(context: Context<'_>, node: &Node) -> bool {
    match &node.kind {
        Kind::Map(entries) => match &entries[..] {
            [(operator, operand)] => apply(context, operator, operand),
            _ => {
                context.findings.say(diagnostics::not_one_operator(entries, node.span, &OPERATORS));
                false
            }
        },
        _ if expression::is_meant(node) => expression::holds(context, node),
        _ => {
            let text = node.as_str().filter(|text| expression::is_value(text));
            text.into_iter().for_each(|text| context.findings.say(diagnostics::always_true(node.span, text)));
            is_truthy(node)
        }
    }
}

fn apply(context: Context<'_>, operator: &Node, operand: &Node) -> bool {
    match operator.text().unwrap_or_default() {
        // Each operand is looked at, so that each wrong one is said.
        "and" => operands(context, operator, operand)
            .iter()
            .map(|node| holds(context, node))
            .fold(true, |a, b| a & b),
        "or" => operands(context, operator, operand)
            .iter()
            .map(|node| holds(context, node))
            .fold(false, |a, b| a | b),
        "not" => !holds(context, operand),
        "equal" => {
            let operands = operands(context, operator, operand);
            operands.iter().all(|node| same(&operands[0], node))
        }
        "matches" => matches(context, operator, operand),
        other => {
            let near = context.findings.near(other, OPERATORS);
            context.findings.say(diagnostics::unknown_operator(operator.span, other, near, &OPERATORS));
            false
        }
    }
}

fn operands<'n>(context: Context<'_>, operator: &Node, operand: &'n Node) -> &'n [Node] {
    let items = operand.items();
    if items.is_empty() {
        let name = operator.text().unwrap_or_default();
        context.findings.say(diagnostics::operator_without_list(operator.span, name));
    }
    items
}

/// Whether two values are the same: of one type, whatever their notation. Nothing and the empty text are the same,
/// for a pipeline value that is not there is both.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar(a), Kind::Scalar(b)) => match (a.value, b.value) {
            (Value::String, Value::String) => a.text == b.text,
            (Value::Null, Value::String) => b.text.is_empty(),
            (Value::String, Value::Null) => a.text.is_empty(),
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => a as f64 == b,
            (a, b) => a == b,
        },
        (Kind::Seq(a), Kind::Seq(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)),
        (Kind::Map(a), Kind::Map(b)) => {
            let find = |key: &Node| b.iter().find(|(other, _)| other.text() == key.text());
            a.len() == b.len()
                && a.iter().all(|(key, value)| find(key).is_some_and(|(_, other)| same(value, other)))
        }
        _ => false,
    }
}

fn matches(context: Context<'_>, operator: &Node, operand: &Node) -> bool {
    let (Some(pattern), Some(value)) = (operand.get("pattern"), operand.get("value")) else {
        context.findings.say(diagnostics::matches_without_parts(operator.span));
        return false;
    };
    let read = context.patterns.get(pattern.text().unwrap_or_default());
    let matched = read.and_then(|pattern| match value.as_scalar() {
        Some(_) => pattern.matches(value.text().unwrap_or_default()),
        None => Ok(false),
    });
    matched.unwrap_or_else(|reason| {
        context.findings.say(diagnostics::bad_pattern(pattern.span, &reason));
        false
    })
}
