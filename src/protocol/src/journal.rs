//! The task-agent's journal, `agent.jsonl`: one record a line, the same records the control plane stores.
//!
//! The file is the truth about a task's progress; frames about it are hints. The last record of a whole journal is
//! [`TaskEvent::Ended`], synced before the task-agent exits. Read it as hostile input: it was written with the job's rights.

use crate::{
    ids::StepNumber,
    status::{Outcome, StepStatus},
};
use serde::{Deserialize, Serialize};

/// The longest line a reader accepts, in bytes.
pub const MAX_RECORD: usize = 16 * 1024;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 0, without gaps.
    pub seq: u64,
    /// Wall clock, milliseconds since 1970. For people; durations are measured apart.
    pub at_ms: i64,
    /// What happened.
    pub event: TaskEvent,
}

/// What a task-agent reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEvent {
    /// A step began.
    StepStarted {
        /// From 1.
        step: StepNumber,
    },
    /// A step is over: its log has `log_bytes` bytes and gets no more, a background step's apart.
    StepEnded {
        /// From 1.
        step: StepNumber,
        /// How.
        status: StepStatus,
        /// Of its command, if it had one that exited.
        exit_code: Option<i32>,
        /// Monotonic.
        duration_ms: u64,
        /// The length of its masked log at that moment.
        log_bytes: u64,
    },
    /// The task is over. The last record.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

impl Record {
    /// The record as a line with its line feed.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("a record has only string keys");
        line.push('\n');
        line
    }
}

/// The records of a journal, and how many of its bytes they take. Stops before a torn, overlong or foreign line and
/// before a break in the sequence: what follows such a line was never synced.
pub fn read(journal: &[u8]) -> (Vec<Record>, usize) {
    read_from(journal, 0)
}

/// The same for the rest of a journal whose next record must have this sequence number.
pub fn read_from(journal: &[u8], mut next: u64) -> (Vec<Record>, usize) {
    let (mut records, mut used) = (Vec::new(), 0);
    for line in journal.split_inclusive(|byte| *byte == b'\n') {
        match whole(line) {
            Some(record) if record.seq == next => records.push(record),
            _ => break,
        }
        next += 1;
        used += line.len();
    }
    (records, used)
}

fn whole(line: &[u8]) -> Option<Record> {
    let body = line.strip_suffix(b"\n")?;
    if body.len() > MAX_RECORD { None } else { serde_json::from_slice(body).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(seq: u64) -> Record {
        Record { seq, at_ms: 5, event: TaskEvent::StepStarted { step: StepNumber(1) } }
    }

    #[test]
    fn a_torn_last_line_did_not_happen() {
        let whole = [started(0), started(1)].map(|record| record.to_line()).concat();
        let torn = whole.clone() + "{\"seq\":2,\"at";
        assert_eq!(read(torn.as_bytes()), (vec![started(0), started(1)], whole.len()));
    }

    #[test]
    fn nothing_is_read_past_a_break_in_the_sequence() {
        let broken = [started(0), started(2)].map(|record| record.to_line()).concat();
        assert_eq!(read(broken.as_bytes()).0, vec![started(0)]);
    }

    #[test]
    fn an_overlong_line_ends_the_reading() {
        let long = format!("{}{}\n", started(0).to_line(), " ".repeat(MAX_RECORD + 1));
        assert_eq!(read(long.as_bytes()).0.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let (_, used) = read(&bytes);
            assert!(used <= bytes.len());
        }
    }
}
