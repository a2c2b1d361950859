//! The workflows of a configuration, each with its jobs as invoked, before the graph is drawn.

use crate::{
    Context, condition, cron, diagnostics, expression,
    fields::Fields,
    filters,
    findings::Findings,
    invocation::{self, Invocation},
    resolve::resolve,
    scope::Scope,
};
use yaml::{Entry, Node, Span};

/// Whether a workflow starts with a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It does.
    Now,
    /// Its `when` or `unless` keeps it from that.
    Off,
    /// Only by its schedule, or by name.
    OnSchedule,
}

/// A workflow as written.
#[derive(Debug)]
pub(crate) struct Plan<'t> {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) start: Start,
    pub(crate) jobs: Vec<Invocation<'t>>,
    /// How often it is run again by itself.
    pub(crate) max_auto_reruns: u32,
    /// When it starts by itself on the pipeline's branch, if it starts by a schedule.
    pub(crate) crons: Vec<String>,
    /// What of it a processed configuration has beside its jobs.
    pub(crate) written: Vec<Entry>,
    /// What was said of it as a whole.
    pub(crate) findings: Findings,
}

/// The name of the workflow of a configuration that has none.
const IMPLICIT: &str = "workflow";

/// All workflows, in order.
pub(crate) fn plans<'t>(context: Context<'t>) -> Vec<Plan<'t>> {
    let Some((key, workflows)) = context.document.workflows() else {
        return implicit(context);
    };
    if workflows.as_map().is_none() {
        context.findings.say(diagnostics::wrong_type(key.span, "workflows", "a map", workflows.type_name()));
    }
    say_branches(context);
    let named = workflows.entries().iter().filter(|(key, _)| key.text() != Some("version"));
    let plans: Vec<Plan<'t>> = named.filter_map(|(key, body)| plan(context, key, body)).collect();
    let nothing_is_meant = context.document.jobs.names().is_empty() && workflows.as_map().is_some();
    if plans.is_empty() && !nothing_is_meant && !context.findings.has_errors() {
        return implicit(context);
    }
    plans
}

/// Without workflows the job `build` is one. Without that too nothing can run, and each job is looked at for what else is wrong.
fn implicit<'t>(context: Context<'t>) -> Vec<Plan<'t>> {
    let Some(build) = context.document.jobs.get("build") else {
        context.findings.say(diagnostics::nothing_to_run(context.document.span()));
        let jobs = context.document.jobs.definitions().filter(|job| !wants_arguments(job.body));
        return jobs.map(|job| alone(context, job.name, job.span)).collect();
    };
    let Some((key, branches)) = build.body.get_entry("branches").filter(|(_, value)| !value.is_null()) else {
        return vec![alone(context, build.name, build.span)];
    };
    // A job's own branches are what filters are to a workflow's.
    let one = |key: Node, value: Node| Node::map(build.span, vec![(key, value)]);
    let word = |text: &str| Node::string(build.span, text);
    let filters = one(word("filters"), one(key.clone(), branches.clone()));
    let jobs = invocation::read(context, &one(word(build.name), filters));
    vec![Plan { jobs, ..alone(context, build.name, build.span) }]
}

/// Whether a job has a parameter without a default.
fn wants_arguments(job: &Node) -> bool {
    let declared = job.get("parameters").map(Node::entries).unwrap_or_default();
    declared.iter().any(|(_, declaration)| declaration.get("default").is_none())
}

/// Jobs have branches of their own only where no workflow names them.
fn say_branches(context: Context<'_>) {
    let entries = context.document.jobs.definitions().filter_map(|job| job.body.get_entry("branches"));
    entries.for_each(|(key, _)| context.findings.say(diagnostics::branches_of_a_job(key.span)));
}

/// A workflow of one job and nothing else.
pub(crate) fn alone<'t>(context: Context<'t>, job: &str, span: Span) -> Plan<'t> {
    let jobs = invocation::read(context, &Node::string(span, job));
    let jobs = jobs.into_iter().map(|job| Invocation { passes: true, ..job }).collect();
    let findings = context.findings.beside();
    let (name, crons, written) = (IMPLICIT.to_owned(), Vec::new(), Vec::new());
    Plan { name, span, start: Start::Now, jobs, max_auto_reruns: 0, crons, written, findings }
}

const KEYS: [&str; 7] = ["jobs", "when", "unless", "triggers", "max_auto_reruns", "version", "description"];

fn plan<'t>(context: Context<'t>, key: &'t Node, body: &'t Node) -> Option<Plan<'t>> {
    let name = key.text()?.to_owned();
    let what = format!("workflow `{name}`");
    let fields = Fields::new(context, &what, key.span, body)?;
    fields.check_keys(&KEYS);
    let findings = context.findings.beside();
    let own = Context { findings: &findings, ..context };
    let start = start(own, fields);
    let max_auto_reruns = body.get("max_auto_reruns").map_or(0, |written| auto_reruns(own, written));
    let crons = crons(own, body);
    let jobs = if start == Start::Off { Vec::new() } else { jobs(context, fields) };
    let written = written(own, body);
    Some(Plan { name, span: key.span, start, jobs, max_auto_reruns, crons, written, findings })
}

/// The keys of a workflow that hold for its whole, but the conditions that were decided.
fn written(context: Context<'_>, body: &Node) -> Vec<Entry> {
    let kept = ["triggers", "max_auto_reruns"].iter().filter_map(|key| body.get_entry(key));
    let scope = Scope::pipeline(context);
    kept.map(|(key, value)| (key.clone(), resolve(context, scope, value))).collect()
}

fn auto_reruns(context: Context<'_>, written: &Node) -> u32 {
    let value = resolve(context, Scope::pipeline(context), written);
    check_reruns(context.findings, &value);
    value.as_int().and_then(|count| count.try_into().ok()).unwrap_or_default()
}

/// How often something may be run again by itself.
pub(crate) fn check_reruns(findings: &Findings, value: &Node) {
    if !value.as_int().is_some_and(|count| (1..=5).contains(&count)) {
        findings.say(diagnostics::bad_reruns(value.span, value.text().unwrap_or(value.type_name())));
    }
}

/// The times of its schedules that are for the pipeline's branch; each has a time and branches, and what is wrong with
/// them is said of all.
fn crons(context: Context<'_>, body: &Node) -> Vec<String> {
    let Some((key, triggers)) = body.get_entry("triggers").filter(|(_, value)| !value.is_null()) else {
        return Vec::new();
    };
    let triggers = resolve(context, Scope::pipeline(context), triggers);
    if triggers.as_seq().is_none() {
        let actual = triggers.type_name();
        context.findings.say(diagnostics::wrong_type(key.span, "triggers", "a list of schedules", actual));
    }
    triggers.items().iter().filter_map(|trigger| cron_of(context, trigger)).collect()
}

fn cron_of(context: Context<'_>, trigger: &Node) -> Option<String> {
    let trigger = Fields::new(context, "a trigger", trigger.span, trigger)?;
    trigger.check_keys(&["schedule"]);
    let Some(schedule) = trigger.value("schedule") else {
        context.findings.say(diagnostics::missing_key(trigger.span, "a trigger", "schedule"));
        return None;
    };
    let schedule = Fields::new(context, "`schedule`", schedule.span, schedule)?;
    schedule.check_keys(&["cron", "filters"]);
    let cron = schedule.required_with_span("cron");
    if let Some((cron, span)) = cron.as_ref().filter(|(cron, _)| cron::times(cron).is_none()) {
        context.findings.say(diagnostics::no_cron(*span, cron));
    }
    let passes = filters::pass(context, schedule.span, schedule.value("filters"));
    cron.map(|(cron, _)| cron).filter(|_| passes)
}

fn jobs<'t>(context: Context<'t>, fields: Fields<'_>) -> Vec<Invocation<'t>> {
    let Some(jobs) = fields.value("jobs") else {
        context.findings.say(diagnostics::missing_key(fields.span, fields.what, "jobs"));
        return Vec::new();
    };
    if jobs.as_seq().is_some_and(<[_]>::is_empty) {
        context.findings.say(diagnostics::missing_key(fields.span, fields.what, "jobs"));
    } else if jobs.as_seq().is_none() {
        let what = format!("`jobs` of {}", fields.what);
        context.findings.say(diagnostics::wrong_type(jobs.span, &what, "a list of jobs", jobs.type_name()));
    }
    let affordable = jobs.items().iter().take_while(|_| !context.budget.is_spent());
    affordable.flat_map(|entry| invocation::read_any(context, entry)).collect()
}

fn start(context: Context<'_>, fields: Fields<'_>) -> Start {
    let runs = |key: &str, wanted: bool| {
        fields.node.get(key).is_none_or(|written| holds(context, written) == wanted)
    };
    // Both are looked at, so that each wrong one is said.
    let starts = runs("when", true) & runs("unless", false);
    // Behind a condition that is wrong there may be more to say.
    if !starts && !context.findings.has_errors() {
        return Start::Off;
    }
    if fields.value("triggers").is_some() { Start::OnSchedule } else { Start::Now }
}

fn holds(context: Context<'_>, written: &Node) -> bool {
    if written.as_str().is_some_and(|text| !text.contains("<<")) {
        return expression::holds(context, written);
    }
    condition::holds(context, &resolve(context, Scope::pipeline(context), written))
}
