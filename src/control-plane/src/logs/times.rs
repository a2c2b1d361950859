//! When the bytes of a part of a log were written: the marks of its chunks, joined.

use super::{LogError, LogName, Logs};
use protocol::marks::{LogTimes, Mark, Marks};
use std::ops::Range;
use store::MarksRow;

/// The most marks of one answer, but for the rest of the last chunk's.
const MOST: usize = 4096;
/// Index rows that are read at once.
const PAGE: u32 = 512;

impl Logs {
    /// The marks of a part of a log, as many as one answer has. None: no such task.
    pub(crate) async fn times(&self, log: LogName, part: Range<u64>) -> Result<Option<LogTimes>, LogError> {
        if self.store.log_is_over(log.task, log.step).await?.is_none() {
            return Ok(None);
        }
        let started_ms = self.store.step_started_ms(log.task, log.step).await?;
        // Read first: of all bytes that are stored by now the marks are too.
        let length = self.store.log(log.task, log.step).await?.map_or(0, |row| row.length);
        let part = part.start..part.end.min(length);
        if part.is_empty() {
            return Ok(Some(LogTimes { started_ms, marks: Vec::new(), until: part.start.min(length) }));
        }
        let rows = self.store.marks((log.task, log.step), part.clone(), PAGE).await?;
        Ok(Some(LogTimes { started_ms, ..joined(&rows, part) }))
    }
}

/// What is told of a part by these rows.
fn joined(rows: &[MarksRow], part: Range<u64>) -> LogTimes {
    let (mut marks, mut until): (Vec<(u64, u32)>, _) = (Vec::new(), part.end);
    for (at, row) in rows.iter().enumerate() {
        marks.extend(
            marks_of(row).map(|mark| (mark.offset, mark.ms)).filter(|(offset, _)| *offset < part.end),
        );
        keep_from(&mut marks, part.start);
        let is_last = at + 1 == rows.len();
        if marks.len() >= MOST || is_last && rows.len() == PAGE as usize {
            until = part.end.min(row.start + u64::from(row.length));
            break;
        }
    }
    LogTimes { started_ms: None, marks, until }
}

/// Leaves out what lies before the mark of the part's first byte.
fn keep_from(marks: &mut Vec<(u64, u32)>, start: u64) {
    let after = marks.partition_point(|(offset, _)| *offset <= start);
    marks.drain(..after.saturating_sub(1));
}

/// Damaged ones tell nothing; the check finds them.
fn marks_of(row: &MarksRow) -> impl Iterator<Item = Mark> {
    let marks =
        Marks::from_bytes(&row.marks).filter(|marks| marks.are_within(row.length)).unwrap_or_default();
    marks.from_start(row.start).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Chunks of ten bytes each, some with marks.
    fn chunks() -> impl Strategy<Value = Vec<Vec<u64>>> {
        prop::collection::vec(prop::collection::btree_set(0..10_u64, 0..4), 1..40)
            .prop_map(|chunks| chunks.into_iter().map(|offsets| offsets.into_iter().collect()).collect())
    }

    fn rows(chunks: &[Vec<u64>]) -> Vec<MarksRow> {
        let mut ms = 0;
        let mut row = |(at, offsets): (usize, &Vec<u64>)| {
            let mut marks = Marks::default();
            for offset in offsets {
                ms += 7;
                assert!(marks.push(Mark { offset: *offset, ms }));
            }
            MarksRow { start: 10 * at as u64, length: 10, marks: marks.to_bytes() }
        };
        chunks.iter().enumerate().map(&mut row).filter(|row| !row.marks.is_empty()).collect()
    }

    /// As the store picks them.
    fn picked(rows: &[MarksRow], part: &Range<u64>) -> Vec<MarksRow> {
        let before = rows.partition_point(|row| row.start <= part.start).saturating_sub(2);
        rows[before..].iter().filter(|row| row.start < part.end).cloned().collect()
    }

    proptest! {
        #[test]
        fn every_byte_of_a_part_has_the_time_that_it_has_in_the_whole(
            chunks in chunks(), from in 0..400_u64, length in 1..100_u64,
        ) {
            let (rows, end) = (rows(&chunks), 10 * chunks.len() as u64);
            let whole = joined(&rows, 0..end);
            let part = from.min(end - 1)..(from + length).min(end);
            prop_assume!(!part.is_empty());
            let told = joined(&picked(&rows, &part), part.clone());
            prop_assert_eq!(told.until, part.end);
            for byte in part.clone() {
                prop_assert_eq!(told.of(byte), whole.of(byte), "byte {}", byte);
            }
            prop_assert!(told.marks.iter().skip(1).all(|(offset, _)| part.contains(offset)));
        }
    }

    #[test]
    fn an_answer_ends_after_so_many_marks_and_the_next_goes_on_there() {
        let chunks = vec![(0..10).collect::<Vec<_>>(); 1000];
        let (rows, end) = (rows(&chunks), 10_000);
        let whole: Vec<_> = rows.iter().flat_map(marks_of).map(|mark| (mark.offset, mark.ms)).collect();
        let (mut told, mut at, mut answers) = (Vec::new(), 0, 0);
        while at < end {
            let answer = joined(&picked(&rows, &(at..end)), at..end);
            assert!(answer.until > at && answer.marks.len() < MOST + 10);
            told.extend(answer.marks.into_iter().filter(|(offset, _)| *offset >= at));
            (at, answers) = (answer.until, answers + 1);
        }
        assert_eq!((told, answers), (whole, 3));
    }

    #[test]
    fn damaged_marks_tell_nothing() {
        let row = MarksRow { start: 0, length: 3, marks: Marks::try_from(vec![3, 1]).unwrap().to_bytes() };
        assert!(joined(&[row, MarksRow { start: 3, length: 3, marks: vec![0x80] }], 0..6).marks.is_empty());
    }
}
