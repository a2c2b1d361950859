//! What is on disk of one task: its claim, its journals, its spools, its socket.
//!
//! ```text
//! <state>/tasks/<task id>/    0711
//!     claim.json              0600: token, epoch, key; never leaves the launch-agent
//!     task.jsonl              the TaskActor's journal
//!     agent.jsonl             the task-agent's journal, through an append-only descriptor
//!     steps/NNN.log           masked output of each step, through append-only descriptors; 000 is the host's own
//!     times                   when the bytes of those were written, through an append-only descriptor
//!     crashes                 a line for each crash of a launch-agent that the task was present at
//!     output.log              what the task-agent's process itself says on stderr
//!     engine.log              what the engine of the job's own says
//!     socket                  where the task-agent finds its launch-agent
//!     door/socket             the same of a task in containers, and `door/engine.sock`: the directory is mounted there, with
//!                             nothing else in it
//! ```

pub(crate) use super::removal::remove_tree;
use failpoints::around;
use protocol::{StepNumber, TaskId, http::Claimed};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The directory of one task.
#[derive(Clone, Debug)]
pub(crate) struct TaskDir {
    path: PathBuf,
}

/// All that a fresh actor needs to go on with a task, beside its journal.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ClaimRecord {
    /// As the control plane gave it.
    pub(crate) claimed: Claimed,
    /// What the task-agent proves itself with.
    pub(crate) key: String,
    /// Which of the host's slots it takes.
    pub(crate) slot: usize,
    /// The fingerprint of the resource class token it was claimed with.
    #[serde(default)]
    pub(crate) token: String,
}

impl std::fmt::Debug for ClaimRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "claim of {} in slot {}", self.claimed.task_id, self.slot)
    }
}

impl TaskDir {
    /// Where the directory of this task is, or would be.
    pub(crate) fn new(tasks: &Path, task: TaskId) -> Self {
        Self { path: tasks.join(task.to_string()) }
    }

    /// Makes it, with the claim in it. The claim is written under another name first: half of one is none.
    pub(crate) fn create(&self, claim: &ClaimRecord) -> io::Result<()> {
        let make = || DirBuilder::new().recursive(true).mode(0o711).create(&self.path);
        around("task", "made", make)?;
        std::fs::set_permissions(&self.path, Permissions::from_mode(0o711))?;
        DirBuilder::new().recursive(true).mode(0o700).create(self.path.join("steps"))?;
        if claim.claimed.in_containers {
            DirBuilder::new().recursive(true).mode(0o711).create(self.door())?;
            std::fs::set_permissions(self.door(), Permissions::from_mode(0o711))?;
        }
        let (draft, claim_path) = (self.path.join("claim.json.new"), self.path.join("claim.json"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let text = serde_json::to_vec(claim)?;
        around("claim.json", "written", || file.write_all(&text))?;
        around("claim.json", "named", || std::fs::rename(draft, claim_path))
    }

    /// The claim, if there is a whole one.
    pub(crate) fn claim(&self) -> io::Result<ClaimRecord> {
        Ok(serde_json::from_slice(&std::fs::read(self.path.join("claim.json"))?)?)
    }

    /// Since when the task is on this host.
    pub(crate) fn since(&self) -> io::Result<SystemTime> {
        self.path.join("claim.json").metadata()?.modified()
    }

    /// Of a launch-agent, that the task was present at.
    pub(crate) fn note_crash(&self, life: &str) -> io::Result<()> {
        append_only(&self.path.join("crashes"))?.write_all(format!("{life}\n").as_bytes())
    }

    /// How many were noted.
    pub(crate) fn crashes(&self) -> usize {
        let noted = std::fs::read_to_string(self.path.join("crashes")).unwrap_or_default();
        noted.lines().count()
    }

    /// All of it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Of the TaskActor.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("task.jsonl")
    }

    /// Of the task-agent.
    pub(crate) fn agent_journal(&self) -> PathBuf {
        self.path.join("agent.jsonl")
    }

    /// Where the task-agent connects.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }

    /// What its own engine says.
    pub(crate) fn engine_output(&self) -> PathBuf {
        self.path.join("engine.log")
    }

    /// Of a task in containers: the directory of its socket.
    pub(crate) fn door(&self) -> PathBuf {
        self.path.join("door")
    }

    /// Of one step.
    pub(crate) fn spool(&self, step: StepNumber) -> PathBuf {
        self.path.join("steps").join(step.spool_name())
    }

    /// For appending only, made if missing: what is handed to the task-agent.
    pub(crate) fn open_spool(&self, step: StepNumber) -> io::Result<File> {
        append_only(&self.spool(step))
    }

    /// When the bytes of all spools were written.
    pub(crate) fn times(&self) -> PathBuf {
        self.path.join("times")
    }

    /// For appending only, made if missing: what is handed to the task-agent.
    pub(crate) fn open_times(&self) -> io::Result<File> {
        append_only(&self.times())
    }

    /// For appending only, made if missing: what is handed to the task-agent.
    pub(crate) fn open_agent_journal(&self) -> io::Result<File> {
        around("agent.jsonl", "made", || append_only(&self.agent_journal()))
    }

    /// What the process says apart from its wire: a panic, or the word of a `command_prefix`.
    pub(crate) fn open_output(&self) -> io::Result<File> {
        append_only(&self.path.join("output.log"))
    }

    /// The end of what the process said, for people; at most `most` bytes.
    pub(crate) fn output_tail(&self, most: usize) -> String {
        let output = std::fs::read(self.path.join("output.log")).unwrap_or_default();
        let tail = &output[output.len().saturating_sub(most)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    /// Removes all of it, the claim first: what is left without one is nobody's. What is not there is no failure.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match around("claim.json", "removed", || std::fs::remove_file(self.path.join("claim.json"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => around("task", "removed", || remove_tree(&self.path)),
        }
    }
}

fn append_only(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Digest, Epoch, http::AgentProgram, transfer::Content};
    use uuid::Uuid;

    fn record(key: String, slot: usize) -> ClaimRecord {
        let content = Content { digest: Digest::of_bytes(&[7; 32]), size: 9 };
        let claimed = Claimed {
            task_token: key.clone(),
            agent_version: "1".to_owned(),
            resource_class: "namespace/name".parse().unwrap(),
            allocation: String::new(),
            task_id: TaskId(Uuid::new_v4()),
            epoch: Epoch(3),
            lease_ms: 60_000,
            agent: AgentProgram { content, url: "/program".to_owned() },
            in_containers: false,
        };
        ClaimRecord { claimed, token: key.clone(), key, slot }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn a_claim_is_read_as_it_was_written_or_not_at_all(key: String, slot: usize, cut: usize, hostile: Vec<u8>) {
            let root = tempfile::tempdir().unwrap();
            let record = record(key, slot);
            let dir = TaskDir::new(root.path(), record.claimed.task_id);
            dir.create(&record).unwrap();
            let read = dir.claim().unwrap();
            proptest::prop_assert_eq!((&read.claimed, &read.key, read.slot), (&record.claimed, &record.key, slot));
            let path = dir.path().join("claim.json");
            let whole = std::fs::read(&path).unwrap();
            for half in [&whole[..cut % whole.len()], &hostile, &[&whole[..], b"\0"].concat()] {
                std::fs::write(&path, half).unwrap();
                proptest::prop_assert!(dir.claim().is_err());
            }
        }
    }
}
