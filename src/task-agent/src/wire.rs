//! The connection to the launch-agent, over all restarts of that: requests out, answers, orders and the task in.

mod attend;
mod delivery;

pub(crate) use attend::attend;
pub(crate) use delivery::Delivered;

use crate::{
    carry::{Carry, Ended},
    control::Control,
    hints::Hints,
    spool::{Limits, Spools},
};
use protocol::frame::{Answer, Wanted};
use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// The longest wait for an answer without a look whether the task is being ended.
const LOOK: Duration = Duration::from_millis(50);

/// What the steps and the connection share.
#[derive(Debug)]
pub(crate) struct Wire {
    control: Arc<Control>,
    hints: Arc<Hints>,
    limits: Limits,
    spools: OnceLock<Arc<Spools>>,
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    last: u64,
    /// Not answered yet, by number: sent again over each new connection.
    asked: BTreeMap<u64, Asked>,
    answers: BTreeMap<u64, (Answer, Option<File>)>,
    delivered: Option<Delivered>,
    holds_task: bool,
    begun: bool,
    failure: Option<String>,
}

#[derive(Debug)]
struct Asked {
    wanted: Wanted,
    file: Option<Arc<OwnedFd>>,
    sent: bool,
    /// How much of the file is with the control plane, as far as that was told.
    carried: u64,
}

/// No task ever came whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTask {
    /// The task was ended, or the launch-agent gone for good, before that.
    #[error("no task was handed over")]
    Ended,
    /// The two agents do not understand each other.
    #[error("{0}")]
    Failed(String),
}

impl Wire {
    pub(crate) fn new(control: Arc<Control>, hints: Arc<Hints>, limits: Limits) -> Self {
        let (desk, changed) = (Mutex::default(), Condvar::new());
        Self { control, hints, limits, spools: OnceLock::new(), desk, changed }
    }

    /// The task, once user code may run or the task is to be ended without any.
    pub(crate) fn wait_for_begin(&self) -> Result<Delivered, NoTask> {
        let mut desk = self.lock();
        loop {
            if let Some(failure) = desk.failure.take() {
                return Err(NoTask::Failed(failure));
            }
            let is_ending = self.control.is_ending();
            if (desk.begun || is_ending)
                && let Some(delivered) = desk.delivered.take()
            {
                return Ok(delivered);
            }
            if is_ending {
                return Err(NoTask::Ended);
            }
            desk = self.wait(desk);
        }
    }

    /// A condition or, at the latest, the time to look whether the task is being ended.
    fn wait<'d>(&self, desk: MutexGuard<'d, Desk>) -> MutexGuard<'d, Desk> {
        self.changed.wait_timeout(desk, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn fail(&self, message: String) {
        self.change(|desk| desk.failure = Some(message));
    }

    /// Only to what was asked and not answered: a repeated answer changes nothing.
    fn answer(&self, request: u64, answer: Answer, file: Option<File>) {
        self.change(|desk| {
            if desk.asked.remove(&request).is_some() {
                desk.answers.insert(request, (answer, file));
            }
        });
    }

    fn sent(&self, request: u64, bytes: u64) {
        if let Some(asked) = self.lock().asked.get_mut(&request) {
            asked.carried = asked.carried.max(bytes);
        }
    }

    fn post(&self, wanted: Wanted, file: Option<File>) -> u64 {
        let mut desk = self.lock();
        desk.last += 1;
        let (request, file) = (desk.last, file.map(|file| Arc::new(file.into())));
        desk.asked.insert(request, Asked { wanted, file, sent: false, carried: 0 });
        drop(desk);
        self.hints.bell.ring();
        request
    }
}

impl Carry for Wire {
    fn ask(&self, wanted: Wanted, file: Option<File>) -> Result<(Answer, Option<File>), Ended> {
        let request = self.post(wanted, file);
        let mut desk = self.lock();
        loop {
            if let Some(answer) = desk.answers.remove(&request) {
                return Ok(answer);
            }
            if self.control.is_ending() {
                desk.asked.remove(&request);
                return Err(Ended);
            }
            desk = self.wait(desk);
        }
    }

    fn carried(&self) -> u64 {
        self.lock().asked.values().map(|asked| asked.carried).sum()
    }
}
