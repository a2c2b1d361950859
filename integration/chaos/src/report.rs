//! What a run came to, as a page.

use crate::{oracle::Verdict, run::Order};
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

/// A run's report.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    minutes: f64,
    history: PathBuf,
    kinds: BTreeMap<&'static str, u64>,
    pipelines: u64,
    verdict: Verdict,
    took: Duration,
}

impl Report {
    /// Of this order, by the faults that were done and the verdict.
    pub fn of(
        order: &Order,
        kinds: BTreeMap<&'static str, u64>,
        pipelines: u64,
        verdict: Verdict,
        took: Duration,
    ) -> Self {
        let (seed, history) = (order.seed, order.history.clone());
        let minutes = Duration::from_millis(order.length).as_secs_f64() / 60.0;
        Self { seed, minutes, history, kinds, pipelines, verdict, took }
    }

    /// Whether nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.verdict.wrong.is_empty()
    }

    /// How many faults were done.
    pub fn faults(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// One line.
    pub fn summary(&self) -> String {
        let Verdict { jobs, excused, bytes, wrong } = &self.verdict;
        let state =
            if self.is_clean() { "clean".to_owned() } else { format!("{} THINGS WRONG", wrong.len()) };
        format!(
            "seed {}: {state}; {} faults, {jobs} jobs, {excused} tasks lost as the faults excuse, {bytes} bytes compared, {} s",
            self.seed,
            self.faults(),
            self.took.as_secs()
        )
    }

    /// What is wrong, and how to see it again.
    pub fn failure(&self) -> String {
        let wrong = self.verdict.wrong.join("\n  ");
        let (history, seed, minutes) = (self.history.display(), self.seed, self.minutes);
        format!(
            "{wrong}\nThe history is in {history}, the programs' logs beside it.\n\
             Once more: scripts/chaos --seed {seed} --minutes {minutes}, or with fewer faults after editing the history: \
             scripts/chaos --replay {history}"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { jobs, excused, bytes, wrong } = &self.verdict;
        writeln!(f, "| | |\n|---|---:|")?;
        writeln!(f, "| seed | {} |", self.seed)?;
        writeln!(f, "| minutes of faults | {} |", self.minutes)?;
        writeln!(f, "| duration, with the drain and the judgment | {} s |", self.took.as_secs())?;
        writeln!(f, "| faults | {} |", self.faults())?;
        writeln!(f, "| pipelines | {} |", self.pipelines)?;
        writeln!(f, "| jobs | {jobs} |")?;
        writeln!(f, "| tasks lost to the machinery, each excused by a fault | {excused} |")?;
        writeln!(f, "| bytes of logs and artifacts compared | {bytes} |")?;
        writeln!(f, "| **things wrong** | **{}** |\n", wrong.len())?;
        writeln!(f, "| fault | times |\n|---|---:|")?;
        for (kind, times) in &self.kinds {
            writeln!(f, "| {kind} | {times} |")?;
        }
        Ok(())
    }
}
