//! From a claim to a process that may run user code.

use super::{
    Birth, TaskActor,
    journal::Entry,
    process::{self, Ready},
    remote_docker::asks_for_engine,
    socket::watched,
    state::{TaskEvent, TaskState},
};
use crate::log_streamer::renewal;
use actix::prelude::*;
use client::{ClientError, TaskClient};
use failpoints::Guard;
use protocol::{
    Outcome,
    frame::CancelReason,
    http::Granted,
    task::{Source, TaskSpec},
};
use sandbox::{Containment, Identity, launch::Started, memory::sealed};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};
use tokio::{io::Interest, task::spawn_blocking};

/// What of the spec the launch-agent needs itself; the rest is in the sealed memory only.
#[derive(Debug)]
pub(super) struct Spec {
    memory: OwnedFd,
    pub(super) steps: u32,
    pub(super) source: Source,
    /// The name of the copy of its repository that it may use and make.
    pub(super) mirror: Option<String>,
    limit_ms: u64,
    /// Whether a step asks for an engine of the job's own.
    pub(super) asks_for_engine: bool,
}

/// A process that has not said hello after this long is not going to.
const HELLO: Duration = Duration::from_secs(60);
/// The task-agent keeps the task's own limit; the host steps in a little later.
const SLACK_MS: u64 = 5_000;
/// Between tries after the client's own patience is over.
const PAUSE: Duration = Duration::from_secs(2);
/// Of its last words, so many bytes are told.
const LAST_WORDS: usize = 2_000;

impl TaskActor {
    /// What any fresh actor does first, whatever the state: listen, watch, stream.
    pub(super) fn take_up(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.state, TaskState::Sweeping(_) | TaskState::Reporting(_) | TaskState::Done(_)) {
            return;
        }
        if !self.is_abandoned() {
            self.stream_logs(ctx);
        }
        if self.state.may_have_agent() {
            // One that is given up has nothing to hear any more.
            if !self.is_given_up() {
                self.listen(ctx);
            }
            self.find_process(ctx);
        }
    }

    /// Ends a task that is held for the cause of crashes. Where it came to an end of its own while no launch-agent was
    /// there, that counts.
    pub(super) fn condemn(&mut self, crashes: usize, ctx: &mut Context<Self>) {
        let outcome = self.outcome();
        ctx.spawn(outcome.into_actor(self).map(move |outcome, task, ctx| {
            if outcome.is_some() {
                return task.apply(TaskEvent::AgentGone(outcome), ctx);
            }
            task.because(format!(
                "this task was present at {crashes} crashes of the launch-agent and is not adopted again: \
                 it is held for their cause, and ended"
            ));
            task.apply(TaskEvent::Abandoned, ctx);
        }));
    }

    /// What stands in the task-agent's journal of how the task ended.
    fn outcome(&self) -> impl Future<Output = Option<Outcome>> + use<> {
        let journal = self.dir.agent_journal();
        async move { spawn_blocking(move || process::outcome(&journal)).await.ok().flatten() }
    }

    /// A process of an earlier life of this actor, or of the launch-agent.
    fn find_process(&mut self, ctx: &mut Context<Self>) {
        if let Some(process) = self.past.process {
            if let Some(containment) = &mut self.past.containment {
                containment.rooted_in(process);
            }
            match process.pidfd() {
                Ok(Some(pidfd)) => self.watch(process, pidfd, ctx),
                // Whoever ends it looks for its outcome.
                _ if self.is_given_up() => {}
                _ => self.ended(process, ctx),
            }
            self.limit(ctx);
        } else if matches!(self.state, TaskState::Stopping { .. }) {
            // It was to be stopped while it was being started, and nobody knows how far that came.
            ctx.notify(NoProcess);
        }
    }

    /// Only the actor that was there at the claim launches. The journal of another may have lost that user code ran, to
    /// a full disk or a power cut; the control plane knows, and takes back only what never began.
    pub(super) fn launch(&mut self, ctx: &mut Context<Self>) {
        if self.parts.birth != Birth::Claimed {
            let why = "the launch-agent failed while it started the task, or lost its journal".to_owned();
            return self.not_launched(why, ctx);
        }
        self.fetch_spec(ctx);
        if self.is_in_containers() {
            // The spec says in which.
            return;
        }
        let (host, dir, record) = (self.parts.host.clone(), self.dir.clone(), self.parts.record.clone());
        let client = self.client.clone();
        let ready = async move {
            let agent = &record.claimed.agent;
            let program = host.programs.obtain(&client, &agent.url, &agent.content).await;
            let program = program.map_err(|error| format!("the task-agent cannot be had: {error}"))?.path;
            let made = spawn_blocking(move || process::make_ready(&host, &dir, &record, program)).await;
            made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        };
        ctx.spawn(ready.into_actor(self).map(|ready, task, ctx| task.start_process(ready, ctx)));
    }

    fn start_process(&mut self, ready: Result<Ready, String>, ctx: &mut Context<Self>) {
        let ready = match ready {
            Ok(ready) if self.state == TaskState::Starting && !self.doomed => ready,
            Ok(_) => return self.apply(TaskEvent::NotLaunched, ctx),
            Err(why) => return self.not_launched(why, ctx),
        };
        ready.notes.iter().for_each(|note| self.notebook.say(note));
        self.notebook.write(&Entry::Launching(ready.place.containment().clone()));
        self.past.containment = Some(ready.place.containment().clone());
        let started = async move {
            let started = spawn_blocking(move || process::start(ready)).await;
            started.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        };
        ctx.spawn(started.into_actor(self).map(|started, task, ctx| match started {
            Ok((started, containment)) => task.process_started(started, containment, ctx),
            Err(why) => task.not_launched(why, ctx),
        }));
    }

    pub(super) fn process_started(
        &mut self,
        started: Started,
        containment: Containment,
        ctx: &mut Context<Self>,
    ) {
        self.notebook.write(&Entry::Process(started.identity));
        (self.past.process, self.past.containment) = (Some(started.identity), Some(containment));
        self.apply(TaskEvent::Started, ctx);
        self.watch(started.identity, started.pidfd, ctx);
        self.admit_early(ctx);
        self.limit(ctx);
        if self.doomed {
            return self.strike(ctx);
        }
        ctx.run_later(HELLO, Self::expect_hello);
    }

    pub(super) fn not_launched(&mut self, why: String, ctx: &mut Context<Self>) {
        self.because(why);
        self.apply(TaskEvent::NotLaunched, ctx);
    }

    fn expect_hello(&mut self, ctx: &mut Context<Self>) {
        if self.state.may_have_agent() && !self.conversation.has_connected() {
            let words = self.last_words();
            self.because(format!("the task-agent did not connect within {} s{words}", HELLO.as_secs()));
            self.strike(ctx);
        }
    }

    /// The end of what the process printed, where it printed something.
    pub(super) fn last_words(&self) -> String {
        match self.dir.output_tail(LAST_WORDS).as_str() {
            "" => String::new(),
            words => format!("; it said: {words}"),
        }
    }

    /// Hears when the process ends.
    fn watch(&mut self, process: Identity, pidfd: OwnedFd, ctx: &mut Context<Self>) {
        let gone = async move {
            let pidfd = watched(pidfd, Interest::READABLE)?;
            pidfd.readable().await.map(drop)
        };
        ctx.spawn(gone.into_actor(self).map(move |watched: io::Result<()>, task, ctx| {
            watched.expect("a pidfd can be waited for");
            task.ended(process, ctx);
        }));
    }

    /// The process is over: what it says of the task stands in its journal.
    fn ended(&mut self, process: Identity, ctx: &mut Context<Self>) {
        let (exit, outcome, examined) = (process.reap(), self.outcome(), self.examine());
        let outcome = async move {
            let outcome = outcome.await;
            let examined = if outcome == Some(Outcome::Success) { None } else { examined.await };
            (outcome, examined.unwrap_or_default())
        };
        ctx.spawn(outcome.into_actor(self).map(move |(outcome, examined), task, ctx| {
            if outcome.is_none() && matches!(task.state, TaskState::Launched | TaskState::Running) {
                let how = exit.map_or_else(String::new, |exit| format!(" (exit code {})", exit.code()));
                let words = task.last_words();
                task.because(format!(
                    "the task-agent ended before the task did{how}{words}{}",
                    examined.words
                ));
            } else if examined.out_of_memory {
                task.notebook.say("The container ran out of memory: the kernel killed a process of it.");
            }
            task.apply(TaskEvent::AgentGone(outcome), ctx);
        }));
    }

    pub(super) fn ask_begin(&mut self, ctx: &mut Context<Self>) {
        if Guard::Begin.is_out() {
            return self.apply(TaskEvent::Granted, ctx);
        }
        let (client, epoch) = (self.client.clone(), self.parts.record.claimed.epoch);
        let begun = async move {
            loop {
                match client.begin(epoch).await {
                    Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
                    answer => return answer,
                }
            }
        };
        ctx.spawn(begun.into_actor(self).map(|answer, task, ctx| task.begin_answered(answer, ctx)));
    }

    /// Its streamer renews the lease. Whether it was canceled nobody else asks: leave is granted again, with that word.
    pub(super) fn keep_own_lease(&mut self, ctx: &mut Context<Self>) {
        if self.parts.keeps_own_lease {
            let lease = Duration::from_millis(self.parts.record.claimed.lease_ms);
            ctx.run_interval(renewal(lease), |task, ctx| {
                if task.state == TaskState::Running {
                    task.ask_begin(ctx);
                }
            });
        }
    }

    fn begin_answered(&mut self, answer: Result<Granted, ClientError>, ctx: &mut Context<Self>) {
        match answer {
            Ok(Granted { canceled: false }) => self.apply(TaskEvent::Granted, ctx),
            // Stopped before it hears that it may begin: no step of it runs.
            Ok(Granted { canceled: true }) => {
                self.apply(TaskEvent::End(CancelReason::Canceled), ctx);
                self.apply(TaskEvent::Granted, ctx);
            }
            Err(ClientError::Fenced(why)) => self.lost_lease(why, ctx),
            Err(error) => self.lost_lease(error.to_string(), ctx),
        }
    }

    /// Nobody wants this task from this host any more.
    pub(super) fn lost_lease(&mut self, why: String, ctx: &mut Context<Self>) {
        self.because(why);
        self.apply(TaskEvent::End(CancelReason::Fenced), ctx);
        self.let_images_go(ctx);
    }

    /// Fetches what to run: at a launch, and again where a task-agent does not hold it after a restart of ours.
    pub(super) fn fetch_spec(&mut self, ctx: &mut Context<Self>) {
        let fetched = fetch(self.client.clone());
        ctx.spawn(fetched.into_actor(self).map(|fetched, task, ctx| match fetched {
            Ok(spec) => task.take_spec(spec, ctx),
            Err(ClientError::Fenced(why)) => task.lost_lease(why, ctx),
            Err(error) => {
                task.because(format!("the task's spec cannot be had: {error}"));
                task.strike(ctx);
                task.let_images_go(ctx);
            }
        }));
    }

    fn take_spec(&mut self, mut spec: TaskSpec, ctx: &mut Context<Self>) {
        // With its credentials: no task-agent needs them.
        let containers = spec.containers.take();
        let directory = spec.working_directory.clone();
        match Spec::of(spec) {
            Ok(spec) => {
                let limit = spec.limit_ms.saturating_add(SLACK_MS);
                self.notebook.write(&Entry::LimitMs(limit));
                self.past.limit_ms = Some(limit);
                self.spec = Some(spec);
                self.limit(ctx);
                self.hand_over(ctx);
                self.prepare_containers(containers, directory, ctx);
            }
            Err(error) => {
                self.because(format!("the task's spec cannot be kept in memory: {error}"));
                self.strike(ctx);
                self.let_images_go(ctx);
            }
        }
    }

    /// Ends the task when its time is over. Called again once process and limit are known.
    fn limit(&mut self, ctx: &mut Context<Self>) {
        let Some(process) = self.past.process else { return };
        let (host, task) = (self.parts.host.settings.max_run_time, self.past.limit_ms);
        let limit = task.map_or(host, |task| host.min(Duration::from_millis(task)));
        ctx.run_later(limit.saturating_sub(age(process)), |task, ctx| {
            if task.state.may_have_agent() {
                task.because("max_run_time is over");
                task.apply(TaskEvent::End(CancelReason::MaxRunTime), ctx);
            }
        });
    }
}

/// To the actor itself: the process that was being started when the last actor died is not known to anybody.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct NoProcess;

impl Handler<NoProcess> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: NoProcess, ctx: &mut Context<Self>) {
        failpoints::hit("task:no_process", self.task);
        self.apply(TaskEvent::NotLaunched, ctx);
    }
}

impl Spec {
    fn of(spec: TaskSpec) -> io::Result<Self> {
        let memory = sealed("task-spec", &serde_json::to_vec(&spec)?)?;
        let steps = u32::try_from(spec.steps.len()).map_err(io::Error::other)?;
        let asks_for_engine = asks_for_engine(&spec);
        let TaskSpec { source, mirror, max_run_time_ms: limit_ms, .. } = spec;
        Ok(Self { memory, steps, source, mirror, limit_ms, asks_for_engine })
    }

    /// A descriptor of its own for each reader, at the start.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.memory.as_raw_fd());
        Ok(std::fs::File::open(path)?.into())
    }
}

async fn fetch(client: TaskClient) -> Result<TaskSpec, ClientError> {
    loop {
        match client.config().await {
            Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// How long ago a process started, by the kernel's own clock.
fn age(process: Identity) -> Duration {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    let ticks = Duration::from_millis(process.start.saturating_mul(1000) / TICKS_A_SECOND);
    Duration::from_secs_f64(uptime).saturating_sub(ticks)
}

/// `USER_HZ`, the same on every Linux of the platforms we run on.
const TICKS_A_SECOND: u64 = 100;
