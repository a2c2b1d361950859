//! A graph in the language of Graphviz.

use super::{condition, label};
use compiler::Outline;
use std::fmt::Write as _;

/// The workflows, each a cluster.
pub(super) fn dot(outlines: &[&Outline]) -> String {
    let mut out = "digraph workflows {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n".to_owned();
    for (number, outline) in outlines.iter().enumerate() {
        let id = |name: &str| quoted(&format!("{number}/{name}"));
        let mut line = |text: String| writeln!(out, "{text}").expect("a string takes all text");
        line(format!("  subgraph cluster_{number} {{"));
        line(format!("    label={};", quoted(&outline.name)));
        for job in &outline.jobs {
            line(format!("    {} [label={}];", id(&job.name), quoted(&label(job))));
        }
        for job in &outline.jobs {
            for (required, statuses) in &job.requires {
                let note = condition(statuses);
                let note = if note.is_empty() { note } else { format!(" [label={}]", quoted(&note)) };
                line(format!("    {} -> {}{note};", id(required), id(&job.name)));
            }
        }
        line("  }".to_owned());
    }
    out + "}\n"
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_written_for_graphviz() {
        let dot = dot(&[&super::super::sample()]);
        assert!(dot.contains("    \"0/hold\" [label=\"hold (approval)\"];\n"), "{dot}");
        assert!(dot.contains("    \"0/build\" -> \"0/test\";\n"), "{dot}");
        assert!(dot.contains("    \"0/test\" -> \"0/mend\" [label=\"failed or canceled\"];\n"), "{dot}");
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
