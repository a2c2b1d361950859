//! What of the workflows runs: all that start, or what was asked for.

use crate::{
    Context, diagnostics,
    graph::Graph,
    workflow::{Plan, Start, alone},
};
use std::collections::HashSet;
use yaml::Span;

/// A workflow, its graph, and which of its jobs run.
#[derive(Debug)]
pub(crate) struct Chosen<'t> {
    pub(crate) plan: Plan<'t>,
    /// None if it could not be drawn, which was said.
    pub(crate) graph: Option<Graph>,
    /// By place.
    pub(crate) runs: HashSet<usize>,
}

impl<'t> Chosen<'t> {
    fn draw(context: Context<'_>, plan: Plan<'t>) -> Self {
        let graph = Graph::of(context, &plan);
        Self { plan, graph, runs: HashSet::new() }
    }

    /// The places of the jobs of that name, or else of that definition.
    fn places(&self, job: &str) -> HashSet<usize> {
        let Some(graph) = &self.graph else { return HashSet::new() };
        match graph.names.iter().position(|name| name == job) {
            Some(place) => HashSet::from([place]),
            None => (0..graph.names.len()).filter(|place| self.plan.jobs[*place].base == job).collect(),
        }
    }

    fn run_all_that_pass(&mut self) {
        let passes = |place: &usize| self.graph.as_ref().is_none_or(|graph| graph.passes[*place]);
        self.runs = (0..self.plan.jobs.len()).filter(passes).collect();
    }

    /// Runs these jobs with all that they require, or alone; filters do not count for what was asked for.
    fn run(&mut self, jobs: HashSet<usize>, alone: bool) {
        let Some(graph) = self.graph.as_ref().filter(|_| !alone) else {
            self.runs = jobs;
            return;
        };
        let mut open: Vec<usize> = jobs.into_iter().collect();
        while let Some(place) = open.pop() {
            if self.runs.insert(place) {
                open.extend(&graph.requires[place]);
            }
        }
    }
}

/// Chooses what runs of the plans.
pub(crate) fn choose<'t>(context: Context<'t>, plans: Vec<Plan<'t>>) -> Vec<Chosen<'t>> {
    let mut all: Vec<Chosen<'t>> = plans.into_iter().map(|plan| Chosen::draw(context, plan)).collect();
    let selection = &context.inputs.selection;
    if let Some(name) = &selection.workflow {
        let Some(place) = workflow(context, &all, name) else { return all };
        match &selection.job {
            Some(job) => run_job(context, &mut all, &[place], job),
            None => all[place].run_all_that_pass(),
        }
        return all;
    }
    match &selection.job {
        Some(job) => run_job_of_any(context, &mut all, job),
        None => run_what_starts(context, &mut all),
    }
    all
}

fn run_what_starts(context: Context<'_>, all: &mut [Chosen<'_>]) {
    for chosen in all {
        match chosen.plan.start {
            Start::Now => chosen.run_all_that_pass(),
            Start::Off => {}
            Start::OnSchedule => {
                context.findings.say(diagnostics::scheduled_left_out(chosen.plan.span, &chosen.plan.name));
            }
        }
    }
}

fn workflow(context: Context<'_>, all: &[Chosen<'_>], name: &str) -> Option<usize> {
    let place = all.iter().position(|chosen| chosen.plan.name == name);
    match place {
        None => {
            let near = context.findings.near(name, all.iter().map(|chosen| chosen.plan.name.as_str()));
            context.findings.say(diagnostics::no_such_workflow(workflows_span(context), name, near));
        }
        Some(place) if all[place].plan.start == Start::Off => {
            context.findings.say(diagnostics::workflow_is_off(all[place].plan.span, name));
        }
        Some(_) => {}
    }
    place
}

fn workflows_span(context: Context<'_>) -> Span {
    context.document.workflows().map_or(context.document.span(), |(key, _)| key.span)
}

/// Runs a job of the first workflow that has it: one that starts now, or else a scheduled one; a job of none alone.
fn run_job_of_any<'t>(context: Context<'t>, all: &mut Vec<Chosen<'t>>, job: &str) {
    let having = |start: Start| {
        let has = |place: &usize| all[*place].plan.start == start && !all[*place].places(job).is_empty();
        (0..all.len()).filter(has).collect::<Vec<_>>()
    };
    let mut places = having(Start::Now);
    if places.is_empty() {
        places = having(Start::OnSchedule);
    }
    if let [first, others @ ..] = &places[..]
        && !others.is_empty()
    {
        let others: Vec<&str> = others.iter().map(|place| all[*place].plan.name.as_str()).collect();
        let (name, span) = (&all[*first].plan.name, all[*first].plan.span);
        context.findings.say(diagnostics::job_of_several_workflows(span, job, name, &others));
    }
    match (places.first(), context.document.jobs.get(job)) {
        (None, Some(definition)) => {
            let mut chosen = Chosen::draw(context, alone(context, job, definition.span));
            chosen.run_all_that_pass();
            all.push(chosen);
        }
        (Some(first), _) => run_job(context, all, &[*first], job),
        (None, None) => {
            let every: Vec<usize> = (0..all.len()).collect();
            run_job(context, all, &every, job);
        }
    }
}

/// Runs a job of one of these workflows.
fn run_job(context: Context<'_>, all: &mut [Chosen<'_>], among: &[usize], job: &str) {
    let found =
        among.iter().map(|place| (*place, all[*place].places(job))).find(|(_, jobs)| !jobs.is_empty());
    if let Some((place, jobs)) = found {
        all[place].run(jobs, context.inputs.selection.no_deps);
        return;
    }
    let graphs = among.iter().filter_map(|place| all[*place].graph.as_ref());
    let defined = context.document.jobs.names();
    let names = graphs.flat_map(|graph| graph.names.iter().map(String::as_str)).chain(defined);
    context.findings.say(diagnostics::no_such_job(
        workflows_span(context),
        job,
        context.findings.near(job, names),
    ));
}
