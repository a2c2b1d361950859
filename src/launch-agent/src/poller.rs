//! Asks the control plane for tasks of one token, as long as the Supervisor lends it slots for them.
//!
//! The claim is held open by the control plane and answered the moment there is work: no timer lies between.

pub(crate) mod state;

use crate::host::{Host, VERSION};
use actix::prelude::*;
use client::{Backoff, ClientError, Runner};
use protocol::http::{Claim, Claimed};
use slog::{info, warn};
use state::{PollerEffect, PollerEvent, PollerState};
use std::{sync::Arc, time::Duration};
use supervise::{Above, say_state, take_counted};

/// From the Supervisor: so many slots are yours until you answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Room {
    pub(crate) slots: usize,
    /// How long to hold the claim open at most: less where others wait for the slots.
    pub(crate) wait: Duration,
}

/// From the Supervisor: no task is wanted now. A claim that is held open is let go.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Withdraw;

/// What the Supervisor hears from a Poller. All but `Ready` give the lent slots back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PollerNews {
    /// Which of the tokens.
    pub(crate) class: usize,
    pub(crate) news: News,
}

/// What happened to a claim.
#[derive(Debug)]
pub(crate) enum News {
    /// Tasks came, or none within the time.
    Claimed(Vec<Claimed>),
    /// The control plane could not be asked.
    Failed(String),
    /// It refuses the token.
    Refused(String),
    /// It was let go; slots would be welcome again.
    LetGo,
    /// Slots would be welcome.
    Ready,
}

/// The Poller of one token.
pub(crate) struct Poller {
    host: Arc<Host>,
    class: usize,
    runner: Runner,
    supervisor: Above<PollerNews>,
    state: PollerState,
    room: Room,
    /// The claim that is held open.
    asked: Option<SpawnHandle>,
    backoff: Backoff,
}

/// The longest pause between claims that fail.
const MOST: Duration = Duration::from_secs(15);
/// A refused token is tried again so often.
const PARKED: Duration = Duration::from_secs(60);

impl Poller {
    /// Runs on the thread of its claims.
    pub(crate) fn new(host: Arc<Host>, class: usize, supervisor: Above<PollerNews>) -> Self {
        let runner = host.transport.runner(host.settings.classes[class].token.expose());
        let room = Room { slots: 0, wait: Duration::ZERO };
        let (state, backoff) = (PollerState::Idle, Backoff::up_to(MOST));
        Self { host, class, runner, supervisor, state, room, asked: None, backoff }
    }

    fn apply(&mut self, event: PollerEvent, ctx: &mut Context<Self>) {
        let (state, effect) = self.state.on(event);
        self.state = state;
        say_state(state.name());
        match effect {
            None => {}
            Some(PollerEffect::Ask) => self.ask(ctx),
            Some(PollerEffect::BackOff) => {
                let pause = self.backoff.pause();
                wait(pause, ctx);
            }
            Some(PollerEffect::Park) => wait(failpoints::hastened(PARKED), ctx),
            Some(PollerEffect::SayReady) => self.tell(News::Ready),
            Some(PollerEffect::LetGo) => self.let_go(ctx),
        }
    }

    fn ask(&mut self, ctx: &mut Context<Self>) {
        let (runner, claim) = (self.runner.clone(), self.claim());
        let asked = async move { runner.claim(&claim).await };
        let asked = asked.into_actor(self).map(|answer, poller, ctx| poller.answered(answer, ctx));
        self.asked = Some(ctx.spawn(asked));
    }

    /// The control plane sees its caller go, and takes back what it may just have given.
    fn let_go(&mut self, ctx: &mut Context<Self>) {
        if let Some(asked) = self.asked.take() {
            ctx.cancel_future(asked);
        }
        self.tell(News::LetGo);
    }

    fn claim(&self) -> Claim {
        Claim {
            name: self.host.settings.name.clone(),
            hostname: crate::config::hostname(),
            ip: String::new(),
            version: VERSION.to_owned(),
            platform: Some(platform().to_owned()),
            max_tasks: Some(u32::try_from(self.room.slots).unwrap_or(u32::MAX)),
            wait_ms: Some(u64::try_from(self.room.wait.as_millis()).unwrap_or(u64::MAX)),
            containers: self.host.engine.is_there(),
        }
    }

    fn answered(&mut self, answer: Result<Vec<Claimed>, ClientError>, ctx: &mut Context<Self>) {
        let (news, event) = match answer {
            Ok(tasks) => {
                self.backoff = Backoff::up_to(MOST);
                (News::Claimed(tasks), PollerEvent::Answered)
            }
            Err(error @ ClientError::Refused { .. }) => {
                warn!(self.host.log, "a token is refused; it is tried again each minute"; "class" => self.name(), "error" => %error);
                (News::Refused(error.to_string()), PollerEvent::TokenRefused)
            }
            Err(error) => {
                info!(self.host.log, "no claim"; "class" => self.name(), "error" => %error);
                (News::Failed(error.to_string()), PollerEvent::Failed)
            }
        };
        self.tell(news);
        self.apply(event, ctx);
    }

    fn name(&self) -> String {
        self.host.settings.classes[self.class].class.as_ref().map_or_else(String::new, ToString::to_string)
    }

    fn tell(&self, news: News) {
        self.supervisor.tell(PollerNews { class: self.class, news });
    }
}

fn wait(pause: Duration, ctx: &mut Context<Poller>) {
    ctx.run_later(pause, |poller, ctx| poller.apply(PollerEvent::Due, ctx));
}

/// As task-agents are named after.
fn platform() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        say_state(self.state.name());
    }
}

take_counted!(Poller: Room, Withdraw);

impl Handler<Room> for Poller {
    type Result = ();

    fn handle(&mut self, room: Room, ctx: &mut Context<Self>) {
        failpoints::hit("poller:room", None);
        self.room = room;
        self.apply(PollerEvent::Room, ctx);
    }
}

impl Handler<Withdraw> for Poller {
    type Result = ();

    fn handle(&mut self, _: Withdraw, ctx: &mut Context<Self>) {
        failpoints::hit("poller:withdraw", None);
        self.apply(PollerEvent::Withdrawn, ctx);
    }
}
