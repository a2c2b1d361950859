//! One program that is started again whenever it ends.

use super::Process;
use crate::{history::History, patience};
use rustix::process::Signal;
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Between an end by itself and the next start.
const PAUSE: Duration = Duration::from_millis(300);

/// A program, started again when it ends as long as it is wanted.
#[derive(Clone, Debug)]
pub struct Service {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// What its end by itself is called in the history.
    end: String,
    command: Command,
    log: PathBuf,
    history: Arc<History>,
    child: Option<Child>,
    /// From when on it is to run; none: it is not wanted.
    wanted: Option<Instant>,
}

impl Service {
    /// Not wanted yet.
    pub(super) fn new(end: String, command: Command, log: PathBuf, history: &Arc<History>) -> Self {
        let inner = Inner { end, command, log, history: history.clone(), child: None, wanted: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants it from now on.
    pub fn start(&self) {
        let mut inner = self.inner();
        inner.wanted = Some(Instant::now());
        inner.spawn();
    }

    /// Kills it. It is wanted again after so many milliseconds; after [`u64::MAX`], never by itself.
    pub fn kill(&self, down: u64) {
        let mut inner = self.inner();
        inner.wanted = inner.wanted.and_then(|_| Instant::now().checked_add(Duration::from_millis(down)));
        if let Some(mut child) = inner.child.take() {
            // One that has ended already is as dead.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its process, if it runs.
    pub fn process(&self) -> Option<Process> {
        let inner = self.inner();
        inner.child.as_ref().and_then(|child| child.id().try_into().ok()).map(Process)
    }

    /// Whether it is to run.
    pub fn is_wanted(&self) -> bool {
        self.inner().wanted.is_some()
    }

    /// Starts it again if it ended and is wanted.
    pub(super) fn mind(&self) {
        let mut inner = self.inner();
        let ended = inner.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if ended.is_some() {
            inner.child = None;
            inner.history.note(inner.end.clone());
            inner.wanted = inner.wanted.map(|since| since.max(Instant::now() + PAUSE));
        }
        if inner.child.is_none() && inner.wanted.is_some_and(|since| since <= Instant::now()) {
            inner.spawn();
        }
    }

    /// Asks it to end, and waits; its exit code, if it ended in time.
    pub fn end(&self, within: Duration) -> Option<i32> {
        let mut child = {
            let mut inner = self.inner();
            inner.wanted = None;
            inner.child.take()?
        };
        Process(child.id().try_into().ok()?).signal(Signal::TERM);
        let status = patience::until(within, || child.try_wait().ok().flatten());
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        status.and_then(|status| status.code())
    }
}

impl Inner {
    fn spawn(&mut self) {
        let Ok(log) = File::options().create(true).append(true).open(&self.log) else { return };
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        match self.command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) => {
                self.history.note(format!("cannot start {:?}: {error}", self.command.get_program()))
            }
        }
    }
}
