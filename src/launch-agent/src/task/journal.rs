//! The TaskActor's journal, `task.jsonl`: what happened to the task on this host, a line each.
//!
//! It outlives the process that writes it, not the machine: after a power cut no process of any task is left, and the
//! control plane's lease decides. So no line is synced.

use super::state::TaskEvent;
use sandbox::{Containment, Identity};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// Something that may change the task's state.
    Event(TaskEvent),
    /// A process is about to be started, held together by these means.
    Launching(Containment),
    /// The process that the next event is about.
    Process(Identity),
    /// The container that it is the first process of, and how many services belong to it.
    Container {
        /// As its engine knows it.
        id: String,
        /// So many are started once leave to begin is granted.
        services: usize,
    },
    /// An engine for the job's own use is about to be started, or runs, held together by these means.
    Engine(Containment),
    /// The longest the task may run, from its task spec.
    LimitMs(u64),
    /// Why it ends as it does, for people.
    Because(String),
}

impl Entry {
    fn name(&self) -> &'static str {
        match self {
            Self::Event(event) => event.name(),
            Self::Launching(_) => "launching",
            Self::Process(_) => "process",
            Self::Container { .. } => "container",
            Self::Engine(_) => "engine",
            Self::LimitMs(_) => "limit",
            Self::Because(_) => "because",
        }
    }
}

/// The journal, open for writing.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

/// What a journal adds up to, beside the state.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Past {
    /// In order.
    pub(crate) events: Vec<TaskEvent>,
    /// Of the last process.
    pub(crate) process: Option<Identity>,
    /// The container it is the first process of, and how many services belong to that.
    pub(crate) container: Option<(String, usize)>,
    /// How its processes were held together.
    pub(crate) containment: Option<Containment>,
    /// How the processes of its own engine are held together, where it has one.
    pub(crate) engine: Option<Containment>,
    /// From the spec.
    pub(crate) limit_ms: Option<u64>,
    /// Why it ends, where the outcome says too little.
    pub(crate) because: Option<String>,
}

impl Journal {
    /// Opens it for more, and says what it has. A torn last line is an event nobody was told of: it is cut off.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Past)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        Ok((Self { file }, past(&text[..whole])))
    }

    /// Adds one line.
    pub(crate) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        failpoints::around("task.jsonl", entry.name(), || self.file.write_all(&line))
    }
}

/// What these lines add up to, as far as they are whole.
pub(crate) fn past(text: &[u8]) -> Past {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map_while(|line| serde_json::from_slice(line).ok()).collect()
}

impl FromIterator<Entry> for Past {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut past = Self::default();
        entries.into_iter().for_each(|entry| past.take(entry));
        past
    }
}

impl Past {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Event(event) => self.events.push(event),
            Entry::Launching(containment) => (self.containment, self.process) = (Some(containment), None),
            Entry::Process(identity) => self.process = Some(identity),
            Entry::Container { id, services } => self.container = Some((id, services)),
            Entry::Engine(containment) => self.engine = Some(containment),
            Entry::LimitMs(limit) => self.limit_ms = Some(limit),
            Entry::Because(why) => self.because = Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reborn_journal_has_what_was_written_and_no_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.jsonl");
        let (mut journal, past) = Journal::open(&path).unwrap();
        assert_eq!(past, Past::default());
        journal.write(&Entry::Process(Identity { pid: 7, start: 9 })).unwrap();
        journal.write(&Entry::Event(TaskEvent::Started)).unwrap();
        journal.file.write_all(b"{\"event\":\"gra").unwrap();
        let (mut journal, past) = Journal::open(&path).unwrap();
        assert_eq!(past.events, [TaskEvent::Started]);
        assert_eq!(past.process, Some(Identity { pid: 7, start: 9 }));
        journal.write(&Entry::Event(TaskEvent::Granted)).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1.events, [TaskEvent::Started, TaskEvent::Granted]);
    }
}
