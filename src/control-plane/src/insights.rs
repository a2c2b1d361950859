//! What many runs come to: how often they succeed, how long they take, how soon a failure is mended. Pure.
//!
//! The words and units are those of the public API's insights: durations in seconds, throughput in runs per day, and the
//! mean time to recovery from a failure's end to the end of the next success.

pub(crate) mod flaky;

use protocol::{JobStatus, WorkflowStatus};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{JobRun, WorkflowRun};

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// How one run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Failed,
    Canceled,
}

/// A run of a workflow or a job, as far as numbers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: i64,
    pub(crate) end: End,
}

impl Ran {
    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.ended_ms - self.started_ms).unwrap_or_default() / 1000
    }
}

impl From<&WorkflowRun> for Ran {
    fn from(run: &WorkflowRun) -> Self {
        let end = match run.status {
            WorkflowStatus::Success => End::Success,
            WorkflowStatus::Canceled => End::Canceled,
            _ => End::Failed,
        };
        Self { started_ms: run.started_ms, ended_ms: run.ended_ms, end }
    }
}

impl From<&JobRun> for Ran {
    fn from(run: &JobRun) -> Self {
        let end = match run.status {
            JobStatus::Success => End::Success,
            JobStatus::Canceled => End::Canceled,
            _ => End::Failed,
        };
        Self { started_ms: run.started_ms, ended_ms: run.ended_ms, end }
    }
}

/// How long runs take, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Durations {
    pub(crate) min: u64,
    pub(crate) mean: u64,
    pub(crate) median: u64,
    pub(crate) p95: u64,
    pub(crate) max: u64,
    pub(crate) standard_deviation: f64,
}

/// What runs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Metrics {
    pub(crate) total_runs: u64,
    pub(crate) successful_runs: u64,
    pub(crate) failed_runs: u64,
    pub(crate) success_rate: f64,
    pub(crate) throughput: f64,
    /// Seconds.
    pub(crate) mttr: u64,
    pub(crate) total_recoveries: u64,
    /// Machines of one's own cost none.
    pub(crate) total_credits_used: u64,
    pub(crate) duration_metrics: Durations,
}

impl Metrics {
    /// Of runs in any order, within so many days.
    pub(crate) fn of(runs: &[Ran], days: u32) -> Self {
        let number = |end: End| runs.iter().filter(|run| run.end == end).count() as u64;
        let (total_runs, successful_runs) = (runs.len() as u64, number(End::Success));
        let recoveries = recoveries(runs);
        Self {
            total_runs,
            successful_runs,
            failed_runs: number(End::Failed),
            success_rate: ratio(successful_runs, total_runs),
            throughput: ratio(total_runs, u64::from(days)),
            mttr: recoveries.iter().sum::<u64>() / (recoveries.len() as u64).max(1),
            total_recoveries: recoveries.len() as u64,
            total_credits_used: 0,
            duration_metrics: Durations::of(runs),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// From the end of the first failure of each row of failures to the end of the success that follows, in seconds.
fn recoveries(runs: &[Ran]) -> Vec<u64> {
    let mut ordered: Vec<_> = runs.iter().filter(|run| run.end != End::Canceled).collect();
    ordered.sort_by_key(|run| run.ended_ms);
    let (mut broken, mut mended) = (None, Vec::new());
    for run in ordered {
        match (run.end, broken) {
            (End::Success, Some(since)) => {
                mended.push(u64::try_from(run.ended_ms - since).unwrap_or_default() / 1000);
                broken = None;
            }
            (End::Failed, None) => broken = Some(run.ended_ms),
            _ => {}
        }
    }
    mended
}

impl Durations {
    /// Of the runs that came to an end by themselves.
    fn of(runs: &[Ran]) -> Self {
        let own = runs.iter().filter(|run| run.end != End::Canceled);
        let mut seconds: Vec<u64> = own.map(Ran::seconds).collect();
        seconds.sort_unstable();
        let (Some(min), Some(max)) = (seconds.first(), seconds.last()) else { return Self::default() };
        let mean = ratio(seconds.iter().sum(), seconds.len() as u64);
        Self {
            min: *min,
            mean: seconds.iter().sum::<u64>() / seconds.len() as u64,
            median: rank(&seconds, 50),
            p95: rank(&seconds, 95),
            max: *max,
            standard_deviation: deviation(&seconds, mean),
        }
    }
}

/// The nearest-rank percentile of a sorted list.
fn rank(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(place - 1).copied().unwrap_or_default()
}

fn deviation(seconds: &[u64], mean: f64) -> f64 {
    let square = |one: &u64| (ratio(*one, 1) - mean).powi(2);
    (seconds.iter().map(square).sum::<f64>() / ratio(seconds.len() as u64, 1)).sqrt()
}

/// Runs by the name of what ran, in the order of the names.
pub(crate) fn by_name<'r, R: 'r>(
    runs: &'r [R],
    name: impl Fn(&'r R) -> &'r str,
) -> BTreeMap<&'r str, Vec<Ran>>
where
    Ran: From<&'r R>,
{
    let mut all: BTreeMap<&str, Vec<Ran>> = BTreeMap::new();
    for run in runs {
        all.entry(name(run)).or_default().push(Ran::from(run));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(started: i64, seconds: i64, end: End) -> Ran {
        Ran { started_ms: started * 1000, ended_ms: (started + seconds) * 1000, end }
    }

    #[test]
    fn no_runs_come_to_nothing() {
        assert_eq!(Metrics::of(&[], 90), Metrics::default());
    }

    #[test]
    fn durations_are_of_what_ended_by_itself() {
        let mut runs: Vec<_> = (1..=100).map(|seconds| ran(0, seconds, End::Success)).collect();
        runs.push(ran(0, 100_000, End::Canceled));
        let Durations { min, mean, median, p95, max, standard_deviation } =
            Metrics::of(&runs, 1).duration_metrics;
        assert_eq!((min, mean, median, p95, max), (1, 50, 50, 95, 100));
        assert!((standard_deviation - 28.866).abs() < 0.001, "{standard_deviation}");
    }

    #[test]
    fn a_recovery_is_from_the_first_failure_to_the_next_success() {
        use End::{Canceled, Failed, Success};
        let ends = [Success, Failed, Failed, Canceled, Success, Success, Failed];
        let runs: Vec<_> =
            (0_i32..7).zip(ends).map(|(at, end)| ran(i64::from(at) * 100, 10, end)).rev().collect();
        let metrics = Metrics::of(&runs, 7);
        assert_eq!((metrics.mttr, metrics.total_recoveries), (300, 1));
        assert_eq!((metrics.total_runs, metrics.successful_runs, metrics.failed_runs), (7, 3, 3));
        assert!((metrics.throughput - 1.0).abs() < f64::EPSILON);
    }
}
