//! What of a launch-agent is known outside its actors: kept up by them, read by whoever is asked, also while they hang.

use super::{ActorStatus, Counts, Failure, Heartbeats, Orphans, PollerStatus, Status, TaskStatus};
use crate::host::VERSION;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use supervise::Tree;

/// The board of one launch-agent.
#[derive(Debug)]
pub(crate) struct Board {
    /// Its actors.
    pub(crate) tree: Tree,
    began: Instant,
    name: String,
    control_plane: String,
    published: Mutex<Published>,
    counts: Mutex<Counts>,
    /// By the token's index.
    beats: Mutex<BTreeMap<usize, Beats>>,
}

/// What the Supervisor knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) host: String,
    pub(crate) slots: usize,
    pub(crate) taken: usize,
    pub(crate) paused: Option<String>,
    pub(crate) pollers: Vec<PollerStatus>,
    pub(crate) tasks: Vec<TaskStatus>,
    pub(crate) orphans: Option<Orphans>,
}

#[derive(Debug)]
struct Published {
    standing: Standing,
    at: Instant,
    /// By how much the last tick came too late.
    lag: Duration,
}

#[derive(Debug, Default)]
struct Beats {
    answered: u64,
    failed: u64,
    last: Option<Instant>,
    failure: Option<(String, Instant)>,
}

/// The Supervisor ticks each second: so much later it hangs.
const HUNG: Duration = Duration::from_secs(5);

impl Board {
    pub(crate) fn new(tree: Tree, name: &str, control_plane: &str) -> Self {
        let published = Published { standing: Standing::default(), at: Instant::now(), lag: Duration::ZERO };
        Self {
            tree,
            began: Instant::now(),
            name: name.to_owned(),
            control_plane: control_plane.to_owned(),
            published: Mutex::new(published),
            counts: Mutex::default(),
            beats: Mutex::default(),
        }
    }

    /// The Supervisor says how it stands: a sign of life.
    pub(crate) fn publish(&self, standing: Standing) {
        let mut published = held(&self.published);
        (published.standing, published.at) = (standing, Instant::now());
    }

    /// By how much the Supervisor's last tick came too late.
    pub(crate) fn ticked(&self, lag: Duration) {
        held(&self.published).lag = lag;
    }

    /// Counts something that was done.
    pub(crate) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut held(&self.counts));
    }

    /// A heartbeat of this token is over.
    pub(crate) fn heartbeat(&self, token: usize, failure: Option<String>) {
        let (mut beats, now) = (held(&self.beats), Instant::now());
        let beats = beats.entry(token).or_default();
        match failure {
            None => (beats.answered, beats.last) = (beats.answered + 1, Some(now)),
            Some(why) => (beats.failed, beats.failure) = (beats.failed + 1, Some((why, now))),
        }
    }

    /// As if the last sign of life were so old.
    #[cfg(test)]
    pub(crate) fn was_heard_before(&self, silence: Duration) {
        held(&self.published).at = Instant::now() - silence;
    }

    /// All that is known.
    pub(crate) fn status(&self) -> Status {
        let published = held(&self.published);
        let (standing, silent, lag) = (published.standing.clone(), published.at.elapsed(), published.lag);
        drop(published);
        let hung = silent > HUNG;
        let mut tree = ActorStatus::from(self.tree.look());
        if hung {
            tree.state = format!("Hung, was {}", tree.state);
        }
        let pollers =
            standing.pollers.into_iter().enumerate().map(|(token, poller)| self.with_beats(token, poller));
        Status {
            version: VERSION.to_owned(),
            name: self.name.clone(),
            pid: std::process::id(),
            control_plane: self.control_plane.clone(),
            uptime_ms: millis(self.began.elapsed()),
            host: standing.host,
            hung,
            silent_ms: millis(silent),
            lag_ms: millis(lag),
            slots: standing.slots,
            taken: standing.taken,
            paused: standing.paused,
            pollers: pollers.collect(),
            tasks: standing.tasks,
            tree,
            counts: self.counts(),
            spool_bytes: None,
            orphans: standing.orphans,
        }
    }

    fn counts(&self) -> Counts {
        let restarts = self.tree.restarts().into_iter().map(|(actor, times)| (actor.to_owned(), times));
        Counts { restarts: restarts.collect(), ..held(&self.counts).clone() }
    }

    fn with_beats(&self, token: usize, poller: PollerStatus) -> PollerStatus {
        let beats = held(&self.beats);
        let heartbeats = beats.get(&token).map_or_else(Heartbeats::default, |beats| Heartbeats {
            answered: beats.answered,
            failed: beats.failed,
            age_ms: beats.last.map(|last| millis(last.elapsed())),
            failure: beats.failure.as_ref().map(|(why, at)| failure(why.clone(), at.elapsed())),
        });
        PollerStatus { heartbeats, ..poller }
    }
}

impl From<supervise::Standing> for ActorStatus {
    fn from(standing: supervise::Standing) -> Self {
        Self {
            actor: standing.actor.to_owned(),
            name: standing.name,
            state: standing.state,
            since_ms: millis(standing.since),
            restarts: standing.restarts,
            queued: standing.queued,
            handled: standing.handled,
            failure: standing.failure.map(|(message, ago)| failure(message, ago)),
            children: standing.below.into_iter().map(Self::from).collect(),
        }
    }
}

fn failure(message: String, ago: Duration) -> Failure {
    Failure { message, ago_ms: millis(ago) }
}

/// For data that travels.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is behind it is whole between any two statements, so that a panic elsewhere spoils nothing.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
