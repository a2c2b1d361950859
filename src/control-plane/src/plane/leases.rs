//! Claims, heartbeats, and the life of a task between them: begin, give back, end.

use super::{
    Plane, Written,
    core::Core,
    live::{Holder, Place, Want},
    token::{self, TokenHash},
};
use crate::{
    engine::task::{Event, Millis, Verdict},
    refusal::Refusal,
};
use futures_util::future::select;
use protocol::{
    Epoch, Outcome, ResourceClass, TaskId,
    http::{AgentProgram, Claim, Claimed, Granted, Heartbeat, HeartbeatAnswer, Lease},
};
use slog::warn;
use std::{sync::Arc, time::Duration};
use store::Phase;
use tokio::time::Instant;

/// The most tasks of one claim.
const MOST_TASKS: u32 = 256;
/// The longest that a claim is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// An answer may be lost on its way. Whoever got it calls within this time, and has a whole lease from then on.
const UNHEARD_MS: Millis = 15_000;
/// How long a signed URL of the task-agent is good.
const AGENT_URL_MS: i64 = 60 * 60 * 1000;
/// The version of the task-agent that is published: it is built with us.
const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How a task is over, as its holder says.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) message: Option<String>,
}

impl Plane {
    /// Tasks of a class, as soon as there are any; none when the wait is over.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        class: &ResourceClass,
        claim: &Claim,
    ) -> Result<Vec<Claimed>, Refusal> {
        let wait = Duration::from_millis(claim.wait_ms.unwrap_or_default()).min(LONGEST_WAIT);
        let most = claim.max_tasks.unwrap_or(1).clamp(1, MOST_TASKS);
        let until = Instant::now() + wait;
        let plain = Want { class: class.clone(), containers: false };
        let want = Want { containers: claim.containers, ..plain.clone() };
        let [work, more] = [&plain, &want].map(|want| self.core().work(want));
        loop {
            // Armed before the look, so that work which comes in between rings.
            let mut rung = std::pin::pin!(work.notified());
            rung.as_mut().enable();
            let mut rung_too = std::pin::pin!(more.notified());
            rung_too.as_mut().enable();
            let claimed = self.take(&want, claim, most).await?;
            // A ring that came meanwhile for the other one is passed on to the next claim.
            if !claimed.is_empty() || !self.woken_before(until, select(rung, rung_too)).await {
                return Ok(claimed);
            }
        }
    }

    /// Takes what waits; answered once all of it is on disk. A task whose write fails is nobody's, and found again.
    async fn take(self: &Arc<Self>, want: &Want, claim: &Claim, most: u32) -> Result<Vec<Claimed>, Refusal> {
        let taken = self.take_queued(want, claim, most);
        let mut unanswered =
            Unanswered { plane: self, leases: taken.iter().map(|(task, _)| task.lease()).collect() };
        if let Some(write) =
            self.instances.seen(&want.class, claim, !taken.is_empty(), super::clock::wall_ms())
            && let Err(refusal) = self.write(vec![write]).await
        {
            warn!(self.log, "a runner instance was not noted"; "name" => &claim.name, "error" => %refusal);
        }
        let mut claimed = Vec::with_capacity(taken.len());
        for (task, written) in taken {
            match written.on_disk().await {
                Ok(()) => claimed.push(task),
                Err(refusal) if claimed.is_empty() => return Err(refusal),
                Err(_) => {}
            }
        }
        unanswered.leases.clear();
        Ok(claimed)
    }

    /// Takes a task back from a lease that nobody knows of.
    fn take_back(self: &Arc<Self>, lease: Lease) {
        let mut core = self.core();
        let Some(place) = core.place(lease.task_id) else { return };
        self.change(&mut core, place.workflow, |live, moment, change| {
            let at = (place.job, place.index);
            if live.task(at.0, at.1).machine.is_held_under(lease.epoch) {
                live.task_event(at, Event::Tick { now: Millis::MAX }, (None, None), moment, change);
            }
        });
    }

    fn take_queued(self: &Arc<Self>, want: &Want, claim: &Claim, most: u32) -> Vec<(Claimed, Written)> {
        let (runner, host): (Arc<str>, Arc<str>) =
            (claim.name.as_str().into(), claim.hostname.as_str().into());
        let since_ms = self.clock.moment().wall_ms;
        let mut core = self.core();
        let mut taken = Vec::new();
        if !core.has_waiting(want) {
            return taken;
        }
        let mut shares = core.shares(&want.class, self.queue_rules.now());
        while taken.len() < most as usize
            && let Some((task, place)) = core.pop(want, &mut shares)
        {
            let token = token::new_token();
            let holder =
                Holder { runner: runner.clone(), host: host.clone(), hash: token::hash(&token), since_ms };
            if let Some((epoch, written)) = self.claim_task(&mut core, place, holder) {
                let job = core.workflow(place.workflow).and_then(|live| live.jobs[place.job].want());
                let want = job.unwrap_or_else(|| want.clone());
                taken.push((self.claimed(want, task, epoch, token), written));
            }
        }
        taken
    }

    fn claim_task(
        self: &Arc<Self>,
        core: &mut Core,
        place: Place,
        holder: Holder,
    ) -> Option<(Epoch, Written)> {
        let lease = self.lease_ms();
        let (epoch, written) = self.change(core, place.workflow, |live, moment, change| {
            // It may have come to be so while the task waited.
            if let Some(why) = live.refusal(place.job) {
                live.jobs[place.job].reason = Some(why);
                live.cancel_tasks(place.job, moment, change);
                return None;
            }
            let event = Event::Claim { until: moment.now + lease.min(UNHEARD_MS) };
            let verdict =
                live.task_event((place.job, place.index), event, (Some(holder), None), moment, change);
            (verdict == Verdict::Claimed).then(|| live.task(place.job, place.index).machine.epoch)
        })?;
        Some((epoch?, written))
    }

    fn claimed(&self, want: Want, task: TaskId, epoch: Epoch, task_token: String) -> Claimed {
        let content = self.rules.agent.clone();
        let expires = super::clock::wall_ms() + AGENT_URL_MS;
        let url = self.signer.get_url(&blobs::Scope::agents(), &content.digest, expires);
        Claimed {
            task_token,
            agent_version: AGENT_VERSION.to_owned(),
            resource_class: want.class,
            allocation: allocation(task, epoch),
            task_id: task,
            epoch,
            lease_ms: self.lease_ms(),
            agent: AgentProgram { content, url },
            in_containers: want.containers,
        }
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.rules.lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// Renews leases and says which of their tasks are canceled or lost, as soon as there is one.
    pub(crate) async fn heartbeat(
        self: &Arc<Self>,
        class: &ResourceClass,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Refusal> {
        // A lease outlasts the longest held call more than twice.
        let wait = Duration::from_millis(heartbeat.wait_ms).min(self.rules.lease / 3);
        let until = Instant::now() + wait;
        let mut changed = self.lease_news();
        loop {
            changed.borrow_and_update();
            let answer = self.renew(class, &heartbeat.tasks).await?;
            let quiet = answer.canceled.is_empty() && answer.fenced.is_empty();
            if !quiet || !self.woken_before(until, changed.changed()).await {
                return Ok(answer);
            }
        }
    }

    /// The lease that a task token stands for now. Whoever calls with it holds the task, and renews it: tasks go on
    /// also where the class token that heartbeats come with is revoked.
    pub(crate) fn renew_own(&self, token: &TokenHash) -> Option<Lease> {
        let mut core = self.core();
        let (task_id, epoch) = core.lease(token)?;
        let until = self.clock.moment().now + self.lease_ms();
        if let Some(place) = core.place(task_id)
            && let Some(live) = core.workflow(place.workflow)
        {
            let task = &mut live.jobs[place.job].tasks[place.index];
            task.machine = task.machine.after(Event::Renew { epoch, until }).0;
        }
        Some(Lease { task_id, epoch })
    }

    async fn renew(
        self: &Arc<Self>,
        class: &ResourceClass,
        leases: &[Lease],
    ) -> Result<HeartbeatAnswer, Refusal> {
        let mut answer = HeartbeatAnswer::default();
        let mut unknown = Vec::new();
        {
            let mut core = self.core();
            let until = self.clock.moment().now + self.lease_ms();
            for lease in leases {
                match renew_one(&mut core, class, lease, until) {
                    None => unknown.push(*lease),
                    Some(News::Fenced) => answer.fenced.push(lease.task_id),
                    Some(News::Canceled) => answer.canceled.push(lease.task_id),
                    Some(News::Nothing) => {}
                }
            }
        }
        for lease in unknown {
            if !self.ended_under(lease).await? {
                answer.fenced.push(lease.task_id);
            }
        }
        Ok(answer)
    }

    /// Whether a task that is not in memory is just being ended by its holder, or being read again: no news of it.
    async fn ended_under(&self, lease: Lease) -> Result<bool, Refusal> {
        let row = self.store.task(lease.task_id).await?;
        Ok(row.is_some_and(|row| row.epoch == lease.epoch && row.phase != Phase::Queued))
    }

    /// Leave to run user code.
    pub(crate) async fn begin(self: &Arc<Self>, lease: Lease) -> Result<Granted, Refusal> {
        let event = Event::Begin { epoch: lease.epoch };
        let (verdict, canceled, written) = self.task_event(lease.task_id, event, None)?;
        match verdict {
            Verdict::Granted | Verdict::Repeated => written.on_disk().await?,
            _ => return Err(Refusal::fenced()),
        }
        Ok(Granted { canceled })
    }

    /// Takes a task back that never began.
    pub(crate) async fn unclaim(
        self: &Arc<Self>,
        lease: Lease,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        let reason = reason.map(|reason| format!("given back too often, the last time because: {reason}"));
        let event = Event::Unclaim { epoch: lease.epoch };
        let (verdict, _, written) = self.task_event(lease.task_id, event, reason)?;
        match verdict {
            Verdict::Requeued | Verdict::Repeated | Verdict::Over(_) => written.on_disk().await,
            Verdict::Exhausted => {
                written.on_disk().await?;
                Err(Refusal::Conflict("the task was given back too often: it has failed".to_owned()))
            }
            Verdict::Begun => {
                Err(Refusal::Conflict("the task has begun: it cannot be given back, only ended".to_owned()))
            }
            _ => Err(Refusal::fenced()),
        }
    }

    /// Ends a task as its holder says. A repeat changes nothing.
    pub(crate) async fn end(self: &Arc<Self>, lease: Lease, ending: Ending) -> Result<(), Refusal> {
        let event = Event::Finish { epoch: lease.epoch, outcome: ending.outcome };
        match self.task_event(lease.task_id, event, ending.message) {
            Ok((Verdict::Over(_) | Verdict::Repeated, _, written)) => written.on_disk().await,
            Ok(_) => Err(Refusal::fenced()),
            // Its workflow is over: a repeat of what ended it, or somebody late.
            Err(Refusal::Fenced(_)) if self.is_ended_in_store(lease).await? => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn is_ended_in_store(&self, lease: Lease) -> Result<bool, Refusal> {
        let row = self.store.task(lease.task_id).await?;
        Ok(row.is_some_and(|row| row.epoch == lease.epoch && row.phase == Phase::Ended))
    }

    /// Carries an event of one task's holder; with the verdict comes whether the task is canceled.
    fn task_event(
        self: &Arc<Self>,
        task: TaskId,
        event: Event,
        message: Option<String>,
    ) -> Result<(Verdict, bool, Written), Refusal> {
        let mut core = self.core();
        let place = core.place(task).ok_or_else(Refusal::fenced)?;
        let changed = self.change(&mut core, place.workflow, |live, moment, change| {
            let at = (place.job, place.index);
            let verdict = live.task_event(at, event, (None, message), moment, change);
            (verdict, live.task(place.job, place.index).machine.canceled)
        });
        let ((verdict, canceled), written) = changed.ok_or_else(Refusal::being_read)?;
        Ok((verdict, canceled, written))
    }

    /// How many tasks of a class wait, and how many are held.
    pub(crate) fn count(&self, class: &ResourceClass) -> (u64, u64) {
        self.core().counts().get(class).copied().unwrap_or_default()
    }
}

/// Leases of a caller who has not got them yet: who goes away meanwhile, as one that drains, leaves its tasks to others
/// at once.
struct Unanswered<'p> {
    plane: &'p Arc<Plane>,
    leases: Vec<Lease>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        std::mem::take(&mut self.leases).into_iter().for_each(|lease| self.plane.take_back(lease));
    }
}

/// What a heartbeat has to say of one task.
enum News {
    Nothing,
    Canceled,
    Fenced,
}

fn renew_one(core: &mut Core, class: &ResourceClass, lease: &Lease, until: u64) -> Option<News> {
    let place = core.place(lease.task_id)?;
    let job = &mut core.workflow(place.workflow)?.jobs[place.job];
    if job.class.as_ref() != Some(class) {
        return Some(News::Fenced);
    }
    let task = &mut job.tasks[place.index];
    // A renewal is not written: a control plane that starts gives every lease a whole period.
    let (machine, verdict) = task.machine.after(Event::Renew { epoch: lease.epoch, until });
    task.machine = machine;
    Some(match verdict {
        Verdict::Fenced => News::Fenced,
        Verdict::Renewed if machine.canceled => News::Canceled,
        _ => News::Nothing,
    })
}

/// Names a claim in the public calls.
pub(crate) fn allocation(task: TaskId, epoch: Epoch) -> String {
    format!("{task}-{}", epoch.0)
}
