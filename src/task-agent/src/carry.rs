//! What must leave the host or come to it goes through the launch-agent: this is how a step asks.

use protocol::frame::{Answer, Wanted};
use std::fs::File;

/// The task is being ended: no answer will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task is being ended")]
pub(crate) struct Ended;

/// Carries requests to the launch-agent and its answers back, over its restarts.
pub(crate) trait Carry: Send + Sync {
    /// Asks, and waits for the answer as long as it takes. Any number of threads may ask at once.
    fn ask(&self, wanted: Wanted, file: Option<File>) -> Result<(Answer, Option<File>), Ended>;
}
