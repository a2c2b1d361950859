//! That a launch-agent lives and what it does, in a line for whoever watches over its process.

use std::fmt;

/// The answer of a launch-agent whose Supervisor and LeaseKeepers are all at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Whether the tasks of an earlier life are adopted, so that claims are asked.
    pub is_ready: bool,
    /// Whether it claims no more and ends with its tasks.
    pub is_ending: bool,
    /// How many there are.
    pub tasks: usize,
    /// The most at once.
    pub slots: usize,
    /// Why nothing is claimed, or not for every token.
    pub trouble: Option<String>,
}

impl fmt::Display for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, slots, .. } = self;
        match self {
            Self { is_ending: true, .. } => write!(f, "ending with the last of {tasks} tasks")?,
            Self { is_ready: false, .. } => f.write_str("looking for tasks of an earlier life")?,
            _ => write!(f, "{tasks} of {slots} tasks running")?,
        }
        // A line is all there is.
        let trouble = self.trouble.iter().flat_map(|trouble| trouble.lines().next());
        trouble.into_iter().try_for_each(|trouble| write!(f, "; {trouble}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_one_line() {
        let mut pulse = Pulse { is_ready: true, is_ending: false, tasks: 2, slots: 4, trouble: None };
        assert_eq!(pulse.to_string(), "2 of 4 tasks running");
        pulse.trouble = Some("no claim: refused\nSTOPPING=1".to_owned());
        assert_eq!(pulse.to_string(), "2 of 4 tasks running; no claim: refused");
        pulse.is_ending = true;
        assert_eq!(pulse.to_string(), "ending with the last of 2 tasks; no claim: refused");
    }
}
