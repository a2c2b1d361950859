//! What the newer `circleci` command line (1.x) asks: runs, workflows, jobs and users, in the shapes of the public API v3.
//! A run is a pipeline.
//!
//! ```text
//! runs ─▶ workflows ─▶ jobs ─▶ executions (our tasks) ─▶ steps ─▶ output
//! ```

mod condensed;
mod filter;
mod jobs;
mod output;
mod phases;
mod runs;
mod shapes;
mod users;
mod workflows;

pub(super) use jobs::{action, command};

use actix_web::web::ServiceConfig;

/// What fuzzing reaches of this.
#[cfg(fuzzing)]
pub(super) fn fuzzed(expression: &str) {
    let _ = filter::Filter::read(expression);
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .configure(runs::routes)
        .configure(workflows::routes)
        .configure(output::routes)
        .configure(jobs::routes)
        .configure(users::routes);
}
