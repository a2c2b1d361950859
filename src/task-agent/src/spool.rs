//! The task's spools: one file per step, bounded together by what the control plane has not acknowledged yet.

use crate::{control::Control, hints::Hints, journal::is_full, times::Times};
use failpoints::around;
use protocol::ids::StepNumber;
use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The longest wait for room without a look whether the task is being ended.
const LOOK: Duration = Duration::from_millis(50);
/// Room is there again when at least this share of the bound is free, or [`ENOUGH`], so that drops do not come in crumbs.
const SHARE: u64 = 4;
const ENOUGH: u64 = 1024 * 1024;

/// How much the spools may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Unacknowledged bytes.
    pub(crate) most: u64,
    /// How long output waits for room.
    pub(crate) wait: Duration,
}

/// Why output found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The bound is reached.
    Spool,
    /// The file system has no more.
    Disk,
}

/// Output that was not taken, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// How much was.
    pub(crate) taken: usize,
    pub(crate) why: Full,
}

/// Written to by the steps, freed by acknowledgments.
#[derive(Debug)]
pub(crate) struct Spools {
    files: Vec<File>,
    times: Times,
    pub(crate) limits: Limits,
    sizes: Mutex<Vec<Size>>,
    room: Condvar,
    control: Arc<Control>,
    hints: Arc<Hints>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    written: u64,
    acknowledged: u64,
}

impl Spools {
    /// One file for each step, from 1.
    pub(crate) fn new(files: Vec<File>, limits: Limits, control: Arc<Control>, hints: Arc<Hints>) -> Self {
        let (sizes, times) = (Mutex::new(vec![Size::default(); files.len()]), Times::default());
        Self { files, times, limits, sizes, room: Condvar::new(), control, hints }
    }

    /// The same, and when what was written is noted.
    pub(crate) fn timed(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// A step begins: its output is timed from now.
    pub(crate) fn begin(&self, step: StepNumber) {
        self.times.begin(step);
    }

    /// Appends to a step's spool, waiting for room as long as the limits say without any progress, or until the task is
    /// being ended.
    pub(crate) fn append(&self, step: StepNumber, bytes: &[u8]) -> Result<(), Stuck> {
        let mut taken = 0;
        while taken < bytes.len() {
            let stuck = |why| Stuck { taken, why };
            let room = self.wait_for_room(bytes.len() - taken).ok_or_else(|| stuck(Full::Spool))?;
            let written = self.wait_for_disk(step, &bytes[taken..taken + room]);
            taken += written.ok_or_else(|| stuck(Full::Disk))?;
        }
        Ok(())
    }

    /// Appends once, over the bound if need be.
    pub(crate) fn append_over(&self, step: StepNumber, bytes: &[u8]) -> Result<(), Stuck> {
        let mut taken = 0;
        while taken < bytes.len() {
            let written = self.write(step, &bytes[taken..]);
            taken += written.map_err(|_| Stuck { taken, why: Full::Disk })?;
        }
        Ok(())
    }

    /// Whether there is room worth speaking of.
    pub(crate) fn has_room(&self, why: Full) -> bool {
        match why {
            Full::Spool => free(&self.lock(), self.limits.most) >= (self.limits.most / SHARE).min(ENOUGH),
            Full::Disk => self.files.first().is_some_and(|file| {
                rustix::fs::fstatvfs(file).is_ok_and(|disk| disk.f_bavail * disk.f_frsize >= ENOUGH)
            }),
        }
    }

    /// The length of a step's log.
    pub(crate) fn written(&self, step: StepNumber) -> u64 {
        index(step).and_then(|index| self.lock().get(index).copied()).unwrap_or_default().written
    }

    /// The control plane has this much of a step's log.
    pub(crate) fn acknowledge(&self, step: StepNumber, offset: u64) {
        let mut sizes = self.lock();
        let Some(size) = index(step).and_then(|index| sizes.get_mut(index)) else { return };
        size.acknowledged = size.acknowledged.max(offset.min(size.written));
        self.room.notify_all();
    }

    /// How many of `wanted` bytes fit, at least one; none if nothing did for the whole time.
    fn wait_for_room(&self, wanted: usize) -> Option<usize> {
        let (begin, mut sizes) = (Instant::now(), self.lock());
        loop {
            let room = free(&sizes, self.limits.most);
            if room > 0 {
                return Some(usize::try_from(room).unwrap_or(usize::MAX).min(wanted));
            }
            let left = self.limits.wait.checked_sub(begin.elapsed()).filter(|left| !left.is_zero())?;
            if self.control.is_ending() {
                return None;
            }
            sizes = self.room.wait_timeout(sizes, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many bytes were written; none if the disk had no room for the whole time.
    fn wait_for_disk(&self, step: StepNumber, bytes: &[u8]) -> Option<usize> {
        let begin = Instant::now();
        loop {
            match self.write(step, bytes) {
                Ok(written) => return Some(written),
                Err(error) if is_full(&error) && begin.elapsed() < self.limits.wait => {}
                Err(_) => return None,
            }
            if self.control.is_ending() {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn write(&self, step: StepNumber, bytes: &[u8]) -> io::Result<usize> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the step has no spool");
        let index = index(step).filter(|index| *index < self.files.len()).ok_or_else(none)?;
        self.times.note(step, self.written(step));
        let written = loop {
            match around("spool", "appended", || (&self.files[index]).write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.lock()[index].written += written as u64;
        self.hints.give();
        Ok(written)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Size>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(step: StepNumber) -> Option<usize> {
    usize::try_from(step.0.checked_sub(1)?).ok()
}

fn free(sizes: &[Size], most: u64) -> u64 {
    let held: u64 = sizes.iter().map(|size| size.written - size.acknowledged).sum();
    most.saturating_sub(held)
}
