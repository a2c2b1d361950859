//! Frames between a launch-agent and the task-agent of one task: one JSON text per SEQPACKET packet of at most 64 KiB,
//! with its descriptors beside it.
//!
//! ```text
//! task-agent                                             launch-agent
//!   reads Invitation from stdin  ◀──────────────────────  spawns, writes one line
//!   connects ── Hello{key, …} ─────────────────────────▶  checks key and peer's process tree
//!            ◀── Task{…} + [spec, journal, tree?] ──────  once, if it holds no task yet
//!            ◀── Times + [file] ────────────────────────  to one that takes it
//!            ◀── StepLogs{first} + [spool…] ────────────  until every step has its spool
//!            ◀── Begin ─────────────────────────────────  the control plane granted it: user code may run
//!            ── Progress{…} (hint) ─────────────────────▶  the truth is in journal and spools
//!            ── Request{id, …} + [file] ────────────────▶
//!            ◀── Answer{id, …} + [file?] ───────────────  an unanswered request is sent again after a reconnect
//!            ◀── Acknowledged{…}, Cancel{…} ────────────
//! ```

use crate::{VERSION, ids::StepNumber, repository::Method, transfer::Writer};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The largest frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;
/// The most descriptors beside one frame (`SCM_MAX_FD` is 253).
pub const MAX_DESCRIPTORS: usize = 128;

/// What a task-agent proves itself with. No log shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The one line on a task-agent's standard input. The only thing it knows before it connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// [`VERSION`] of the launch-agent.
    pub version: u32,
    /// Where the launch-agent listens for this task, now and after any restart of it.
    pub socket: PathBuf,
    /// Proves, in every [`ToLaunchAgent::Hello`], that the peer is the process that was invited.
    pub key: Key,
    /// The directory that is the task's own: home, working directory and temporary files lie in it. Absolute.
    pub root: PathBuf,
    /// The default working directory, where the operator configured one (`runner.working_directory`).
    pub working_directory: Option<PathBuf>,
    /// How long to go on without a launch-agent before ending the task; none: until it is done.
    pub outlive_ms: Option<u64>,
    /// The most unacknowledged bytes one task's spools may hold (`logs.max_spool`).
    pub max_spool: u64,
    /// How long output waits for room in a full spool before its middle is dropped.
    pub spool_wait_ms: u64,
    /// Whether the commands of steps see a terminal (`runner.terminal`).
    #[serde(default = "yes")]
    pub terminal: bool,
}

fn yes() -> bool {
    true
}

/// What a launch-agent tells a task-agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToTaskAgent {
    /// The task. Descriptors: the spec ([`crate::task::TaskSpec`] as JSON, a sealed memory file), the journal
    /// (append-only), and for a tree source the tree's directory.
    Task {
        /// [`VERSION`] of the launch-agent.
        version: u32,
    },
    /// Where to note when log bytes are written ([`crate::marks`]): one descriptor, append-only. Before the spools, and only to
    /// one whose [`ToLaunchAgent::Hello`] says that it takes it.
    Times,
    /// Spools of the steps from `first`, one append-only descriptor each, in order.
    StepLogs {
        /// The step of the first descriptor.
        first: StepNumber,
    },
    /// User code may run.
    Begin,
    /// The control plane has this much of a step's log: room in the spool. A hint.
    Acknowledged {
        /// Which log.
        step: StepNumber,
        /// Bytes from its start.
        offset: u64,
    },
    /// So much of a large file is with the control plane. A hint.
    Sent {
        /// The request that handed it over.
        request: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The answer to the request of this number.
    Answer {
        /// As in the request.
        request: u64,
        /// What came of it.
        answer: Answer,
    },
    /// End the task: TERM to everything in it, KILL after the grace. May be repeated.
    Cancel {
        /// How the task ends.
        why: CancelReason,
        /// Milliseconds between TERM and KILL.
        grace_ms: u64,
    },
}

/// Why a task is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Somebody canceled it.
    Canceled,
    /// Its lease was lost: nobody wants its results any more.
    Fenced,
    /// `max_run_time` is over.
    MaxRunTime,
    /// The launch-agent ends, and its patience is over.
    Shutdown,
}

/// What a task-agent tells its launch-agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToLaunchAgent {
    /// First after every connect.
    Hello {
        /// [`VERSION`] of the task-agent.
        version: u32,
        /// From the [`Invitation`].
        key: Key,
        /// Whether it has its task, journal and spools already.
        holds_task: bool,
        /// Whether it got [`ToTaskAgent::Begin`].
        begun: bool,
        /// Whether it knows [`ToTaskAgent::Sent`] and [`Answer::Changed`], as those of earlier releases do not.
        #[serde(default)]
        follows: bool,
        /// Whether it takes [`ToTaskAgent::Times`], as those of earlier releases do not.
        #[serde(default)]
        notes_times: bool,
    },
    /// Journal or spools grew, or may have. A hint, at most a few a second.
    Progress,
    /// Something that must leave the host, or come to it.
    Request {
        /// Counts from 1, kept over reconnects: a repeat of a number is the same request.
        request: u64,
        /// What is wanted. Its descriptor, where it has one, is a regular file opened with the job's rights.
        wanted: Wanted,
    },
}

/// What a task-agent asks to be carried. «File» marks those with a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// File: an artifact's content.
    StoreArtifact {
        /// Its path on the artifacts page: relative, `/` between, no `.` or `..` parts.
        path: String,
    },
    /// File: many small artifacts, a [`crate::bundle`].
    StoreBundle,
    /// File: one [`crate::transfer::TestCase`] as JSON a line.
    StoreTestResults,
    /// A file without a name where the host keeps archives, to make one in: handed over read-only with a later request, it
    /// is kept as it is.
    LendFile,
    /// File: tar in zstd.
    SaveCache {
        /// The key, its template evaluated; at most 900 characters.
        key: String,
    },
    /// Whether a key is already saved, asked before an archive is made for nothing.
    FindCache {
        /// Exact.
        key: String,
    },
    /// The first of these keys that has an exact match, or else the newest with that prefix.
    RestoreCache {
        /// Evaluated, in order of preference.
        keys: Vec<String>,
    },
    /// File: tar in zstd, one layer of the workspace.
    PersistLayer,
    /// The workspace layer of this index, counted from 0 over all jobs upstream in order.
    AttachLayer {
        /// From 0; asked one after the other until [`Answer::NoLayer`].
        index: u32,
    },
    /// The archive of an archive source.
    FetchSource,
    /// What former runs of the job tell ([`crate::former::Former`]).
    FormerTests,
    /// The host's copy of the task's repository.
    TakeMirror {
        /// Of which kind: one of another has not what this wants.
        method: Method,
    },
    /// File: such a copy, in place of the one that the host has.
    KeepMirror {
        /// Of which kind it is.
        method: Method,
    },
    /// A token by which the job proves to others which job it is ([`crate::http::Mint`]).
    Token {
        /// Whom it is for; nobody: those who trust the job's organization.
        audience: Vec<String>,
    },
    /// File: the body of a call that continues the task's setup pipeline ([`crate::api::Continue`]), as the job made it.
    ContinuePipeline,
    /// A container engine for the job's own use.
    StartEngine,
}

/// What came of a request. «File» marks those with a descriptor, open for reading at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Stored; acknowledged by the control plane.
    Stored {
        /// Bytes.
        size: u64,
    },
    /// File: empty, open for reading and writing.
    Lent,
    /// The file changed while it was read: nothing of it is stored, and it may be handed over again.
    Changed,
    /// This key had been saved before: nothing was sent.
    AlreadySaved,
    /// No key of those asked is saved.
    NoCache,
    /// File: the archive.
    Cache {
        /// The key that matched.
        key: String,
        /// Compressed bytes.
        size: u64,
    },
    /// File: the archive of one layer.
    Layer {
        /// Which job persisted it.
        job: String,
        /// Compressed bytes.
        size: u64,
        /// Which task of it, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        writer: Option<Writer>,
    },
    /// There is no layer of that index: the ones before were all.
    NoLayer,
    /// File: the archive of the source.
    Source {
        /// Compressed bytes.
        size: u64,
    },
    /// The engine answers, there until the task's end.
    Engine {
        /// Where the job finds it.
        socket: PathBuf,
        /// What it is, and what it cannot do here: sentences for the step's log.
        notes: Vec<String>,
    },
    /// File: a [`crate::former::Former`] as JSON.
    FormerTests {
        /// Bytes.
        size: u64,
    },
    /// File: the archive of a copy of the repository.
    Mirror {
        /// Compressed bytes.
        size: u64,
    },
    /// There is none for this task, or none is kept of it.
    NoMirror,
    /// File: what was asked for, as it is.
    Content {
        /// Bytes.
        size: u64,
    },
    /// The control plane's answer to a call of the job.
    Reply {
        /// Of HTTP.
        status: u16,
        /// JSON.
        body: String,
    },
    /// It cannot be done, now or later; a sentence for the step's log.
    Refused {
        /// What happened and what to do about it.
        message: String,
    },
}

/// A frame that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It has more than [`MAX_FRAME`] bytes.
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLong(usize),
    /// It is no frame that this version knows.
    #[error("not a frame that version {VERSION} knows: {0}")]
    Unknown(#[from] serde_json::Error),
}

/// The bytes of one packet.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let packet = serde_json::to_vec(frame)?;
    if packet.len() > MAX_FRAME { Err(FrameError::TooLong(packet.len())) } else { Ok(packet) }
}

/// The frame of one packet.
pub fn decode<'p, T: Deserialize<'p>>(packet: &'p [u8]) -> Result<T, FrameError> {
    if packet.len() > MAX_FRAME {
        return Err(FrameError::TooLong(packet.len()));
    }
    Ok(serde_json::from_slice(packet)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_look_like_this_on_the_wire() {
        let hello = ToLaunchAgent::Hello {
            version: 1,
            key: Key("k".to_owned()),
            holds_task: false,
            begun: false,
            follows: true,
            notes_times: true,
        };
        let wanted = Wanted::SaveCache { key: "v1-deps".to_owned() };
        let frames = [
            encode(&hello).unwrap(),
            encode(&ToLaunchAgent::Progress).unwrap(),
            encode(&ToLaunchAgent::Request { request: 7, wanted }).unwrap(),
            encode(&ToTaskAgent::Answer { request: 7, answer: Answer::AlreadySaved }).unwrap(),
            encode(&ToTaskAgent::Begin).unwrap(),
        ];
        let wire: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(frame)).collect();
        insta::assert_snapshot!(wire.join("\n"));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_on_both_sides() {
        let wanted = Wanted::SaveCache { key: "k".repeat(MAX_FRAME) };
        assert!(matches!(encode(&wanted), Err(FrameError::TooLong(_))));
        assert!(matches!(decode::<Wanted>(&vec![b' '; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_packet_is_a_frame_or_an_error(packet: Vec<u8>) {
            let _ = decode::<ToLaunchAgent>(&packet);
            let _ = decode::<ToTaskAgent>(&packet);
        }
    }
}
