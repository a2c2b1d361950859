//! Commands, jobs and executors that nothing which runs has looked into: a reference to what they do not declare is
//! worth a warning all the same.

use crate::{
    Context, declaration::Declaration, diagnostics, document::Definition, executor::UNRESOLVED,
    library::Sort, template,
};
use std::collections::HashSet;
use yaml::{Kind, Node};

/// Warns of every reference to a parameter that the definition around it does not declare. What was found to be an
/// error already is not said again.
pub(crate) fn check(context: Context<'_>) {
    if !context.document.interpolates() {
        return;
    }
    for document in context.own_documents() {
        for sort in [Sort::Job, Sort::Command, Sort::Executor] {
            let definitions = document.section(sort).definitions();
            definitions.for_each(|definition| check_definition(context, sort, definition));
        }
    }
}

/// Warns of each parameter of the pipeline that the text does not name.
pub(crate) fn check_pipeline(context: Context<'_>, declarations: &[Declaration]) {
    if context.findings.has_mistakes() {
        return;
    }
    let rests = context.sources.first().split("pipeline.parameters.").skip(1);
    let is_sign = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let named: HashSet<&str> =
        rests.map(|rest| &rest[..rest.find(|c| !is_sign(c)).unwrap_or(rest.len())]).collect();
    for declaration in declarations.iter().filter(|declaration| !named.contains(declaration.name.as_str())) {
        context.findings.say(diagnostics::unused_parameter(
            declaration.span,
            &declaration.name,
            "the pipeline",
        ));
    }
}

/// Words that a workflow gives a meaning of their own where it names a job.
const RESERVED: [&str; 6] = ["name", "requires", "context", "type", "filters", "matrix"];

/// More of them, which no rule forbids: what is given by such a name is the workflow's, and not the job's.
const TAKEN: [&str; 4] = ["pre-steps", "post-steps", "serial-group", "override-with"];

fn check_definition(context: Context<'_>, sort: Sort, definition: Definition<'_>) {
    let parameters = definition.body.get("parameters").map(Node::entries).unwrap_or_default();
    let declared: Vec<&str> = parameters.iter().filter_map(|(key, _)| key.text()).collect();
    let mut used = HashSet::new();
    for (key, value) in definition.body.entries() {
        if key.text().is_none_or(|key| !UNRESOLVED.contains(&key)) {
            check_node(context, &declared, value, &mut used);
        }
    }
    let what = format!("{} `{}`", sort.word(), definition.name);
    for (key, name) in parameters.iter().filter_map(|(key, _)| Some((key, key.text()?))) {
        if sort == Sort::Job && RESERVED.contains(&name) {
            context.findings.say(diagnostics::reserved_parameter(key.span, name));
        } else if sort == Sort::Job && TAKEN.contains(&name) {
            context.findings.say(diagnostics::taken_parameter(key.span, name));
        } else if !used.contains(name) && !context.findings.has_mistakes() && !context.budget.is_spent() {
            context.findings.say(diagnostics::unused_parameter(key.span, name, &what));
        }
    }
}

fn check_node(context: Context<'_>, declared: &[&str], node: &Node, used: &mut HashSet<String>) {
    match &node.kind {
        // Only as long as there is budget left: this is but advice.
        Kind::Scalar(scalar) if !context.budget.spend(scalar.text.len()) => {}
        Kind::Scalar(scalar) => check_text(context, declared, &scalar.text, node, used),
        Kind::Seq(items) => items.iter().for_each(|item| check_node(context, declared, item, used)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
            check_node(context, declared, key, used);
            check_node(context, declared, value, used);
        }),
    }
}

fn check_text(context: Context<'_>, declared: &[&str], text: &str, node: &Node, used: &mut HashSet<String>) {
    for (name, raw) in template::references(text) {
        let Some(key) = name.strip_prefix("parameters.") else { continue };
        if declared.contains(&key) {
            used.insert(key.to_owned());
            continue;
        }
        let place = template::place(context.sources, node.span, raw);
        let near =
            context.findings.near(key, declared.iter().copied()).map(|near| format!("parameters.{near}"));
        context.findings.say(diagnostics::undeclared_and_unused(place, name, near.as_deref()));
    }
}
