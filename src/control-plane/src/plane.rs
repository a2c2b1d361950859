//! The control plane's heart: runs the engine over memory and store, and answers once the store has it on disk.

pub(crate) mod access;
pub(crate) mod approvals;
pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod feed;
pub(crate) mod follow;
pub(crate) mod former;
pub(crate) mod instances;
pub(crate) mod keeper;
pub(crate) mod leases;
pub(crate) mod live;
pub(crate) mod names;
mod overdue;
pub(crate) mod people;
pub(crate) mod progress;
pub(crate) mod projects;
pub(crate) mod queue;
pub(crate) mod redundant;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod serial;
pub(crate) mod stream;
pub(crate) mod token;
pub(crate) mod transfers;

use crate::{
    bodies::Bodies,
    contexts::Contexts,
    data_dir::Removals,
    github_app::AppTokens,
    logs::Logs,
    oidc::Issuer,
    outbound::Outbound,
    rates::Rates,
    refusal::Refusal,
    schedules::Starting,
    secrets::Vault,
    settings::Retention,
    sign_in::SignIns,
    tallies::Tallies,
    triggers::{Fetches, Turns, Working},
    web::welcome::Welcome,
};
use access::Access;
use clock::{Clock, Moment};
use compiler::orb::Orbs;
use core::Core;
use feed::Feeds;
use instances::Instances;
use live::{Change, Live};
use names::Names;
use projects::Projects;
use protocol::{PipelineId, ResourceClass, TaskId, WorkflowId, feed::News, transfer::Content};
use queue::QueueRules;
use slog::{Logger, warn};
use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Command, Guard, Store, StoreError, Write};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, timeout_at},
};

/// So many bundles are looked through at once.
const BUNDLES: usize = 4;

/// All that the routes share.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) store: Store,
    pub(crate) blobs: blobs::Blobs,
    pub(crate) signer: blobs::Signer,
    pub(crate) logs: Logs,
    pub(crate) vault: Vault,
    /// Of identity tokens, where anybody could check them.
    pub(crate) issuer: Option<Issuer>,
    pub(crate) log: Logger,
    pub(crate) access: Arc<Access>,
    pub(crate) contexts: Arc<Contexts>,
    pub(crate) instances: Instances,
    pub(crate) feeds: Feeds,
    pub(crate) projects: Projects,
    names: Names,
    pub(crate) rules: Rules,
    pub(crate) clock: Clock,
    pub(crate) bodies: Bodies,
    pub(crate) rates: Rates,
    /// Of projects whose provider lets an App in.
    pub(crate) app_tokens: AppTokens,
    pub(crate) removals: Arc<Removals>,
    /// The file that is as old as the last sweep.
    swept: PathBuf,
    /// Turns true when held-open calls are to be answered at once.
    pub(crate) closing: watch::Receiver<bool>,
    /// How many calls are being answered.
    pub(crate) calls: watch::Sender<usize>,
    pub(crate) tallies: Tallies,
    pub(crate) fetches: Fetches,
    /// Of the first admin.
    pub(crate) welcome: Welcome,
    /// Where people sign in on the page, besides by tokens.
    pub(crate) sign_ins: Option<SignIns>,
    /// Held by whoever changes or settles who is known by which identity there.
    pub(crate) identities: tokio::sync::Mutex<()>,
    /// Webhooks that are being worked on.
    pub(crate) working: Working,
    /// In which their events take effect.
    pub(crate) turns: Turns,
    /// What the clock is starting.
    pub(crate) starting: Starting,
    /// Whose tasks go first, and how many may run at once.
    pub(crate) queue_rules: QueueRules,
    core: Mutex<Core>,
    /// Held by whoever seals all anew.
    pub(crate) rotating: tokio::sync::Mutex<()>,
    /// Held by whoever looks up what a job is told of its former runs.
    looking_back: tokio::sync::Mutex<()>,
    /// Held by those who look through bundles: what they have in memory is bounded.
    bundles: tokio::sync::Semaphore,
    /// Changes whenever a holder is to hear of a cancel or a fence.
    lease_news: watch::Sender<()>,
    /// Changes whenever others are to be told of something.
    pub(crate) to_tell: watch::Sender<()>,
    /// Rung when a workflow is to be read again or run again, or a serial group to be served.
    to_see_to: Notify,
}

/// What the control plane was told when it started.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) lease: Duration,
    pub(crate) max_run_time: Duration,
    pub(crate) only_class: Option<ResourceClass>,
    /// Where people find the page, if the address says so.
    pub(crate) page: Option<String>,
    /// The published task-agent.
    pub(crate) agent: Content,
    pub(crate) retention: Retention,
    /// Where orbs are found that did not come with a pipeline.
    pub(crate) orbs: Option<Arc<dyn Orbs>>,
    /// Through whom policies are asked, where there are any.
    pub(crate) judge: Option<policies::Judge>,
    /// Lines of `known_hosts` for tasks that use SSH.
    pub(crate) known_hosts: String,
    /// Where the key's file is, if there is one.
    pub(crate) key_directory: Option<PathBuf>,
    /// By which others are called.
    pub(crate) outbound: Option<Arc<dyn Outbound>>,
    /// After how long a task that nobody takes fails; none: never.
    pub(crate) queue_timeout: Option<Duration>,
}

/// What a plane is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) blobs: blobs::Blobs,
    pub(crate) logs: Logs,
    pub(crate) vault: Vault,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) log: Logger,
    pub(crate) access: Access,
    pub(crate) contexts: Contexts,
    pub(crate) instances: Instances,
    pub(crate) queue_rules: QueueRules,
    pub(crate) rules: Rules,
    pub(crate) fetches: Fetches,
    pub(crate) welcome: Welcome,
    pub(crate) sign_ins: Option<SignIns>,
    pub(crate) wall: Arc<dyn clock::Wall>,
    pub(crate) removals: Arc<Removals>,
    pub(crate) swept: PathBuf,
    pub(crate) closing: watch::Receiver<bool>,
    /// How often a second one token may call.
    pub(crate) rate: Option<NonZeroU32>,
}

/// A change that is queued: done once this says so.
#[derive(Debug)]
#[must_use = "nothing may be answered before the change is on disk"]
pub(crate) struct Written(oneshot::Receiver<Result<(), StoreError>>);

impl Written {
    pub(crate) fn new(told: oneshot::Receiver<Result<(), StoreError>>) -> Self {
        Self(told)
    }

    /// Waits until the change is on disk.
    pub(crate) async fn on_disk(self) -> Result<(), Refusal> {
        Ok(self.0.await.unwrap_or(Err(StoreError::Stopped))?)
    }
}

impl Plane {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let life = u64::try_from(clock::wall_ms()).unwrap_or_default();
        Arc::new(Self {
            signer: parts.vault.signer(),
            store: parts.store,
            blobs: parts.blobs,
            logs: parts.logs,
            vault: parts.vault,
            issuer: parts.issuer,
            log: parts.log,
            access: Arc::new(parts.access),
            contexts: Arc::new(parts.contexts),
            instances: parts.instances,
            feeds: Feeds::new(life),
            projects: Projects::default(),
            names: Names::default(),
            rules: parts.rules,
            clock: Clock::new(parts.wall),
            bodies: Bodies::new(),
            rates: Rates::new(parts.rate),
            app_tokens: AppTokens::default(),
            removals: parts.removals,
            swept: parts.swept,
            closing: parts.closing,
            calls: watch::Sender::new(0),
            tallies: Tallies::default(),
            fetches: parts.fetches,
            welcome: parts.welcome,
            sign_ins: parts.sign_ins,
            identities: tokio::sync::Mutex::default(),
            working: Working::default(),
            turns: Turns::default(),
            starting: Starting::default(),
            queue_rules: parts.queue_rules,
            core: Mutex::default(),
            rotating: tokio::sync::Mutex::default(),
            looking_back: tokio::sync::Mutex::default(),
            bundles: tokio::sync::Semaphore::new(BUNDLES),
            lease_news: watch::Sender::new(()),
            to_tell: watch::Sender::new(()),
            to_see_to: Notify::new(),
        })
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock leaves a workflow half changed at worst, and its writes unqueued: the others are whole.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever a holder is to hear of a cancel or a fence.
    pub(crate) fn lease_news(&self) -> watch::Receiver<()> {
        self.lease_news.subscribe()
    }

    /// Changes a workflow and queues the writes, in one breath. None: it does not run.
    pub(crate) fn change<T>(
        self: &Arc<Self>,
        core: &mut Core,
        workflow: WorkflowId,
        work: impl FnOnce(&mut Live, Moment, &mut Change) -> T,
    ) -> Option<(T, Written)> {
        let live = core.workflow(workflow)?;
        let (guard, pipeline) = (live.guard, live.pipeline.id);
        let mut change = Change::default();
        let result = work(live, self.clock.moment(), &mut change);
        core.absorb(workflow, &mut change);
        if change.told {
            self.lease_news.send_replace(());
        }
        if !change.groups.is_empty() {
            self.to_see_to.notify_one();
        }
        Some((result, self.queue(guard, pipeline, change)))
    }

    fn queue(self: &Arc<Self>, guard: Guard, pipeline: PipelineId, change: Change) -> Written {
        let (tell, told) = oneshot::channel();
        let Change { writes, news, ended, is_due, groups, .. } = change;
        let (plane, to_tell) = (self.clone(), report::places(&writes));
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            match &result {
                Ok(numbers) => {
                    plane.tell(pipeline, news, &ended);
                    plane.ring(&to_tell, numbers);
                    if is_due {
                        plane.core().is_due(guard.workflow);
                        plane.to_see_to.notify_one();
                    }
                    plane.free_groups(guard.workflow, &groups);
                }
                Err(error) => plane.lose(guard, error),
            }
            // Who asked may have gone; the change is made all the same.
            let _ = tell.send(result.map(drop));
        });
        self.store.submit(Command { guard: Some(guard), writes, done });
        Written(told)
    }

    /// Tells what is on disk now.
    pub(crate) fn tell(&self, pipeline: PipelineId, news: Vec<News>, ended: &[TaskId]) {
        for one in &news {
            if let News::TaskEnded { outcome, .. } = one {
                self.tallies.ended(*outcome);
            }
        }
        self.feeds.publish(pipeline, news);
        for task in ended {
            self.logs.changed(*task);
            self.logs.ended(*task);
        }
    }

    /// Drops the memory of a workflow whose write failed: it is read again.
    pub(crate) fn lose(&self, guard: Guard, error: &StoreError) {
        // A store that stopped is never read again, and says so on the stack of whoever holds the lock on the core.
        if matches!(error, StoreError::Stopped) {
            return;
        }
        if self.core().lose(guard) {
            warn!(self.log, "a change was not stored, the workflow is read again";
                "workflow" => %guard.workflow, "error" => %error);
            self.to_see_to.notify_one();
        }
    }

    /// Has the keeper look at what there is to do.
    pub(crate) fn see_to_it(&self) {
        self.to_see_to.notify_one();
    }

    /// Queues writes that belong to no workflow's engine and waits until they are on disk.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<Vec<u64>, Refusal> {
        Ok(self.store.write(None, writes).await?)
    }

    /// Holds a call open: whether something happened before its time was over, and it is not to be answered at once.
    pub(crate) async fn woken_before(&self, until: Instant, happens: impl Future) -> bool {
        tokio::select! {
            biased;
            () = self.closed() => false,
            happened = timeout_at(until, happens) => happened.is_ok(),
        }
    }

    /// Ends when the control plane is to stop.
    pub(crate) async fn closed(&self) {
        let mut closing = self.closing.clone();
        // The sender lives as long as the server: an error means that it is gone, so closing as well.
        let _ = closing.wait_for(|closing| *closing).await;
    }
}

#[cfg(test)]
mod tests;
