//! Drives one task on this host: from its claim to its last byte at the control plane.
//!
//! ```text
//! launching     program, directories, spec, process, leave to begin
//! container     the same for a task in containers, and their end
//! remote_docker an engine for the job's own use
//! conversation  its socket: hello, spec and descriptors, requests, answers
//! carrying      its LogStreamer and its ArtifactUploader, started again when they fail
//! ending        stop, sweep, drain, report, clean up
//! ```

mod carrying;
pub(crate) mod container;
mod conversation;
pub(crate) mod dir;
mod ending;
pub(crate) mod journal;
mod launching;
mod process;
mod remote_docker;
mod removal;
mod socket;
pub(crate) mod state;
mod traces;

use crate::{
    artifact_uploader::{ArtifactUploader, Request, UploadNews},
    host::Host,
    log_streamer::{LogStreamer, StreamNews},
};
use actix::prelude::*;
use carrying::Part;
use client::TaskClient;
use container::Vessel;
use conversation::Conversation;
use dir::{ClaimRecord, TaskDir};
use failpoints::around;
use journal::{Entry, Journal, Past};
use launching::Spec;
use protocol::{StepNumber, TaskId, frame::CancelReason};
use remote_docker::OwnEngine;
use slog::{Logger, debug, o, warn};
use state::{Effect, Ending, TaskEvent, TaskState};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    io::Write,
    sync::Arc,
    time::Duration,
};
use supervise::{Above, Child, ChildExited, Seat, Tolerance, say_state, take_counted};

/// From the Supervisor: end the task. A shutdown of one that is being stopped already ends its grace.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CancelTask {
    /// What for.
    pub(crate) why: CancelReason,
}

/// From the Supervisor: are you there? Answered with [`TaskNews::Pong`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Ping;

/// What the Supervisor hears of a task.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum TaskNews {
    /// Its actor is there.
    Pong { task: TaskId, state: TaskState },
    /// Once: nothing of the task is left on this host.
    Finished {
        task: TaskId,
        ending: Ending,
        /// Why, where the ending says too little.
        because: Option<String>,
    },
}

/// How an actor came to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    /// It was claimed just now.
    Claimed,
    /// Its last actor failed.
    Reborn(String),
    /// Its actors failed beyond what is tolerated: it is ended, by the shortest way.
    Abandoned(String),
    /// It was found on disk by a launch-agent that started.
    Adopted,
    /// It was found there, and was present at so many crashes of launch-agents that it is held for their cause: it is ended.
    Poisonous(usize),
}

/// What a task needs to begin, or to begin again: all of it survives the actor.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) host: Arc<Host>,
    pub(crate) record: ClaimRecord,
    pub(crate) birth: Birth,
    /// Whether no LeaseKeeper has it: the token it was claimed with is no longer configured.
    pub(crate) keeps_own_lease: bool,
    pub(crate) supervisor: Above<TaskNews>,
}

/// One task's actor, on a thread of its own.
pub(crate) struct TaskActor {
    parts: Parts,
    task: TaskId,
    log: Logger,
    dir: TaskDir,
    client: TaskClient,
    notebook: Notebook,
    past: Past,
    state: TaskState,
    /// Why its directory cannot be used, if it cannot.
    broken: Option<String>,
    /// Whether the launch-agent ends and waits for this task.
    is_awaited: bool,
    /// Whether a process that is being started now is to be killed at once.
    doomed: bool,
    spec: Option<Spec>,
    vessel: Vessel,
    own_engine: OwnEngine,
    conversation: Conversation,
    streamer: Option<Child<LogStreamer>>,
    streamer_seat: Seat,
    /// Whether anything of it may have been sent by this actor.
    has_streamed: bool,
    uploader: Option<Child<ArtifactUploader>>,
    /// Once it is needed.
    uploader_seat: Option<Seat>,
    /// Those of the two that failed and are to be started again after a pause.
    resting: BTreeSet<Part>,
    requests: BTreeMap<u64, Request>,
    acknowledged: BTreeMap<StepNumber, u64>,
}

/// How many failures of its streamer or uploader a task absorbs.
const TOLERANCE: Tolerance =
    Tolerance { failures: 5, within: Duration::from_secs(60), backoff: Duration::from_millis(20) };

impl TaskActor {
    /// Takes up the task where its journal ends. Runs on the task's own thread.
    pub(crate) fn new(parts: Parts) -> Self {
        let task = parts.record.claimed.task_id;
        let dir = parts.host.task_dir(task);
        let log = parts.host.log.new(o!("task" => task.to_string()));
        let client = parts.host.transport.task(&parts.record.claimed.task_token);
        let opened = Notebook::open(&dir, &parts, &log);
        let broken =
            opened.as_ref().err().map(|error| format!("cannot use {}: {error}", dir.path().display()));
        let (notebook, mut past) = opened.unwrap_or_else(|_| (Notebook::none(&log), Past::default()));
        for containment in [&mut past.containment, &mut past.engine].into_iter().flatten() {
            parts.host.accounts.take_again(parts.record.slot, containment);
        }
        let state = TaskState::after(past.events.iter().copied());
        Self {
            parts,
            task,
            log,
            dir,
            client,
            notebook,
            past,
            state,
            broken,
            is_awaited: false,
            doomed: false,
            spec: None,
            vessel: Vessel::default(),
            own_engine: OwnEngine::default(),
            conversation: Conversation::default(),
            streamer: None,
            streamer_seat: Seat::new::<LogStreamer>("", TOLERANCE),
            has_streamed: false,
            uploader: None,
            uploader_seat: None,
            resting: BTreeSet::new(),
            requests: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// Journal first, then act: whoever dies in between, the next actor finds out.
    fn apply(&mut self, event: TaskEvent, ctx: &mut Context<Self>) {
        let (next, effect) = self.state.on(event);
        if next == self.state && effect.is_none() {
            return;
        }
        self.notebook.write(&Entry::Event(event));
        debug!(self.log, "{:?}", event; "before" => ?self.state, "now" => ?next);
        self.state = next;
        say_state(format!("{next:?}"));
        failpoints::hit("task:journaled", self.task);
        if let Some(effect) = effect {
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Launch => self.launch(ctx),
            Effect::AskBegin => self.ask_begin(ctx),
            Effect::SendBegin => self.send_begin(ctx),
            Effect::StopAgent(why) => self.stop_agent(why, ctx),
            Effect::Sweep => self.sweep(ctx),
            Effect::Drain => self.drain(ctx),
            Effect::Report(ending) => self.report(ending, ctx),
            Effect::Finish(ending) => self.finish(ending, ctx),
        }
    }

    /// Keeps the first reason why the task ends as it does.
    fn because(&mut self, why: impl Into<String>) {
        if self.past.because.is_none() {
            let why = why.into();
            self.notebook.say(&why);
            self.notebook.write(&Entry::Because(why.clone()));
            self.past.because = Some(why);
        }
    }

    fn tell(&self, news: TaskNews) {
        self.parts.supervisor.tell(news);
    }

    fn is_abandoned(&self) -> bool {
        match self.parts.birth {
            Birth::Abandoned(_) => true,
            // What is on disk of it is worth another try.
            Birth::Poisonous(_) => false,
            _ => self.past.events.contains(&TaskEvent::Abandoned),
        }
    }

    /// Whether it is to be ended, whatever it does.
    fn is_given_up(&self) -> bool {
        self.is_abandoned() || matches!(self.parts.birth, Birth::Poisonous(_))
    }

    /// Says in the host's step that this is not the task's first actor.
    fn announce(&mut self) {
        match &self.parts.birth {
            Birth::Claimed => {}
            // It is told why it ends, if it did not by itself.
            Birth::Poisonous(_) if self.state.may_have_agent() => {}
            Birth::Reborn(cause) => {
                self.notebook.say(&format!("The launch-agent's actor of this task failed and was started again: {cause}"));
            }
            Birth::Adopted | Birth::Poisonous(_) => {
                self.notebook.say("The launch-agent was started again and goes on with this task.");
            }
            Birth::Abandoned(cause) => self.because(format!(
                "the launch-agent's actor of this task failed again and again, so the task is given up: {cause}"
            )),
        }
    }
}

impl Actor for TaskActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        say_state(format!("{:?}", self.state));
        self.announce();
        if let Some(why) = self.broken.take() {
            self.because(why);
            return self.apply(TaskEvent::NotLaunched, ctx);
        }
        self.take_up(ctx);
        self.keep_own_lease(ctx);
        match self.parts.birth {
            Birth::Poisonous(crashes) if self.state.may_have_agent() => self.condemn(crashes, ctx),
            _ if self.is_abandoned() && self.state.may_have_agent() => self.apply(TaskEvent::Abandoned, ctx),
            _ => self.state.resume().into_iter().for_each(|effect| self.perform(effect, ctx)),
        }
    }
}

take_counted!(TaskActor: CancelTask, Ping, StreamNews, UploadNews, ChildExited<Part>);

impl Handler<CancelTask> for TaskActor {
    type Result = ();

    fn handle(&mut self, CancelTask { why }: CancelTask, ctx: &mut Context<Self>) {
        failpoints::hit("task:cancel_task", self.task);
        if why == CancelReason::Shutdown {
            self.shut_down(ctx);
        }
        self.apply(TaskEvent::End(why), ctx);
        self.let_images_go(ctx);
    }
}

impl Handler<Ping> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {
        failpoints::hit("task:ping", self.task);
        self.tell(TaskNews::Pong { task: self.task, state: self.state });
    }
}

/// What an actor writes down: for its successor, and for people in the host's step.
struct Notebook {
    log: Logger,
    journal: Option<Journal>,
    host_step: Option<File>,
}

impl Notebook {
    fn open(dir: &TaskDir, parts: &Parts, log: &Logger) -> io::Result<(Self, Past)> {
        if parts.birth == Birth::Claimed {
            // An older lease of the task may have left what could not be removed then.
            dir.remove()?;
        }
        if dir.claim().is_err() {
            dir.create(&parts.record)?;
        }
        let (journal, past) = Journal::open(&dir.journal())?;
        // What happened counts for more than that people can read of it.
        let host_step = dir.open_spool(StepNumber::HOST);
        let host_step =
            host_step.inspect_err(|error| warn!(log, "there is no host's step"; "error" => %error));
        Ok((Self { log: log.clone(), journal: Some(journal), host_step: host_step.ok() }, past))
    }

    fn none(log: &Logger) -> Self {
        Self { log: log.clone(), journal: None, host_step: None }
    }

    /// A full disk costs a successor its memory, not this task its life: the control plane fences what matters.
    fn write(&mut self, entry: &Entry) {
        if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.write(entry)) {
            warn!(self.log, "the task's journal takes no more"; "error" => %error);
        }
    }

    fn say(&mut self, line: &str) {
        if let Some(Err(error)) = self
            .host_step
            .as_mut()
            .map(|step| around("000.log", "line", || step.write_all(format!("{line}\n").as_bytes())))
        {
            warn!(self.log, "the host's step takes no more"; "error" => %error);
        }
    }

    /// What writes lines into the host's step while the actor does something else. A step that takes no more is told of
    /// by whoever says the next line.
    fn teller(&self) -> impl FnMut(&str) + use<> {
        let mut step = self.host_step.as_ref().and_then(|step| step.try_clone().ok());
        move |line| drop(step.as_mut().map(|step| step.write_all(format!("{line}\n").as_bytes())))
    }
}
