//! Whether a host takes more tasks, and why not. Pure: what was measured comes in, reasons come out.
//!
//! What was a reason stays one until there is clearly more room again, or the operator's check was content twice in a
//! row: a host at its limit does not stop and start at each look.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// What is too little and what is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// `runner.min_free`, in bytes; 0: any.
    pub(crate) min_free: u64,
    /// `runner.min_memory`, in bytes; 0: any.
    pub(crate) min_memory: u64,
    /// `runner.max_zombies`.
    pub(crate) max_zombies: u64,
}

/// What one look found. What could not be found out is not there, and no reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Free bytes of the disk under each of the launch-agent's directories.
    Disk(Vec<(PathBuf, u64)>),
    /// Bytes of memory that more work could use.
    Memory(u64),
    /// Processes that ended and that nobody asked how.
    Zombies(u64),
    /// What the operator's check came to: content, or why not.
    Check(Result<(), String>),
    /// Nothing came for so long.
    Silence(Duration),
}

/// What keeps a host from claiming.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Of the disk under this directory.
    Disk(PathBuf),
    Memory,
    Zombies,
    Check,
    /// Nobody can say how the host is.
    Silence,
}

/// How a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    bounds: Bounds,
    reasons: BTreeMap<Cause, String>,
    /// How often in a row the check was content since it last was not.
    content: u32,
    /// Whether all that is looked at was looked at once.
    is_known: bool,
    awaits_check: bool,
}

/// What a reading changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Reasons that were none before.
    pub(crate) began: Vec<String>,
    /// Whether the last reason is gone.
    pub(crate) is_over: bool,
}

/// What there has to be more of than the bound before it is enough again: this part of it.
const MARGIN: u64 = 8;
/// So often in a row a check that was not content has to be.
const CONTENT: u32 = 2;

impl Health {
    /// Of a host that nobody has looked at; `has_check`: the operator's check has a word in it.
    pub(crate) fn unknown(bounds: Bounds, has_check: bool) -> Self {
        Self { bounds, reasons: BTreeMap::new(), content: CONTENT, is_known: false, awaits_check: has_check }
    }

    /// Whether tasks may be claimed.
    pub(crate) fn is_good(&self) -> bool {
        self.is_known && !self.awaits_check && self.reasons.is_empty()
    }

    /// Why none are, for people.
    pub(crate) fn why(&self) -> Option<String> {
        let reasons: Vec<&str> = self.reasons.values().map(String::as_str).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Takes what was found.
    pub(crate) fn take(&mut self, reading: Reading) -> Change {
        let was_good = self.reasons.is_empty();
        let mut change = Change::default();
        if !matches!(reading, Reading::Silence(_)) {
            self.reasons.remove(&Cause::Silence);
        }
        for (cause, reason) in self.judged(reading) {
            match reason {
                None => drop(self.reasons.remove(&cause)),
                Some(reason) => {
                    if self.reasons.insert(cause, reason.clone()).is_none() {
                        change.began.push(reason);
                    }
                }
            }
        }
        change.is_over = !was_good && self.reasons.is_empty();
        change
    }

    fn judged(&mut self, reading: Reading) -> Vec<(Cause, Option<String>)> {
        match reading {
            Reading::Disk(disks) => {
                self.is_known = true;
                disks.into_iter().map(|(path, free)| self.disk(path, free)).collect()
            }
            Reading::Memory(left) => vec![(Cause::Memory, self.memory(left))],
            Reading::Zombies(count) => vec![(Cause::Zombies, self.zombies(count))],
            Reading::Check(said) => vec![(Cause::Check, self.checked(said))],
            Reading::Silence(time) => {
                let reason = format!("this host's health has not been seen for {} s", time.as_secs());
                vec![(Cause::Silence, Some(reason))]
            }
        }
    }

    fn disk(&self, path: PathBuf, free: u64) -> (Cause, Option<String>) {
        let wanted = self.bounds.min_free;
        let place = path.display();
        let reason = format!("{place} has {} free, runner.min_free is {}", size(free), size(wanted));
        let cause = Cause::Disk(path);
        let is_low = self.is_low(&cause, free, wanted);
        (cause, is_low.then_some(reason))
    }

    fn memory(&self, left: u64) -> Option<String> {
        let wanted = self.bounds.min_memory;
        let reason = || format!("{} of memory are left, runner.min_memory is {}", size(left), size(wanted));
        self.is_low(&Cause::Memory, left, wanted).then(reason)
    }

    fn is_low(&self, cause: &Cause, has: u64, wanted: u64) -> bool {
        let margin = if self.reasons.contains_key(cause) { wanted / MARGIN } else { 0 };
        has < wanted.saturating_add(margin)
    }

    fn zombies(&self, count: u64) -> Option<String> {
        let allowed = self.bounds.max_zombies;
        let margin = if self.reasons.contains_key(&Cause::Zombies) { (allowed / MARGIN).max(1) } else { 0 };
        let reason = || format!("{count} zombies are on this host, runner.max_zombies is {allowed}");
        (count > allowed.saturating_sub(margin)).then(reason)
    }

    fn checked(&mut self, said: Result<(), String>) -> Option<String> {
        self.awaits_check = false;
        match said {
            Ok(()) => self.content = self.content.saturating_add(1),
            Err(_) => self.content = 0,
        }
        let before = || self.reasons.get(&Cause::Check).cloned();
        said.err().or_else(|| if self.content < CONTENT { before() } else { None })
    }
}

/// `1.5 GiB`, `12 MiB`, `700 bytes`.
fn size(bytes: u64) -> String {
    let unit = [("GiB", 30), ("MiB", 20), ("KiB", 10)].into_iter().find(|(_, bits)| bytes >> bits > 0);
    match unit {
        Some((name, bits)) => format!("{:.1} {name}", bytes as f64 / (1_u64 << bits) as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reading::*;

    const BOUNDS: Bounds = Bounds { min_free: 800, min_memory: 80, max_zombies: 16 };

    fn disk(free: u64) -> Reading {
        Disk(vec![("/a".into(), 10_000), ("/b".into(), free)])
    }

    fn failing(why: &str) -> Reading {
        Check(Err(why.to_owned()))
    }

    /// Each reading, whether tasks may be claimed after it, and what is told of it.
    fn table(readings: Vec<Reading>) -> String {
        let has_check = readings.iter().any(|reading| matches!(reading, Check(_)));
        let mut health = Health::unknown(BOUNDS, has_check);
        let line = |reading: Reading| {
            let name = format!("{reading:?}");
            let Change { began, is_over } = health.take(reading);
            let told = if is_over { vec!["over".to_owned()] } else { began };
            format!("{name}: {} {}\n", if health.is_good() { "claims" } else { "pauses" }, told.join(", "))
        };
        readings.into_iter().map(line).collect()
    }

    #[test]
    fn the_table_is_the_documented_one() {
        insta::assert_snapshot!(table(vec![
            Memory(1 << 40),
            disk(800),
            disk(799),
            disk(700),
            disk(899),
            disk(900),
            Memory(79),
            Memory(89),
            Memory(90),
            Zombies(16),
            Zombies(17),
            Zombies(15),
            Zombies(14),
            Silence(Duration::from_secs(31)),
            Memory(90),
        ]));
        insta::assert_snapshot!(table(vec![
            disk(900),
            Check(Ok(())),
            failing("no network"),
            failing("no network at all"),
            Check(Ok(())),
            failing("again"),
            Check(Ok(())),
            Memory(10),
            Check(Ok(())),
            Memory(90),
        ]));
    }

    #[test]
    fn all_reasons_are_told_together_and_the_latest_numbers() {
        let mut health = Health::unknown(BOUNDS, false);
        health.take(disk(700));
        health.take(disk(5));
        health.take(Memory(3 << 20));
        health.take(Zombies(99));
        let why = "/b has 5 bytes free, runner.min_free is 800 bytes; 99 zombies are on this host, runner.max_zombies is 16";
        assert_eq!(health.why().as_deref(), Some(why));
    }

    #[test]
    fn a_bound_of_nothing_is_none() {
        let mut health = Health::unknown(Bounds { min_free: 0, min_memory: 0, max_zombies: u64::MAX }, false);
        health.take(disk(0));
        health.take(Memory(0));
        health.take(Zombies(u64::MAX));
        assert!(health.is_good());
    }

    #[test]
    fn sizes_are_told_in_their_unit() {
        assert_eq!([size(700), size(1536), size(3 << 30)], ["700 bytes", "1.5 KiB", "3.0 GiB"]);
    }
}
