//! When the output of steps was written: noted in a file beside the spools, for whoever reads them may do so much later.

use protocol::{
    ids::StepNumber,
    marks::{MAX_NOTED, Mark, NOTED_LENGTH, Noted},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Two marks of a log are at least so far apart,
const SPACING: Duration = Duration::from_millis(100);
/// and twice as far with each so many that the task has. So five hours of unbroken output make 36,000 marks (570 KiB), a week
/// 77,000, and none is ever the last.
const DOUBLED_BY: u64 = 8192;
/// So many bytes of a disk are left to the output.
const LAST: u64 = 64 * 1024;
/// As many as readers read.
const MOST: u64 = MAX_NOTED / NOTED_LENGTH as u64;

/// Told of output before it is in its spool, so that whoever sees the output finds its mark.
#[derive(Debug, Default)]
pub(crate) struct Times(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// None: nobody wants to know, or a mark was written in part and what follows could not be told apart.
    file: Option<File>,
    noted: u64,
    steps: BTreeMap<StepNumber, Step>,
}

#[derive(Debug)]
struct Step {
    began: Instant,
    last: Option<(u64, Instant)>,
}

impl Times {
    /// Noted in this file, if there is one.
    pub(crate) fn new(file: Option<File>) -> Self {
        Self(Mutex::new(State { file, ..State::default() }))
    }

    /// A step begins now.
    pub(crate) fn begin(&self, step: StepNumber) {
        self.change(|state| {
            state.steps.insert(step, Step { began: Instant::now(), last: None });
        });
    }

    /// What is at this offset of a step's log is written now.
    pub(crate) fn note(&self, step: StepNumber, offset: u64) {
        self.change(|state| state.note(step, offset, Instant::now()));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn note(&mut self, number: StepNumber, offset: u64, now: Instant) {
        let (noted, spacing) = (self.noted, self.spacing());
        let (Some(file), Some(step)) = (&mut self.file, self.steps.get_mut(&number)) else { return };
        let is_due = |(marked, at): (u64, Instant)| offset > marked && now.duration_since(at) >= spacing;
        if noted >= MOST || !step.last.is_none_or(is_due) || !has_room(file) {
            return;
        }
        let ms = u32::try_from(now.duration_since(step.began).as_millis()).unwrap_or(u32::MAX);
        match file.write(&Noted { step: number, mark: Mark { offset, ms } }.to_bytes()) {
            Ok(NOTED_LENGTH) => {
                step.last = Some((offset, now));
                self.noted += 1;
            }
            Ok(_) => self.file = None,
            // Of what comes while the disk is full nothing is known.
            Err(_) => {}
        }
    }

    fn spacing(&self) -> Duration {
        let doubled = u32::try_from(self.noted / DOUBLED_BY).unwrap_or(u32::MAX);
        SPACING.saturating_mul(2_u32.saturating_pow(doubled))
    }
}

/// Whether more than the last blocks of its disk are free: these are for the output itself.
fn has_room(file: &File) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|disk| disk.f_bavail * disk.f_frsize >= LAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    const STEP: StepNumber = StepNumber(1);

    fn state(file: &File) -> State {
        let step = Step { began: Instant::now(), last: None };
        State { file: Some(file.try_clone().unwrap()), noted: 0, steps: [(STEP, step)].into() }
    }

    fn noted(mut file: File) -> Vec<(u64, u32)> {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let notes = bytes.chunks(NOTED_LENGTH).map(|note| Noted::from_bytes(note.try_into().unwrap()));
        notes.map(|note| (note.mark.offset, note.mark.ms)).collect()
    }

    #[test]
    fn a_mark_is_noted_for_new_bytes_alone_and_not_sooner_than_its_time() {
        let file = tempfile::tempfile().unwrap();
        let mut state = state(&file);
        let began = state.steps[&STEP].began;
        let writes = [(0, 5), (7, 60), (9, 104), (12, 105), (12, 4000), (20, 4001), (25, 4100), (30, 4101)];
        for (offset, ms) in writes {
            state.note(STEP, offset, began + Duration::from_millis(ms));
        }
        state.note(StepNumber(2), 0, began);
        assert_eq!(noted(file), [(0, 5), (12, 105), (20, 4001), (30, 4101)]);
    }

    #[test]
    fn unbroken_output_of_a_week_is_noted_to_its_end_in_a_file_of_little_size() {
        const WEEK: u64 = 7 * 24 * 3600 * 1000;
        let file = tempfile::tempfile().unwrap();
        let mut state = state(&file);
        let began = state.steps[&STEP].began;
        let mut offset = 0;
        for ms in (0..WEEK).step_by(100) {
            offset += 1;
            state.note(STEP, offset, began + Duration::from_millis(ms));
        }
        let noted = noted(file);
        assert!((60_000..80_000).contains(&noted.len()), "{} marks", noted.len());
        let (last, ms) = noted[noted.len() - 1];
        assert!(u64::from(ms) + 100_000 > WEEK && last + 2000 > offset, "{last} of {offset} at {ms}");
    }
}
