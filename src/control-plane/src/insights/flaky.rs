//! Tests that failed and passed on one and the same revision: they say nothing of the code.

use crate::{plane::Plane, refusal::Refusal};
use protocol::former::FailedTest;
use std::collections::BTreeMap;
use store::{Elsewhere, FailedRun, Past};

/// So many of the newest runs with failures are looked at.
const MOST_RUNS: u32 = 200;

/// A test that said both.
#[derive(Debug)]
pub(crate) struct Flaky {
    pub(crate) test: FailedTest,
    /// How often it failed where it also passed.
    pub(crate) times: u64,
    /// The newest run in which it failed, without its failures.
    pub(crate) last: FailedRun,
}

/// Those of a project (of a branch alone, if one is named) since then, the flakiest first.
pub(crate) async fn flaky(
    plane: &Plane,
    project: &str,
    branch: Option<&str>,
    since_ms: i64,
) -> Result<Vec<Flaky>, Refusal> {
    let past = Past { project, workflow: None, branch, since_ms, most: MOST_RUNS };
    let mut found: BTreeMap<(String, String, String), Flaky> = BTreeMap::new();
    for mut failed in plane.store.failed_runs(past).await? {
        // Each flaky test has a copy of its run, which would have a copy of all that failed in it.
        let failures = std::mem::take(&mut failed.failures);
        let elsewhere = Elsewhere { project, revision: &failed.revision, name: &failed.name, job: failed.id };
        for test in plane.store.passed_elsewhere(&failures, elsewhere).await? {
            let key = (failed.name.clone(), test.classname.clone(), test.name.clone());
            // The newest come first.
            found.entry(key).or_insert_with(|| Flaky { test, times: 0, last: failed.clone() }).times += 1;
        }
    }
    let mut all: Vec<_> = found.into_values().collect();
    all.sort_by_key(|flaky| std::cmp::Reverse(flaky.times));
    Ok(all)
}
