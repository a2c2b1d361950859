//! What a reference may name at a place: parameters of what surrounds it, a matrix's values, the pipeline's.

use crate::{diagnostics, nearest::nearest, values::Values};
use std::collections::BTreeMap;
use yaml::{Diagnostic, Node, Span};

/// Values by the name of their parameter.
pub(crate) type Arguments = BTreeMap<String, Node>;

/// The names that are in sight. Scopes are lexical: a command sees its own parameters, not its caller's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// `parameters.*`
    pub(crate) parameters: Option<&'a Arguments>,
    /// `matrix.*`
    pub(crate) matrix: Option<&'a Arguments>,
    /// `pipeline.*`
    pub(crate) values: &'a Values,
}

impl<'a> Scope<'a> {
    /// Where only the pipeline is in sight.
    pub(crate) fn pipeline(values: &'a Values) -> Self {
        Self { parameters: None, matrix: None, values }
    }

    /// The value of a reference, or what is wrong with it.
    pub(crate) fn value(&self, name: &str, span: Span) -> Result<&'a Node, Diagnostic> {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        match (root, self.parameters, self.matrix) {
            ("parameters", Some(parameters), _) => among(parameters, rest, name, span),
            ("matrix", _, Some(matrix)) => among(matrix, rest, name, span),
            ("parameters", None, _) => {
                Err(diagnostics::out_of_place(span, name, "in jobs, commands and executors"))
            }
            ("matrix", _, None) => {
                Err(diagnostics::out_of_place(span, name, "in a job of a workflow with a `matrix`"))
            }
            ("pipeline", ..) => self.values.get(name, span),
            _ => Err(diagnostics::unknown_reference(
                span,
                name,
                nearest(root, ["parameters", "pipeline", "matrix"]),
            )),
        }
    }
}

fn among<'a>(arguments: &'a Arguments, key: &str, name: &str, span: Span) -> Result<&'a Node, Diagnostic> {
    let near = || nearest(key, arguments.keys().map(String::as_str));
    arguments.get(key).ok_or_else(|| diagnostics::undeclared_reference(span, name, near()))
}
