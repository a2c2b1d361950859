//! Metrics in the text that Prometheus reads, as both halves write them: one family after the other, each with its samples.

use std::fmt::{Display, Write};

/// Of the text exposition format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric: what it is, and its samples. Every label must have a bounded set of values.
#[derive(Debug)]
pub struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
}

impl<'t> Family<'t> {
    /// What goes up and down.
    pub fn gauge(text: &'t mut String, name: &'static str, help: &str) -> Self {
        Self::new(text, "gauge", name, help)
    }

    /// What only grows, from each start on.
    pub fn counter(text: &'t mut String, name: &'static str, help: &str) -> Self {
        Self::new(text, "counter", name, help)
    }

    /// Counts below bounds: its samples end in `_bucket`, `_sum` and `_count`.
    pub fn histogram(text: &'t mut String, name: &'static str, help: &str) -> Self {
        Self::new(text, "histogram", name, help)
    }

    fn new(text: &'t mut String, kind: &str, name: &'static str, help: &str) -> Self {
        // A `String` takes all that is written.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { text, name }
    }

    /// Its only sample.
    pub fn is(self, value: impl Display) {
        let _ = writeln!(self.text, "{} {value}", self.name);
    }

    /// A sample with one label.
    pub fn with(&mut self, label: &str, of: &str, value: impl Display) {
        self.sample("", &[(label, of)], value);
    }

    /// A sample with these labels, its name with this end.
    pub fn sample(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(label, of)| format!("{label}=\"{}\"", escaped(of))).collect();
        let _ = writeln!(self.text, "{}{end}{{{}}} {value}", self.name, labels.join(","));
    }
}

/// Milliseconds as the seconds that metrics are in.
pub fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_told_once_and_labels_are_escaped() {
        let mut text = String::new();
        let mut took = Family::histogram(&mut text, "took_seconds", "How long.");
        took.sample("_bucket", &[("route", "a\"b\\c\nd"), ("le", "+Inf")], 3);
        Family::gauge(&mut text, "up_seconds", "Since the start.").is(seconds(1005));
        let expect = "# HELP took_seconds How long.\n# TYPE took_seconds histogram\n\
                      took_seconds_bucket{route=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 3\n\
                      # HELP up_seconds Since the start.\n# TYPE up_seconds gauge\nup_seconds 1.005\n";
        assert_eq!(text, expect);
    }
}
