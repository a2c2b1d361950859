//! How a program starts a launch-agent within itself, drains it, hands it over, ends it, and learns that nothing of it is left.

use crate::{
    config::Settings,
    host::{
        Host, StartError,
        life::{self, EndOrder},
        state::HostState,
    },
    pulse::Pulse,
    status::{Asked, Board, Server, Status, socket_path},
    supervisor::{Command, Supervisor},
};
use actix::prelude::*;
use futures_util::stream::unfold;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slog::{Logger, error, info, warn};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A launch-agent that runs on threads of its own. Dropping this changes nothing for it.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    finished: watch::Receiver<Option<Finished>>,
    board: Arc<Board>,
}

/// A launch-agent that is over: no process of any of its tasks is left, unless it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why it ended though nobody asked; its tasks go on, and the next launch-agent adopts them.
    pub failure: Option<String>,
}

/// Starts a launch-agent. May be called from any thread.
pub fn start(settings: Settings, log: Logger) -> Result<Handle, StartError> {
    begin(settings, log, HostState::Serving)
}

/// Starts one that claims nothing: it adopts the tasks that an earlier one left, lets them end or ends them, and is over.
pub fn sweep(settings: Settings, log: Logger, order: EndOrder) -> Result<Handle, StartError> {
    let (state, _) = HostState::Serving.on(order.into());
    begin(settings, log, state)
}

/// How the last launch-agent on this state was to end that did so without a word.
pub fn unfinished(settings: &Settings) -> Option<EndOrder> {
    life::unfinished(&settings.state_dir, &life::boot())
}

fn begin(settings: Settings, log: Logger, state: HostState) -> Result<Handle, StartError> {
    let (host, lock) = Host::open(settings, log)?;
    let host = Arc::new(host);
    raise_descriptor_limit(&host.log);
    let (commands, inbox) = mpsc::unbounded_channel();
    let (over, finished) = watch::channel(None);
    let (board, server) = (host.board.clone(), serve_status(&host, &commands)?);
    let thread = std::thread::Builder::new().name("launch-agent".to_owned());
    let run = move || {
        let end = System::new().block_on(live(host, inbox, state));
        drop(server);
        lock.give_back();
        // Nobody may be there to hear it.
        let _ = over.send(Some(end));
    };
    thread.spawn(run).map_err(StartError::Thread)?;
    Ok(Handle { commands, finished, board })
}

fn serve_status(host: &Arc<Host>, commands: &mpsc::UnboundedSender<Command>) -> Result<Server, StartError> {
    let path = socket_path(&host.settings.state_dir);
    let asked = Asked { board: host.board.clone(), commands: commands.clone(), tasks: host.tasks.clone() };
    Server::start(path.clone(), asked, host.log.clone()).map_err(|source| StartError::Socket { path, source })
}

/// Has every panic of this process told in its log, with the actor it struck, for a program that is a launch-agent and
/// nothing else. No backtrace: it would stall the struck thread, and supervision goes on without.
pub fn log_panics(log: &Logger) {
    let log = log.clone();
    supervise::install_panic_hook(move |report| {
        error!(log, "a panic: {}", report.message; "actor" => report.actor, "at" => report.location);
    });
}

async fn live(host: Arc<Host>, inbox: mpsc::UnboundedReceiver<Command>, state: HostState) -> Finished {
    info!(host.log, "the launch-agent is {:?}", state; "name" => &host.settings.name, "control plane" => host.transport.url());
    let (tree, ours) = (host.board.tree.clone(), host.clone());
    // A sweep is no life of its own. It accuses nobody of the one before, whose tasks it ends.
    if state == HostState::Serving {
        ours.begin_life();
    }
    let root = move |ctx: &mut Context<Supervisor>| {
        ctx.add_message_stream(unfold(inbox, |mut inbox| async move { Some((inbox.recv().await?, inbox)) }));
        Supervisor::new(host, state)
    };
    let end = Finished::from(supervise::run(&tree, root).await);
    if end.failure.is_none() {
        ours.end_life();
    }
    end
}

impl Handle {
    /// Claim no more, and end with the last task.
    pub fn drain(&self) {
        // One that is over has nothing to drain.
        let _ = self.commands.send(Command::End(EndOrder::Drain));
    }

    /// End all tasks: TERM, the grace, KILL; then end. Tasks that are being stopped already, by a cancel or by an earlier
    /// call of this, are killed at once.
    pub fn stop_now(&self) {
        let _ = self.commands.send(Command::End(EndOrder::Stop));
    }

    /// Ends its actors and leaves the tasks as they are, for the program that takes this one's place. False where it is to
    /// end anyway: then that goes on.
    pub async fn hand_over(&self) -> bool {
        let (answer, left) = oneshot::channel();
        self.commands.send(Command::HandOver(answer)).is_ok() && left.await.is_ok()
    }

    /// That it lives: answered once its Supervisor and all its LeaseKeepers have answered. None once it is over.
    pub async fn pulse(&self) -> Option<Pulse> {
        let (answer, pulse) = oneshot::channel();
        self.commands.send(Command::Pulse(answer)).ok()?;
        pulse.await.ok()
    }

    /// How it stands; none once it is over.
    pub async fn status(&self) -> Option<Status> {
        let (answer, published) = oneshot::channel();
        self.commands.send(Command::Standings(answer)).ok()?;
        published.await.ok()?;
        Some(self.board.status())
    }

    /// Returns once it is over.
    pub async fn finished(&self) -> Finished {
        let mut finished = self.finished.clone();
        let end = finished.wait_for(Option::is_some).await.map(|end| (*end).clone());
        let died = || Finished { failure: Some("its thread ended".to_owned()) };
        end.ok().flatten().unwrap_or_else(died)
    }
}

/// As many descriptors as the host allows: a task takes a dozen and a held-open claim one, and the usual soft limit of 1,024
/// is for programs that `select`.
pub fn raise_descriptor_limit(log: &Logger) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        warn!(log, "the limit of open descriptors stays as it is"; "limit" => ?limit.current, "error" => %error);
    }
}
