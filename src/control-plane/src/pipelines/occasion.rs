//! Why a pipeline is made, as far as something is to be remembered of it.

use protocol::pipeline::Pipeline as Compiled;
use store::{Fired, ProjectId, Write};

/// So many schedules of a configuration count.
const MOST_SCHEDULES: usize = 100;

/// What had a pipeline made.
#[derive(Debug)]
pub(crate) enum Occasion {
    /// A push to this branch: what of it starts by the clock from now on.
    Push(String),
    /// Something was due at this minute.
    Fired(Fired, i64),
    /// Anything else.
    Other,
}

impl Occasion {
    pub(super) fn writes(self, project: ProjectId, compiled: &Compiled, at_ms: i64) -> Vec<Write> {
        match self {
            Self::Push(branch) => {
                let schedules = compiled.schedules.iter().take(MOST_SCHEDULES).cloned().collect();
                vec![Write::ScheduledWorkflows { project, branch, schedules, at_ms }]
            }
            Self::Fired(what, minute_ms) => vec![Write::Fired(what, minute_ms)],
            Self::Other => Vec::new(),
        }
    }
}

/// What is said of a configuration with more schedules than count.
pub(super) fn too_many(compiled: &Compiled, path: &str) -> Option<String> {
    let is_over = compiled.schedules.len() > MOST_SCHEDULES;
    is_over.then(|| format!("{path}: warning: only its first {MOST_SCHEDULES} schedules count\n"))
}
