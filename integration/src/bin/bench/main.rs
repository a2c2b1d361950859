//! The budgets, measured: every row beside its floor in the same run.
//!
//! Wall times depend on the machine and on who else uses it: read the ratios.

mod adoption;
mod checkout;
mod compile;
mod containers;
mod dispatch;
mod fleet;
mod flood;
mod follow;
mod held;
mod leases;
mod masking;
mod memory;
mod stored;
mod table;

#[path = "../../../tests/it/containers/images.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "tests use more of it, and fail by panicking, as the bench does"
)]
mod images;
#[path = "../../../../src/containers/tests/it/podman.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "tests use more of it, and fail by panicking, as the bench does"
)]
mod podman;

use std::process::ExitCode;
use table::Row;

/// How much of each to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Repetitions of short things.
    pub(crate) samples: usize,
    /// Jobs of one workflow.
    pub(crate) jobs: usize,
    /// Bytes of output of one job.
    pub(crate) output: u64,
    /// Tasks running at once.
    pub(crate) tasks: usize,
    /// Tasks that outlive their launch-agent.
    pub(crate) adopted: usize,
    /// Tasks in containers at once.
    pub(crate) contained: usize,
    /// Files of a cache; a fifth as many artifacts.
    pub(crate) files: usize,
    /// Claims held open at once.
    pub(crate) held: usize,
}

const FULL: Scale = Scale {
    samples: 200,
    jobs: 1000,
    output: 1 << 30,
    tasks: 500,
    adopted: 100,
    contained: 50,
    files: 50_000,
    held: 10_000,
};
const QUICK: Scale = Scale {
    samples: 20,
    jobs: 50,
    output: 64 << 20,
    tasks: 20,
    adopted: 20,
    contained: 10,
    files: 5_000,
    held: 500,
};

/// Measures some rows.
type Measure = fn(Scale) -> Vec<Row>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let scale = if words.iter().any(|word| word == "--quick") { QUICK } else { FULL };
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let rows: [(&str, Measure); 13] = [
        ("dispatch", dispatch::rows),
        ("jobs", fleet::rows),
        ("output", flood::rows),
        ("memory", memory::rows),
        ("leases", leases::rows),
        ("adoption", adoption::rows),
        ("compile", compile::rows),
        ("containers", containers::rows),
        ("masking", masking::rows),
        ("artifacts", stored::artifacts),
        ("cache", stored::cache),
        ("checkout", checkout::rows),
        ("held", held::rows),
    ];
    if let Some(unknown) = wanted.iter().find(|word| rows.iter().all(|(name, _)| name != **word)) {
        eprintln!(
            "bench: there is no row `{unknown}`: dispatch, jobs, output, memory, leases, adoption, compile, containers, masking, artifacts, cache, checkout, held [--quick]"
        );
        return ExitCode::from(2);
    }
    table::head();
    for (name, rows) in rows {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            rows(scale).iter().for_each(table::print);
        }
    }
    ExitCode::SUCCESS
}
