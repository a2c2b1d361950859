//! When the bytes of a log were written: marks, on their way from the task-agent that saw it to whoever reads the log.
//!
//! ```text
//! file   := noted*                       the task-agent's, one for all steps of its task, beside their spools
//! noted  := step:u32 offset:u64 ms:u32   (big-endian)
//! wire   := [(distance, later)*]         numbers, in the header of a chunk
//! stored := (distance, later)*           numbers of 1 to 5 bytes each, their low seven bits first
//! ```
//!
//! A mark says that the byte at its offset was written so many milliseconds after its step began. What follows, up to the
//! next mark, was written then, or less than the spacing of marks later. Read a file of them as hostile input: it was
//! written with the job's rights.

use crate::{ids::StepNumber, stream::MAX_CHUNK};
use serde::{Deserialize, Serialize};

/// The most marks of one chunk: as many as fit its header whatever they say.
pub const MAX_MARKS: usize = 2048;
/// The length of one [`Noted`] in its file, in bytes.
pub const NOTED_LENGTH: usize = 16;
/// The most bytes of that file that are read, and the most that a task-agent writes.
pub const MAX_NOTED: u64 = 4 * 1024 * 1024;

/// When a byte was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which byte: counted from the log's first, in [`Marks`] from its chunk's.
    pub offset: u64,
    /// Milliseconds since the step began.
    pub ms: u32,
}

/// A mark as the task-agent notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Of whose log.
    pub step: StepNumber,
    /// Counted from the log's first byte.
    pub mark: Mark,
}

impl Noted {
    /// As it stands in the file.
    pub fn to_bytes(self) -> [u8; NOTED_LENGTH] {
        let mut bytes = [0; NOTED_LENGTH];
        bytes[..4].copy_from_slice(&self.step.0.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.mark.offset.to_be_bytes());
        bytes[12..].copy_from_slice(&self.mark.ms.to_be_bytes());
        bytes
    }

    /// From the file. Any bytes are one.
    pub fn from_bytes(bytes: &[u8; NOTED_LENGTH]) -> Self {
        let [step, high, low, ms] = [0, 4, 8, 12].map(|at| {
            let mut number = [0; 4];
            number.copy_from_slice(&bytes[at..at + 4]);
            u32::from_be_bytes(number)
        });
        let offset = u64::from(high) << 32 | u64::from(low);
        Self { step: StepNumber(step), mark: Mark { offset, ms } }
    }
}

/// The marks of one chunk: at most [`MAX_MARKS`], each behind the one before and not earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Marks(Vec<Mark>);

/// Numbers that are no marks of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the marks of a chunk are not in order, or too many")]
pub struct BadMarks;

impl Marks {
    /// Takes one more. False: it lies beyond any chunk or does not follow the last, or there are as many as may be.
    pub fn push(&mut self, mark: Mark) -> bool {
        let follows = self.0.last().is_none_or(|last| mark.offset > last.offset && mark.ms >= last.ms);
        let fits = follows && mark.offset < MAX_CHUNK as u64 && !self.is_full();
        if fits {
            self.0.push(mark);
        }
        fits
    }

    /// Whether it takes no more.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_MARKS
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all lie in a chunk of this length.
    pub fn are_within(&self, length: u32) -> bool {
        self.0.last().is_none_or(|last| last.offset < u64::from(length))
    }

    /// In order, counted from the first byte of a log whose chunk begins at `start`.
    pub fn from_start(&self, start: u64) -> impl Iterator<Item = Mark> {
        self.0.iter().map(move |mark| Mark { offset: start.saturating_add(mark.offset), ms: mark.ms })
    }

    /// As they are stored: a few bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 4);
        Vec::from(self.clone()).into_iter().for_each(|number| push_number(number, &mut bytes));
        bytes
    }

    /// From how they are stored; none where these bytes are no marks.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut numbers, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (number, after) = take_number(rest)?;
            numbers.push(number);
            rest = after;
        }
        Self::try_from(numbers).ok()
    }
}

/// Each mark as its distance from the one before, and how much later it is.
impl From<Marks> for Vec<u64> {
    fn from(Marks(marks): Marks) -> Self {
        let mut before = Mark { offset: 0, ms: 0 };
        let pair = |mark: Mark| {
            let pair = [mark.offset - before.offset, u64::from(mark.ms - before.ms)];
            before = mark;
            pair
        };
        marks.into_iter().flat_map(pair).collect()
    }
}

impl TryFrom<Vec<u64>> for Marks {
    type Error = BadMarks;

    fn try_from(numbers: Vec<u64>) -> Result<Self, BadMarks> {
        let (mut marks, mut at) = (Self::default(), (0_u64, 0_u64));
        let (pairs, rest) = numbers.as_chunks::<2>();
        for [distance, later] in pairs {
            let next = at.0.checked_add(*distance).zip(at.1.checked_add(*later)).ok_or(BadMarks)?;
            let ms = u32::try_from(next.1).map_err(|_| BadMarks)?;
            if !marks.push(Mark { offset: next.0, ms }) {
                return Err(BadMarks);
            }
            at = next;
        }
        if rest.is_empty() { Ok(marks) } else { Err(BadMarks) }
    }
}

fn push_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const LONGEST: usize = 5;
    let mut number = 0;
    for (at, byte) in bytes.iter().take(LONGEST).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

/// When the bytes of a part of a log were written: the answer of `GET /api/v3/tasks/{task}/steps/{step}/times`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTimes {
    /// When the step began, milliseconds since 1970 by the clock of its host; none where that is not known.
    pub started_ms: Option<i64>,
    /// Offset in the log, and milliseconds since the step began. The first may lie before the part: it is of its first byte.
    pub marks: Vec<(u64, u32)>,
    /// All marks of bytes before this one are told; the next question begins here.
    pub until: u64,
}

impl LogTimes {
    /// When this byte was written, milliseconds since the step began. None: nothing is known of it.
    pub fn of(&self, offset: u64) -> Option<u32> {
        let after = self.marks.partition_point(|(marked, _)| *marked <= offset);
        Some(self.marks.get(after.checked_sub(1)?)?.1)
    }
}

#[cfg(test)]
mod tests;
