//! A thread of its own for one task's actors, given back when the task is let go.

use actix::{Arbiter, ArbiterHandle};
use std::{io, time::Duration};

/// Threads that do the blocking work of one home, at most: more than the four whose files may be hashed for minutes, so
/// that logs are compressed and processes killed meanwhile.
const BLOCKING_THREADS: usize = 8;
/// How long an idle one of them is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Of each of them; file work and compression need little.
const BLOCKING_STACK: usize = 512 * 1024;

/// A thread with a runtime of its own. Dropping it ends whatever lives on it; a hung actor keeps only this thread.
#[derive(Debug)]
pub struct Home {
    arbiter: ArbiterHandle,
}

impl Home {
    /// A fresh thread. Must be called within an actix `System`.
    pub fn new() -> io::Result<Self> {
        let arbiter = Arbiter::try_with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .thread_keep_alive(KEEP_ALIVE)
                .thread_stack_size(BLOCKING_STACK)
                .build()
        })?;
        Ok(Self { arbiter: arbiter.handle() })
    }

    /// Where to start actors.
    pub fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }
}

/// Homes whose actors left them in order, each for one task after the other: what begins in one finds a thread that runs,
/// and its connections.
#[derive(Debug, Default)]
pub struct Homes {
    empty: Vec<Home>,
}

/// More than these are not kept: a thread of its own costs a task little.
const EMPTY: usize = 8;

impl Homes {
    /// An empty one, or a fresh one.
    pub fn take(&mut self) -> io::Result<Home> {
        self.empty.pop().map_or_else(Home::new, Ok)
    }

    /// Never one in which an actor failed or hung.
    pub fn give_back(&mut self, home: Home) {
        if self.empty.len() < EMPTY {
            self.empty.push(home);
        }
    }

    /// For now and then: gives up all but one of those that nobody takes, one after the other.
    pub fn thin_out(&mut self) {
        if self.empty.len() > 1 {
            self.empty.remove(0);
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}
