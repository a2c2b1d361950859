//! The graph of a workflow: unique names, what each job requires, and no cycle.

use crate::{diagnostics, findings::Findings, invocation::Invocation, nearest::nearest, workflow::Plan};
use std::collections::{HashMap, HashSet};
use yaml::Span;

/// A drawn graph; jobs by their place in the plan.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Unique.
    pub(crate) names: Vec<String>,
    /// The places that each job requires.
    pub(crate) requires: Vec<Vec<usize>>,
    /// Whether each job is let run by the filters, its own and those of what it requires.
    pub(crate) passes: Vec<bool>,
}

impl Graph {
    /// Draws the graph of a plan; none if it has a cycle or requires what is not there.
    pub(crate) fn of(plan: &Plan<'_>, findings: &Findings) -> Option<Self> {
        let names = unique_names(&plan.jobs);
        say_doubles(plan, &names, findings);
        let edges = edges(plan, &names, findings)?;
        let places = |edges: &Vec<(usize, Span)>| edges.iter().map(|(place, _)| *place).collect();
        let requires: Vec<Vec<usize>> = edges.iter().map(places).collect();
        if let Some(cycle) = cycle(&requires) {
            let span =
                edges[cycle[0]].iter().find(|(to, _)| *to == cycle[1]).map_or(plan.span, |(_, span)| *span);
            let path: Vec<&str> = cycle.iter().map(|place| names[*place].as_str()).collect();
            findings.say(diagnostics::cycle(span, &path));
            return None;
        }
        let passes = let_pass(plan, &requires);
        Some(Self { names, requires, passes })
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
fn say_doubles(plan: &Plan<'_>, names: &[String], findings: &Findings) {
    let mut seen = HashSet::new();
    for (job, name) in plan.jobs.iter().zip(names) {
        if !seen.insert(name) {
            findings.say(diagnostics::doubled_name(job.span, name));
        }
    }
}

/// What each job requires, with where it says so; none if some of it is not there.
fn edges(plan: &Plan<'_>, names: &[String], findings: &Findings) -> Option<Vec<Vec<(usize, Span)>>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, job) in plan.jobs.iter().enumerate() {
        places.entry(job.group.as_deref().unwrap_or(&names[place])).or_default().push(place);
    }
    // A job's own name goes before a matrix's.
    places.extend(names.iter().enumerate().map(|(place, name)| (name.as_str(), vec![place])));
    let mut whole = true;
    let mut all = Vec::with_capacity(names.len());
    for job in &plan.jobs {
        let mut edges: Vec<(usize, Span)> = Vec::new();
        for (name, span) in &job.requires {
            let found = places.get(name.as_str());
            let found =
                found.into_iter().flatten().filter(|place| !edges.iter().any(|(known, _)| known == *place));
            let found: Vec<(usize, Span)> = found.map(|place| (*place, *span)).collect();
            edges.extend(found);
            if !places.contains_key(name.as_str()) {
                whole = false;
                findings.say(unknown(plan, &places, name, *span));
            }
        }
        all.push(edges);
    }
    whole.then_some(all)
}

fn unknown(plan: &Plan<'_>, places: &HashMap<&str, Vec<usize>>, name: &str, span: Span) -> yaml::Diagnostic {
    let copies = plan.jobs.iter().filter(|job| job.name == name).count();
    if copies > 1 {
        return diagnostics::requires_a_repeated_job(span, name, copies);
    }
    let renamed = plan.jobs.iter().find(|job| job.base == name).map(|job| job.name.as_str());
    let mut names: Vec<&str> = places.keys().copied().collect();
    names.sort_unstable();
    diagnostics::requires_unknown_job(span, name, &plan.name, renamed.or_else(|| nearest(name, names)))
}

/// A cycle of requirements, its first place again at its end; none if there is none.
fn cycle(requires: &[Vec<usize>]) -> Option<Vec<usize>> {
    // Jobs whose requirements are all done, until no more are found; what is left requires something in a cycle.
    let mut done = vec![false; requires.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); requires.len()];
    let mut missing: Vec<usize> = requires.iter().map(Vec::len).collect();
    for (job, required) in requires.iter().enumerate() {
        required.iter().for_each(|required| dependents[*required].push(job));
    }
    let mut ready: Vec<usize> = (0..requires.len()).filter(|job| missing[*job] == 0).collect();
    while let Some(job) = ready.pop() {
        done[job] = true;
        for dependent in &dependents[job] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                ready.push(*dependent);
            }
        }
    }
    let first = done.iter().position(|done| !done)?;
    let mut path = vec![first];
    loop {
        let next = requires[*path.last()?].iter().copied().find(|required| !done[*required])?;
        if let Some(start) = path.iter().position(|place| *place == next) {
            return Some(path.split_off(start).into_iter().chain([next]).collect());
        }
        path.push(next);
    }
}

/// What filters keep out is not waited for; but a job all of whose requirements are kept out is so itself.
fn let_pass(plan: &Plan<'_>, requires: &[Vec<usize>]) -> Vec<bool> {
    let mut passes: Vec<bool> = plan.jobs.iter().map(|job| job.passes).collect();
    loop {
        let kept_out = |place: usize, passes: &[bool]| {
            let required = &requires[place];
            passes[place] && !required.is_empty() && required.iter().all(|required| !passes[*required])
        };
        let Some(place) = (0..passes.len()).find(|place| kept_out(*place, &passes)) else { return passes };
        passes[place] = false;
    }
}
