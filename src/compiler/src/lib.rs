//! CircleCI configuration in, compiled pipeline out.
//!
//! ```text
//! text ─yaml─▶ tree ─document─▶ sections ─workflow─▶ plans ─graph, selection─▶ chosen ─job, steps─▶ pipeline
//!                                 │ declaration        │ invocation, matrix, filters    │ executor, environment
//!                                 └ values             └ condition, expression          └ builtin, duration
//!
//! every text: template, resolve: what `<< … >>` stands for, in its scope
//! every word said: diagnostics, collected by findings; all work bounded by budget
//! ```
//!
//! Pure: no I/O, no clock, and never a panic. Everything that is wrong is said at once, each with its place; what is
//! not supported is refused by name.

mod budget;
mod builtin;
mod condition;
mod declaration;
mod diagnostics;
mod document;
mod duration;
mod environment;
mod executor;
mod expression;
mod expression_words;
mod fields;
mod filters;
mod findings;
mod graph;
mod invocation;
mod job;
mod matrix;
mod nearest;
mod pattern;
mod pipeline;
mod resolve;
mod scope;
mod selection;
mod steps;
mod template;
mod unused;
mod values;
mod workflow;

use protocol::{
    PipelineId,
    api::{GitValues, Selection},
    pipeline::Pipeline,
};
use std::collections::BTreeMap;
use yaml::{Diagnostic, Span};

/// What a configuration is compiled with: all that its text does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Pipeline parameters as typed: each is read as its declared type.
    pub parameters: BTreeMap<String, String>,
    /// `pipeline.id`.
    pub id: Option<PipelineId>,
    /// `pipeline.number`; 0 is unknown.
    pub number: u64,
    /// `pipeline.project.slug`: `vcs/org/repo`, or `local/<name>`.
    pub project: String,
    /// `pipeline.git.*`: what is known of the commit.
    pub git: GitValues,
    /// What is to run of it.
    pub selection: Selection,
    /// Whether jobs that name a `docker:` image run directly on the host.
    pub native: bool,
}

/// Compiles a configuration. The pipeline is there exactly if no diagnostic is an error; render each with
/// [`yaml::render`]. It has no workflow if every one is kept back, which is a warning.
pub fn compile(text: &str, inputs: &Inputs) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let (root, diagnostics) = yaml::parse(text);
    let findings = findings::Findings::default();
    diagnostics.into_iter().for_each(|diagnostic| findings.say(diagnostic));
    let root = root.filter(|_| !findings.has_errors());
    let pipeline = root.and_then(|root| pipeline::compile(text, &root, inputs, &findings));
    let pipeline = pipeline.filter(|_| !findings.has_errors());
    (pipeline, findings.into_diagnostics())
}

/// What every stage has at hand.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    source: &'a str,
    document: &'a document::Document<'a>,
    values: &'a values::Values,
    inputs: &'a Inputs,
    budget: &'a budget::Budget,
    findings: &'a findings::Findings,
}

impl Context<'_> {
    /// Whether a definition is but another name for an orb's (`install: node/install`), which was refused then.
    fn is_of_an_orb(&self, definition: document::Definition<'_>, kind: &str, span: Span) -> bool {
        let name = definition.body.as_str().unwrap_or_default();
        let orb = name.split_once('/').map(|(orb, _)| orb);
        orb.inspect(|orb| self.refuse_orb(span, orb, kind, name)).is_some()
    }

    /// Refuses what an orb would bring, or says that there is no such orb.
    fn refuse_orb(&self, span: Span, orb: &str, kind: &str, name: &str) {
        let declared = self.document.orbs.names();
        if declared.contains(&orb) {
            self.findings.refuse(diagnostics::unsupported_orb(span, kind, name));
        } else {
            let near = self.findings.near(orb, declared);
            self.findings.say(diagnostics::undeclared_orb(span, orb, name, near));
        }
    }
}
