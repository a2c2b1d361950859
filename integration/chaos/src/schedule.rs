//! The adversary's plan: which fault at which moment, as the seed has it. Pure.

use crate::{
    fault::{Fault, HostNumber, POINTS, Point, Route, Tampering},
    random::Random,
};
use serde::{Deserialize, Serialize};

/// A fault at its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Milliseconds after the adversary began.
    pub at: u64,
    /// What goes wrong.
    pub fault: Fault,
}

/// How many hosts there are.
pub const HOSTS: usize = 2;
/// How long a lease lasts.
pub const LEASE: u64 = 10_000;
/// Between two strikes, at most.
const PACE: u64 = 700;
/// What the house absorbs of panics of one actor is said per minute.
const WINDOW: u64 = 70_000;
/// Disks need time to be mended.
const DISK_REST: u64 = 12_000;

/// All strikes of a run.
pub fn plan(seed: u64, length: u64) -> Vec<Strike> {
    let mut planner =
        Planner { random: Random::part(seed, 0), plan: Vec::new(), disks: 0, disks_rest_until: 8_000 };
    let mut at = 1_000;
    while at < length {
        let fault = planner.fault(at);
        planner.plan.push(Strike { at, fault });
        at += planner.random.within(20, PACE);
    }
    planner.plan
}

struct Planner {
    random: Random,
    plan: Vec<Strike>,
    /// How many were struck.
    disks: u64,
    disks_rest_until: u64,
}

impl Planner {
    fn fault(&mut self, at: u64) -> Fault {
        match self.random.within(0, 205) {
            0..108 => self.tamper(),
            108..140 => self.panic(at),
            140..148 => Fault::KillAgent { host: self.host(), down: self.random.within(50, 1_500) },
            148..152 => Fault::ReloadAgent { host: self.host() },
            152..158 => Fault::StopAgent { host: self.host(), length: self.pause() },
            158..163 => Fault::KillTaskAgent { host: self.host(), pick: self.random.next() },
            163..175 => self.stop_task_agent(),
            175..182 => Fault::KillPlane { down: self.random.within(50, 1_500) },
            182..185 => Fault::StopPlane { length: self.random.within(50, 2_000) },
            185..189 => Fault::Cut { host: self.host(), length: self.pause() },
            189..191 => Fault::Silence { host: self.host(), length: self.pause() },
            191..195 => Fault::Clock { by: self.jump() },
            195..200 => self.disk(at),
            200..203 => Fault::Unwell { host: self.host(), length: self.pause() },
            _ => Fault::KillAgentAgain { host: self.host() },
        }
    }

    fn host(&mut self) -> HostNumber {
        self.random.pick(&[0, 1])
    }

    /// Mostly short; now and then longer than a lease.
    fn pause(&mut self) -> u64 {
        if self.random.chance(4) { LEASE + LEASE / 2 } else { self.random.within(50, 2_500) }
    }

    fn jump(&mut self) -> i64 {
        let minutes = i64::try_from(self.random.within(1, 300)).unwrap_or(1);
        if self.random.chance(50) { minutes * 60_000 } else { minutes * -60_000 }
    }

    fn tamper(&mut self) -> Fault {
        let how = match self.random.within(0, 10) {
            0 => Tampering::CutBefore,
            1 => Tampering::CutAfter,
            2 => Tampering::HalfRequest,
            3 => Tampering::HalfAnswer,
            4 => Tampering::Late { by: self.random.within(20, 3_000) },
            5 => Tampering::HalfOpen { length: self.random.within(500, 4_000) },
            6 | 7 => Tampering::Status { status: self.random.pick(&[500, 502, 503, 504]) },
            _ => Tampering::Twice,
        };
        Fault::Tamper { host: self.host(), route: self.random.pick(&Route::ALL), how }
    }

    fn stop_task_agent(&mut self) -> Fault {
        Fault::StopTaskAgent {
            host: self.host(),
            pick: self.random.next(),
            length: self.random.within(50, 3_000),
        }
    }

    /// As often as the house promises to absorb, and no more: beyond that a task may be lost.
    fn panic(&mut self, at: u64) -> Fault {
        let (host, point) = (self.host(), Point(self.random.pick(POINTS).to_owned()));
        let most = if point.actor() == "task" { 2 } else { 4 };
        let recent = self.plan.iter().filter(|strike| strike.at + WINDOW > at);
        let same = recent.filter(|strike| {
            matches!(&strike.fault, Fault::Panic { host: other, point: earlier }
                if *other == host && earlier.actor() == point.actor())
        });
        if same.count() < most { Fault::Panic { host, point } } else { self.tamper() }
    }

    /// One disk at a time, and each way in its turn.
    fn disk(&mut self, at: u64) -> Fault {
        if at < self.disks_rest_until {
            return self.tamper();
        }
        self.disks_rest_until = at + DISK_REST;
        let (host, length) = (self.host(), self.random.within(500, 3_000));
        self.disks += 1;
        match self.disks % 7 {
            0 => Fault::FullPlane { length },
            1 => Fault::ReadOnlyPlane { length },
            2 | 3 => Fault::PowerCutPlane { down: length },
            4 => Fault::FullHost { host, length },
            5 => Fault::ReadOnlyHost { host, length },
            _ => Fault::PowerCutHost { host, down: length },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn a_seed_has_one_plan_in_order_and_within_its_time(seed: u64) {
            let plan = plan(seed, 60_000);
            proptest::prop_assert_eq!(&plan, &super::plan(seed, 60_000));
            proptest::prop_assert!(plan.windows(2).all(|pair| pair[0].at < pair[1].at));
            proptest::prop_assert!(plan.iter().all(|strike| strike.at < 60_000));
        }

        #[test]
        fn no_actor_panics_more_often_than_the_house_absorbs(seed: u64) {
            let plan = plan(seed, 300_000);
            for (place, strike) in plan.iter().enumerate() {
                let Fault::Panic { host, point } = &strike.fault else { continue };
                let within = plan[place..].iter().take_while(|later| later.at < strike.at + 60_000);
                let same = within.filter(|later| matches!(&later.fault,
                    Fault::Panic { host: other, point: again } if other == host && again.actor() == point.actor()));
                let most = if point.actor() == "task" { 3 } else { 5 };
                proptest::prop_assert!(same.count() <= most);
            }
        }
    }

    #[test]
    fn ten_minutes_have_a_thousand_faults_of_every_kind() {
        let plan = plan(1, 600_000);
        let kinds: BTreeSet<_> = plan.iter().map(|strike| strike.fault.name()).collect();
        assert!(plan.len() > 1_000, "{}", plan.len());
        assert_eq!(kinds.len(), 27, "{kinds:#?}");
    }
}
