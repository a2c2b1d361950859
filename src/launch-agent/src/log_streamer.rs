//! Sends what a task wrote, its journal and its logs, in one ordered stream, from where the control plane's copy ends.
//!
//! ```text
//! spools, journal ──plan──▶ drafts ──read, compress (other threads)──▶ bodies ──POST, one after the other──▶ control plane
//!                             ▲                                                        │
//!                             └────────────── begin again where it says ◀──────────────┘
//! ```

mod outbox;
mod times;

use crate::{status::Board, task::dir::TaskDir};
use actix::prelude::*;
use client::{ClientError, StreamAnswer, TaskClient};
use outbox::{Draft, Look, Outbox};
use protocol::{StepNumber, http::Lease, stream::Acknowledged};
use slog::{Logger, debug, warn};
use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{Above, say_state, take_counted};
use tokio::{sync::Notify, task::spawn_blocking, time::timeout};

/// Journal or spools grew, or may have.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LogAppended;

/// No more will be written: send the rest, then say so.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DrainLogs;

/// What the task hears from its streamer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum StreamNews {
    /// The control plane has this much of these logs.
    LogsAcknowledged(Vec<(StepNumber, u64)>),
    /// It has everything, or all that it will ever take.
    LogsDrained {
        /// Why something is missing, if something is.
        lost: Option<String>,
    },
    /// The lease is over.
    LeaseLost(String),
}

/// What a streamer is made of.
pub(crate) struct Parts {
    pub(crate) dir: TaskDir,
    pub(crate) lease: Lease,
    pub(crate) client: TaskClient,
    pub(crate) log: Logger,
    pub(crate) board: Arc<Board>,
    pub(crate) task: Above<StreamNews>,
    /// Whether nothing of this lease can have been sent before.
    pub(crate) fresh: bool,
    /// Without a call for so long the control plane is asked, which renews the lease.
    pub(crate) renewal: Duration,
}

/// The streamer of one task.
pub(crate) struct LogStreamer {
    wake: Rc<Wake>,
    parts: Option<Parts>,
}

/// A hint that waits for whoever works, at most one at a time.
#[derive(Default)]
struct Wake {
    more: Notify,
    draining: Cell<bool>,
}

/// A lost hint costs this much, and a background process's output waits for it.
const SAFETY: Duration = Duration::from_secs(1);
/// Drafts that are made ready while one is under way.
const AHEAD: usize = 2;
/// So little is read and compressed at once, without the way over another thread.
const LITTLE: usize = 32 * 1024;
/// The pause after a failure that the client's patience did not end.
const PAUSE: Duration = Duration::from_secs(1);
/// So often in a row what ends a stream is borne before its rest is given up: a spool that cannot be read seldom mends.
const MAX_UNREADABLE: u32 = 5;
/// A refusal may be a proxy's, while the control plane is away: five minutes of them are borne.
const MAX_REFUSALS: u32 = 300;

/// How often a lease that lasts so long is renewed: one call may be lost, or late.
pub(crate) fn renewal(lease: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(50);
    (lease / 3).max(SHORTEST)
}

impl LogStreamer {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { wake: Rc::default(), parts: Some(parts) }
    }
}

impl Actor for LogStreamer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.take().expect("an actor starts once");
        let (wake, acknowledged) = (self.wake.clone(), BTreeMap::new());
        let pump = Pump { parts, wake, acknowledged, refusals: 0, called: Instant::now() };
        ctx.spawn(pump.run().into_actor(self));
    }
}

take_counted!(LogStreamer: LogAppended, DrainLogs);

impl Handler<LogAppended> for LogStreamer {
    type Result = ();

    fn handle(&mut self, _: LogAppended, _: &mut Context<Self>) {
        failpoints::hit("log_streamer:log_appended", None);
        self.wake.more.notify_one();
    }
}

impl Handler<DrainLogs> for LogStreamer {
    type Result = ();

    fn handle(&mut self, _: DrainLogs, _: &mut Context<Self>) {
        failpoints::hit("log_streamer:drain_logs", None);
        say_state("Draining");
        self.wake.draining.set(true);
        self.wake.more.notify_one();
    }
}

/// The work itself, one future as long as the actor lives.
struct Pump {
    parts: Parts,
    wake: Rc<Wake>,
    acknowledged: BTreeMap<StepNumber, u64>,
    refusals: u32,
    /// When the control plane last answered.
    called: Instant,
}

/// Why streaming has to begin anew, or not at all.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the control plane does not take the stream from where we thought it ends")]
    Rewind(Acknowledged),
    #[error(transparent)]
    Away(ClientError),
    /// The control plane, or what stands before it, refuses this body.
    #[error("{0}")]
    Refused(String),
    #[error("the task's spool cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("{0}")]
    Fenced(String),
}

/// Bodies that are ready, or become so on another thread.
enum Bodies {
    Ready(Vec<Vec<u8>>),
    Coming(tokio::task::JoinHandle<io::Result<Vec<Vec<u8>>>>),
}

impl Pump {
    async fn run(mut self) {
        let mut start = self.parts.fresh.then(Acknowledged::default);
        loop {
            let trouble = match self.stream(start.take()).await {
                Ok(()) => return self.tell(StreamNews::LogsDrained { lost: None }),
                Err(trouble) => trouble,
            };
            debug!(self.parts.log, "the stream begins anew: {trouble}");
            say_state(format!("Waiting: {trouble}"));
            match trouble {
                Trouble::Fenced(why) => return self.tell(StreamNews::LeaseLost(why)),
                Trouble::Away(_) => tokio::time::sleep(PAUSE).await,
                trouble if self.is_hopeless(&trouble) => return self.give_up(&trouble),
                Trouble::Rewind(acknowledged) => {
                    // Once is what a restart looks like; again and again is no reason to hurry.
                    if self.refusals > 1 {
                        tokio::time::sleep(PAUSE).await;
                    }
                    start = Some(acknowledged);
                }
                Trouble::Refused(_) | Trouble::Unreadable(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn is_hopeless(&mut self, trouble: &Trouble) -> bool {
        self.refusals = self.refusals.saturating_add(1);
        let most = if matches!(trouble, Trouble::Unreadable(_)) { MAX_UNREADABLE } else { MAX_REFUSALS };
        self.refusals > most && self.wake.draining.get()
    }

    fn give_up(&self, trouble: &Trouble) {
        warn!(self.parts.log, "the rest of the logs is lost: {trouble}");
        self.tell(StreamNews::LogsDrained { lost: Some(trouble.to_string()) });
    }

    /// Streams until everything is sent and no more can come.
    async fn stream(&mut self, start: Option<Acknowledged>) -> Result<(), Trouble> {
        let start = match start {
            Some(start) => start,
            None => self.parts.client.acknowledged().await?,
        };
        self.note(&start);
        say_state("Streaming");
        let mut outbox = resumed(self.parts.dir.clone(), start).await?;
        // What stands in the host's step of a task that begins goes with what the task says first.
        let begins = outbox.is_at_start() && !self.wake.draining.get();
        let mut look = if begins { self.rest().await? } else { Look::Everywhere };
        let mut bodies = VecDeque::new();
        loop {
            let last = self.wake.draining.get();
            let look_now = if last { Look::Everywhere } else { std::mem::replace(&mut look, Look::Growing) };
            plan_ahead(&mut outbox, look_now, &mut bodies)?;
            match bodies.pop_front() {
                Some(some) => {
                    for body in some.ready().await? {
                        self.post(body, &mut outbox).await?;
                    }
                }
                None if last => return Ok(()),
                None => look = self.rest().await?,
            }
        }
    }

    /// Waits for a hint; after a while without one looks everywhere. A task that is silent for long keeps its lease by
    /// asking, also where the token that heartbeats come with is refused.
    async fn rest(&mut self) -> Result<Look, Trouble> {
        let hint = timeout(SAFETY.min(self.parts.renewal), self.wake.more.notified()).await;
        if self.called.elapsed() >= self.parts.renewal {
            self.parts.client.acknowledged().await?;
            self.called = Instant::now();
        }
        Ok(if hint.is_ok() { Look::Growing } else { Look::Everywhere })
    }

    async fn post(&mut self, body: Vec<u8>, outbox: &mut Outbox) -> Result<(), Trouble> {
        failpoints::hit("log_streamer:before_post", self.parts.lease.task_id);
        match self.parts.client.stream(self.parts.lease.epoch, body.into()).await? {
            StreamAnswer::Rewind(acknowledged) => Err(Trouble::Rewind(acknowledged)),
            StreamAnswer::Stored(acknowledged) => {
                failpoints::hit("log_streamer:after_post", self.parts.lease.task_id);
                self.refusals = 0;
                self.called = Instant::now();
                let new = acknowledged.logs.iter().map(|(step, end)| end.saturating_sub(self.end_of(*step)));
                let new: u64 = new.sum();
                self.parts.board.count(|counts| counts.log_bytes += new);
                self.note(&acknowledged);
                free(outbox, &acknowledged);
                Ok(())
            }
        }
    }

    fn end_of(&self, step: StepNumber) -> u64 {
        self.acknowledged.get(&step).copied().unwrap_or(0)
    }

    /// Tells the task what is new, so that the task-agent knows of the room in its spools.
    fn note(&mut self, acknowledged: &Acknowledged) {
        let known = &self.acknowledged;
        let new = acknowledged.logs.iter().filter(|(step, end)| known.get(step) != Some(end));
        let new: Vec<_> = new.map(|(step, end)| (*step, *end)).collect();
        if !new.is_empty() {
            self.acknowledged.extend(new.iter().copied());
            self.tell(StreamNews::LogsAcknowledged(new));
        }
    }

    fn tell(&self, news: StreamNews) {
        self.parts.task.tell(news);
    }
}

/// A long journal is read on another thread.
async fn resumed(dir: TaskDir, start: Acknowledged) -> io::Result<Outbox> {
    if start.next_record == 0 {
        return Outbox::resume(dir, &start);
    }
    spawn_blocking(move || Outbox::resume(dir, &start)).await.map_err(io::Error::other)?
}

fn plan_ahead(outbox: &mut Outbox, look: Look, bodies: &mut VecDeque<Bodies>) -> io::Result<()> {
    while bodies.len() < AHEAD {
        let Some(draft) = outbox.next(look)? else { break };
        bodies.push_back(Bodies::of(draft)?);
    }
    Ok(())
}

/// Gives acknowledged disk space back. Nobody waits for it, and a file system that cannot keeps it till the end.
fn free(outbox: &mut Outbox, acknowledged: &Acknowledged) {
    let forgotten = outbox.forget(acknowledged);
    if !forgotten.is_empty() {
        drop(spawn_blocking(move || forgotten.into_iter().try_for_each(outbox::Forgotten::punch)));
    }
}

impl Bodies {
    fn of(draft: Draft) -> io::Result<Self> {
        if draft.raw() <= LITTLE {
            draft.write().map(Self::Ready)
        } else {
            Ok(Self::Coming(spawn_blocking(move || draft.write())))
        }
    }

    async fn ready(self) -> io::Result<Vec<Vec<u8>>> {
        match self {
            Self::Ready(bodies) => Ok(bodies),
            Self::Coming(bodies) => bodies.await.map_err(io::Error::other)?,
        }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Fenced(why) => Self::Fenced(why),
            ClientError::Refused { .. } => Self::Fenced("the task's token is refused".to_owned()),
            error if error.is_transient() => Self::Away(error),
            error => Self::Refused(error.to_string()),
        }
    }
}
