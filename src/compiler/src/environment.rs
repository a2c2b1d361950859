//! Environment variables as configurations write them: a map, a list of maps, or `NAME=value` texts.

use crate::{Context, diagnostics};
use yaml::{Kind, Node};

/// Names and values, in order, names unique.
pub(crate) type Environment = Vec<(String, String)>;

/// Reads an `environment:`; a later variable of the same name wins.
pub(crate) fn read(context: Context<'_>, node: Option<&Node>) -> Environment {
    let mut environment = Environment::new();
    if let Some(node) = node.filter(|node| !node.is_null()) {
        collect(context, node, &mut environment);
    }
    environment
}

/// Sets a variable in its place, or at the end.
pub(crate) fn set(environment: &mut Environment, name: String, value: String) {
    match environment.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => environment.push((name, value)),
    }
}

/// The variables of `lower`, overlaid by those of `upper`.
pub(crate) fn overlay(mut lower: Environment, upper: Environment) -> Environment {
    for (name, value) in upper {
        set(&mut lower, name, value);
    }
    lower
}

fn collect(context: Context<'_>, node: &Node, environment: &mut Environment) {
    match &node.kind {
        Kind::Map(entries) => {
            entries.iter().for_each(|(key, value)| variable(context, key, value, environment))
        }
        Kind::Seq(items) if items.iter().all(|item| item.as_seq().is_none()) => {
            items.iter().for_each(|item| collect(context, item, environment));
        }
        Kind::Scalar(_) if node.text() == Some("") => {}
        Kind::Scalar(scalar) => match scalar.text.split_once('=') {
            Some((name, value)) => named(context, node, name, value.to_owned(), environment),
            None => context.findings.say(diagnostics::no_variable(node.span, &scalar.text)),
        },
        Kind::Seq(_) => context.findings.say(diagnostics::no_environment(node.span, node.type_name())),
    }
}

fn variable(context: Context<'_>, key: &Node, value: &Node, environment: &mut Environment) {
    if value.as_scalar().is_none() {
        let name = key.text().unwrap_or_default();
        context.findings.say(diagnostics::no_variable_value(value.span, name, value.type_name()));
        return;
    }
    let text = value.text().unwrap_or_default().to_owned();
    named(context, key, key.text().unwrap_or_default(), text, environment);
}

fn named(context: Context<'_>, at: &Node, name: &str, value: String, environment: &mut Environment) {
    let name = name.trim();
    if name.is_empty() || name.contains(['=', '\0']) {
        context.findings.say(diagnostics::no_variable(at.span, name));
        return;
    }
    set(environment, name.to_owned(), value);
}
