//! Renews the leases of all tasks of one token, and brings back which of them are canceled or lost.
//!
//! It has a thread of its own: no task, and no Supervisor, can be so busy that leases run out.

use crate::host::Host;
use actix::prelude::*;
use client::{Backoff, ClientError, Runner};
use protocol::{
    TaskId,
    http::{Heartbeat, HeartbeatAnswer, Lease},
};
use slog::warn;
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{Above, say_state, take_counted};

/// From the Supervisor: these are the running tasks of your token now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Running {
    pub(crate) leases: Vec<Lease>,
    /// How long the shortest of them lasts without a heartbeat.
    pub(crate) shortest: Duration,
}

/// From the Supervisor: do your heartbeats turn? They do also where none is answered, for nothing could be done about that
/// here; no where one has not come to any end for [`STALLED`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub(crate) struct Turning;

/// What the Supervisor hears: tasks to be ended. A lease that is not the task's any more is old news.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LeaseNews {
    /// Somebody canceled them.
    pub(crate) canceled: Vec<Lease>,
    /// They are no longer this host's.
    pub(crate) fenced: Vec<Lease>,
}

/// The keeper of one token's leases.
pub(crate) struct LeaseKeeper {
    host: Arc<Host>,
    class: usize,
    runner: Runner,
    supervisor: Above<LeaseNews>,
    running: Running,
    /// What was told of which running task: that it is canceled, or (true) lost.
    told: BTreeSet<(Lease, bool)>,
    beat: Option<SpawnHandle>,
    /// When the newest heartbeat began, or will.
    begins: Instant,
    backoff: Backoff,
}

/// Heartbeats of a changing set of tasks do not follow each other faster.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// While told tasks are still being ended, the control plane answers at once; it is not asked all the time.
const PAUSE_AFTER_OLD_NEWS: Duration = Duration::from_millis(500);
/// The longest a heartbeat is held open.
const LONGEST_HOLD: Duration = Duration::from_secs(20);
/// Longer than any hold, the client's patience and the pause after a failure together.
const STALLED: Duration = Duration::from_secs(120);

impl LeaseKeeper {
    /// Runs on its own thread.
    pub(crate) fn new(host: Arc<Host>, class: usize, supervisor: Above<LeaseNews>) -> Self {
        let runner = host.transport.runner(host.settings.classes[class].token.expose());
        Self {
            host,
            class,
            runner,
            supervisor,
            running: Running { leases: Vec::new(), shortest: LONGEST_HOLD },
            told: BTreeSet::new(),
            beat: None,
            begins: Instant::now() - SHORTEST_PAUSE,
            backoff: Backoff::up_to(Duration::from_secs(5)),
        }
    }

    /// A heartbeat after this pause, instead of the one that is under way: that one is about another set.
    fn beat_after(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        if let Some(beat) = self.beat.take() {
            ctx.cancel_future(beat);
        }
        if self.running.leases.is_empty() {
            return say_state("Idle");
        }
        let (runner, heartbeat) = (self.runner.clone(), self.heartbeat());
        let beat = async move {
            tokio::time::sleep(pause).await;
            runner.heartbeat(&heartbeat).await
        };
        self.begins = Instant::now() + pause;
        say_state(format!("Keeping {}", self.running.leases.len()));
        let answered = beat.into_actor(self).map(|answer, keeper, ctx| keeper.answered(answer, ctx));
        self.beat = Some(ctx.spawn(answered));
    }

    fn heartbeat(&self) -> Heartbeat {
        let hold = (self.running.shortest / 3).min(LONGEST_HOLD);
        Heartbeat {
            name: self.host.settings.name.clone(),
            tasks: self.running.leases.clone(),
            wait_ms: u64::try_from(hold.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn answered(&mut self, answer: Result<HeartbeatAnswer, ClientError>, ctx: &mut Context<Self>) {
        self.beat = None;
        self.host.board.heartbeat(self.class, answer.as_ref().err().map(ToString::to_string));
        let pause = match answer {
            Ok(answer) => {
                self.backoff = Backoff::up_to(self.running.shortest / 6);
                self.take(answer)
            }
            Err(error) => {
                warn!(self.host.log, "a heartbeat failed"; "error" => %error);
                self.backoff.pause()
            }
        };
        self.beat_after(pause, ctx);
    }

    /// Tells what is new, and how soon to ask again.
    fn take(&mut self, HeartbeatAnswer { canceled, fenced }: HeartbeatAnswer) -> Duration {
        // A heartbeat about another set of tasks is canceled: the answer is about this one.
        let lease_of = |task: TaskId| self.running.leases.iter().find(|lease| lease.task_id == task).copied();
        let canceled: Vec<_> = canceled.into_iter().filter_map(lease_of).collect();
        let fenced: Vec<_> = fenced.into_iter().filter_map(lease_of).collect();
        let has_news = !canceled.is_empty() || !fenced.is_empty();
        let all =
            canceled.iter().map(|lease| (*lease, false)).chain(fenced.iter().map(|lease| (*lease, true)));
        let is_new = all.filter(|news| self.told.insert(*news)).count() > 0;
        if is_new {
            self.supervisor.tell(LeaseNews { canceled, fenced });
        }
        if has_news && !is_new { PAUSE_AFTER_OLD_NEWS } else { Duration::ZERO }
    }
}

impl Actor for LeaseKeeper {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        say_state("Idle");
    }
}

take_counted!(LeaseKeeper: Running);

impl Handler<Running> for LeaseKeeper {
    type Result = ();

    fn handle(&mut self, running: Running, ctx: &mut Context<Self>) {
        failpoints::hit("lease_keeper:running", None);
        let live: BTreeSet<Lease> = running.leases.iter().copied().collect();
        self.told.retain(|(lease, _)| live.contains(lease));
        self.running = running;
        // One that only waits to begin does so at its time, with the new set.
        let now = Instant::now();
        let begins = if self.begins > now { self.begins } else { self.begins + SHORTEST_PAUSE };
        self.beat_after(begins.saturating_duration_since(now), ctx);
    }
}

impl Handler<Turning> for LeaseKeeper {
    type Result = bool;

    fn handle(&mut self, _: Turning, _: &mut Context<Self>) -> bool {
        failpoints::hit("lease_keeper:turning", None);
        self.running.leases.is_empty() || self.begins.elapsed() < STALLED
    }
}
