//! Bodies, held against what a control plane makes of them.

use super::*;
use crate::task::dir::TaskDir;
use proptest::prelude::*;
use protocol::{
    Outcome, StepStatus, TaskId, invariants,
    marks::{MAX_MARKS, Mark, Noted},
    stream::decode,
};
use std::{io::Write, os::unix::fs::MetadataExt, path::PathBuf};
use uuid::Uuid;

/// A task's files, and the control plane's copy of them.
struct Files {
    _root: tempfile::TempDir,
    dir: TaskDir,
    next: u64,
    stored: Stored,
}

#[derive(Default)]
struct Stored {
    logs: BTreeMap<StepNumber, Vec<u8>>,
    chunks: Vec<Chunk>,
    marks: Vec<(StepNumber, Mark)>,
    records: Vec<Record>,
}

impl Stored {
    fn take(&mut self, body: &[u8]) {
        assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
        for item in decode(body).unwrap() {
            match item {
                Item::Record(record) => self.records.push(record),
                Item::Log { chunk, frame, marks } => {
                    let raw = zstd::bulk::decompress(&frame, MAX_CHUNK).unwrap();
                    self.logs.entry(chunk.step).or_default().extend(raw);
                    self.marks.extend(marks.from_start(chunk.offset).map(|mark| (chunk.step, mark)));
                    self.chunks.push(chunk);
                }
            }
        }
    }

    fn acknowledged(&self) -> Acknowledged {
        let logs = self.logs.iter().map(|(step, log)| (*step, log.len() as u64)).collect();
        Acknowledged { next_record: self.records.len() as u64, logs }
    }
}

impl Files {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = TaskDir::new(root.path(), TaskId(Uuid::new_v4()));
        std::fs::create_dir_all(dir.path().join("steps")).unwrap();
        Self { _root: root, dir, next: 0, stored: Stored::default() }
    }

    fn write(&self, step: u32, text: &[u8]) {
        self.dir.open_spool(StepNumber(step)).unwrap().write_all(text).unwrap();
    }

    fn record(&mut self, event: TaskEvent) {
        let record = Record { seq: self.next, at_ms: 0, event };
        self.next += 1;
        self.journal(record.to_line().as_bytes());
    }

    /// As a task-agent does it: the times first.
    fn write_at(&self, step: u32, ms: u32, text: &[u8]) {
        let offset = std::fs::metadata(self.spool(step)).map_or(0, |spool| spool.len());
        self.note(step, offset, ms);
        self.write(step, text);
    }

    fn note(&self, step: u32, offset: u64, ms: u32) {
        let noted = Noted { step: StepNumber(step), mark: Mark { offset, ms } };
        self.times(&noted.to_bytes());
    }

    fn times(&self, bytes: &[u8]) {
        self.dir.open_times().unwrap().write_all(bytes).unwrap();
    }

    fn marks(&self, step: u32) -> Vec<(u64, u32)> {
        let of = self.stored.marks.iter().filter(|(of, _)| of.0 == step);
        of.map(|(_, mark)| (mark.offset, mark.ms)).collect()
    }

    fn journal(&self, bytes: &[u8]) {
        self.dir.open_agent_journal().unwrap().write_all(bytes).unwrap();
    }

    fn started(&mut self, step: u32) {
        self.record(TaskEvent::StepStarted { step: StepNumber(step) });
    }

    fn ended(&mut self, step: u32, log_bytes: u64) {
        let (status, exit_code) = (StepStatus::Success, Some(0));
        self.record(TaskEvent::StepEnded {
            step: StepNumber(step),
            status,
            exit_code,
            duration_ms: 1,
            log_bytes,
        });
    }

    fn outbox(&self) -> Outbox {
        Outbox::resume(self.dir.clone(), &self.stored.acknowledged()).unwrap()
    }

    /// Sends all there is; how many bodies that took.
    fn send(&mut self, outbox: &mut Outbox, look: Look) -> usize {
        let mut bodies = 0;
        while let Some(draft) = outbox.next(look).unwrap() {
            for body in draft.write().unwrap() {
                self.stored.take(&body);
                bodies += 1;
            }
        }
        invariants::log_is_unbroken(&self.stored.chunks).unwrap();
        bodies
    }

    fn log(&self, step: u32) -> &[u8] {
        self.stored.logs.get(&StepNumber(step)).map_or(&[], Vec::as_slice)
    }

    fn spool(&self, step: u32) -> PathBuf {
        self.dir.spool(StepNumber(step))
    }
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_steps_log_goes_out_before_its_end_however_long_it_is() {
    let mut files = Files::new();
    let long = noise(MAX_RAW + MAX_CHUNK + 17);
    files.started(1);
    files.write(1, &long);
    files.ended(1, long.len() as u64);
    files.started(2);
    let mut outbox = files.outbox();
    let first = outbox.next(Look::Growing).unwrap().unwrap().write().unwrap();
    assert!(first.len() > 1, "noise does not fit one body");
    first.iter().for_each(|body| files.stored.take(body));
    assert_eq!(files.stored.records.len(), 1, "the end waits for the log");
    files.send(&mut outbox, Look::Growing);
    assert!(files.log(1) == long && files.stored.records.len() == 3);
}

#[test]
fn an_outbox_goes_on_from_what_is_acknowledged_and_sends_nothing_twice() {
    let mut files = Files::new();
    files.started(1);
    files.write(1, b"one\n");
    let mut outbox = files.outbox();
    assert_eq!(files.send(&mut outbox, Look::Growing), 1);
    assert_eq!(files.send(&mut outbox, Look::Everywhere), 0);
    files.write(1, b"two\n");
    files.ended(1, 8);
    let mut reborn = files.outbox();
    files.send(&mut reborn, Look::Growing);
    assert_eq!(files.log(1), b"one\ntwo\n");
    invariants::journal_is_sound(&files.stored.records).unwrap();
    assert_eq!(files.stored.records.len(), 2);
}

#[test]
fn the_hosts_own_step_and_background_output_are_seen() {
    let mut files = Files::new();
    files.write(0, b"host\n");
    files.write(1, b"");
    files.started(1);
    files.ended(1, 0);
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Growing);
    assert_eq!(files.log(0), b"host\n");
    files.write(1, b"late\n");
    files.send(&mut outbox, Look::Growing);
    assert_eq!(files.log(1), b"", "nobody looks there all the time");
    files.send(&mut outbox, Look::Everywhere);
    assert_eq!(files.log(1), b"late\n");
    files.write(1, b"later\n");
    files.send(&mut outbox, Look::Growing);
    assert_eq!(files.log(1), b"late\nlater\n", "once seen, it is looked at all the time");
}

#[test]
fn a_hostile_journal_stops_no_log() {
    let mut files = Files::new();
    files.started(1);
    files.write(1, b"said\n");
    files.ended(1, 1 << 40);
    files.ended(7000, 5);
    files.journal(b"no record\n");
    files.record(TaskEvent::Ended { outcome: Outcome::Success });
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Everywhere);
    assert_eq!((files.log(1), files.stored.records.len()), (&b"said\n"[..], 3));
    files.write(1, b"more\n");
    files.send(&mut outbox, Look::Everywhere);
    assert_eq!(files.log(1), b"said\nmore\n");
}

#[test]
fn a_record_is_read_once_its_line_is_whole() {
    let mut files = Files::new();
    let line = Record { seq: 0, at_ms: 0, event: TaskEvent::StepStarted { step: StepNumber(1) } }.to_line();
    let (begin, end) = line.split_at(10);
    files.journal(begin.as_bytes());
    let mut outbox = files.outbox();
    assert_eq!(files.send(&mut outbox, Look::Growing), 0);
    files.journal(end.as_bytes());
    assert_eq!(files.send(&mut outbox, Look::Growing), 1);
    assert_eq!(files.stored.records.len(), 1);
}

#[test]
fn an_endless_line_is_no_record_and_not_read_to_its_end() {
    let mut files = Files::new();
    files.journal(&vec![b' '; 4 * MAX_RECORD]);
    let mut outbox = files.outbox();
    assert_eq!(files.send(&mut outbox, Look::Growing), 0);
    assert!(outbox.journal_is_broken);
}

#[test]
fn acknowledged_bytes_are_given_back_to_the_disk() {
    let mut files = Files::new();
    files.started(1);
    files.write(1, &noise(4 * MAX_CHUNK + 5));
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Growing);
    let before = std::fs::metadata(files.spool(1)).unwrap();
    let forgotten = outbox.forget(&files.stored.acknowledged());
    if forgotten.into_iter().try_for_each(Forgotten::punch).is_err() {
        return eprintln!("skipped: this file system makes no holes");
    }
    let after = std::fs::metadata(files.spool(1)).unwrap();
    assert_eq!(before.len(), after.len(), "offsets stay");
    assert!(after.blocks() < before.blocks() / 4, "{} of {} blocks", after.blocks(), before.blocks());
    assert!(outbox.forget(&files.stored.acknowledged()).is_empty(), "once");
}

#[test]
fn steps_that_a_hostile_journal_invents_are_not_kept() {
    let mut files = Files::new();
    for step in 1_000..3_000 {
        files.started(step);
        files.ended(step, 7);
    }
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Everywhere);
    assert_eq!(files.stored.records.len(), 4_000);
    assert!(outbox.logs.is_empty() && outbox.growing.len() == 1);
}

#[test]
fn bytes_that_were_given_back_are_told_as_lost_in_one_line_where_they_are_wanted_again() {
    let mut files = Files::new();
    let text = vec![b'x'; usize::try_from(PUNCH).unwrap() + 10];
    files.started(1);
    files.write(1, &text);
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Growing);
    let forgotten = outbox.forget(&files.stored.acknowledged());
    if forgotten.into_iter().try_for_each(Forgotten::punch).is_err() {
        return eprintln!("skipped: this file system makes no holes");
    }
    // As from a backup of the control plane.
    files.stored = Stored::default();
    files.stored.logs.insert(StepNumber(1), text[..100].to_vec());
    let mut again = files.outbox();
    while let Some(draft) = again.next(Look::Everywhere).unwrap() {
        draft.write().unwrap().iter().for_each(|body| files.stored.take(body));
    }
    let log = files.log(1);
    assert_eq!(log.len(), text.len(), "offsets stay");
    let lost = std::str::from_utf8(&log[100..log.len() - 10]).unwrap();
    assert!(lost.starts_with(&format!("[{} bytes are lost here", PUNCH - 100)), "{}", &lost[..80]);
    assert_eq!(lost.find('\n'), Some(lost.len() - 1), "one line");
    assert!(log[..100].iter().chain(&log[log.len() - 10..]).all(|byte| *byte == b'x'));
}

#[test]
fn times_go_out_with_their_bytes_once_also_where_their_reader_is_born_again() {
    let mut files = Files::new();
    files.started(1);
    files.write(2, b"");
    files.write_at(1, 0, b"one\n");
    files.write(1, b"at once\n");
    files.write_at(2, 7, b"beside\n");
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Growing);
    files.write_at(1, 1500, b"two\n");
    files.write_at(1, 1700, b"three\n");
    let mut reborn = files.outbox();
    files.send(&mut reborn, Look::Growing);
    files.write_at(1, 9000, b"four\n");
    files.send(&mut reborn, Look::Growing);
    assert_eq!(files.log(1), b"one\nat once\ntwo\nthree\nfour\n");
    assert_eq!(files.marks(1), [(0, 0), (12, 1500), (16, 1700), (22, 9000)]);
    assert_eq!(files.marks(2), []);
    files.started(2);
    files.send(&mut reborn, Look::Growing);
    assert_eq!(files.marks(2), [(0, 7)], "a step's times wait for its log");
}

#[test]
fn a_log_that_waited_long_is_cut_so_that_all_its_times_go_with_it() {
    let mut files = Files::new();
    files.started(1);
    let count = 2 * MAX_MARKS + 9;
    (0..count).for_each(|at| files.note(1, 3 * at as u64, 100 * at as u32));
    files.write(1, &b"ab\n".repeat(count));
    let mut outbox = files.outbox();
    files.send(&mut outbox, Look::Growing);
    assert_eq!((files.marks(1).len(), files.stored.chunks.len()), (count, 3));
    assert_eq!(files.log(1).len(), 3 * count);
}

#[test]
fn a_task_whose_times_are_noted_nowhere_or_of_steps_that_it_has_not_is_sent_all_the_same() {
    for steps in [&[][..], &[7], &[0]] {
        let mut files = Files::new();
        files.started(1);
        files.write(0, b"host\n");
        steps.iter().for_each(|step| files.note(*step, 0, 5));
        files.write_at(1, 5, b"said\n");
        if steps.is_empty() {
            std::fs::remove_file(files.dir.times()).unwrap();
        }
        let mut outbox = files.outbox();
        files.send(&mut outbox, Look::Growing);
        assert_eq!((files.log(0), files.log(1)), (&b"host\n"[..], &b"said\n"[..]));
        assert!(files.stored.marks.is_empty(), "nothing is read past a lie");
    }
}

/// What a job could make of the journal's bytes: records that lie, and no records at all.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let step = || prop_oneof![0..4_u32, any::<u32>()].prop_map(StepNumber);
    let started = step().prop_map(|step| TaskEvent::StepStarted { step });
    let ended = (step(), prop_oneof![0..300_u64, any::<u64>()]).prop_map(|(step, log_bytes)| {
        TaskEvent::StepEnded { step, status: StepStatus::Failed, exit_code: None, duration_ms: 0, log_bytes }
    });
    let over = Just(TaskEvent::Ended { outcome: Outcome::Success });
    let event = prop_oneof![4 => started, 4 => ended, 1 => over];
    let records = prop::collection::vec(event, 0..40).prop_map(|events| {
        let line = |(seq, event)| Record { seq, at_ms: i64::MIN, event }.to_line();
        (0..).zip(events).map(line).collect::<String>().into_bytes()
    });
    (records, any::<Vec<u8>>()).prop_map(|(records, garbage)| [records, garbage].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_journal_is_too_hostile_to_send_the_logs(journal in hostile(), cut: usize, logs: [Vec<u8>; 3]) {
        let mut files = Files::new();
        for (step, log) in (1..).zip(&logs) {
            files.write(step, log);
        }
        let mut outbox = files.outbox();
        // It comes in two parts, and its reader is born again in between.
        let (one, other) = journal.split_at(cut % (journal.len() + 1));
        files.journal(one);
        files.send(&mut outbox, Look::Growing);
        files.journal(other);
        let mut outbox = files.outbox();
        files.send(&mut outbox, Look::Everywhere);
        prop_assert_eq!(&files.stored.records, &journal::read(&journal).0);
        for (step, log) in (1..).zip(&logs) {
            prop_assert!(log.starts_with(files.log(step)), "what is sent is what was written");
        }
        prop_assert!(outbox.logs.len() <= 4 && outbox.growing.len() <= 4, "no step is invented");
    }

    #[test]
    fn no_times_are_too_hostile_to_send_the_logs(
        notes in prop::collection::vec((0..3_u32, 0..40_u64, any::<u16>()), 0..60),
        garbage: Vec<u8>,
        log in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut files = Files::new();
        files.started(1);
        files.write(1, &log);
        notes.iter().for_each(|(step, offset, ms)| files.note(*step, *offset, (*ms).into()));
        files.times(&garbage);
        let mut outbox = files.outbox();
        files.send(&mut outbox, Look::Everywhere);
        prop_assert_eq!(files.log(1), &log[..]);
        let marks = files.marks(1);
        prop_assert!(marks.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
        prop_assert!(marks.iter().all(|(offset, _)| *offset < log.len() as u64));
    }
}
