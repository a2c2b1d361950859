//! When log bytes were written, as their task-agent noted it: read along with the spools, and given out chunk by chunk.

use super::outbox::read_some;
use crate::task::dir::TaskDir;
use protocol::{
    StepNumber,
    marks::{MAX_NOTED, Mark, Marks, NOTED_LENGTH, Noted},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io,
};

/// Bytes that are read at once.
const PIECE: usize = 4096 * NOTED_LENGTH;

/// The marks of a task's logs that no chunk has taken yet.
///
/// Their file may say anything: one that names a step without a spool is read no further, and so is one beyond the most
/// that a task-agent writes; marks that go back are left out. Without it logs go out as ever.
#[derive(Debug)]
pub(super) struct Times {
    dir: TaskDir,
    file: Option<File>,
    read: u64,
    steps: BTreeMap<StepNumber, Step>,
}

#[derive(Debug, Default)]
struct Step {
    waiting: VecDeque<Mark>,
    last: Option<Mark>,
}

impl Times {
    pub(super) fn of(dir: TaskDir) -> Self {
        Self { dir, file: None, read: 0, steps: BTreeMap::new() }
    }

    /// Reads what was noted since. A mark is noted before its byte is written: after a look at a spool's length all marks
    /// of that length are found.
    pub(super) fn read(&mut self, sent: impl Fn(StepNumber) -> u64) {
        while self.read < MAX_NOTED {
            // A file that cannot be read tells nothing, and holds up no log.
            let piece = self.next_piece().unwrap_or_default();
            let (notes, _) = piece.as_chunks::<NOTED_LENGTH>();
            if notes.is_empty() {
                break;
            }
            self.read += (notes.len() * NOTED_LENGTH) as u64;
            for note in notes {
                let Noted { step, mark } = Noted::from_bytes(note);
                if !self.is_known(step) {
                    self.read = MAX_NOTED;
                    return;
                }
                self.steps.entry(step).or_default().take(mark, sent(step));
            }
        }
    }

    fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        if self.file.is_none() {
            self.file = match File::open(self.dir.times()) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
        }
        self.file.as_ref().map_or(Ok(Vec::new()), |file| read_some(file, self.read, PIECE))
    }

    /// What is in the host's own step the task-agent did not write.
    fn is_known(&self, step: StepNumber) -> bool {
        self.steps.contains_key(&step) || step != StepNumber::HOST && self.dir.spool(step).exists()
    }

    /// The marks of a chunk that begins there and has at most so many bytes; and how many it may have, so that no mark of
    /// it is left out.
    pub(super) fn take(&mut self, step: StepNumber, from: u64, most: u64) -> (Marks, u64) {
        let (mut marks, end) = (Marks::default(), from + most);
        let Some(Step { waiting, .. }) = self.steps.get_mut(&step) else { return (marks, most) };
        while let Some(mark) = waiting.front().copied().filter(|mark| mark.offset < end) {
            if mark.offset >= from {
                if marks.is_full() {
                    return (marks, mark.offset - from);
                }
                marks.push(Mark { offset: mark.offset - from, ms: mark.ms });
            }
            waiting.pop_front();
        }
        (marks, most)
    }
}

impl Step {
    fn take(&mut self, mark: Mark, sent: u64) {
        let follows = self.last.is_none_or(|last| mark.offset > last.offset && mark.ms >= last.ms);
        if follows {
            self.last = Some(mark);
            if mark.offset >= sent {
                self.waiting.push_back(mark);
            }
        }
    }
}
