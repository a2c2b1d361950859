//! What definitions and parameters may be called. What was published elsewhere has passed that there.

use crate::{
    Context, diagnostics,
    document::{Definition, Document},
    library::Sort,
};
use yaml::{Entry, Node};

/// Says each name of the configuration and its inline orbs that the language does not take.
pub(crate) fn check(context: Context<'_>) {
    if !context.document.interpolates() {
        return;
    }
    context.document.parameters().iter().for_each(|(_, section)| check_parameters(context, section));
    for document in context.own_documents() {
        check_document(context, document);
    }
}

fn check_document(context: Context<'_>, document: &Document<'_>) {
    for sort in [Sort::Command, Sort::Executor, Sort::Job] {
        for definition in document.section(sort).definitions() {
            check_definition(context, sort, definition);
        }
    }
}

fn check_definition(context: Context<'_>, sort: Sort, definition: Definition<'_>) {
    let fits = if sort == Sort::Job { is_job(definition.name) } else { is_word(definition.name) };
    // A trial's own jobs stand at no place.
    if !fits && definition.span.start <= context.sources.first().len() {
        context.findings.say(diagnostics::bad_name(definition.span, sort, definition.name));
    }
    if let Some(section) = definition.body.get("parameters") {
        check_parameters(context, section);
    }
}

fn check_parameters(context: Context<'_>, section: &Node) {
    let named = |(key, _): &Entry| {
        key.text().filter(|name| !is_parameter(name)).map(|name| (key.span, name.to_owned()))
    };
    for (span, name) in section.entries().iter().filter_map(named) {
        context.findings.say(diagnostics::bad_parameter_name(span, &name));
    }
}

/// `^[a-z][a-z\d_-]*$`
fn is_word(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits)
}

/// `^[A-Za-z][A-Za-z\s\d_-]*$`
fn is_job(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "_-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits)
}

/// As documented, but that real files have capital letters in them too.
fn is_parameter(name: &str) -> bool {
    is_word(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_with_a_letter_and_has_few_signs() {
        for (name, word, job, parameter) in [
            ("build", true, true, true),
            ("a1_b-c", true, true, true),
            ("Build all", false, true, false),
            ("goVersion", false, true, true),
            ("1st", false, false, false),
            ("_x", false, false, false),
            ("a.b", false, false, false),
            ("é", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!((is_word(name), is_job(name), is_parameter(name)), (word, job, parameter), "{name}");
        }
    }
}
