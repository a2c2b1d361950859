//! What must hold of every task, whatever died in between. Pure checks, the same in tests and in `debug_assert!`.

use crate::{
    ids::StepNumber,
    journal::{Record, TaskEvent},
    stream::Chunk,
};
use std::collections::BTreeMap;

/// Every log byte once and in order: each chunk of a step begins where the one before it ended.
pub fn log_is_unbroken(chunks: &[Chunk]) -> Result<(), String> {
    let mut ends: BTreeMap<StepNumber, u64> = BTreeMap::new();
    for chunk in chunks {
        let end = ends.entry(chunk.step).or_default();
        if chunk.offset != *end {
            return Err(format!("step {}: a chunk at {} follows {end} bytes", chunk.step.0, chunk.offset));
        }
        *end += u64::from(chunk.length);
    }
    Ok(())
}

/// A journal's sequence has no gap, a step ends after it started and once, and nothing follows the end.
pub fn journal_is_sound(records: &[Record]) -> Result<(), String> {
    let mut open: BTreeMap<StepNumber, bool> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        if record.seq != place as u64 {
            return Err(format!("record {} stands at place {place}", record.seq));
        }
        let sound = match record.event {
            TaskEvent::StepStarted { step } => open.insert(step, true).is_none(),
            TaskEvent::StepEnded { step, .. } => open.insert(step, false) == Some(true),
            TaskEvent::Ended { .. } => place + 1 == records.len(),
        };
        if !sound {
            return Err(format!("record {place} cannot stand there: {:?}", record.event));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Outcome, StepStatus};

    fn journal(events: Vec<TaskEvent>) -> Vec<Record> {
        (0..).zip(events).map(|(seq, event)| Record { seq, at_ms: 0, event }).collect()
    }

    const STEP: StepNumber = StepNumber(1);

    fn ended() -> TaskEvent {
        let (status, exit_code) = (StepStatus::Success, Some(0));
        TaskEvent::StepEnded { step: STEP, status, exit_code, duration_ms: 1, log_bytes: 0 }
    }

    #[test]
    fn a_gap_or_an_overlap_breaks_a_log() {
        let chunk = |offset, length| Chunk { step: STEP, offset, length };
        assert!(log_is_unbroken(&[chunk(0, 3), chunk(3, 2)]).is_ok());
        assert!(log_is_unbroken(&[chunk(0, 3), chunk(4, 2)]).is_err());
        assert!(log_is_unbroken(&[chunk(0, 3), chunk(2, 2)]).is_err());
    }

    #[test]
    fn a_step_ends_once_and_after_its_start_and_nothing_follows_the_end() {
        let started = TaskEvent::StepStarted { step: STEP };
        let over = TaskEvent::Ended { outcome: Outcome::Success };
        assert!(journal_is_sound(&journal(vec![started.clone(), ended(), over.clone()])).is_ok());
        assert!(journal_is_sound(&journal(vec![ended()])).is_err());
        assert!(journal_is_sound(&journal(vec![started.clone(), ended(), ended()])).is_err());
        assert!(journal_is_sound(&journal(vec![over, started])).is_err());
    }
}
