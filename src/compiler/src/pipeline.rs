//! The last stage: the jobs that run, compiled, and what is said of those that do not.

use crate::{
    Context, Inputs,
    budget::Budget,
    declaration::{Declaration, Type},
    diagnostics,
    document::Document,
    expanded::{Collection, Comments, Expanded},
    findings::Findings,
    graph::Graph,
    invocation::Invocation,
    job::{self, Compiled, Order},
    library::{Forest, Library},
    names,
    pattern::Patterns,
    selection::{self, Chosen},
    unused,
    values::Values,
    workflow::{self, Start},
};
use protocol::pipeline::{Job, Kind, Pipeline, Requirement, Schedule, Workflow};
use std::collections::HashSet;
use yaml::{Node, Sources};

/// Compiles a tree; none if it is no configuration.
pub(crate) fn compile(
    root: &Node,
    inputs: &Inputs,
    findings: &Findings,
    sources: &mut Sources,
) -> Option<(Pipeline, Expanded)> {
    let library = Library::new(Document::read(root, findings)?);
    let budget = Budget::default();
    let bare_sources = sources.clone();
    let mut values = Values::new(inputs, sources.first_name());
    let patterns = Patterns::default();
    let stage = Stage { inputs, budget: &budget, patterns: &patterns, findings };
    let parameters = pipeline_parameters(stage.context(&library, &values, &bare_sources));
    let document = &library.documents[0];
    let section = document.parameters().map_or(document.span(), |(key, _)| key.span);
    values.add_parameters(&parameters, inputs, section, findings);
    let bare = stage.context(&library, &values, &bare_sources);
    let forest = if document.interpolates() { Forest::plant(bare, root, sources) } else { Forest::default() };
    let library = library.with(&forest, findings);
    let context = stage.context(&library, &values, sources);
    let chosen = selection::choose(context, workflow::plans(context));
    check_setup(context, &chosen);
    let schedules = schedules(&chosen);
    let mut collection = Collection::default();
    let workflows: Vec<Workflow> =
        chosen.into_iter().filter_map(|chosen| workflow(context, chosen, &mut collection)).collect();
    names::check(context);
    unused::check(context);
    let is_setup = context.document.is_setup();
    if !is_setup {
        unused::check_pipeline(context, &parameters);
    }
    say_what_is_left_out(context, workflows.is_empty());
    let comments =
        Comments { resolutions: resolutions(sources, &forest), original: sources.first().to_owned() };
    Some((Pipeline { workflows, is_setup, schedules }, collection.finish(is_setup, comments)))
}

/// What starts by the clock, whatever starts now.
fn schedules(all: &[Chosen<'_>]) -> Vec<Schedule> {
    let plans = all.iter().map(|chosen| &chosen.plan).filter(|plan| plan.start == Start::OnSchedule);
    let schedule = |name: &str, cron: &String| Schedule { workflow: name.to_owned(), cron: cron.clone() };
    plans.flat_map(|plan| plan.crons.iter().map(|cron| schedule(&plan.name, cron))).collect()
}

/// A setup configuration runs one workflow, whichever its conditions and filters leave, and what continues it is the last.
fn check_setup(context: Context<'_>, all: &[Chosen<'_>]) {
    if let Some(setup) = context.document.setup().filter(|_| context.inputs.is_continuation) {
        context.findings.say(diagnostics::setup_again(setup));
    }
    let mut running = all.iter().filter(|chosen| !chosen.runs.is_empty()).map(|chosen| &chosen.plan);
    let two = running.next().zip(running.next()).filter(|_| context.document.is_setup());
    if let Some((first, other)) = two {
        let said = diagnostics::several_setup_workflows(other.span, &first.name, &other.name);
        context.findings.say(said);
    }
}

/// How a processed configuration tells which orbs went into it.
const RESOLUTION: &str = "# Orb '";

/// A line for each orb that was resolved, after those that the text brings from its own processing.
fn resolutions(sources: &Sources, forest: &Forest) -> Vec<String> {
    let text = sources.first();
    let earlier = text.lines().take_while(|line| line.starts_with(RESOLUTION)).map(str::to_owned);
    let lines = forest.resolutions.iter();
    let resolved = lines.map(|(written, exact)| format!("{RESOLUTION}{written}' resolved to '{exact}'"));
    earlier.chain(resolved).collect()
}

/// What all stages have at hand from the beginning.
#[derive(Clone, Copy)]
struct Stage<'a> {
    inputs: &'a Inputs,
    budget: &'a Budget,
    patterns: &'a Patterns,
    findings: &'a Findings,
}

impl<'a> Stage<'a> {
    fn context(self, library: &'a Library<'a>, values: &'a Values, sources: &'a Sources) -> Context<'a> {
        let Self { inputs, budget, patterns, findings } = self;
        Context {
            sources,
            library,
            document: &library.documents[0],
            values,
            inputs,
            budget,
            patterns,
            findings,
        }
    }
}

/// The most parameters of a pipeline, and the longest of their names and of their values.
const MAX_PARAMETERS: usize = 100;
const MAX_NAME: usize = 128;
pub(crate) const MAX_VALUE: usize = 512;

fn pipeline_parameters(context: Context<'_>) -> Vec<Declaration> {
    let section = context.document.parameters().map(|(_, value)| value);
    let declarations = Declaration::all(context, section);
    let fits = |kind: &Type| matches!(kind, Type::String | Type::Boolean | Type::Integer | Type::Enum(_));
    for declaration in declarations.iter().filter(|declaration| !fits(&declaration.kind)) {
        context.findings.say(diagnostics::not_for_pipelines(declaration.span, &declaration.name));
    }
    if let Some(first) = declarations.get(MAX_PARAMETERS) {
        context.findings.say(diagnostics::too_many_parameters(first.span, MAX_PARAMETERS));
    }
    for declaration in declarations.iter().filter(|declaration| declaration.name.len() > MAX_NAME) {
        context.findings.say(diagnostics::parameter_name_too_long(declaration.span, MAX_NAME));
    }
    declarations
}

fn say_what_is_left_out(context: Context<'_>, nothing: bool) {
    if context.findings.has_errors() {
        return;
    }
    if nothing {
        let span = context.document.workflows().map_or(context.document.span(), |(key, _)| key.span);
        context.findings.say(diagnostics::nothing_runs(span));
    }
}

/// The workflow as it runs; none if nothing of it does. Jobs that do not run are compiled as well, for their errors.
fn workflow<'a>(context: Context<'a>, chosen: Chosen<'a>, collection: &mut Collection) -> Option<Workflow> {
    let Chosen { mut plan, graph, runs } = chosen;
    context.findings.take(std::mem::take(&mut plan.findings), !runs.is_empty());
    let names = graph.as_ref().map(|graph| graph.names.clone());
    let selection = &context.inputs.selection;
    let is_whole =
        selection.job.is_none() && selection.workflow.as_ref().is_none_or(|name| *name == plan.name);
    if let Some(graph) = graph.as_ref().filter(|_| plan.start == Start::Now && is_whole) {
        let kept_out = |place: &usize| !graph.passes[*place];
        let jobs: Vec<&str> =
            (0..graph.names.len()).filter(kept_out).map(|place| graph.names[place].as_str()).collect();
        say_filtered(context, plan.span, &plan.name, &jobs);
    }
    let (mut jobs, mut texts) = (Vec::new(), Vec::new());
    for (place, invocation) in plan.jobs.iter_mut().enumerate() {
        let name = names.as_ref().map_or_else(|| invocation.name.clone(), |names| names[place].clone());
        let runs_here = runs.contains(&place);
        let (job, text) = compile_job(context, invocation, &name, runs_here);
        let requires = graph.as_ref().map(|graph| requirements(invocation, graph, place, &runs));
        let requires = requires.unwrap_or_default();
        texts.push(text);
        jobs.extend(job.filter(|_| runs_here).map(|job| Job { requires, ..job }));
    }
    if let Some(graph) = graph.filter(|_| plan.start != Start::Off) {
        collection.add(&plan, &graph, texts);
    }
    let max_auto_reruns = plan.max_auto_reruns;
    (!jobs.is_empty()).then_some(Workflow { name: plan.name, jobs, max_auto_reruns })
}

/// What a job requires of those that run.
fn requirements(
    invocation: &Invocation<'_>,
    graph: &Graph,
    place: usize,
    runs: &HashSet<usize>,
) -> Vec<Requirement> {
    let edges = graph.requires[place].iter().zip(&graph.reasons[place]);
    let requirement = |(to, reason): (&usize, &usize)| Requirement {
        job: graph.names[*to].clone(),
        endings: invocation.requires[*reason].endings.clone(),
    };
    edges.filter(|(to, _)| runs.contains(to)).map(requirement).collect()
}

fn say_filtered(context: Context<'_>, span: yaml::Span, workflow: &str, jobs: &[&str]) {
    if jobs.is_empty() {
        return;
    }
    let git = &context.inputs.git;
    let place = match (&git.tag, &git.branch) {
        (Some(tag), _) => format!("the tag `{tag}`"),
        (None, Some(branch)) => format!("the branch `{branch}`"),
        (None, None) => "a commit without branch or tag".to_owned(),
    };
    context.findings.say(diagnostics::filtered_out(span, workflow, jobs, &place));
}

fn compile_job<'a>(
    context: Context<'a>,
    invocation: &mut Invocation<'a>,
    name: &str,
    runs: bool,
) -> (Option<Job>, Option<Node>) {
    let findings = std::mem::take(&mut invocation.findings);
    let own = Context { findings: &findings, ..context };
    let order = Order {
        name,
        span: invocation.span,
        arguments: &invocation.arguments,
        before: invocation.before.as_ref(),
        after: invocation.after.as_ref(),
    };
    let compiled = invocation.definition.and_then(|definition| job::compile(own, definition, &order));
    let (job, written) = match compiled {
        Some(Compiled { job, written }) => (job, Some(written)),
        None => (invocation.kind.map(|kind| Job::without_tasks(name, kind)), None),
    };
    let job = job.map(|job| in_workflow(invocation, job));
    if job.as_ref().is_some_and(|job| is_lock(job) && job.serial_group.is_none()) {
        own.findings.say(diagnostics::no_lock_key(invocation.span, name));
    }
    context.findings.take(findings, runs);
    (job, written)
}

/// What a workflow says goes before what the job says of itself.
fn in_workflow(invocation: &Invocation<'_>, job: Job) -> Job {
    let contexts = if job.kind == Kind::Build { invocation.contexts.clone() } else { Vec::new() };
    let serial_group = invocation.serial_group.clone().or(job.serial_group);
    Job { contexts, serial_group, plan: invocation.plan.clone().or(job.plan), ..job }
}

fn is_lock(job: &Job) -> bool {
    matches!(job.kind, Kind::Lock | Kind::Unlock)
}
