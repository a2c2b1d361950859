//! What a service manager hears of a launch-agent all the time: that it lives, and what it does, in a line.

use crate::notify::Notifier;
use launch_agent::{Handle, Pulse};
use slog::{Logger, warn};
use std::{
    convert::Infallible,
    future::pending,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Between two looks, before it is ready and after.
const BEFORE: Duration = Duration::from_millis(20);
const AFTER: Duration = Duration::from_secs(1);
/// An answer that takes longer is told; the service manager's own patience is another.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was told.
#[derive(Debug)]
pub(super) struct Reports<'a> {
    notifier: &'a Notifier,
    is_ready: bool,
    line: String,
    told: Option<Instant>,
}

impl<'a> Reports<'a> {
    pub(super) fn new(notifier: &'a Notifier) -> Self {
        Self { notifier, is_ready: false, line: String::new(), told: None }
    }

    /// For ever, if anybody listens.
    pub(super) async fn send(mut self, handle: &Handle, log: &Logger) -> Infallible {
        if !self.notifier.is_heard() {
            return pending().await;
        }
        loop {
            match timeout(PATIENCE, handle.pulse()).await {
                Ok(Some(pulse)) => self.tell(&pulse),
                Ok(None) => return pending().await,
                Err(_) => warn!(
                    log,
                    "the Supervisor or a LeaseKeeper is not at work; the service manager is told nothing"
                ),
            }
            sleep(if self.is_ready { AFTER } else { BEFORE }).await;
        }
    }

    fn tell(&mut self, pulse: &Pulse) {
        let line = pulse.to_string();
        if line != self.line {
            self.notifier.status(&line);
            self.line = line;
        }
        if pulse.is_ready && !self.is_ready {
            self.notifier.ready();
            self.is_ready = true;
        }
        if self.told.is_none_or(|told| told.elapsed() >= self.notifier.pause()) {
            self.notifier.alive(pulse.is_ending);
            self.told = Some(Instant::now());
        }
    }
}
