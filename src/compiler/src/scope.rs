//! What a reference may name at a place: parameters of what surrounds it, a matrix's values, the pipeline's.

use crate::{Context, diagnostics, findings::Findings, values::Values};
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
    /// Whether this is within an orb, from where the pipeline's parameters are not in sight.
    pub(crate) in_orb: bool,
}

impl<'a> Scope<'a> {
    /// Where only the pipeline is in sight.
    pub(crate) fn pipeline(context: Context<'a>) -> Self {
        Self {
            parameters: None,
            matrix: None,
            values: context.values,
            in_orb: context.document.is_of_an_orb(),
        }
    }

    /// The value of a reference, if it is in sight.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Node> {
        match name.split_once('.')? {
            ("parameters", key) => self.parameters?.get(key),
            ("matrix", key) => self.matrix?.get(key),
            ("pipeline", key) if self.in_orb && key.starts_with("parameters.") => None,
            ("pipeline", _) => self.values.get(name),
            _ => None,
        }
    }

    /// What is wrong with a reference that is not in sight.
    pub(crate) fn explain(&self, name: &str, span: Span, findings: &Findings) -> Diagnostic {
        let (root, key) = name.split_once('.').unwrap_or((name, ""));
        match (root, self.parameters, self.matrix) {
            ("parameters", Some(known), _) | ("matrix", _, Some(known)) => {
                let near = findings.near(key, known.keys().map(String::as_str));
                let near = near.map(|near| format!("{root}.{near}"));
                diagnostics::undeclared_reference(span, name, near.as_deref())
            }
            ("parameters", ..) => diagnostics::out_of_place(span, name, "in jobs, commands and executors"),
            ("matrix", ..) => diagnostics::out_of_place(span, name, "in a workflow's job with a `matrix`"),
            ("pipeline", ..) if self.in_orb && key.starts_with("parameters.") => {
                diagnostics::out_of_place(span, name, "in the configuration: an orb sees its own parameters")
            }
            ("pipeline", ..) => self.values.explain(name, span, findings),
            _ => {
                let near = findings.near(root, ["parameters", "pipeline", "matrix"]);
                diagnostics::unknown_reference(span, name, near)
            }
        }
    }
}
