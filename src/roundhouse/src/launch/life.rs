//! One launch-agent within its process: what it is told by signals, and what its service manager is told of it.

use super::reports::Reports;
use crate::{
    failure::causes,
    logging::Log,
    notify::Notifier,
    orders::{Order, Orders},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use launch_agent::{Finished, Handle, Program, config::Settings};
use slog::{error, info, warn};
use std::pin::pin;

/// A launch-agent that runs.
pub(super) struct Life<'a> {
    pub(super) handle: Handle,
    pub(super) log: Log,
    pub(super) settings: &'a Settings,
    pub(super) program: &'a Program,
    pub(super) notifier: &'a Notifier,
}

/// How it closes.
pub(super) enum Close {
    /// It is over, and the process with it.
    Over(Finished),
    /// Its actors have ended, its tasks go on.
    HandedOver,
}

impl Life<'_> {
    /// To its close. What came for an earlier one in this process holds for this one too.
    pub(super) async fn live(&self, orders: &mut Orders) -> Close {
        (1..=orders.endings()).for_each(|times| self.end(times));
        let mut over = pin!(self.handle.finished());
        let mut reports = pin!(Reports::new(self.notifier).send(&self.handle, &self.log));
        let mut reloads = FuturesUnordered::new();
        loop {
            let is_reloading = !reloads.is_empty();
            tokio::select! {
                // The end of one that is handed over is no end of the process.
                biased;
                Some(reloaded) = reloads.next() => match reloaded {
                    Ok(()) => {
                        over.await;
                        return Close::HandedOver;
                    }
                    Err(why) => self.not_reloaded(why),
                },
                end = &mut over => return Close::Over(end),
                order = orders.next(is_reloading) => match order {
                    Order::End(times) => self.end(times),
                    Order::Reload => reloads.push(self.reload()),
                },
                never = &mut reports => match never {},
            }
        }
    }

    fn end(&self, times: u32) {
        self.notifier.stopping();
        if times == 1 {
            info!(self.log, "claiming no more; ending once every task is over");
            self.handle.drain();
        } else {
            warn!(self.log, "ending every task now");
            self.handle.stop_now();
        }
    }

    /// Lets go of its tasks if what takes this program's place would take them up.
    async fn reload(&self) -> Result<(), String> {
        self.notifier.reloading();
        info!(self.log, "reloading: asking whether the program and the configuration are sound");
        self.program.check(self.settings).await.map_err(|error| causes(&error))?;
        let is_left = self.handle.hand_over().await;
        is_left.then_some(()).ok_or_else(|| "it is about to end".to_owned())
    }

    pub(super) fn not_reloaded(&self, why: String) {
        error!(self.log, "not reloaded: the program and the configuration stay as they are"; "because" => &why);
        self.notifier.not_reloaded(&why);
    }
}
