//! CircleCI configuration in, compiled pipeline out.
//!
//! ```text
//! text ─yaml─▶ tree ─document─▶ sections ─library─▶ with orbs ─workflow─▶ plans ─graph, selection─▶ chosen ─job, steps─▶ pipeline
//!                                 │ declaration       │ orb             │ invocation, group, matrix    │ executor, environment
//!                                 └ values            └ home of a name  └ condition, expression        └ builtin, duration
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
mod cron;
mod declaration;
mod diagnostics;
mod document;
mod duration;
mod environment;
mod executor;
mod expanded;
mod expression;
mod expression_words;
mod fields;
mod filters;
mod findings;
mod graph;
mod group;
mod invocation;
mod job;
mod library;
mod matrix;
mod names;
mod nearest;
pub mod orb;
mod pattern;
mod pipeline;
mod resolve;
mod scope;
mod selection;
mod steps;
mod template;
mod trial;
mod unused;
mod values;
mod words;
mod workflow;

pub use expanded::{Expanded, Outline, OutlinedJob};

/// The times of a schedule in the five fields of cron, if it is one.
pub fn times(cron: &str) -> Option<protocol::times::Times> {
    cron::times(cron)
}

/// The values of a pipeline by their full names, as far as it has any; its parameters are not among them.
pub fn values(inputs: &Inputs) -> BTreeMap<String, String> {
    values::Values::new(inputs, ".circleci/config.yml").into_texts()
}

use protocol::{
    PipelineId,
    api::{GitValues, Selection},
    pipeline::Pipeline,
};
use std::{collections::BTreeMap, sync::Arc};
use yaml::{Diagnostic, Node, Severity, Sources};

/// What a configuration is compiled with: all that its text does not say.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Pipeline parameters as typed: each is read as its declared type.
    pub parameters: BTreeMap<String, String>,
    /// Those that its setup configuration was started with, which count where they are declared.
    pub inherited: BTreeMap<String, String>,
    /// Whether it continues a setup pipeline.
    pub is_continuation: bool,
    /// `pipeline.id`.
    pub id: Option<PipelineId>,
    /// `pipeline.number`; 0 is unknown.
    pub number: u64,
    /// `pipeline.project.slug`: `vcs/org/repo`, or `local/<name>`.
    pub project: String,
    /// `pipeline.git.*`: what is known of the commit.
    pub git: GitValues,
    /// `pipeline.trigger.received_at`: when it was asked for, as RFC 3339 has it.
    pub received_at: Option<String>,
    /// What is to run of it.
    pub selection: Selection,
    /// Whether jobs that name a `docker:` image run directly on the host.
    pub native: bool,
    /// Why no other job that names one can run, where it is to run on this host and no engine is there.
    pub no_engine: Option<String>,
    /// Where published orbs come from; without it they are missing.
    pub orbs: Option<Arc<dyn orb::Orbs>>,
}

/// All that comes of a configuration.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// What runs of it; there unless something is wrong, or refused to what runs. It has no workflow if every one is
    /// kept back, which is a warning.
    pub pipeline: Option<Pipeline>,
    /// The whole of it, nothing left to fill in; there unless something is wrong or an orb is missing.
    pub expanded: Option<Expanded>,
    /// What is so whatever runs: errors and warnings.
    pub said: Vec<Diagnostic>,
    /// Errors that stand between what would run and its running here; the configuration may be right all the same.
    pub refused: Vec<Diagnostic>,
    /// Orbs that the configuration names and that are not there: errors of the whole, but not of what does without.
    pub missed: Vec<Diagnostic>,
    /// The texts that diagnostics point into.
    pub sources: Sources,
}

impl Compilation {
    /// What there is to say to somebody who runs it: the pipeline is there exactly if none of it is an error. Orbs that
    /// what runs does without are worth a note.
    pub fn to_run(&self) -> Vec<Diagnostic> {
        let aside = |missed: &Diagnostic| Diagnostic { severity: Severity::Note, ..missed.clone() };
        let missed = self.missed.iter().filter(|_| self.pipeline.is_some()).map(aside);
        let all = self.said.iter().chain(&self.refused).cloned().chain(missed);
        let mut all: Vec<Diagnostic> = all.collect();
        all.sort_by_key(|diagnostic| diagnostic.span.start);
        all
    }
}

/// Compiles a configuration to run it. The pipeline is there exactly if no diagnostic is an error; render each with
/// [`yaml::render`], or with the sources of [`examine`] where orbs come in.
pub fn compile(text: &str, inputs: &Inputs) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let compilation = examine("", text, inputs);
    let diagnostics = compilation.to_run();
    (compilation.pipeline, diagnostics)
}

/// Whether an expression over pipeline values holds, as one in `filters` of a job does; what is wrong with it where it
/// cannot be read. No value of the pipeline is put into its text.
pub fn holds(expression: &str, inputs: &Inputs) -> Result<bool, String> {
    if expression.contains("<<") {
        return Err("it names values as they are, without `<<`".to_owned());
    }
    // Of one configuration that has nothing else in it, whether its one job is left.
    let quoted = expression.replace('\'', "''");
    let text = format!(
        "version: 2.1\njobs: {{j: {{machine: true, resource_class: a/b, steps: [checkout]}}}}\n\
         workflows: {{w: {{jobs: [j: {{filters: '{quoted}'}}]}}}}\n"
    );
    let (pipeline, said) = compile(&text, inputs);
    let wrong = || said.into_iter().find(|one| one.severity == Severity::Error).map(|one| one.message);
    match pipeline {
        Some(pipeline) => Ok(pipeline.workflows.iter().any(|workflow| !workflow.jobs.is_empty())),
        None => Err(wrong().unwrap_or_else(|| "it is no expression".to_owned())),
    }
}

/// Compiles a configuration for all that there is to say of it; `name` is its file, for messages.
pub fn examine(name: &str, text: &str, inputs: &Inputs) -> Compilation {
    examine_tree(name, text, inputs, |root| root)
}

/// The same of an orb's source: all its commands, executors and jobs are used once, with made-up arguments.
pub fn examine_orb(name: &str, text: &str, inputs: &Inputs) -> Compilation {
    examine_tree(name, text, inputs, |root| trial::configuration(&root))
}

fn examine_tree(name: &str, text: &str, inputs: &Inputs, whole: fn(Node) -> Node) -> Compilation {
    let mut sources = Sources::of(name, text);
    let (root, diagnostics) = yaml::parse(text);
    let findings = findings::Findings::default();
    diagnostics.into_iter().for_each(|diagnostic| findings.say(diagnostic));
    let root = root.filter(|_| !findings.has_errors()).map(whole);
    let compiled = root.and_then(|root| pipeline::compile(&root, inputs, &findings, &mut sources));
    let (pipeline, expanded) = compiled.unzip();
    let pipeline = pipeline.filter(|_| !findings.has_errors());
    let verdict = findings.into_verdict(&sources);
    // What is but advice about a published orb is for its author.
    let of_text = |diagnostic: &Diagnostic| diagnostic.is_error() || diagnostic.span.start <= text.len();
    let said: Vec<Diagnostic> = verdict.said.into_iter().filter(of_text).collect();
    let is_whole = verdict.missed.is_empty() && !said.iter().any(Diagnostic::is_error);
    let expanded = expanded.filter(|_| is_whole);
    Compilation { pipeline, expanded, said, refused: verdict.refused, missed: verdict.missed, sources }
}

/// What every stage has at hand.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    sources: &'a Sources,
    library: &'a library::Library<'a>,
    /// Where what is being expanded was written.
    document: &'a document::Document<'a>,
    values: &'a values::Values,
    inputs: &'a Inputs,
    budget: &'a budget::Budget,
    patterns: &'a pattern::Patterns,
    findings: &'a findings::Findings,
}
