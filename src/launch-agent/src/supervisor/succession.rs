//! How a launch-agent leaves its tasks to the program that takes its place, and shows meanwhile that it lives.

use super::{HostEvent, HostState, Supervisor, household::Task};
use crate::{lease_keeper::Turning, pulse::Pulse};
use actix::prelude::*;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often tasks are looked at that are just being launched.
const LOOK: Duration = Duration::from_millis(20);
/// How long they are waited for. One that takes longer is given back by the next program, and launched anew.
const PATIENCE: Duration = Duration::from_secs(10);

impl Supervisor {
    /// A host that ends already is not handed over: whoever asked hears so by losing its answer.
    pub(super) fn succeed(&mut self, successor: oneshot::Sender<()>, ctx: &mut Context<Self>) {
        if self.state == HostState::Serving {
            self.successor = Some(successor);
            self.apply(HostEvent::HandOver, ctx);
        }
    }

    /// Claims under way are let go. What one of them has brought already is still in the mailbox.
    pub(super) fn hand_over(&mut self, ctx: &mut Context<Self>) {
        self.tokens.iter_mut().for_each(|token| token.poller = None);
        let until = Instant::now() + PATIENCE;
        ctx.run_later(LOOK, move |supervisor, ctx| supervisor.settle(until, ctx));
    }

    fn settle(&mut self, until: Instant, ctx: &mut Context<Self>) {
        let is_launching = self.is_adopting || self.tasks.values().any(Task::is_launched_now);
        if !is_launching || Instant::now() >= until {
            return self.apply(HostEvent::Settled, ctx);
        }
        self.tasks.values().for_each(Task::ask);
        ctx.run_later(LOOK, move |supervisor, ctx| supervisor.settle(until, ctx));
    }

    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        // Whoever waited may have gone.
        let _ = self.successor.take().map(|successor| successor.send(()));
        ctx.stop();
    }

    /// Answered only if every LeaseKeeper answers that it is at work. One that failed is being started again: that is
    /// supervision at work.
    pub(super) fn pulse(&self, answer: oneshot::Sender<Pulse>, ctx: &mut Context<Self>) {
        let pulse = Pulse {
            is_ready: !self.is_adopting,
            is_ending: matches!(self.state, HostState::Draining | HostState::Stopping),
            tasks: self.tasks.len(),
            slots: self.slots.total(),
            trouble: self.trouble(),
        };
        let keepers = self.tokens.iter().filter_map(|token| token.keeper.as_ref());
        let turning = join_all(keepers.map(|keeper| keeper.addr().send(Turning)));
        ctx.spawn(turning.into_actor(self).map(|turning, _, _| {
            if turning.into_iter().all(|turns| turns.unwrap_or(true)) {
                // Whoever asked may have gone.
                let _ = answer.send(pulse);
            }
        }));
    }

    fn trouble(&self) -> Option<String> {
        let paused = self.admission.why_closed().map(|why| format!("claiming nothing: {why}"));
        paused.or_else(|| self.tokens.iter().find_map(|token| token.reason.clone()))
    }
}
