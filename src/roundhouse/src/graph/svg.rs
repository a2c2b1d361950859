//! A graph as a picture: a column for each stage, a box for each job, a curve for each requirement.

use super::{condition, label, stages::stages};
use compiler::Outline;
use std::fmt::Write as _;

const HEIGHT: usize = 30;
const ROW: usize = 46;
const GAP: usize = 70;
const MARGIN: usize = 20;
/// Of a character, as wide as the widest are.
const LETTER: usize = 8;

/// A job's box.
struct Frame {
    x: usize,
    y: usize,
    width: usize,
}

/// The workflows, one below the other.
pub(super) fn svg(outlines: &[&Outline]) -> String {
    let (mut body, mut top, mut widest) = (String::new(), MARGIN, 0);
    for outline in outlines {
        let (width, height) = draw(outline, top, &mut body);
        (top, widest) = (top + height + MARGIN, widest.max(width));
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{top}\" viewBox=\"0 0 {0} {top}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        widest + MARGIN
    )
}

/// Draws one workflow below `top`; how wide and high it is.
fn draw(outline: &Outline, top: usize, body: &mut String) -> (usize, usize) {
    let frames = frames(outline, top + ROW);
    let mut line = |text: String| writeln!(body, "{text}").expect("a string takes all text");
    line(format!(
        "<text x=\"{MARGIN}\" y=\"{}\" font-weight=\"bold\">{}</text>",
        top + 20,
        escaped(&outline.name)
    ));
    for (job, to) in outline.jobs.iter().zip(&frames) {
        for (name, statuses) in &job.requires {
            let Some(place) = outline.jobs.iter().position(|other| other.name == *name) else { continue };
            line(curve(&frames[place], to, &condition(statuses)));
        }
    }
    for (job, frame) in outline.jobs.iter().zip(&frames) {
        let Frame { x, y, width } = frame;
        let dash = if job.kind == "build" { "" } else { " stroke-dasharray=\"4 3\"" };
        line(format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#eef4fb\" stroke=\"#4a6a8a\"{dash}/>"
        ));
        line(format!("<text x=\"{}\" y=\"{}\">{}</text>", x + 10, y + 20, escaped(&label(job))));
    }
    let right = frames.iter().map(|frame| frame.x + frame.width).max().unwrap_or(0);
    let right = right.max(MARGIN + LETTER * outline.name.chars().count());
    let bottom = frames.iter().map(|frame| frame.y + ROW).max().unwrap_or(top + ROW);
    (right, bottom - top)
}

fn frames(outline: &Outline, top: usize) -> Vec<Frame> {
    let stages = stages(outline);
    let count = stages.iter().max().map_or(0, |last| last + 1);
    let (mut widths, mut rows) = (vec![0; count], vec![0; count]);
    for (job, stage) in outline.jobs.iter().zip(&stages) {
        let width = label(job).chars().count() * LETTER + 20;
        widths[*stage] = width.max(widths[*stage]);
    }
    let left = |stage: usize| MARGIN + widths[..stage].iter().map(|width| width + GAP).sum::<usize>();
    let mut frames = Vec::with_capacity(stages.len());
    for stage in stages {
        frames.push(Frame { x: left(stage), y: top + rows[stage] * ROW, width: widths[stage] });
        rows[stage] += 1;
    }
    frames
}

fn curve(from: &Frame, to: &Frame, note: &str) -> String {
    let (x1, y1) = (from.x + from.width, from.y + HEIGHT / 2);
    let (x2, y2) = (to.x, to.y + HEIGHT / 2);
    let middle = (x1 + x2) / 2;
    let path = format!("M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}");
    let mut out = format!("<path d=\"{path}\" fill=\"none\" stroke=\"#8aa\"/>");
    if !note.is_empty() {
        let y = (y1 + y2) / 2;
        write!(
            out,
            "<text x=\"{middle}\" y=\"{y}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
            escaped(note)
        )
        .expect("a string takes all text");
    }
    out
}

fn escaped(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    printable.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_box_and_every_requirement_a_curve() {
        let svg = svg(&[&super::super::sample()]);
        assert_eq!(svg.matches("<rect x=").count(), 5);
        assert_eq!(svg.matches("<path ").count(), 4);
        assert!(svg.contains("lint &lt;1&gt;") && svg.contains("failed or canceled"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
