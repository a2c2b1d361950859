//! What is known of an actor from outside, at any moment and whatever it does: its place in the tree, over all its lives.

use crate::restarts::{Restarts, Tolerance, Verdict};
use std::{
    borrow::Cow,
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The place of one child below its parent, which keeps it while the child fails and is started again. Dropping it takes
/// the child out of the tree.
#[derive(Debug)]
pub struct Seat {
    above: Option<Arc<Node>>,
    node: Arc<Node>,
    restarts: Restarts,
}

/// A whole tree, from its root on. To be looked at from any thread.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Arc<Node>,
}

/// An actor as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What kind of actor it is.
    pub actor: &'static str,
    /// Which of its kind.
    pub name: String,
    /// As it last said itself, or its parent while nobody sits there.
    pub state: String,
    /// For how long.
    pub since: Duration,
    /// How often it was started again.
    pub restarts: u64,
    /// Messages that wait in its mailbox.
    pub queued: u64,
    /// Messages that this life of it has taken out.
    pub handled: u64,
    /// How it last failed, and how long ago.
    pub failure: Option<(String, Duration)>,
    /// Its children.
    pub below: Vec<Standing>,
}

#[derive(Debug)]
pub(crate) struct Node {
    actor: &'static str,
    name: String,
    record: Mutex<Record>,
    below: Mutex<Vec<Arc<Node>>>,
    /// Of the whole tree: restarts by kind of actor, also of those that are gone.
    totals: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

#[derive(Debug)]
struct Record {
    state: Cow<'static, str>,
    since: Instant,
    lives: u64,
    failure: Option<(String, Instant)>,
    life: Option<Arc<Life>>,
}

/// One life of an actor, and the count of its mailbox.
#[derive(Debug)]
pub(crate) struct Life {
    node: Arc<Node>,
    sent: AtomicU64,
    taken: AtomicU64,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Life>>> = const { RefCell::new(None) };
}

/// The actor that runs on this thread now says in which state it is.
pub fn say_state(state: impl Into<Cow<'static, str>>) {
    if let Some(life) = current() {
        life.node.say(state.into(), Some(&life));
    }
}

/// The life whose handlers run on this thread now.
pub(crate) fn current() -> Option<Arc<Life>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Puts another in its place; the one before.
pub(crate) fn switch(life: Option<Arc<Life>>) -> Option<Arc<Life>> {
    CURRENT.replace(life)
}

impl Seat {
    /// A place below the actor that runs on this thread now, for a child of type `A`; `name` tells it from its like.
    pub fn new<A>(name: impl Into<String>, tolerance: Tolerance) -> Self {
        let above = current().map(|life| life.node.clone());
        let node = Node::new(name_of::<A>(), name.into(), above.as_deref());
        above.iter().for_each(|above| above.adopt(&node));
        Self { above, node, restarts: Restarts::new(tolerance) }
    }

    /// Who sat here failed: counted, kept for whoever asks, and judged.
    pub fn failed(&mut self, cause: &str) -> Verdict {
        let now = Instant::now();
        let verdict = self.restarts.failed_at(now);
        let state = match verdict {
            Verdict::RestartAfter(_) => "Restarting",
            Verdict::Escalate => "GivenUp",
        };
        self.node.say(state.into(), None);
        let mut record = self.node.record();
        (record.failure, record.life) = (Some((cause.to_owned(), now)), None);
        verdict
    }

    /// Says in which state the child is, for one that cannot say so itself.
    pub fn say(&self, state: impl Into<Cow<'static, str>>) {
        self.node.say(state.into(), None);
    }

    /// The state that was last said, for how long, and how often who sits here was started again.
    pub fn standing(&self) -> Standing {
        self.node.look()
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.above.iter().for_each(|above| above.disown(&self.node));
    }
}

impl Tree {
    /// A tree with a root of type `A`, which is not started yet.
    pub fn of<A>() -> Self {
        Self { root: Node::new(name_of::<A>(), String::new(), None) }
    }

    /// All of it, as it stands.
    pub fn look(&self) -> Standing {
        self.root.look()
    }

    /// How often actors of each kind were started again, since there is this tree.
    pub fn restarts(&self) -> BTreeMap<&'static str, u64> {
        held(&self.root.totals).clone()
    }

    pub(crate) fn root(&self) -> &Arc<Node> {
        &self.root
    }
}

impl Node {
    fn new(actor: &'static str, name: String, above: Option<&Node>) -> Arc<Self> {
        let totals = above.map(|above| above.totals.clone()).unwrap_or_default();
        let record =
            Record { state: "New".into(), since: Instant::now(), lives: 0, failure: None, life: None };
        Arc::new(Self { actor, name, record: Mutex::new(record), below: Mutex::default(), totals })
    }

    fn adopt(&self, node: &Arc<Node>) {
        held(&self.below).push(node.clone());
    }

    fn disown(&self, node: &Arc<Node>) {
        held(&self.below).retain(|child| !Arc::ptr_eq(child, node));
    }

    /// One more life begins here.
    pub(crate) fn live(self: &Arc<Self>) -> Arc<Life> {
        let life = Arc::new(Life { node: self.clone(), sent: AtomicU64::new(0), taken: AtomicU64::new(0) });
        let mut record = self.record();
        (record.life, record.since, record.state) = (Some(life.clone()), Instant::now(), "Started".into());
        record.lives += 1;
        if record.lives > 1 {
            *held(&self.totals).entry(self.actor).or_default() += 1;
        }
        life
    }

    /// Only the life that sits here now says something of itself; an earlier one may still hang somewhere.
    fn say(&self, state: Cow<'static, str>, life: Option<&Arc<Life>>) {
        let mut record = self.record();
        let is_seated =
            |life: &Arc<Life>| record.life.as_ref().is_some_and(|seated| Arc::ptr_eq(seated, life));
        if life.is_none_or(is_seated) && record.state != state {
            (record.state, record.since) = (state, Instant::now());
        }
    }

    fn look(&self) -> Standing {
        let below = held(&self.below).clone();
        let record = self.record();
        let (queued, handled) = record.life.as_ref().map_or((0, 0), |life| life.mailbox());
        let failure = record.failure.as_ref().map(|(message, at)| (message.clone(), at.elapsed()));
        Standing {
            actor: self.actor,
            name: self.name.clone(),
            state: record.state.to_string(),
            since: record.since.elapsed(),
            restarts: record.lives.saturating_sub(1),
            queued,
            handled,
            failure,
            below: below.iter().map(|node| node.look()).collect(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        held(&self.record)
    }
}

impl Life {
    pub(crate) fn actor(&self) -> &'static str {
        self.node.actor
    }

    pub(crate) fn one_sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn one_taken(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    /// What waits, and what was taken.
    fn mailbox(&self) -> (u64, u64) {
        let taken = self.taken.load(Relaxed);
        (self.sent.load(Relaxed).saturating_sub(taken), taken)
    }
}

/// The last part of a type's path: the actor's name as the catalogue has it.
fn name_of<A>() -> &'static str {
    let path = std::any::type_name::<A>();
    path.rsplit("::").next().unwrap_or(path)
}

/// What is behind it is whole between any two statements, so that a panic elsewhere spoils nothing.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
