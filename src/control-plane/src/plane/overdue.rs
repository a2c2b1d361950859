//! Tasks that nobody takes: after a time they fail, and say why they waited.

use super::{Plane, core::Core, live::Place};
use crate::engine::task::{Event, State};
use slog::warn;
use std::{sync::Arc, time::Duration};

impl Plane {
    /// Fails the tasks that have waited for too long.
    pub(super) fn expire_waiting(self: &Arc<Self>) {
        let Some(longest) = self.rules.queue_timeout else { return };
        let longest_ms = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.clock.wall_ms().saturating_sub(longest_ms);
        let overdue = self.core().waiting_since_before(before_ms);
        for place in overdue {
            self.fail_overdue(place, longest);
        }
    }

    fn fail_overdue(self: &Arc<Self>, place: Place, longest: Duration) {
        let asked = self
            .core()
            .workflow(place.workflow)
            .and_then(|live| Some((live.jobs[place.job].want()?, live.pipeline.project)));
        let Some((want, project)) = asked else { return };
        let busy = || format!("all runners of {} are busy", want.class);
        let why = self.why_it_waits(&want, project).unwrap_or_else(busy);
        let message = format!("it waited for {} and nobody took it: {why}", shown(longest));
        let mut core = self.core();
        let failed = self.change(&mut core, place.workflow, |live, moment, change| {
            let at = (place.job, place.index);
            live.task_event(at, Event::Overdue, (None, Some(message.clone())), moment, change);
            live.task(place.job, place.index).id
        });
        if let Some((task, _written)) = failed {
            warn!(self.log, "a task waited too long"; "task" => %task, "because" => why);
        }
    }
}

impl Core {
    fn waiting_since_before(&self, before_ms: i64) -> Vec<Place> {
        let mut overdue = Vec::new();
        for (workflow, live) in self.running_workflows() {
            for (job, entry) in live.jobs.iter().enumerate() {
                let is_overdue = |task: &super::live::LiveTask| {
                    task.machine.state == State::Queued && task.queued_ms < before_ms
                };
                let tasks = entry.tasks.iter().enumerate().filter(|(_, task)| is_overdue(task));
                overdue.extend(tasks.map(|(index, _)| Place { workflow: *workflow, job, index }));
            }
        }
        overdue
    }
}

/// In the largest units that fit.
fn shown(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
