//! What administrators say of the queue: whose tasks go first, and how many may run at once.

use serde::{Deserialize, Serialize};

/// A project's part in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectRules {
    /// Its tasks go before all of a lower one; 0 where nothing was said.
    pub priority: i32,
    /// At most so many of its tasks run at once; none: any number.
    pub max_tasks: Option<u32>,
    /// Whether a push cancels what still runs of earlier pipelines of its branch, unless that is the default one.
    pub cancel_redundant: bool,
}

/// A resource class's part in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLimit {
    /// At most so many tasks of it run at once, whatever its runners have room for; none: any number.
    pub max_tasks: Option<u32>,
}
