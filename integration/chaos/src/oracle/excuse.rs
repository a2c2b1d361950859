//! What excuses a task that did not go its way: its own words, borne out by the history. Pure.

use crate::{
    blame::{Blame, Span},
    seen::TaskSeen,
};

/// The names of the hosts, in order.
pub const HOST_NAMES: [&str; 2] = ["one", "two"];

/// What may have become of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excuse {
    /// Its host's disk failed under it: its log may have gaps, and its steps may have failed.
    pub(super) spoiled: bool,
    lost: bool,
}

impl Excuse {
    pub(super) fn of(task: &TaskSeen, span: Span, blame: &Blame) -> Self {
        // One that nobody holds any more was on any of them.
        let hosts: Vec<_> = match HOST_NAMES.iter().position(|name| *name == task.runner) {
            Some(host) => vec![host],
            None => vec![0, 1],
        };
        let any = |asked: &dyn Fn(usize) -> bool| hosts.iter().any(|host| asked(*host));
        let spoiled = any(&|host| blame.was_spoiled(host, span));
        let lost = match task.message.as_str() {
            message if message.contains("the task-agent ended before the task did") => {
                blame.was_killed(&task.id)
            }
            message if message.contains("its lease ran out") => {
                any(&|host| blame.may_have_lost_lease(host, span) || blame.may_be_buried(host, span))
            }
            message if message.contains("failed again and again") => {
                any(&|host| blame.may_be_given_up(host, span))
            }
            message if message.contains("present at") => any(&|host| blame.may_be_poisonous(host, span)),
            _ => blame.was_killed(&task.id),
        };
        Self { spoiled, lost }
    }

    pub(super) fn allows(self, outcome: &str) -> bool {
        match outcome {
            "infrastructure_fail" => self.lost || self.spoiled,
            "failed" => self.spoiled,
            _ => false,
        }
    }
}
