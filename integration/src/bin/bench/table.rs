//! The table that the bench prints, and the statistics in it.

use std::time::Duration;

/// One measured budget.
pub(crate) struct Row {
    /// What was done.
    pub(crate) work: String,
    /// What it took here.
    pub(crate) ours: String,
    /// What the thing itself takes without us, in this run.
    pub(crate) floor: String,
    /// Ours by the floor's, where that says something.
    pub(crate) ratio: Option<f64>,
    /// What the design asks for.
    pub(crate) budget: &'static str,
}

/// Prints the head of the table.
pub(crate) fn head() {
    println!("| work | here | floor | ratio | budget |\n|---|---|---|---|---|");
}

/// Prints one row.
pub(crate) fn print(row: &Row) {
    let ratio = row.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.1}"));
    println!("| {} | {} | {} | {ratio} | {} |", row.work, row.ours, row.floor, row.budget);
}

/// Some durations, for their median and their tail.
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// At least one.
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        Self(samples)
    }

    /// The duration that `percent` of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }

    /// `p50 1.7 ms, p99 3.2 ms`.
    pub(crate) fn told(&self) -> String {
        format!("p50 {}, p99 {}", milliseconds(self.percentile(50)), milliseconds(self.percentile(99)))
    }
}

/// `1.7 ms`.
pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// `1.7 MiB`.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

/// How many times one is the other.
pub(crate) fn ratio(ours: Duration, floor: Duration) -> Option<f64> {
    (!floor.is_zero()).then(|| ours.as_secs_f64() / floor.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_samples() {
        let samples = Samples::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(samples.percentile(50), Duration::from_millis(50));
        assert_eq!(samples.percentile(99), Duration::from_millis(99));
        assert_eq!(samples.told(), "p50 50.0 ms, p99 99.0 ms");
    }
}
