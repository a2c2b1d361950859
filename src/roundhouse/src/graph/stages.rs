//! A graph by stages: each job stands as far down as what it waits for allows.

use super::{condition, label};
use crate::follow::words::counted;
use compiler::Outline;
use std::{collections::HashMap, fmt::Write as _};

/// For each job its stage, from 0: one more than the latest of what it requires.
pub(super) fn stages(outline: &Outline) -> Vec<usize> {
    let places: HashMap<&str, usize> =
        outline.jobs.iter().enumerate().map(|(place, job)| (job.name.as_str(), place)).collect();
    let mut stages = vec![0; outline.jobs.len()];
    // A graph has no cycle, so that after as many rounds as it has jobs nothing moves any more.
    for _ in 0..outline.jobs.len() {
        let before = stages.clone();
        for (place, job) in outline.jobs.iter().enumerate() {
            let required = job.requires.iter().filter_map(|(name, _)| places.get(name.as_str()));
            stages[place] = required.map(|required| stages[*required] + 1).max().unwrap_or(0);
        }
        if stages == before {
            break;
        }
    }
    stages
}

/// The workflows for a terminal, a line for each job.
pub(super) fn text(outlines: &[&Outline]) -> String {
    let shown: Vec<String> = outlines.iter().map(|outline| one(outline)).collect();
    if shown.is_empty() { "no workflow starts\n".to_owned() } else { shown.join("\n") }
}

fn one(outline: &Outline) -> String {
    let stages = stages(outline);
    let count = stages.iter().max().map_or(0, |last| last + 1);
    let jobs = counted(outline.jobs.len(), "job");
    let mut out = format!("{}: {jobs} in {}\n", outline.name, counted(count, "stage"));
    let width = outline.jobs.iter().map(|job| label(job).chars().count()).max().unwrap_or(0);
    for stage in 0..count {
        let of_stage = outline.jobs.iter().zip(&stages).filter(|(_, own)| **own == stage);
        for (place, (job, _)) in of_stage.enumerate() {
            let number = if place == 0 { format!("{:>3}", stage + 1) } else { "   ".to_owned() };
            let required: Vec<String> = job.requires.iter().map(waited_for).collect();
            let label = label(job);
            let line = match required.is_empty() {
                true => format!("{number}  {label}"),
                false => format!("{number}  {label:<width$}  ◀ {}", required.join(", ")),
            };
            writeln!(out, "{}", line.trim_end()).expect("a string takes all text");
        }
    }
    out
}

fn waited_for((name, statuses): &(String, Vec<String>)) -> String {
    let condition = condition(statuses);
    if condition.is_empty() { name.clone() } else { format!("{name} ({condition})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_stand_below_what_they_wait_for() {
        let sample = super::super::sample();
        let expect = "all: 5 jobs in 3 stages\n  1  build\n     lint <1>\n  2  test             ◀ build, lint <1>\n  \
                      3  hold (approval)  ◀ test\n     mend             ◀ test (failed or canceled)\n";
        assert_eq!(text(&[&sample]), expect);
        assert_eq!(text(&[]), "no workflow starts\n");
    }
}
