//! YAML text to a spanned tree, and located diagnostics.
//!
//! ```text
//! text ──granit-parser──▶ events ──build──▶ Node (aliases shared, merge keys resolved)
//!                                   └─────▶ Vec<Diagnostic> ──render──▶ file:line:column, source line, caret
//! Node ──write──▶ text
//! ```
//!
//! Pure, and never panics: a text that is no YAML, an alias bomb or a nest without end is a diagnostic.

mod build;
mod diagnostic;
mod mapping;
mod node;
mod position;
mod scalar;
mod sources;
#[cfg(test)]
mod tests;
mod write;

pub use build::{MAX_DEPTH, MAX_NODES, parse, parse_at};
pub use diagnostic::{Diagnostic, Severity, render};
pub use node::{Entry, Kind, Node, Scalar, Value};
pub use position::{Position, Span, position};
pub use sources::Sources;
pub use write::write;
