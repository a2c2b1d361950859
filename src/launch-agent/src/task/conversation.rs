//! What a task-agent and its TaskActor say to each other, over whatever connections come and go.

use super::{
    TaskActor,
    process::SOCKET,
    socket::{Door, Line, Outgoing, Outgoings},
    state::TaskState,
};
use crate::{
    artifact_uploader::{Answered, Request},
    log_streamer::LogAppended,
};
use actix::prelude::*;
use futures_util::stream::unfold;
use protocol::{
    StepNumber, VERSION,
    frame::{Answer, MAX_DESCRIPTORS, ToLaunchAgent, ToTaskAgent, Wanted, decode, encode},
    task::Source,
};
use sandbox::packet::Packet;
use slog::{debug, warn};
use std::{collections::BTreeMap, fs::File, io, os::fd::OwnedFd, time::Duration};
use tokio::task::spawn_blocking;

/// The state of the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Came before it was known which process was started.
    early: Vec<Line>,
    /// Connected, not yet proven.
    candidates: BTreeMap<u64, Line>,
    /// Proven. The newest wins: a task-agent connects again only after it lost the last one.
    line: Option<(u64, Line)>,
    outgoings: Outgoings,
    is_flushing: bool,
    /// Whether a hint was left out because something waited.
    owes_hints: bool,
    next: u64,
    wants_task: bool,
    has_connected: bool,
    /// Whether the one that is connected knows what only newer ones are told.
    follows: bool,
    /// Whether it notes when log bytes are written.
    notes_times: bool,
}

impl Conversation {
    /// Whether a task-agent ever proved itself to this actor.
    pub(super) fn has_connected(&self) -> bool {
        self.has_connected
    }

    /// Whose rights the one that is connected has.
    pub(super) fn peer_account(&self) -> Option<u32> {
        self.line.as_ref().and_then(|(_, line)| line.peer_account().ok())
    }

    /// Whether one is connected now.
    pub(super) fn is_connected(&self) -> bool {
        self.line.is_some()
    }
}

/// So many unproven connections at once; only processes of the task get so far.
const MAX_CANDIDATES: usize = 8;
/// So many requests of one task at once; a task-agent has a few dozen.
const MAX_REQUESTS: usize = 256;
/// The pause after a connection that could not be taken: descriptors may be short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection came.
#[derive(Message)]
#[rtype(result = "()")]
struct Arrived(Line);

/// A packet came, or the end of a connection.
#[derive(Message)]
#[rtype(result = "()")]
struct Received {
    line: u64,
    packet: io::Result<Option<Packet>>,
}

impl TaskActor {
    /// Binds the task's socket; whatever an earlier life bound there is replaced.
    pub(super) fn listen(&mut self, ctx: &mut Context<Self>) {
        let socket = if self.is_in_containers() { self.dir.door().join(SOCKET) } else { self.dir.socket() };
        let door = match Door::open(&socket) {
            Ok(door) => door,
            Err(error) => {
                self.because(format!("cannot listen at {}: {error}", socket.display()));
                return self.strike(ctx);
            }
        };
        ctx.add_message_stream(unfold(door, |door| async move {
            loop {
                match door.accept().await {
                    Ok(line) => return Some((Arrived(line), door)),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        }));
    }

    /// Those that connected before their process was known.
    pub(super) fn admit_early(&mut self, ctx: &mut Context<Self>) {
        for line in std::mem::take(&mut self.conversation.early) {
            self.arrived(line, ctx);
        }
    }

    fn arrived(&mut self, line: Line, ctx: &mut Context<Self>) {
        let (Some(containment), Some(_)) = (&self.past.containment, self.past.process) else {
            if self.conversation.early.len() < MAX_CANDIDATES {
                self.conversation.early.push(line);
            }
            return;
        };
        let (containment, peer) = (containment.clone(), line.peer());
        let belongs = async move {
            let Ok(pid) = peer else { return false };
            spawn_blocking(move || containment.contains(pid)).await.unwrap_or(false)
        };
        ctx.spawn(belongs.into_actor(self).map(move |belongs, task, ctx| match belongs {
            true => task.admit(line, ctx),
            false => warn!(task.log, "a process that is not the task's connected to its socket"),
        }));
    }

    fn admit(&mut self, line: Line, ctx: &mut Context<Self>) {
        let number = self.conversation.next;
        self.conversation.next += 1;
        if self.conversation.candidates.len() >= MAX_CANDIDATES
            && let Some((_, oldest)) = self.conversation.candidates.pop_first()
        {
            oldest.shut_down();
        }
        self.conversation.candidates.insert(number, line.clone());
        ctx.add_message_stream(unfold(Some(line), move |line| async move {
            let line = line?;
            let packet = line.receive().await;
            let next = matches!(packet, Ok(Some(_))).then_some(line);
            Some((Received { line: number, packet }, next))
        }));
    }

    fn received(&mut self, number: u64, packet: Packet, ctx: &mut Context<Self>) -> Result<(), String> {
        let frame: ToLaunchAgent = decode(&packet.bytes).map_err(|error| error.to_string())?;
        let is_proven = self.conversation.line.as_ref().is_some_and(|(proven, _)| *proven == number);
        let is_candidate = self.conversation.candidates.contains_key(&number);
        match frame {
            ToLaunchAgent::Hello { version, key, holds_task, begun, follows, notes_times } => {
                self.prove(number, version, &key.0)?;
                self.conversation.follows = follows;
                self.conversation.notes_times = notes_times;
                self.greet(holds_task, begun, ctx);
            }
            _ if is_candidate => return Err("it did not say hello first".to_owned()),
            // The rest of a connection that was given up.
            _ if !is_proven => {}
            ToLaunchAgent::Progress => self.log_appended(),
            ToLaunchAgent::Request { request, wanted } => {
                self.requested(request, wanted, packet.descriptors, ctx);
            }
        }
        Ok(())
    }

    /// The key proves the process that was invited; the newest connection is the one that counts.
    fn prove(&mut self, number: u64, version: u32, key: &str) -> Result<(), String> {
        let Some(line) = self.conversation.candidates.remove(&number) else {
            return Err("it said hello twice".to_owned());
        };
        if key != self.parts.record.key {
            line.shut_down();
            return Err("it does not have the task's key".to_owned());
        }
        if version != VERSION {
            self.because(format!(
                "the task-agent speaks version {version} of our wire, this launch-agent {VERSION}"
            ));
            self.doomed = true;
        }
        if let Some((_, old)) = self.conversation.line.replace((number, line)) {
            old.shut_down();
        }
        self.conversation.outgoings = Outgoings::default();
        self.conversation.has_connected = true;
        Ok(())
    }

    fn greet(&mut self, holds_task: bool, begun: bool, ctx: &mut Context<Self>) {
        debug!(self.log, "the task-agent connected"; "holds_task" => holds_task, "begun" => begun);
        if self.doomed {
            return self.strike(ctx);
        }
        self.conversation.wants_task = !holds_task;
        match (holds_task, &self.spec) {
            (true, _) => self.go_on(begun, ctx),
            (false, Some(_)) => self.hand_over(ctx),
            // At a launch it is on its way already.
            (false, None) if self.parts.birth == super::Birth::Claimed => {}
            (false, None) => self.fetch_spec(ctx),
        }
    }

    /// Of the last one before a spool got full depends whether output waits for nothing.
    fn say_owed_hints(&mut self, ctx: &mut Context<Self>) {
        if std::mem::take(&mut self.conversation.owes_hints) {
            self.say_acknowledged(ctx);
        }
    }

    fn say_acknowledged(&mut self, ctx: &mut Context<Self>) {
        for (step, offset) in self.acknowledged.clone() {
            self.say(&ToTaskAgent::Acknowledged { step, offset }, Vec::new(), ctx);
        }
    }

    /// A task-agent that holds its task hears what it may have missed.
    fn go_on(&mut self, begun: bool, ctx: &mut Context<Self>) {
        self.say_acknowledged(ctx);
        match self.state {
            TaskState::Running if !begun => self.begin_agent(ctx),
            TaskState::Stopping { why, .. } => self.say_cancel(why, ctx),
            _ => {}
        }
        self.log_appended();
    }

    /// Hands over spec, journal and spools, once the spec is here and somebody waits for it.
    pub(super) fn hand_over(&mut self, ctx: &mut Context<Self>) {
        if !self.conversation.wants_task || self.conversation.line.is_none() {
            return;
        }
        let Some(spec) = &self.spec else { return };
        match self.handed(spec) {
            Ok(frames) => {
                self.conversation.wants_task = false;
                for (frame, descriptors) in frames {
                    self.say(&frame, descriptors, ctx);
                }
                self.go_on(false, ctx);
            }
            Err(error) => {
                self.because(format!("cannot hand the task to its task-agent: {error}"));
                self.strike(ctx);
            }
        }
    }

    fn handed(&self, spec: &super::Spec) -> io::Result<Vec<(ToTaskAgent, Vec<OwnedFd>)>> {
        let mut descriptors = vec![spec.descriptor()?, self.dir.open_agent_journal()?.into()];
        descriptors.extend(self.tree(&spec.source)?);
        let mut frames = vec![(ToTaskAgent::Task { version: VERSION }, descriptors)];
        if self.conversation.notes_times {
            frames.push((ToTaskAgent::Times, vec![self.dir.open_times()?.into()]));
        }
        let steps: Vec<u32> = (1..=spec.steps).collect();
        for some in steps.chunks(MAX_DESCRIPTORS) {
            let spools = some.iter().map(|step| self.dir.open_spool(StepNumber(*step)).map(OwnedFd::from));
            let first = StepNumber(some[0]);
            frames.push((ToTaskAgent::StepLogs { first }, spools.collect::<io::Result<_>>()?));
        }
        Ok(frames)
    }

    /// A tree of this host, where the control plane is trusted to name one.
    fn tree(&self, source: &Source) -> io::Result<Option<OwnedFd>> {
        let Source::Tree { path } = source else { return Ok(None) };
        if !self.parts.host.settings.local_sources {
            let refusal =
                "the source is a path of this host, and this launch-agent takes none from its control plane";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
        }
        Ok(Some(File::open(path)?.into()))
    }

    pub(super) fn send_begin(&mut self, ctx: &mut Context<Self>) {
        if !self.conversation.wants_task && (self.conversation.is_connected() || !self.is_in_containers()) {
            self.begin_agent(ctx);
        }
    }

    pub(super) fn say_cancel(&mut self, why: protocol::frame::CancelReason, ctx: &mut Context<Self>) {
        let grace_ms = u64::try_from(self.parts.host.settings.grace.as_millis()).unwrap_or(u64::MAX);
        self.say(&ToTaskAgent::Cancel { why, grace_ms }, Vec::new(), ctx);
    }

    fn log_appended(&self) {
        self.streamer.iter().for_each(|streamer| streamer.tell(LogAppended));
    }

    /// Sends a frame if a task-agent is connected. One that is not hears what matters when it connects again.
    pub(super) fn say(&mut self, frame: &ToTaskAgent, descriptors: Vec<OwnedFd>, ctx: &mut Context<Self>) {
        let Some((number, _)) = self.conversation.line else { return };
        let bytes = encode(frame).expect("what a launch-agent says fits a frame");
        if matches!(frame, ToTaskAgent::Sent { .. }) && !self.is_progress_heard() {
            return;
        }
        let is_hint = matches!(frame, ToTaskAgent::Acknowledged { .. });
        if is_hint && self.conversation.outgoings.are_waiting() {
            self.conversation.owes_hints = true;
            return;
        }
        if self.conversation.outgoings.push(Outgoing { bytes, descriptors }) {
            self.flush(ctx);
        } else {
            self.hang_up(number);
        }
    }

    /// What one of an earlier release does not know is not said to it, and the next word of a progress says more.
    fn is_progress_heard(&self) -> bool {
        self.conversation.follows && !self.conversation.outgoings.are_waiting()
    }

    /// What waits goes to whoever is connected now: the line for whose sake it waited may be gone.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        let Some((number, line)) = self.conversation.line.clone() else { return };
        match line.flush(&mut self.conversation.outgoings) {
            Ok(true) => self.say_owed_hints(ctx),
            Ok(false) => self.flush_later(line, ctx),
            Err(_) => self.hang_up(number),
        }
    }

    fn flush_later(&mut self, line: Line, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.conversation.is_flushing, true) {
            return;
        }
        let writable = async move { line.writable().await };
        ctx.spawn(writable.into_actor(self).map(|_, task, ctx| {
            task.conversation.is_flushing = false;
            task.flush(ctx);
        }));
    }

    /// Forgets a connection; what was not answered is asked again over the next one.
    fn hang_up(&mut self, number: u64) {
        self.conversation.candidates.remove(&number).iter().for_each(Line::shut_down);
        if let Some((_, line)) = self.conversation.line.take_if(|(proven, _)| *proven == number) {
            line.shut_down();
            self.conversation.outgoings = Outgoings::default();
        }
    }

    fn requested(&mut self, number: u64, wanted: Wanted, files: Vec<OwnedFd>, ctx: &mut Context<Self>) {
        if wanted == Wanted::StartEngine {
            return self.engine_wanted(number, ctx);
        }
        if self.requests.contains_key(&number) {
            return;
        }
        if self.requests.len() >= MAX_REQUESTS {
            return self.refuse(number, "too many requests of this task wait for their answers", ctx);
        }
        let mut files = files.into_iter().map(File::from);
        let request = Request::new(number, wanted, files.next());
        match request {
            Ok(request) if files.next().is_none() => self.carry(request, ctx),
            Ok(_) => self.refuse(number, "more than one descriptor came with the request", ctx),
            Err(why) => self.refuse(number, why, ctx),
        }
    }

    fn refuse(&mut self, request: u64, why: &str, ctx: &mut Context<Self>) {
        let answer = Answer::Refused { message: why.to_owned() };
        self.answer(Answered { request, answer, file: None }, ctx);
    }

    pub(super) fn answer(&mut self, answered: Answered, ctx: &mut Context<Self>) {
        let Answered { request, mut answer, file } = answered;
        self.requests.remove(&request);
        if answer == Answer::Changed && !self.conversation.follows {
            answer = Answer::Refused { message: "the file changed while it was stored".to_owned() };
        }
        let descriptors = file.into_iter().map(OwnedFd::from).collect();
        self.say(&ToTaskAgent::Answer { request, answer }, descriptors, ctx);
    }
}

impl Handler<Arrived> for TaskActor {
    type Result = ();

    fn handle(&mut self, Arrived(line): Arrived, ctx: &mut Context<Self>) {
        failpoints::hit("task:arrived", self.task);
        self.arrived(line, ctx);
    }
}

impl Handler<Received> for TaskActor {
    type Result = ();

    fn handle(&mut self, Received { line, packet }: Received, ctx: &mut Context<Self>) {
        failpoints::hit("task:received", self.task);
        let taken = match packet {
            Ok(Some(packet)) => self.received(line, packet, ctx),
            Ok(None) => return self.hang_up(line),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = taken {
            warn!(self.log, "a connection to the task's socket is cut"; "because" => why);
            self.hang_up(line);
        }
    }
}
