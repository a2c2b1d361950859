//! The graph of a workflow: unique names, what each job requires, and no cycle.

use crate::{
    Context, diagnostics,
    invocation::{Invocation, Requirement},
    workflow::Plan,
};
use std::collections::{HashMap, HashSet};
use yaml::{Diagnostic, Span};

/// A drawn graph; jobs by their place in the plan.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Unique.
    pub(crate) names: Vec<String>,
    /// The places that each job requires.
    pub(crate) requires: Vec<Vec<usize>>,
    /// For each of these, which of the job's requirements it comes from.
    pub(crate) reasons: Vec<Vec<usize>>,
    /// Whether each job is let run by the filters, its own and those of what it requires.
    pub(crate) passes: Vec<bool>,
}

impl Graph {
    /// Draws the graph of a plan; none if it has a cycle or requires what is not there.
    pub(crate) fn of(context: Context<'_>, plan: &Plan<'_>) -> Option<Self> {
        let names = unique_names(&plan.jobs);
        say_doubles(context, plan, &names);
        let edges = edges(context, plan, &names)?;
        let requires: Vec<Vec<usize>> =
            edges.iter().map(|of| of.iter().map(|edge| edge.to).collect()).collect();
        let reasons = edges.iter().map(|of| of.iter().map(|edge| edge.reason).collect()).collect();
        match order(&requires) {
            Ok(order) => {
                let passes = let_pass(plan, &requires, &order);
                Some(Self { names, requires, reasons, passes })
            }
            Err(cycle) => {
                let edge = edges[cycle[0]].iter().find(|edge| edge.to == cycle[1]);
                let path: Vec<&str> = cycle.iter().map(|place| names[*place].as_str()).collect();
                context.findings.say(diagnostics::cycle(edge.map_or(plan.span, |edge| edge.span), &path));
                None
            }
        }
    }
}

/// The jobs' names, numbered where they repeat: `job-1`, `job-2`.
fn unique_names(jobs: &[Invocation<'_>]) -> Vec<String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for job in jobs {
        *uses.entry(&job.name).or_default() += 1;
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let name = |job: &'_ Invocation<'_>, count: usize| format!("{}-{count}", job.name);
    let mut names = Vec::with_capacity(jobs.len());
    for job in jobs {
        let count = counts.entry(&job.name).or_default();
        *count += 1;
        names.push(if uses[job.name.as_str()] > 1 { name(job, *count) } else { job.name.clone() });
    }
    names
}

/// A numbered name may be one that another job has been given.
fn say_doubles(context: Context<'_>, plan: &Plan<'_>, names: &[String]) {
    let mut seen = HashSet::new();
    for (job, name) in plan.jobs.iter().zip(names) {
        if !seen.insert(name) {
            context.findings.say(diagnostics::doubled_name(job.span, name));
        }
    }
}

/// One job's requiring another.
#[derive(Clone, Copy, Debug)]
struct Edge {
    to: usize,
    /// Where that is said, and in which requirement of the job.
    span: Span,
    reason: usize,
}

/// What each job requires; none if some of it is not there.
fn edges(context: Context<'_>, plan: &Plan<'_>, names: &[String]) -> Option<Vec<Vec<Edge>>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, job) in plan.jobs.iter().enumerate() {
        places.entry(job.group.as_deref().unwrap_or(&names[place])).or_default().push(place);
    }
    // A job's own name goes before a matrix's.
    places.extend(names.iter().enumerate().map(|(place, name)| (name.as_str(), vec![place])));
    let mut whole = true;
    let mut all = Vec::with_capacity(names.len());
    for job in &plan.jobs {
        let mut seen = HashSet::new();
        let mut edges: Vec<Edge> = Vec::new();
        for (reason, Requirement { name, span, .. }) in job.requires.iter().enumerate() {
            let Some(found) = places.get(name.as_str()) else {
                whole = false;
                context.findings.say(unknown(context, plan, &places, name, *span));
                continue;
            };
            if found.iter().any(|place| !context.budget.spend(EDGE_COST + names[*place].len())) {
                context.findings.say_last(diagnostics::too_large(*span));
                return None;
            }
            let fresh = found.iter().filter(|place| seen.insert(**place));
            edges.extend(fresh.map(|place| Edge { to: *place, span: *span, reason }));
        }
        all.push(edges);
    }
    whole.then_some(all)
}

/// What one requirement costs of the budget, beside its name.
const EDGE_COST: usize = 64;

fn unknown(
    context: Context<'_>,
    plan: &Plan<'_>,
    places: &HashMap<&str, Vec<usize>>,
    name: &str,
    span: Span,
) -> Diagnostic {
    if context.findings.is_full() {
        return diagnostics::requires_unknown_job(span, name, &plan.name, None);
    }
    let copies = plan.jobs.iter().filter(|job| job.name == name).count();
    if copies > 1 {
        return diagnostics::requires_a_repeated_job(span, name, copies);
    }
    let renamed = plan.jobs.iter().find(|job| job.base == name).map(|job| job.name.as_str());
    let mut names: Vec<&str> = places.keys().copied().collect();
    names.sort_unstable();
    let near = renamed.or_else(|| context.findings.near(name, names));
    diagnostics::requires_unknown_job(span, name, &plan.name, near)
}

/// The jobs so that each comes after what it requires; else a cycle, its first place again at its end.
fn order(requires: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); requires.len()];
    let mut missing: Vec<usize> = requires.iter().map(Vec::len).collect();
    for (job, required) in requires.iter().enumerate() {
        required.iter().for_each(|required| dependents[*required].push(job));
    }
    let mut order: Vec<usize> = (0..requires.len()).filter(|job| missing[*job] == 0).collect();
    let mut next = 0;
    while let Some(&job) = order.get(next) {
        next += 1;
        for dependent in &dependents[job] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    // Whatever still misses something requires something that does.
    match missing.iter().position(|missing| *missing > 0) {
        None => Ok(order),
        Some(first) => Err(cycle(requires, &missing, first)),
    }
}

fn cycle(requires: &[Vec<usize>], missing: &[usize], first: usize) -> Vec<usize> {
    let mut path = vec![first];
    let mut at: HashMap<usize, usize> = HashMap::from([(first, 0)]);
    loop {
        let last = path[path.len() - 1];
        let next = requires[last].iter().copied().find(|required| missing[*required] > 0);
        let next = next.expect("a job that misses something requires one that does");
        path.push(next);
        if let Some(start) = at.insert(next, path.len() - 1) {
            return path.split_off(start);
        }
    }
}

/// What filters keep out is not waited for; but a job all of whose requirements are kept out is so itself.
fn let_pass(plan: &Plan<'_>, requires: &[Vec<usize>], order: &[usize]) -> Vec<bool> {
    let mut passes: Vec<bool> = plan.jobs.iter().map(|job| job.passes).collect();
    for place in order {
        let required = &requires[*place];
        passes[*place] &= required.is_empty() || required.iter().any(|required| passes[*required]);
    }
    passes
}
