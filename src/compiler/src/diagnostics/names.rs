//! What there is to say of names: those that nothing has, and those that nothing can have.

use super::{error, offering};
use crate::library::Sort;
use yaml::{Diagnostic, Span};

pub(crate) fn unknown_name(span: Span, kind: &str, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("there is no {kind} `{name}`")), near)
}

pub(crate) fn bad_name(span: Span, sort: Sort, name: &str) -> Diagnostic {
    let diagnostic = error(span, format!("no {} can be called `{name}`", sort.word()));
    diagnostic.with_help(match sort {
        Sort::Job => "begin with a letter; letters, digits, blanks, `_` and `-` follow",
        Sort::Command | Sort::Executor => {
            "begin with a small letter; small letters, digits, `_` and `-` follow"
        }
    })
}

pub(crate) fn too_many_orbs(span: Span, most: usize) -> Diagnostic {
    error(span, format!("more than {most} orbs are brought in"))
}

pub(crate) fn no_orb(span: Span, text: &str, help: &str) -> Diagnostic {
    error(span, format!("`{text}` names no orb")).with_help(help)
}

pub(crate) fn no_orb_source(span: Span, orb: &str) -> Diagnostic {
    error(span, format!("the source of the orb `{orb}` is no map of commands, jobs and executors"))
}

pub(crate) fn missing_orb(span: Span, reference: &str, reason: &str, help: &str) -> Diagnostic {
    error(span, format!("the orb `{reference}` is not here: {reason}")).with_help(help)
}

pub(crate) fn of_a_missing_orb(
    span: Span,
    kind: &str,
    name: &str,
    reference: &str,
    help: &str,
) -> Diagnostic {
    error(span, format!("the {kind} `{name}` is of the orb `{reference}`, which is not here")).with_help(help)
}

pub(crate) fn undeclared_orb(span: Span, orb: &str, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("`{name}` is of the orb `{orb}`, which is not declared")), near)
}

pub(crate) fn taken_parameter(span: Span, name: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("no workflow can give the parameter `{name}` a value"))
        .with_help("workflows give that word a meaning of their own: call it something else")
}

pub(crate) fn bad_parameter_name(span: Span, name: &str) -> Diagnostic {
    error(span, format!("no parameter can be called `{name}`"))
        .with_help("begin with a letter; letters, digits, `_` and `-` follow")
}
