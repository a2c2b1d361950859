//! What of a task's journal and spools the control plane does not have yet, cut into stream bodies.
//!
//! Records go out in order; before a step's end goes its log, so that a reader who sees the end has all of it.

use super::times::Times;
use crate::task::dir::TaskDir;
use protocol::{
    StepNumber,
    journal::{self, MAX_RECORD, Record, TaskEvent},
    marks::Marks,
    stream::{Acknowledged, Chunk, Item, MAX_BODY, MAX_CHUNK, encode},
};
use rustix::{
    fs::{FallocateFlags, SeekFrom, fallocate, seek},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};
use zstd::bulk::Compressor;

/// The most raw log bytes of one draft. Text makes one body of it, what cannot be compressed a few.
const MAX_RAW: usize = 8 * MAX_CHUNK;
/// The most records of one draft.
const MAX_RECORDS: usize = 512;
/// So much of a spool is given back to the disk at once.
const PUNCH: u64 = 1024 * 1024;
/// So many zeros are looked at more closely.
const BLOCK: usize = 4096;
/// For logs: fast, and text shrinks to a tenth all the same.
const LEVEL: i32 = 1;
/// So many compressors are kept while nobody needs them.
const IDLE_COMPRESSORS: usize = 2;

/// Reads a task's files from where the control plane's copy ends.
#[derive(Debug)]
pub(crate) struct Outbox {
    dir: TaskDir,
    journal: Option<Arc<File>>,
    journal_offset: u64,
    next_record: u64,
    journal_is_broken: bool,
    logs: BTreeMap<StepNumber, Log>,
    times: Times,
    /// Steps whose log may grow at any moment. The others get more only from background processes.
    growing: BTreeSet<StepNumber>,
}

#[derive(Debug, Default)]
struct Log {
    spool: Option<Arc<File>>,
    sent: u64,
    punched: u64,
    /// Given back to the disk, and wanted again all the same.
    lost: Range<u64>,
}

/// A body or a few, planned: what goes into them, in order.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pieces: Vec<Piece>,
    records: usize,
    raw: usize,
}

#[derive(Debug)]
enum Piece {
    Log { spool: Arc<File>, chunk: Chunk, marks: Marks },
    Lost { lost: Range<u64>, chunk: Chunk },
    Record(Record),
}

/// Which logs to look into for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Those that are being written.
    Growing,
    /// All of them: a background process may have written to any.
    Everywhere,
}

impl Outbox {
    /// Goes on from what the control plane has. Reads the journal up to there.
    pub(crate) fn resume(dir: TaskDir, acknowledged: &Acknowledged) -> io::Result<Self> {
        let log = |(step, sent): (&StepNumber, &u64)| {
            (*step, Log { sent: *sent, punched: *sent, ..Log::default() })
        };
        let mut outbox = Self {
            times: Times::of(dir.clone()),
            dir,
            journal: None,
            journal_offset: 0,
            next_record: 0,
            journal_is_broken: false,
            logs: acknowledged.logs.iter().map(log).collect(),
            growing: BTreeSet::from([StepNumber::HOST]),
        };
        while outbox.next_record < acknowledged.next_record {
            let Some(record) = outbox.read_record()? else { break };
            outbox.note(&record);
        }
        Ok(outbox)
    }

    /// Whether the control plane has nothing.
    pub(crate) fn is_at_start(&self) -> bool {
        self.next_record == 0 && self.logs.is_empty()
    }

    /// The next draft, and everything it takes counts as sent. None: there is nothing new.
    pub(crate) fn next(&mut self, look: Look) -> io::Result<Option<Draft>> {
        let mut draft = Draft::default();
        self.take_records(&mut draft)?;
        if look == Look::Everywhere {
            self.find_grown();
        }
        for step in self.growing.clone() {
            self.take_log(step, u64::MAX, &mut draft)?;
        }
        Ok(if draft.pieces.is_empty() { None } else { Some(draft) })
    }

    /// Gives back the disk space of what the control plane has. Where the file system cannot, it stays till the end.
    pub(crate) fn forget(&mut self, acknowledged: &Acknowledged) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        for (step, stored) in &acknowledged.logs {
            let Some(log) = self.logs.get_mut(step) else { continue };
            let until = stored / PUNCH * PUNCH;
            if let (Some(spool), true) = (&log.spool, until > log.punched) {
                forgotten.push(Forgotten { spool: spool.clone(), from: log.punched, until });
                log.punched = until;
            }
        }
        forgotten
    }

    fn take_records(&mut self, draft: &mut Draft) -> io::Result<()> {
        while draft.has_room() {
            let (at, next) = (self.journal_offset, self.next_record);
            let Some(record) = self.read_record()? else { break };
            if !self.take_log_before(&record, draft)? {
                (self.journal_offset, self.next_record) = (at, next);
                break;
            }
            self.note(&record);
            draft.push(Piece::Record(record));
        }
        Ok(())
    }

    /// Takes the rest of a step's log before its end. False: the draft is full, the record must wait for the next.
    fn take_log_before(&mut self, record: &Record, draft: &mut Draft) -> io::Result<bool> {
        let TaskEvent::StepEnded { step, log_bytes, .. } = record.event else { return Ok(true) };
        self.take_log(step, log_bytes, draft)?;
        let sent = self.log(step)?.map_or(log_bytes, |log| log.sent);
        Ok(sent >= log_bytes || draft.has_room())
    }

    /// Steps that were over and have more all the same: something of theirs runs in the background.
    fn find_grown(&mut self) {
        let (dir, growing) = (&self.dir, &mut self.growing);
        let length = |step| std::fs::metadata(dir.spool(step)).map_or(0, |spool| spool.len());
        let grown =
            self.logs.iter().filter(|(step, log)| !growing.contains(step) && length(**step) > log.sent);
        let grown: Vec<_> = grown.map(|(step, _)| *step).collect();
        growing.extend(grown);
    }

    fn note(&mut self, record: &Record) {
        match record.event {
            TaskEvent::StepStarted { step } if self.dir.spool(step).exists() => {
                self.growing.insert(step);
            }
            TaskEvent::StepEnded { step, .. } => {
                self.growing.remove(&step);
                self.logs.entry(step).and_modify(|log| log.spool = None);
            }
            // A step that a hostile journal invents.
            TaskEvent::StepStarted { .. } | TaskEvent::Ended { .. } => {}
        }
    }

    fn take_log(&mut self, step: StepNumber, until: u64, draft: &mut Draft) -> io::Result<()> {
        let Some(log) = self.log(step)? else { return Ok(()) };
        let Some(spool) = log.spool.clone() else { return Ok(()) };
        let (end, sent) = (spool.metadata()?.len().min(until), log.sent);
        if sent < end {
            let logs = &self.logs;
            self.times.read(|step| logs.get(&step).map_or(0, |log| log.sent));
        }
        let (Some(log), times) = (self.logs.get_mut(&step), &mut self.times) else { return Ok(()) };
        while log.sent < end && draft.has_room() {
            let room = (MAX_RAW - draft.raw).min(MAX_CHUNK) as u64;
            draft.push(log.piece(step, &spool, (end - log.sent).min(room), times));
        }
        Ok(())
    }

    /// The log of a step, its spool open; none where a hostile journal invents a step, for that has no spool.
    fn log(&mut self, step: StepNumber) -> io::Result<Option<&mut Log>> {
        if self.logs.get(&step).is_none_or(|log| log.spool.is_none()) {
            let Some(spool) = open_if_there(&self.dir.spool(step))? else { return Ok(None) };
            let log = self.logs.entry(step).or_default();
            log.lost = lost_at(&spool, log.sent)?;
            log.spool = Some(spool);
        }
        Ok(self.logs.get_mut(&step))
    }

    /// The next whole record of the journal, if there is one.
    fn read_record(&mut self) -> io::Result<Option<Record>> {
        if self.journal.is_none() {
            self.journal = open_if_there(&self.dir.agent_journal())?;
        }
        let (Some(file), false) = (&self.journal, self.journal_is_broken) else { return Ok(None) };
        let window = read_some(file, self.journal_offset, MAX_RECORD + 1)?;
        let line = first_line(&window);
        let (mut records, used) = journal::read_from(line, self.next_record);
        let record = records.pop();
        self.journal_is_broken = record.is_none() && (line.ends_with(b"\n") || line.len() > MAX_RECORD);
        self.journal_offset += used as u64;
        self.next_record += u64::from(record.is_some());
        Ok(record)
    }
}

impl Log {
    /// The next piece, of at most so many bytes. What is lost has no times any more.
    fn piece(&mut self, step: StepNumber, spool: &Arc<File>, most: u64, times: &mut Times) -> Piece {
        let (offset, lost) = (self.sent, self.lost.clone());
        let is_lost = lost.contains(&offset);
        let most = if is_lost { most.min(lost.end - offset) } else { most };
        let (marks, most) = times.take(step, offset, most);
        let length = u32::try_from(most).expect("a chunk is shorter than 4 GiB");
        let chunk = Chunk { step, offset, length };
        self.sent += most;
        if is_lost { Piece::Lost { lost, chunk } } else { Piece::Log { spool: spool.clone(), chunk, marks } }
    }
}

impl Draft {
    fn has_room(&self) -> bool {
        self.raw < MAX_RAW && self.records < MAX_RECORDS
    }

    fn push(&mut self, piece: Piece) {
        match &piece {
            Piece::Log { chunk, .. } | Piece::Lost { chunk, .. } => self.raw += chunk.length as usize,
            Piece::Record(_) => self.records += 1,
        }
        self.pieces.push(piece);
    }

    /// How many log bytes it has, before compression.
    pub(crate) fn raw(&self) -> usize {
        self.raw
    }

    /// The bodies, in order. Reads and compresses: no work for an actor's thread unless it is little.
    pub(crate) fn write(self) -> io::Result<Vec<Vec<u8>>> {
        let (mut bodies, mut body, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for piece in self.pieces {
            let before = body.len();
            encode(&piece.item(&mut raw)?, &mut body);
            if body.len() > MAX_BODY {
                let rest = body.split_off(before);
                bodies.push(std::mem::replace(&mut body, rest));
            }
        }
        bodies.push(body);
        Ok(bodies)
    }
}

impl Piece {
    fn item(self, raw: &mut Vec<u8>) -> io::Result<Item> {
        let (chunk, marks) = match self {
            Self::Record(record) => return Ok(Item::Record(record)),
            Self::Log { spool, chunk, marks } => {
                raw.resize(chunk.length as usize, 0);
                spool.read_exact_at(raw, chunk.offset)?;
                (chunk, marks)
            }
            Self::Lost { lost, chunk } => {
                tell_loss(&lost, chunk, raw);
                (chunk, Marks::default())
            }
        };
        Ok(Item::Log { chunk, marks, frame: compressed(raw)? })
    }
}

/// By one of the process's few compressors: making one takes longer than compressing a few lines, and it is large.
fn compressed(raw: &[u8]) -> io::Result<Vec<u8>> {
    static IDLE: Mutex<Vec<Compressor<'static>>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let free = idle().pop();
    let mut compressor = free.map_or_else(|| Compressor::new(LEVEL), Ok)?;
    let frame = compressor.compress(raw);
    let mut idle = idle();
    if idle.len() < IDLE_COMPRESSORS {
        idle.push(compressor);
    }
    frame
}

/// A piece of a spool that the control plane has.
#[derive(Debug)]
pub(crate) struct Forgotten {
    spool: Arc<File>,
    from: u64,
    until: u64,
}

impl Forgotten {
    /// Makes a hole of it.
    pub(crate) fn punch(self) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let punch = || fallocate(&*self.spool, flags, self.from, self.until - self.from);
        Ok(failpoints::around("spool", "punched", punch)?)
    }
}

fn open_if_there(path: &std::path::Path) -> io::Result<Option<Arc<File>>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok(Some(Arc::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was there and is a hole now: a control plane that has less than it had, from a backup perhaps, wants bytes again
/// that were given back to the disk. No job makes holes, for it only appends; and a hole reads as zeros.
fn lost_at(spool: &File, sent: u64) -> io::Result<Range<u64>> {
    let next = read_some(spool, sent, BLOCK)?;
    if next.is_empty() || next.iter().any(|byte| *byte != 0) {
        return Ok(sent..sent);
    }
    let end = match seek(spool, SeekFrom::Data(sent)) {
        Ok(data) => data,
        Err(Errno::NXIO) => spool.metadata()?.len(),
        // A file system that makes no holes.
        Err(_) => sent,
    };
    Ok(sent..end)
}

/// One line as long as what is lost, so that every offset stays: a sentence, blanks, and the line's end.
fn tell_loss(lost: &Range<u64>, chunk: Chunk, raw: &mut Vec<u8>) {
    let bytes = lost.end - lost.start;
    let sentence = format!("[{bytes} bytes are lost here: the control plane had them, and has them no more]");
    let byte_at = |at: u64| match usize::try_from(at - lost.start) {
        _ if at + 1 == lost.end => b'\n',
        Ok(index) => sentence.as_bytes().get(index).copied().unwrap_or(b' '),
        Err(_) => b' ',
    };
    raw.clear();
    raw.extend((chunk.offset..chunk.offset + u64::from(chunk.length)).map(byte_at));
}

pub(super) fn read_some(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(offset).min(most as u64);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(most)];
    let read = file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn first_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.map_or(text, |at| &text[..=at])
}

#[cfg(test)]
mod tests;
