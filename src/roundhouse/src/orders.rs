//! What a service is told by signals: to end, to end now, to begin anew.

use futures_util::FutureExt;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal, as it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM or SIGINT: the how manieth.
    End(u32),
    /// SIGHUP.
    Reload,
}

/// The signals of this process.
#[derive(Debug)]
pub(crate) struct Orders {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    endings: u32,
}

impl Orders {
    /// From now on these signals do not end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, hangup: hangup?, endings: 0 })
    }

    /// Waits for the next. A reload that comes while one is under way waits for that.
    pub(crate) async fn next(&mut self, is_reloading: bool) -> Order {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv(), if !is_reloading => return Order::Reload,
        }
        self.endings += 1;
        Order::End(self.endings)
    }

    /// How often it was told to end.
    pub(crate) fn endings(&self) -> u32 {
        self.endings
    }

    /// Whether it was told to end, up to this moment.
    pub(crate) fn has_come(&mut self) -> bool {
        while self.next(true).now_or_never().is_some() {}
        self.endings > 0
    }
}
