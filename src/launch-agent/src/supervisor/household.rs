//! The tasks of a host: taken on, adopted from an earlier life, housed again when their actors fail, let go.

use super::{HostEvent, HostState, Member, Supervisor};
use crate::{
    config::Mode,
    orphans,
    status::{Orphans, TaskStatus, millis},
    task::{Birth, CancelTask, Parts, Ping, TaskActor, container, dir::ClaimRecord, state::TaskState},
};
use actix::prelude::*;
use protocol::{
    TaskId,
    frame::CancelReason,
    http::{Claimed, Lease},
};
use slog::{error, info};
use std::time::{Duration, Instant};
use supervise::{Above, Child, Home, Seat, Tolerance, Verdict, start};
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

/// One task with its actor.
pub(super) struct Task {
    record: ClaimRecord,
    class: Option<usize>,
    seat: Seat,
    birth: Birth,
    life: u64,
    actor: Option<Child<TaskActor>>,
    /// Held as long as the actor is; dropped after it.
    home: Option<Home>,
    /// Pings without an answer.
    unanswered: u32,
    /// What it is to be told as soon as it has an actor again.
    cancel: Option<CancelReason>,
    state: Option<TaskState>,
    since: Instant,
}

/// How many failures of one task's actor are absorbed.
const TOLERANCE: Tolerance =
    Tolerance { failures: 3, within: Duration::from_secs(60), backoff: Duration::from_millis(20) };
/// Every so many ticks.
pub(super) const PING_EVERY: u64 = 5;
/// So many pings in a row without an answer: it hangs, and not only on a slow disk.
const HUNG: u32 = 4;
/// How long a start waits for the container engine.
const ENGINE_ANSWERS: Duration = Duration::from_secs(5);
/// The pause before the processes of a task without an actor are struck again, if some are left.
const STRUCK_AGAIN: Duration = Duration::from_secs(2);

impl Task {
    fn new(record: ClaimRecord, class: Option<usize>, birth: Birth) -> Self {
        let seat = Seat::new::<TaskActor>(record.claimed.task_id.to_string(), TOLERANCE);
        Self {
            record,
            class,
            seat,
            birth,
            life: 0,
            actor: None,
            home: None,
            unanswered: 0,
            cancel: None,
            state: None,
            since: Instant::now(),
        }
    }

    /// Whether it was claimed by this launch-agent and has no process yet, as far as is known.
    pub(super) fn is_launched_now(&self) -> bool {
        self.birth == Birth::Claimed && matches!(self.state, None | Some(TaskState::Starting))
    }

    /// Has it say in which state it is.
    pub(super) fn ask(&self) {
        self.actor.iter().for_each(|actor| actor.tell(Ping));
    }

    fn send(&self, cancel: CancelTask) {
        self.actor.iter().for_each(|actor| actor.tell(cancel));
    }

    pub(super) fn standing(&self, task: TaskId) -> TaskStatus {
        let standing = self.seat.standing();
        TaskStatus {
            task,
            class: self.record.claimed.resource_class.clone(),
            slot: self.record.slot,
            state: standing.state,
            age_ms: millis(self.since.elapsed()),
            restarts: standing.restarts,
        }
    }
}

impl Supervisor {
    pub(super) fn take_on(&mut self, claimed: Claimed, class: usize, ctx: &mut Context<Self>) {
        let id = claimed.task_id;
        if self.tasks.contains_key(&id) {
            // Our lease of it ran out, and we were the next to get it: first the old one has to go.
            self.cancel(id, CancelReason::Fenced);
            return self.reclaimed.push((claimed, class));
        }
        self.host.board.count(|counts| counts.claims += 1);
        info!(self.host.log, "a task is claimed"; "task" => %id, "class" => %claimed.resource_class);
        let slot = self.slots.take(Some(class));
        let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let token = self.host.settings.classes[class].fingerprint();
        let record = ClaimRecord { claimed, key, slot, token };
        let mut task = Task::new(record, Some(class), Birth::Claimed);
        // A claim that was on its way when all had to end: it is given back.
        task.cancel = (self.state == HostState::Stopping).then_some(CancelReason::Shutdown);
        self.tasks.insert(id, task);
        self.house(id, ctx);
        self.tell_keeper(class);
    }

    /// Finds the tasks of an earlier life: those with a claim go on, of the others everything is removed.
    pub(super) fn adopt(&mut self, ctx: &mut Context<Self>) {
        let host = self.host.clone();
        let found = spawn_blocking(move || {
            let (mut records, mut strays) = (Vec::new(), Vec::new());
            for task in host.leftovers() {
                match host.task_dir(task).claim() {
                    Ok(record) => records.push(record),
                    Err(_) => strays.push(task),
                }
            }
            (records, strays)
        });
        ctx.spawn(found.into_actor(self).map(|found, supervisor, ctx| {
            let (records, strays) = found.expect("looking at directories does not panic");
            let kept = records.iter().map(|record| record.claimed.clone()).collect();
            for record in records {
                supervisor.adopt_one(record, ctx);
            }
            if supervisor.host.settings.mode == Mode::SingleTask && !supervisor.tasks.is_empty() {
                // It had its task before this life.
                supervisor.apply(HostEvent::Drain, ctx);
            }
            (0..supervisor.tokens.len()).for_each(|class| supervisor.tell_keeper(class));
            supervisor.remove_orphans(kept, strays, ctx);
        }));
    }

    /// Nothing is claimed before: what runs for nobody is not to be mixed up with what was just started.
    fn remove_orphans(&mut self, kept: Vec<Claimed>, strays: Vec<TaskId>, ctx: &mut Context<Self>) {
        let host = self.host.clone();
        let removed = async move {
            // One that does not answer in time is found later, if it does then.
            let _ = timeout(ENGINE_ANSWERS, host.engine.look()).await;
            let leases: Vec<_> = kept.iter().map(|claim| claim.allocation.clone()).collect();
            let containers = orphans::remove_containers(&host, &leases).await;
            let removed = spawn_blocking(move || orphans::remove(&host, &kept, &strays)).await;
            removed.map(|orphans| Orphans { containers, ..orphans })
        };
        ctx.spawn(removed.into_actor(self).map(|removed, supervisor, ctx| {
            supervisor.orphans = removed.ok();
            supervisor.is_adopting = false;
            // Not earlier: the group of its check would be one that an earlier life left.
            supervisor.start_health_keeper(ctx);
            if supervisor.state != HostState::Serving {
                supervisor.leave_if_empty(ctx);
            }
            supervisor.lend();
        }));
    }

    fn adopt_one(&mut self, record: ClaimRecord, ctx: &mut Context<Self>) {
        let (id, class) = (record.claimed.task_id, self.class_of(&record));
        self.host.board.count(|counts| counts.adoptions += 1);
        info!(self.host.log, "a task is adopted"; "task" => %id, "slot" => record.slot);
        self.slots.take_again(record.slot, class);
        let crashes = self.host.task_dir(id).crashes();
        let mut task = Task::new(record, class, self.birth_of(id, crashes));
        task.cancel = (self.state == HostState::Stopping).then_some(CancelReason::Shutdown);
        self.tasks.insert(id, task);
        // Not even its end could be told so far.
        match crashes >= self.host.settings.poison_after.saturating_mul(2) {
            true => self.bury(id, ctx),
            false => self.house(id, ctx),
        }
    }

    /// A task that was there whenever launch-agents crashed is not let crash the next ones.
    fn birth_of(&self, id: TaskId, crashes: usize) -> Birth {
        if crashes < self.host.settings.poison_after {
            return Birth::Adopted;
        }
        error!(self.host.log, "a task was present at too many crashes, and is ended"; "task" => %id, "crashes" => crashes);
        Birth::Poisonous(crashes)
    }

    /// Whose token keeps the lease of an adopted task. None where the configuration has it no more: another class's token
    /// would only be told that the lease is lost.
    fn class_of(&self, record: &ClaimRecord) -> Option<usize> {
        let classes = &self.host.settings.classes;
        let named =
            classes.iter().position(|class| class.class.as_ref() == Some(&record.claimed.resource_class));
        named.or_else(|| classes.iter().position(|class| class.fingerprint() == record.token))
    }

    /// Gives a task an actor on a thread of its own.
    fn house(&mut self, id: TaskId, ctx: &mut Context<Self>) {
        let home = match self.homes.take() {
            Ok(home) => home,
            Err(error) => return self.task_failed(id, &format!("no thread for it: {error}"), ctx),
        };
        let supervisor = Above::of(ctx);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        self.lives += 1;
        task.life = self.lives;
        let parts = Parts {
            host: self.host.clone(),
            record: task.record.clone(),
            birth: task.birth.clone(),
            keeps_own_lease: task.class.is_none(),
            supervisor,
        };
        let make = move |_: &mut _| TaskActor::new(parts);
        let actor = start(ctx, &task.seat, home.arbiter(), Member::Task(id, task.life), make);
        if let Some(why) = task.cancel {
            actor.tell(CancelTask { why });
        }
        (task.actor, task.home, task.unanswered) = (Some(actor), Some(home), 0);
    }

    pub(super) fn is_alive(&self, id: TaskId, life: u64) -> bool {
        self.tasks.get(&id).is_some_and(|task| task.life == life)
    }

    /// A task's actor panicked, hung or lost its thread: the next one goes on from the journal.
    pub(super) fn task_failed(&mut self, id: TaskId, cause: &str, ctx: &mut Context<Self>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        error!(self.host.log, "a task's actor failed"; "task" => %id, "cause" => cause);
        (task.actor, task.home) = (None, None);
        let pause = match task.seat.failed(cause) {
            Verdict::RestartAfter(pause) => {
                if !matches!(task.birth, Birth::Poisonous(_)) {
                    task.birth = Birth::Reborn(cause.to_owned());
                }
                pause
            }
            Verdict::Escalate if matches!(task.birth, Birth::Abandoned(_)) => return self.bury(id, ctx),
            Verdict::Escalate => {
                task.birth = Birth::Abandoned(cause.to_owned());
                Duration::ZERO
            }
        };
        ctx.run_later(pause, move |supervisor, ctx| supervisor.house(id, ctx));
    }

    /// Not even the shortest way worked: its processes are ended without an actor, its lease runs out. Slot and account
    /// are nobody else's before the last of them is gone.
    fn bury(&mut self, id: TaskId, ctx: &mut Context<Self>) {
        let (host, task) = (self.host.clone(), self.tasks.get(&id));
        let slot = task.map(|task| task.record.slot);
        let claimed = task.map(|task| task.record.claimed.clone()).filter(|claimed| claimed.in_containers);
        let cleared = async move {
            if let Some(claimed) = claimed
                && let Err(why) = container::kill(&host, &claimed.allocation).await
            {
                error!(host.log, "containers of a task are left"; "task" => %id, "error" => why);
                return Ok(false);
            }
            spawn_blocking(move || orphans::clear(&host, id, slot)).await
        };
        ctx.spawn(cleared.into_actor(self).map(move |cleared, supervisor, ctx| match cleared {
            Ok(true) => supervisor.let_go(id, ctx),
            Ok(false) | Err(_) => {
                ctx.run_later(STRUCK_AGAIN, move |supervisor, ctx| supervisor.bury(id, ctx));
            }
        }));
    }

    /// Nothing of the task is left: its slot is free.
    pub(super) fn let_go(&mut self, id: TaskId, ctx: &mut Context<Self>) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        drop(task.actor.take());
        task.home.take().into_iter().for_each(|home| self.homes.give_back(home));
        self.slots.release(task.record.slot, task.class);
        self.idle_since = Instant::now();
        task.class.into_iter().for_each(|class| self.tell_keeper(class));
        if let Some(again) = self.reclaimed.iter().position(|(claimed, _)| claimed.task_id == id) {
            let (claimed, class) = self.reclaimed.swap_remove(again);
            self.take_on(claimed, class, ctx);
        }
        self.leave_if_empty(ctx);
        self.lend();
    }

    /// Whether this is the lease under which the task is here now.
    pub(super) fn holds(&self, lease: Lease) -> bool {
        let task = self.tasks.get(&lease.task_id);
        task.is_some_and(|task| task.record.claimed.epoch == lease.epoch)
    }

    pub(super) fn cancel(&mut self, id: TaskId, why: CancelReason) {
        if let Some(task) = self.tasks.get_mut(&id) {
            info!(self.host.log, "a task is to be ended"; "task" => %id, "why" => ?why);
            task.cancel = Some(why);
            task.send(CancelTask { why });
        }
    }

    /// The keeper of this token hears whose leases it keeps.
    pub(super) fn tell_keeper(&self, class: usize) {
        let tasks = self.tasks.values().filter(|task| task.class == Some(class));
        let claims = || tasks.clone().map(|task| &task.record.claimed);
        let leases = claims().map(|claim| Lease { task_id: claim.task_id, epoch: claim.epoch }).collect();
        let shortest = claims().map(|claim| claim.lease_ms).min().unwrap_or(60_000);
        let running = crate::lease_keeper::Running { leases, shortest: Duration::from_millis(shortest) };
        self.tokens[class].keeper.iter().for_each(|keeper| keeper.tell(running.clone()));
    }

    pub(super) fn heard_of(&mut self, id: TaskId, state: TaskState) {
        if let Some(task) = self.tasks.get_mut(&id) {
            (task.state, task.unanswered) = (Some(state), 0);
        }
    }

    /// An actor that does not answer hangs: it gets a new thread, the old one is left to itself.
    pub(super) fn ping_tasks(&mut self, ctx: &mut Context<Self>) {
        let mut hung = Vec::new();
        for (id, task) in &mut self.tasks {
            let Some(actor) = &task.actor else { continue };
            if task.unanswered >= HUNG {
                hung.push(*id);
                continue;
            }
            task.unanswered += 1;
            actor.tell(Ping);
        }
        for id in hung {
            self.task_failed(id, "it did not answer for 20 s", ctx);
        }
    }
}
