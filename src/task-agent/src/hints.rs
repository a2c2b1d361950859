//! The hint to the launch-agent that journal or spools grew.

use crate::bell::Bell;
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

/// Given by whoever writes, taken by the wire, which sends at most a few a second.
#[derive(Debug)]
pub(crate) struct Hints {
    grew: AtomicBool,
    /// Rung when there is something new for the wire to send: a hint, or a request.
    pub(crate) bell: Bell,
}

impl Hints {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { grew: AtomicBool::new(false), bell: Bell::new()? })
    }

    /// Costs a system call only for the first after each that was taken.
    pub(crate) fn give(&self) {
        if !self.grew.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }

    pub(crate) fn is_given(&self) -> bool {
        self.grew.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) {
        self.grew.store(false, Ordering::Release);
    }
}
