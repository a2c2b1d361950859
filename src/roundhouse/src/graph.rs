//! `roundhouse config graph`: which jobs of each workflow wait for which, for a terminal, for Graphviz and as a picture.

mod dot;
mod stages;
mod svg;

use crate::{arguments::GraphOf, failure::Failure, say, validate};
use compiler::{Outline, OutlinedJob};

/// Shows the workflows of a configuration.
pub(crate) fn graph(options: &GraphOf) -> Result<(), Failure> {
    let (config, inputs) = validate::read(&options.given)?;
    let compilation = compiler::examine(&config.shown, &config.text, &inputs);
    let expanded = validate::expanded(&config, &compilation)?;
    let wanted = |outline: &&Outline| options.workflow.as_ref().is_none_or(|name| *name == outline.name);
    let outlines: Vec<&Outline> = expanded.workflows.iter().filter(wanted).collect();
    if let Some(name) = options.workflow.as_ref().filter(|_| outlines.is_empty()) {
        return Err(Failure::usage(format!("--workflow {name}: no workflow of this name starts here")));
    }
    let text = match (options.dot, options.svg) {
        (true, _) => dot::dot(&outlines),
        (_, true) => svg::svg(&outlines),
        _ => stages::text(&outlines),
    };
    say::print(text)
}

/// What a job is called in a graph: with its kind, where it is no ordinary one.
fn label(job: &OutlinedJob) -> String {
    if job.kind == "build" { job.name.clone() } else { format!("{} ({})", job.name, job.kind) }
}

/// How a required job is to have ended, where that is not success.
fn condition(statuses: &[String]) -> String {
    if statuses.is_empty() { String::new() } else { statuses.join(" or ") }
}

#[cfg(test)]
fn sample() -> Outline {
    let job = |name: &str, kind: &str, requires: &[(&str, &[&str])]| OutlinedJob {
        name: name.to_owned(),
        kind: kind.to_owned(),
        requires: requires
            .iter()
            .map(|(name, statuses)| {
                ((*name).to_owned(), statuses.iter().map(|one| (*one).to_owned()).collect())
            })
            .collect(),
    };
    let jobs = vec![
        job("build", "build", &[]),
        job("lint <1>", "build", &[]),
        job("test", "build", &[("build", &[]), ("lint <1>", &[])]),
        job("hold", "approval", &[("test", &[])]),
        job("mend", "build", &[("test", &["failed", "canceled"])]),
    ];
    Outline { name: "all".to_owned(), jobs }
}
