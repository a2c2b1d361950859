//! The processes below this one: those it started, whose exits are asked for, and orphans that became its own.

use sandbox::{
    identity::{Exit, reap_any},
    job::JobCommand,
    launch::Started,
};
use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The exits of children. This process is a subreaper, so it waits for any child, and nobody else here waits for one.
#[derive(Debug, Default)]
pub(crate) struct Children {
    exits: Mutex<HashMap<i32, Option<Exit>>>,
}

impl Children {
    /// Starts a command whose exit will be asked for.
    pub(crate) fn start(&self, command: &JobCommand, output: OwnedFd) -> io::Result<Started> {
        // Held over the start: a command that cannot be executed is waited for in there.
        let mut exits = self.lock();
        let started = command.start(output)?;
        exits.insert(started.identity.pid, None);
        Ok(started)
    }

    /// Takes the exits of all children that have ended.
    pub(crate) fn reap(&self) {
        let mut exits = self.lock();
        while let Some((pid, exit)) = reap_any() {
            if let Some(started) = exits.get_mut(&pid) {
                *started = Some(exit);
            }
        }
    }

    /// How a command that was started here ended. Once its descriptor says that it did.
    pub(crate) fn exit_of(&self, started: &Started) -> Exit {
        self.reap();
        // Whoever is not to be waited for was killed, as far as anybody can tell.
        self.lock().remove(&started.identity.pid).flatten().unwrap_or(Exit::Signal(9))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Option<Exit>>> {
        self.exits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
