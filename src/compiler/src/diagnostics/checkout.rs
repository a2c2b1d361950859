//! What is wrong with how a checkout is to fetch its repository.

use super::{error, offering};
use yaml::{Diagnostic, Span};

pub(crate) fn unknown_method(span: Span, text: &str, near: Option<&str>) -> Diagnostic {
    let diagnostic = error(span, format!("`{text}` is no method of a checkout"));
    match near {
        Some(_) => offering(diagnostic, near),
        None => diagnostic.with_help("methods are `blobless`, `full` and `shallow`"),
    }
}

pub(crate) fn no_depth(span: Span) -> Diagnostic {
    error(span, "`depth` must be a number of commits, 1 or more".to_owned())
}

pub(crate) fn depth_of_nothing(span: Span) -> Diagnostic {
    Diagnostic::warning(span, "this `depth` changes nothing: it is of `method: shallow`".to_owned())
}
