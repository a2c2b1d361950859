//! What was acknowledged, and whether it is there.

use client::{Settings, Transport};
use integration::{pipelines::only_task, rig::Server};
use protocol::{
    api::PipelineView,
    http::{Claimed, Heartbeat},
    ids::{Digest, PipelineId, StepNumber},
    status::Outcome,
    transfer::Content,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The only step that writes.
pub(crate) const STEP: StepNumber = StepNumber(1);

/// A task, as far as anything about it was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) claimed: Claimed,
    pub(crate) token: String,
    pub(crate) logged: u64,
    pub(crate) artifacts: Vec<Content>,
    pub(crate) outcome: Option<Outcome>,
}

/// All that was acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) asked: u64,
    pub(crate) pipelines: BTreeMap<PipelineId, u64>,
    pub(crate) tasks: BTreeMap<String, Held>,
    pub(crate) tokens: Vec<String>,
}

/// The byte of a task's log at an offset: no two tasks have the same, and no compressor makes it shorter.
fn byte(task: &str, at: u64) -> u8 {
    let salt = task.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mixed = (at ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 ^ (mixed >> 24) as u8
}

/// Some of a task's log.
pub(crate) fn log(task: &str, from: u64, length: u64) -> Vec<u8> {
    (from..from + length).map(|at| byte(task, at)).collect()
}

pub(crate) fn content_of(bytes: &[u8]) -> Content {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let digest = Digest::of_bytes(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes"));
    Content { digest, size: bytes.len() as u64 }
}

/// Any file below a directory.
pub(crate) fn a_file_below(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find_map(|path| if path.is_dir() { a_file_below(&path) } else { Some(path) })
}

impl Known {
    pub(crate) fn ended(&self) -> usize {
        self.tasks.values().filter(|task| task.outcome.is_some()).count()
    }

    pub(crate) fn artifacts(&self) -> usize {
        self.tasks.values().map(|task| task.artifacts.len()).sum()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// The file of a content that an artifact names.
    pub(crate) fn an_artifact_in(&self, data: &Path) -> PathBuf {
        let content = self.tasks.values().find_map(|task| task.artifacts.first()).expect("there is one");
        let digest = content.digest.as_str();
        let scopes = fs::read_dir(data.join("blobs")).expect("it is there").flatten();
        let places = scopes.map(|scope| scope.path().join(&digest[..2]).join(digest));
        places.into_iter().find(|place| place.exists()).expect("it was acknowledged")
    }

    /// All of it is there, and nothing twice.
    pub(crate) async fn is_there(&self, server: &Server) {
        let transport = Transport::new(Settings::new(&server.url)).expect("its address is sound");
        for token in &self.tokens {
            let heartbeat = Heartbeat { name: "caller".to_owned(), tasks: Vec::new(), wait_ms: 0 };
            transport.runner(token).heartbeat(&heartbeat).await.expect("a token that was made is good");
        }
        let views = self.views(server).await;
        for (id, task) in &self.tasks {
            task.is_there(id, server, &transport, &views).await;
        }
    }

    async fn views(&self, server: &Server) -> BTreeMap<String, PipelineView> {
        let operator = server.operator();
        let (mut views, mut numbers) = (BTreeMap::new(), BTreeSet::new());
        for (id, number) in &self.pipelines {
            let view = operator.pipeline(*id).await.expect("a pipeline that was made is there");
            assert_eq!(view.number, *number);
            assert!(numbers.insert(*number), "two pipelines have the number {number}");
            assert!(*number <= self.asked, "more pipelines than were asked for");
            views.insert(only_task(&view).id.to_string(), view);
        }
        views
    }
}

impl Held {
    async fn is_there(
        &self,
        id: &str,
        server: &Server,
        transport: &Transport,
        views: &BTreeMap<String, PipelineView>,
    ) {
        let token = transport.task(&self.token);
        let stored = token.acknowledged().await.expect("a claim that was given is good").logs;
        let length = stored.get(&STEP).copied().unwrap_or_default();
        assert!(length >= self.logged, "{id}: {} bytes were acknowledged, {length} are there", self.logged);
        let operator = server.operator();
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let part = operator.log((self.claimed.task_id, STEP), bytes.len() as u64, 1 << 20, 0).await;
            bytes.extend_from_slice(&part.expect("a log that was stored is read").bytes);
        }
        assert!(bytes == log(id, 0, length), "{id}: the log has other bytes than were sent");
        // One whose pipeline was made, but whose making nobody heard of, has no view here.
        let Some(view) = views.get(id) else { return };
        let task = only_task(view);
        if self.outcome.is_some() {
            assert_eq!(task.outcome, self.outcome, "{id}");
        }
        let job = &view.workflows[0].jobs[0];
        for content in &self.artifacts {
            let path = content.digest.as_str();
            assert_eq!(task.artifacts.iter().filter(|found| found.path == path).count(), 1, "{id}");
            let file = tempfile::tempfile().expect("a temporary file");
            operator.artifact((job.id, 0), path, content, &file).await.expect("its bytes are there");
        }
    }
}
