//! Commands, jobs and executors that nothing which runs has looked into: a reference to what they do not declare is
//! worth a warning all the same.

use crate::{Context, diagnostics, document::Definition, template};
use yaml::{Kind, Node};

/// Warns of every reference to a parameter that the definition around it does not declare. What was found to be an
/// error already is not said again.
pub(crate) fn check(context: Context<'_>) {
    if !context.document.interpolates() {
        return;
    }
    let own = context.sources.first().len();
    let documents = context.library.documents.iter().filter(|document| document.region.start < own);
    for document in documents {
        for section in [&document.jobs, &document.commands, &document.executors] {
            section.definitions().for_each(|definition| check_definition(context, definition));
        }
    }
}

fn check_definition(context: Context<'_>, definition: Definition<'_>) {
    let declared: Vec<&str> = match definition.body.get("parameters") {
        Some(parameters) => parameters.entries().iter().filter_map(|(key, _)| key.text()).collect(),
        None => Vec::new(),
    };
    for (key, value) in definition.body.entries() {
        if key.text() != Some("parameters") {
            check_node(context, &declared, value);
        }
    }
}

fn check_node(context: Context<'_>, declared: &[&str], node: &Node) {
    match &node.kind {
        // Only as long as there is budget left: this is but advice.
        Kind::Scalar(scalar) if !context.budget.spend(scalar.text.len()) => {}
        Kind::Scalar(scalar) => check_text(context, declared, &scalar.text, node),
        Kind::Seq(items) => items.iter().for_each(|item| check_node(context, declared, item)),
        Kind::Map(entries) => entries.iter().for_each(|(_, value)| check_node(context, declared, value)),
    }
}

fn check_text(context: Context<'_>, declared: &[&str], text: &str, node: &Node) {
    for (name, raw) in template::references(text) {
        let Some(key) = name.strip_prefix("parameters.").filter(|key| !declared.contains(key)) else {
            continue;
        };
        let place = template::place(context.sources, node.span, raw);
        let near =
            context.findings.near(key, declared.iter().copied()).map(|near| format!("parameters.{near}"));
        context.findings.say(diagnostics::undeclared_and_unused(place, name, near.as_deref()));
    }
}
