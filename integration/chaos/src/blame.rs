//! What a history excuses: which tasks may have been lost to the machinery, and by which fault. Pure.

use crate::{
    fault::{Fault, HostNumber, POISON_AFTER},
    history::Line,
};
use std::collections::BTreeSet;

/// After a fault the parties need so long to find each other again: they wait between tries.
const RECOVERY: u64 = 4_000;
/// What is found a little later than it happened is still its effect.
const AFTERMATH: u64 = 5_000;
/// Panics of a task's actor, or of its children, that are more than the house promises to absorb; armed ones may wait for long.
const TOO_MANY: usize = 4;
const ARMED: u64 = 120_000;

/// The faults of a history, to be asked.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    killed: BTreeSet<String>,
    faults: Vec<(u64, Fault)>,
    deaths: Vec<(u64, HostNumber)>,
    lease: u64,
}

/// When, in milliseconds of the history.
pub type Span = (u64, u64);

impl Blame {
    /// The faults of a history under leases of this length.
    pub fn of(lines: &[Line], lease: u64) -> Self {
        let mut blame = Self { lease, ..Self::default() };
        for line in lines {
            match line {
                Line::Struck { at, strike, victim } => blame.take(*at, &strike.fault, victim.as_deref()),
                Line::Noted { at, what } => {
                    let host = what.strip_prefix("launch-agent ended by itself: host ");
                    blame.deaths.extend(host.and_then(|host| host.parse().ok()).map(|host| (*at, host)));
                }
                Line::Run { .. } => {}
            }
        }
        blame
    }

    fn take(&mut self, at: u64, fault: &Fault, victim: Option<&str>) {
        if let (Fault::KillTaskAgent { .. }, Some(task)) = (fault, victim) {
            self.killed.insert(task.to_owned());
        }
        self.deaths.extend(fault.deaths().into_iter().map(|(host, after)| (at + after, host)));
        self.faults.push((at, fault.clone()));
    }

    /// Whether the task's own task-agent was killed.
    pub fn was_killed(&self, task: &str) -> bool {
        self.killed.contains(task)
    }

    /// Whether the disk of a host's state failed, or the host itself.
    pub fn was_spoiled(&self, host: HostNumber, (from, to): Span) -> bool {
        self.faults.iter().any(|(at, fault)| {
            let length = fault.silences().map_or(0, |(_, length)| length);
            fault.spoils() == Some(host) && *at <= to && from <= at + length + AFTERMATH
        })
    }

    /// Whether a host may have been unheard of for a lease: faults that follow each other closely count as one silence.
    pub fn may_have_lost_lease(&self, host: HostNumber, (from, to): Span) -> bool {
        let mut silences: Vec<_> =
            self.faults.iter().filter_map(|(at, fault)| silence(*at, fault, host)).collect();
        silences.sort_unstable();
        let (mut began, mut ends) = (0, 0);
        for (at, until) in silences.into_iter().filter(|(at, until)| *at <= to && from <= *until + AFTERMATH)
        {
            if at > ends {
                began = at;
            }
            ends = until.max(ends);
            if ends - began >= self.lease {
                return true;
            }
        }
        false
    }

    /// Whether a task's actors may have failed more often than the house absorbs.
    pub fn may_be_given_up(&self, host: HostNumber, (from, to): Span) -> bool {
        let of_task = |actor: &str| matches!(actor, "task" | "log_streamer" | "artifact_uploader");
        let panics = self.faults.iter().filter(|(at, fault)| {
            matches!(fault, Fault::Panic { host: on, point } if *on == host && of_task(point.actor()))
                && (from.saturating_sub(ARMED)..=to).contains(at)
        });
        panics.count() >= TOO_MANY
    }

    /// Whether a task was there at so many ends of its launch-agent that it may be held for their cause.
    pub fn may_be_poisonous(&self, host: HostNumber, span: Span) -> bool {
        self.deaths(host, span) >= POISON_AFTER
    }

    /// Whether it may have been cleared away without a word.
    pub fn may_be_buried(&self, host: HostNumber, span: Span) -> bool {
        self.deaths(host, span) >= 2 * POISON_AFTER
    }

    fn deaths(&self, host: HostNumber, (from, to): Span) -> u64 {
        let deaths = self.deaths.iter().filter(|(at, on)| *on == host && (from..=to).contains(at));
        deaths.count() as u64
    }
}

/// When a host is unheard of by a fault.
fn silence(at: u64, fault: &Fault, host: HostNumber) -> Option<Span> {
    let (silent, length) = fault.silences()?;
    silent.is_none_or(|silent| silent == host).then_some((at, at + length + RECOVERY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Strike;

    fn struck(at: u64, fault: Fault, victim: Option<&str>) -> Line {
        Line::Struck { at, strike: Strike { at, fault }, victim: victim.map(str::to_owned) }
    }

    #[test]
    fn a_short_silence_loses_no_lease_and_a_long_one_may() {
        let stop = |length| struck(1_000, Fault::StopAgent { host: 0, length }, None);
        let blame = |length| Blame::of(&[stop(length)], 10_000);
        assert!(!blame(2_000).may_have_lost_lease(0, (0, 60_000)));
        assert!(blame(9_000).may_have_lost_lease(0, (0, 60_000)));
        assert!(!blame(9_000).may_have_lost_lease(1, (0, 60_000)), "another host");
        assert!(!blame(9_000).may_have_lost_lease(0, (30_000, 60_000)), "before the task was there");
    }

    #[test]
    fn silences_that_follow_each_other_closely_are_one() {
        let kill = |at| struck(at, Fault::KillPlane { down: 1_000 }, None);
        let lines: Vec<_> = (0..4).map(|number| kill(number * 3_000)).collect();
        assert!(Blame::of(&lines, 10_000).may_have_lost_lease(1, (0, 60_000)));
    }

    #[test]
    fn only_the_task_whose_agent_was_killed_is_excused() {
        let blame = Blame::of(&[struck(5, Fault::KillTaskAgent { host: 0, pick: 1 }, Some("a"))], 10_000);
        assert!(blame.was_killed("a") && !blame.was_killed("b"));
    }

    #[test]
    fn as_many_deaths_of_a_launch_agent_as_are_borne_may_poison_a_task_that_saw_them() {
        let lines = [struck(100, Fault::KillAgentAgain { host: 1 }, None)];
        let blame = Blame::of(&lines, 10_000);
        assert!(blame.may_be_poisonous(1, (0, 60_000)) && !blame.may_be_buried(1, (0, 60_000)));
        assert!(!blame.may_be_poisonous(1, (150, 60_000)) && !blame.may_be_poisonous(0, (0, 60_000)));
    }
}
