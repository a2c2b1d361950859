//! Environment variables as configurations write them: a map, a list of maps, or `NAME=value` texts.

use crate::{Context, diagnostics};
use std::collections::HashMap;
use yaml::{Kind, Node, Span};

/// Names and values, in order, names unique.
pub(crate) type Environment = Vec<(String, String)>;

/// Reads an `environment:`; a later variable of the same name wins.
pub(crate) fn read(context: Context<'_>, node: Option<&Node>) -> Environment {
    let mut environment = Environment::new();
    if let Some(node) = node.filter(|node| !node.is_null()) {
        collect(context, node, &mut environment);
    }
    overlay(environment, Environment::new())
}

/// Reads that of a `run` step: there CircleCI has `true` and `false` as 1 and 0, and the scripts of its orbs ask for these.
pub(crate) fn read_of_step(context: Context<'_>, node: Option<&Node>) -> Environment {
    read(context, node.map(counted).as_ref())
}

fn counted(node: &Node) -> Node {
    match &node.kind {
        Kind::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), counted(value)));
            Node::map(node.span, entries.collect())
        }
        Kind::Seq(items) => Node::seq(node.span, items.iter().map(counted).collect()),
        Kind::Scalar(_) => match node.as_bool() {
            Some(value) => Node::string(node.span, if value { "1" } else { "0" }),
            None => node.clone(),
        },
    }
}

/// The variables of `lower`, overlaid by those of `upper`.
pub(crate) fn overlay(lower: Environment, upper: Environment) -> Environment {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut environment = Environment::new();
    for (name, value) in lower.into_iter().chain(upper) {
        match places.get(&name) {
            Some(&place) => environment[place] = (name, value),
            None => {
                places.insert(name.clone(), environment.len());
                environment.push((name, value));
            }
        }
    }
    environment
}

/// The variables as processed configurations have them: a list of maps with one key.
pub(crate) fn written(environment: &Environment, span: Span) -> Node {
    let variable = |(name, value): &(String, String)| {
        let entry = (Node::string(span, name.as_str()), Node::string(span, value.as_str()));
        Node::map(span, vec![entry])
    };
    Node::seq(span, environment.iter().map(variable).collect())
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
    environment.push((name.to_owned(), value));
}
