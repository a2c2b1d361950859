//! Ctrl-C and its relatives, counted: once asks to end, twice to end now.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP of this process.
#[derive(Debug)]
pub(crate) struct Interrupts {
    signals: [Signal; 3],
    seen: u32,
}

impl Interrupts {
    /// From now on these signals do not end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?], seen: 0 })
    }

    /// Waits for the next; how many there were with it.
    pub(crate) async fn next(&mut self) -> u32 {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        self.seen += 1;
        self.seen
    }

    /// How many there were.
    pub(crate) fn seen(&self) -> u32 {
        self.seen
    }
}
