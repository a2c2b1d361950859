//! What the fake knows: the queue, the tasks, their leases and everything that was told of them.

use crate::control_plane::{blobs::Blobs, trouble::Trouble};
use protocol::{
    http::{AgentProgram, Claimed, End, Fail, Lease, SaveCache, Tests},
    ids::{Digest, Epoch, ResourceClass, StepNumber, TaskId},
    invariants,
    journal::{Record, TaskEvent},
    stream::{Acknowledged, Chunk},
    task::TaskSpec,
    transfer::{Artifact, Content, Found},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The resource class token that the fake accepts.
pub const CLASS_TOKEN: &str = "the-token-of-local-fake";

/// Everything, for tests to look at and to change.
#[derive(Clone, Debug)]
pub struct State {
    /// By id.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Claims that are held open.
    pub held_claims: usize,
    /// Not claimed yet.
    pub queue: VecDeque<TaskId>,
    /// Resource class tokens that are accepted.
    pub class_tokens: BTreeSet<String>,
    /// The task-agent that claims name.
    pub agent: Content,
    /// How long leases last.
    pub lease_ms: u64,
    /// By key.
    pub caches: BTreeMap<String, Content>,
    /// What `checkout` of an archive source fetches.
    pub source: Option<Content>,
    /// Stored contents.
    pub blobs: Blobs,
    /// Path prefix, how many times more, what.
    pub troubles: Vec<(String, usize, Trouble)>,
    /// Method and path, status, in the order of their answers.
    pub calls: Vec<(String, u16)>,
    /// The tasks of the last heartbeat of each runner.
    pub heartbeats: Vec<Vec<Lease>>,
    pub(crate) broken: Vec<String>,
}

/// One task and all that was told of it.
#[derive(Clone, Debug)]
pub struct Task {
    /// What to run.
    pub spec: TaskSpec,
    /// How often it was claimed.
    pub claims: u64,
    /// Leave to run user code was given.
    pub begun: bool,
    /// How often Begin was asked for.
    pub begins: u64,
    /// How often it was asked how far its stream is stored.
    pub asked: u64,
    /// Reasons of its unclaims.
    pub unclaims: Vec<String>,
    /// Somebody canceled it.
    pub canceled: bool,
    /// Its lease is over.
    pub fenced: bool,
    /// Its log chunks, in the order they were stored.
    pub chunks: Vec<Chunk>,
    /// Its raw logs.
    pub logs: BTreeMap<StepNumber, Vec<u8>>,
    /// Its journal.
    pub records: Vec<Record>,
    /// By path.
    pub artifacts: BTreeMap<String, Content>,
    /// Told results, by request.
    pub tests: BTreeMap<u64, Tests>,
    /// Its own layers, by request.
    pub layers: BTreeMap<u64, Content>,
    /// Layers of jobs upstream.
    pub upstream: Vec<(String, Content)>,
    /// Its end.
    pub ended: Option<End>,
    /// An infrastructure failure (public shape).
    pub failed: Option<Fail>,
}

impl Default for State {
    fn default() -> Self {
        let agent = Content { digest: Digest::of_bytes(&[0; 32]), size: 0 };
        Self {
            tasks: BTreeMap::new(),
            held_claims: 0,
            queue: VecDeque::new(),
            class_tokens: [CLASS_TOKEN.to_owned()].into(),
            agent,
            lease_ms: 30_000,
            caches: BTreeMap::new(),
            source: None,
            blobs: Blobs::default(),
            troubles: Vec::new(),
            calls: Vec::new(),
            heartbeats: Vec::new(),
            broken: Vec::new(),
        }
    }
}

impl State {
    pub(crate) fn enqueue(&mut self, mut spec: TaskSpec) {
        spec.epoch = Epoch(0);
        self.queue.push_back(spec.task);
        self.tasks.insert(spec.task, Task::new(spec));
    }

    /// Stores a task-agent's program and names it in claims from now on.
    pub fn publish_agent(&mut self, program: &[u8]) {
        self.agent = self.blobs.put(program.to_vec());
    }

    /// The lease of a task is over, and it is queued again.
    pub fn lose(&mut self, task: TaskId) {
        self.task(task).fenced = true;
    }

    /// Somebody cancels a task.
    pub fn cancel(&mut self, task: TaskId) {
        self.task(task).canceled = true;
    }

    /// A task that must be there.
    pub fn task(&mut self, task: TaskId) -> &mut Task {
        self.tasks.get_mut(&task).expect("the test knows its tasks")
    }

    pub(crate) fn claim(&mut self, most: usize) -> Option<Vec<Claimed>> {
        let count = most.min(self.queue.len());
        let ids: Vec<_> = self.queue.drain(..count).collect();
        let claimed: Vec<_> = ids.into_iter().map(|id| self.claimed(id)).collect();
        if claimed.is_empty() { None } else { Some(claimed) }
    }

    fn claimed(&mut self, id: TaskId) -> Claimed {
        let url = Blobs::url(&self.agent.digest);
        let agent = AgentProgram { content: self.agent.clone(), url };
        let lease_ms = self.lease_ms;
        let task = self.task(id);
        task.claims += 1;
        task.spec.epoch = Epoch(task.spec.epoch.0 + 1);
        task.fenced = false;
        let epoch = task.spec.epoch;
        Claimed {
            task_token: format!("task:{id}:{}", epoch.0),
            agent_version: "fake".to_owned(),
            resource_class: "local/fake".parse::<ResourceClass>().expect("two words"),
            allocation: format!("allocation-{id}"),
            task_id: id,
            epoch,
            lease_ms,
            agent,
            in_containers: false,
        }
    }

    pub(crate) fn next_trouble(&mut self, path: &str) -> Option<Trouble> {
        let place =
            self.troubles.iter().position(|(prefix, times, _)| *times > 0 && path.starts_with(prefix))?;
        let (_, times, trouble) = &mut self.troubles[place];
        *times -= 1;
        Some(trouble.clone())
    }

    pub(crate) fn news(&self, tasks: &[Lease]) -> (Vec<TaskId>, Vec<TaskId>) {
        let known = |lease: &Lease| self.tasks.get(&lease.task_id);
        let fenced = |lease: &Lease| known(lease).is_none_or(|t| t.fenced || t.spec.epoch != lease.epoch);
        let canceled = |lease: &Lease| known(lease).is_some_and(|t| t.canceled && t.ended.is_none());
        let ids =
            |wanted: &dyn Fn(&Lease) -> bool| tasks.iter().filter(|l| wanted(l)).map(|l| l.task_id).collect();
        (ids(&canceled), ids(&fenced))
    }

    pub(crate) fn save_cache(&mut self, save: SaveCache) -> bool {
        let new = !self.caches.contains_key(&save.key);
        self.caches.entry(save.key).or_insert(save.content);
        new
    }

    pub(crate) fn find_cache(&self, keys: &[String], exact: bool) -> Option<Found> {
        let whole = |key: &String| self.caches.get_key_value(key);
        let prefix =
            |key: &String| self.caches.iter().find(|(saved, _)| !exact && saved.starts_with(key.as_str()));
        let (name, content) = keys.iter().find_map(|key| whole(key).or_else(|| prefix(key)))?;
        Some(found(name, content))
    }

    /// All rules of the protocol that were broken so far.
    pub fn violations(&self) -> Vec<String> {
        let of_tasks = self.tasks.values().flat_map(Task::violations);
        self.broken.iter().cloned().chain(of_tasks).collect()
    }
}

pub(crate) fn found(name: &str, content: &Content) -> Found {
    Found { name: name.to_owned(), content: content.clone(), url: Blobs::url(&content.digest) }
}

impl Task {
    fn new(spec: TaskSpec) -> Self {
        Self {
            spec,
            claims: 0,
            begun: false,
            begins: 0,
            asked: 0,
            unclaims: Vec::new(),
            canceled: false,
            fenced: false,
            chunks: Vec::new(),
            logs: BTreeMap::new(),
            records: Vec::new(),
            artifacts: BTreeMap::new(),
            tests: BTreeMap::new(),
            layers: BTreeMap::new(),
            upstream: Vec::new(),
            ended: None,
            failed: None,
        }
    }

    /// A step's log as text.
    pub fn log(&self, step: u32) -> String {
        let log = self.logs.get(&StepNumber(step)).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(log).into_owned()
    }

    /// How far its stream is stored.
    pub fn acknowledged(&self) -> Acknowledged {
        let logs = self.logs.iter().map(|(step, log)| (*step, log.len() as u64)).collect();
        Acknowledged { next_record: self.records.len() as u64, logs }
    }

    pub(crate) fn take_artifacts(&mut self, artifacts: Vec<Artifact>) {
        self.artifacts.extend(artifacts.into_iter().map(|artifact| (artifact.path, artifact.content)));
    }

    fn violations(&self) -> Vec<String> {
        let rules = [invariants::log_is_unbroken(&self.chunks), invariants::journal_is_sound(&self.records)];
        let broken = rules.into_iter().filter_map(Result::err);
        broken.chain(self.cut_logs()).map(|rule| format!("task {}: {rule}", self.spec.task)).collect()
    }

    /// A step's end is told after its whole log.
    fn cut_logs(&self) -> Vec<String> {
        let cut = |record: &Record| match record.event {
            TaskEvent::StepEnded { step, log_bytes, .. } => {
                let stored = self.logs.get(&step).map_or(0, Vec::len) as u64;
                (stored < log_bytes).then(|| format!("step {}: {stored} of {log_bytes} log bytes", step.0))
            }
            _ => None,
        };
        self.records.iter().filter_map(cut).collect()
    }
}
