//! Why a pipeline is made, as far as something is to be remembered of it.

use protocol::pipeline::Pipeline as Compiled;
use store::{Fired, ProjectId, Write};

/// So many schedules of a configuration count.
const MOST_SCHEDULES: usize = 100;

/// What had a pipeline made.
#[derive(Debug)]
pub(crate) enum Occasion {
    /// A webhook's event, by which it is remembered; of a push to a branch, what of it starts by the clock from now on.
    Told { seen: Box<Write>, pushed: Option<String> },
    /// Something was due at this minute.
    Fired(Fired, i64),
    /// Anything else.
    Other,
}

impl Occasion {
    pub(super) fn writes(self, project: ProjectId, compiled: &Compiled, at_ms: i64) -> Vec<Write> {
        match self {
            Self::Told { seen, pushed } => {
                let schedules = || compiled.schedules.iter().take(MOST_SCHEDULES).cloned().collect();
                let of_branch =
                    |branch| Write::ScheduledWorkflows { project, branch, schedules: schedules(), at_ms };
                [Some(*seen), pushed.map(of_branch)].into_iter().flatten().collect()
            }
            Self::Fired(what, minute_ms) => vec![Write::Fired(what, minute_ms)],
            Self::Other => Vec::new(),
        }
    }

    /// What is remembered of it where its pipeline is one in error.
    pub(crate) fn in_error(&self) -> Vec<Write> {
        match self {
            Self::Told { seen, .. } => vec![Write::clone(seen)],
            Self::Fired(what, minute_ms) => vec![Write::Fired(what.clone(), *minute_ms)],
            Self::Other => Vec::new(),
        }
    }
}

/// What is said of a configuration with more schedules than count.
pub(super) fn too_many(compiled: &Compiled, path: &str) -> Option<String> {
    let is_over = compiled.schedules.len() > MOST_SCHEDULES;
    is_over.then(|| format!("{path}: warning: only its first {MOST_SCHEDULES} schedules count\n"))
}
