//! What a workflow says of its jobs: which, with what arguments, after which, on which branches.

use crate::{
    Context, diagnostics,
    document::Definition,
    fields::Fields,
    filters,
    findings::Findings,
    group,
    library::{Found, Sort},
    matrix::{self, Matrix, Row},
    resolve::resolve,
    scope::{Arguments, Scope},
};
use protocol::pipeline::{Ending, Kind};
use yaml::{Entry, Node, Span};

/// One job of a workflow, its references filled in.
#[derive(Debug)]
pub(crate) struct Invocation<'t> {
    /// What it is called, unless another of the workflow is called so too.
    pub(crate) name: String,
    /// The name of its definition.
    pub(crate) base: String,
    /// The name that all copies of its matrix answer to.
    pub(crate) group: Option<String>,
    pub(crate) span: Span,
    /// What it does, where it says so itself.
    pub(crate) kind: Option<Kind>,
    /// The name of which one job at a time runs, where it is said here.
    pub(crate) serial_group: Option<String>,
    /// The plan of a release, where it is said here.
    pub(crate) plan: Option<String>,
    /// None if it needs none, or if what it names is no job of ours, which was said then.
    pub(crate) definition: Option<Definition<'t>>,
    pub(crate) requires: Vec<Requirement>,
    /// Its options as resolved, arguments included.
    pub(crate) options: Node,
    pub(crate) contexts: Vec<String>,
    pub(crate) arguments: Vec<Entry>,
    pub(crate) before: Option<Node>,
    pub(crate) after: Option<Node>,
    /// Whether its filters let it run.
    pub(crate) passes: bool,
    /// What was said of it.
    pub(crate) findings: Findings,
}

/// A job that another one requires.
#[derive(Clone, Debug)]
pub(crate) struct Requirement {
    pub(crate) name: String,
    pub(crate) span: Span,
    /// How it is to have ended, where it is said.
    pub(crate) statuses: Option<Node>,
    /// The same as the engine reads it.
    pub(crate) endings: Vec<Ending>,
}

/// Keys that are not arguments.
const OWN: [&str; 10] = [
    "name",
    "requires",
    "context",
    "type",
    "filters",
    "matrix",
    "pre-steps",
    "post-steps",
    "serial-group",
    "override-with",
];

/// Reads one entry of a workflow's `jobs:`; a job group makes it several.
pub(crate) fn read_any<'t>(context: Context<'t>, entry: &Node) -> Vec<Invocation<'t>> {
    let (key, options) = match entry.entries() {
        [(key, options)] => (key, Some(options)),
        _ => (entry, None),
    };
    let name = key.text().unwrap_or_default();
    match context.document.job_groups.get(name).filter(|_| context.document.jobs.get(name).is_none()) {
        Some(found) => group::read(context, found, key.span, options),
        None => read(context, entry),
    }
}

/// Reads one entry of a list of jobs; a matrix makes it several.
pub(crate) fn read<'t>(context: Context<'t>, entry: &Node) -> Vec<Invocation<'t>> {
    let scope = Scope::pipeline(context);
    let resolved = resolve(context, scope, &without_options(entry));
    if let Some(name) = resolved.text() {
        let options = Node::map(entry.span, Vec::new());
        return vec![Reading { context, base: name, span: entry.span, options }.invocation(None, None)];
    }
    let ([(key, _)], [(_, options)]) = (resolved.entries(), entry.entries()) else {
        context.findings.say(diagnostics::no_workflow_job(entry.span));
        return Vec::new();
    };
    let (base, span) = (key.text().unwrap_or_default(), key.span);
    let empty = Node::map(span, Vec::new());
    let options = if options.is_null() { &empty } else { options };
    let Some(fields) = Fields::new(context, "a workflow's job", span, options) else { return Vec::new() };
    let Some((matrix_key, matrix)) = fields.node.get_entry("matrix") else {
        let options = resolve(context, scope, options);
        return vec![Reading { context, base, span, options }.invocation(None, None)];
    };
    let Some(matrix) = Matrix::read(context, matrix_key.span, &resolve(context, scope, matrix)) else {
        return Vec::new();
    };
    let affordable = matrix.rows.iter().take_while(|_| !context.budget.is_spent());
    affordable.map(|row| copy(context, base, span, options, &matrix, row)).collect()
}

/// The entry with nothing below its key, for options are resolved where their matrix is in sight.
fn without_options(entry: &Node) -> Node {
    let bare = entry.entries().iter().map(|(key, _)| (key.clone(), Node::null(key.span)));
    if entry.as_map().is_some() { Node::map(entry.span, bare.collect()) } else { entry.clone() }
}

fn copy<'t>(
    context: Context<'t>,
    base: &str,
    span: Span,
    options: &Node,
    matrix: &Matrix,
    row: &Row,
) -> Invocation<'t> {
    let values: Arguments =
        row.iter().filter_map(|(key, value)| Some((key.text()?.to_owned(), value.clone()))).collect();
    let scope = Scope { matrix: Some(&values), ..Scope::pipeline(context) };
    let rest = options.entries().iter().filter(|(key, _)| key.text() != Some("matrix"));
    let options = resolve(context, scope, &Node::map(options.span, rest.cloned().collect()));
    Reading { context, base, span, options }.invocation(Some(row), matrix.alias.clone())
}

impl Invocation<'_> {
    /// An option with what was decided of it: filters that are an expression hold or do not, for what they speak of is
    /// known already.
    pub(crate) fn decided(&self, (key, value): &Entry) -> Entry {
        if key.text() != Some("filters") || value.as_str().is_none() {
            return (key.clone(), value.clone());
        }
        (key.clone(), Node::string(value.span, if self.passes { "true" } else { "false" }))
    }
}

/// What one job of a workflow costs of the budget.
const INVOCATION: usize = 4096;

struct Reading<'a, 't> {
    context: Context<'t>,
    base: &'a str,
    span: Span,
    options: Node,
}

impl<'t> Reading<'_, 't> {
    fn invocation(self, row: Option<&Row>, alias: Option<String>) -> Invocation<'t> {
        if !self.context.budget.spend(INVOCATION) {
            self.context.findings.say_last(diagnostics::too_large(self.span));
        }
        let what = format!("`{}`", self.base);
        let findings = self.context.findings.beside();
        let context = Context { findings: &findings, ..self.context };
        let fields = Fields { context, what: &what, span: self.span, node: &self.options };
        let kind = kind(fields);
        let (serial_group, plan) = (serial_group(fields), plan(fields));
        let usual = format!("{}{}", self.base, row.map(matrix::suffix).unwrap_or_default());
        let own = |key: &Node| key.text().is_some_and(|name| OWN.contains(&name));
        let arguments = row.into_iter().flatten().chain(self.options.entries()).filter(|(key, _)| !own(key));
        let invocation = Invocation {
            name: fields.text("name").unwrap_or(usual),
            base: self.base.to_owned(),
            group: row.map(|_| alias.unwrap_or_else(|| self.base.to_owned())),
            span: self.span,
            kind,
            serial_group,
            plan,
            definition: match overriding(self.context, fields) {
                _ if kind.is_some() || is_foreign(fields) => None,
                Some(definition) => Some(definition),
                None => definition(self.context, &findings, self.base, self.span),
            },
            requires: requires(fields),
            contexts: fields.texts("context").unwrap_or_default(),
            arguments: arguments.cloned().collect(),
            before: fields.value("pre-steps").cloned(),
            after: fields.value("post-steps").cloned(),
            passes: filters::pass(context, self.span, fields.value("filters")),
            findings: self.context.findings.beside(),
            options: self.options.clone(),
        };
        Invocation { findings, ..invocation }
    }
}

/// The serial group that a job names; lock and unlock jobs call it their key.
pub(crate) fn serial_group(fields: Fields<'_>) -> Option<String> {
    let has_key = matches!(kind(fields), Some(Kind::Lock | Kind::Unlock));
    let key = || fields.value("key").filter(|_| has_key);
    let named = fields.value("serial-group").or_else(key)?;
    check_serial_group(fields.context.findings, named);
    named.text().map(str::to_owned)
}

/// The plan that a release waits for, which it must name; other jobs have none.
pub(crate) fn plan(fields: Fields<'_>) -> Option<String> {
    (kind(fields) == Some(Kind::Release)).then(|| fields.required("plan_name")).flatten()
}

/// The types of jobs that have no steps.
const WITHOUT_STEPS: [Kind; 5] = [Kind::Approval, Kind::NoOp, Kind::Lock, Kind::Unlock, Kind::Release];

/// What a job does by its `type`, where it has no steps.
pub(crate) fn kind(fields: Fields<'_>) -> Option<Kind> {
    let named = fields.text("type")?;
    WITHOUT_STEPS.into_iter().find(|kind| written(*kind) == named)
}

/// A kind as configurations write it.
pub(crate) fn written(kind: Kind) -> &'static str {
    match kind {
        Kind::Build => "build",
        Kind::Approval => "approval",
        Kind::NoOp => "no-op",
        Kind::Lock => "lock",
        Kind::Unlock => "unlock",
        Kind::Release => "release",
    }
}

/// Whether the job's `type` is none that runs here, which is said then.
pub(crate) fn is_foreign(fields: Fields<'_>) -> bool {
    let written = fields.text("type").zip(fields.value("type")).filter(|(written, _)| written != "build");
    let Some((written, value)) = written.filter(|_| kind(fields).is_none()) else { return false };
    let refusal = diagnostics::unsupported(value.span, &format!("a job of `type: {written}`"));
    fields.context.findings.refuse(refusal);
    true
}

/// A name of the organization's, of which one job at a time runs.
pub(crate) fn check_serial_group(findings: &Findings, value: &Node) {
    const LONGEST: usize = 512;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_/".contains(c);
    let is_one = |text: &str| !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits);
    if !value.text().is_some_and(is_one) {
        findings.say(diagnostics::no_serial_group(value.span, LONGEST));
    }
}

/// The orb's job that goes before the named one, if the orb is there and has it.
fn overriding<'t>(context: Context<'t>, fields: Fields<'_>) -> Option<Definition<'t>> {
    let name = fields.text("override-with")?;
    context.find_silently(Sort::Job, &name, fields.value("override-with")?.span)
}

fn definition<'t>(context: Context<'t>, own: &Findings, base: &str, span: Span) -> Option<Definition<'t>> {
    let document = context.document;
    match context.find_for(own, Sort::Job, base, span) {
        Found::Definition(definition) => return Some(definition),
        Found::Unknown => {
            let names = document.jobs.names();
            own.say(diagnostics::unknown_name(span, "job", base, own.near(base, names)));
        }
        Found::Nothing => {}
    }
    None
}

pub(crate) fn requires(fields: Fields<'_>) -> Vec<Requirement> {
    let Some(node) = fields.value("requires") else { return Vec::new() };
    let items = node.as_seq().unwrap_or(std::slice::from_ref(node));
    items.iter().filter_map(|item| required(fields.context, item)).collect()
}

/// A name, or a map of a name to the status it is to have.
fn required(context: Context<'_>, item: &Node) -> Option<Requirement> {
    if let Some(name) = item.text() {
        let endings = vec![Ending::Success];
        return Some(Requirement { name: name.to_owned(), span: item.span, statuses: None, endings });
    }
    let [(key, statuses)] = item.entries() else {
        let wanted = "the name of a job";
        context.findings.say(diagnostics::wrong_type(item.span, "`requires`", wanted, item.type_name()));
        return None;
    };
    let list = statuses.as_seq().unwrap_or(std::slice::from_ref(statuses));
    if list.is_empty() {
        let wanted = "a status or a list of them";
        context.findings.say(diagnostics::wrong_type(key.span, "a required job", wanted, "an empty list"));
    }
    let endings = list.iter().filter_map(|status| ending(context, status)).collect();
    Some(Requirement {
        name: key.text()?.to_owned(),
        span: key.span,
        statuses: Some(statuses.clone()),
        endings,
    })
}

fn ending(context: Context<'_>, status: &Node) -> Option<Ending> {
    let text = status.text().unwrap_or(status.type_name());
    let found = Ending::ALL.into_iter().find(|ending| status.text().is_some() && ending.as_str() == text);
    if found.is_none() {
        let names = Ending::ALL.map(Ending::as_str);
        let near = context.findings.near(text, names);
        context.findings.say(diagnostics::unknown_status(status.span, text, near, &names));
    }
    found
}
