//! What is done by itself: leases that ran out are taken back, tasks that nobody takes fail, approvals that nobody gave end, serial groups are served,
//! lost workflows are read again, and those that failed run again where they say so.

use super::{Plane, live::Place};
use crate::engine::task::Event;
use slog::{error, warn};
use std::{sync::Arc, time::Duration};

/// How often leases are looked at: often enough that a lost task is found within an eighth of its lease.
fn period(lease: Duration) -> Duration {
    (lease / 8).clamp(Duration::from_millis(20), Duration::from_secs(2))
}

impl Plane {
    /// Keeps leases and memory until the control plane stops.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut period = tokio::time::interval(period(self.rules.lease));
        let mut closed = std::pin::pin!(self.closed());
        loop {
            tokio::select! {
                () = &mut closed => return,
                _ = period.tick() => {}
                () = self.to_see_to.notified() => {}
            }
            self.expire();
            self.expire_waiting();
            self.expire_approvals();
            self.serve_groups();
            self.read_lost_again().await;
            self.rerun_due();
        }
    }

    fn expire(self: &Arc<Self>) {
        let mut core = self.core();
        let now = self.clock.moment().now;
        let over = |place: &Place, core: &mut super::Core| {
            let live = core.workflow(place.workflow);
            live.is_some_and(|live| live.task(place.job, place.index).machine.has_run_out(now))
        };
        for place in core.held() {
            if !over(&place, &mut core) {
                continue;
            }
            let expired = self.change(&mut core, place.workflow, |live, moment, change| {
                let at = (place.job, place.index);
                live.task_event(at, Event::Tick { now }, (None, None), moment, change);
                live.task(place.job, place.index).id
            });
            if let Some((task, _written)) = expired {
                warn!(self.log, "a lease ran out"; "task" => %task);
            }
        }
    }

    async fn read_lost_again(self: &Arc<Self>) {
        let lost = self.core().lost();
        for workflow in lost {
            if let Err(refusal) = self.restore(workflow).await {
                error!(self.log, "a workflow cannot be read again yet";
                    "workflow" => %workflow, "error" => %refusal);
            }
        }
    }
}
