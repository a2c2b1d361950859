//! Keeps a host's tasks alive, each on its own thread, whatever happens to any of them; root of all actors.

mod admission;
mod household;
mod slots;
mod succession;

use crate::{
    Finished,
    config::{ClassSettings, Mode},
    health::HealthNews,
    host::{
        Host,
        life::EndOrder,
        state::{HostEffect, HostEvent, HostState},
    },
    lease_keeper::{LeaseKeeper, LeaseNews},
    poller::{News, Poller, PollerNews, Room, Withdraw},
    pulse::Pulse,
    status::{Heartbeats, Orphans, PollerStatus, Standing},
    task::TaskNews,
};
use actix::prelude::*;
use admission::Admission;
use household::Task;
use protocol::{TaskId, frame::CancelReason, http::Claimed};
use slog::{debug, info, warn};
use slots::Slots;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{
    Above, Child, ChildExited, Home, Homes, Seat, Tolerance, Verdict, say_state, start, start_beside,
    take_counted,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// From whoever started this launch-agent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Command {
    /// Claim no more, and end.
    End(EndOrder),
    /// Leave all tasks to the program that takes this one's place; answered as that happens.
    HandOver(oneshot::Sender<()>),
    /// Publish how you stand, and say so.
    Standings(oneshot::Sender<()>),
    /// Are you there, and all your LeaseKeepers?
    Pulse(oneshot::Sender<Pulse>),
}

/// A child of the Supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// Of the token with this index.
    Poller(usize),
    /// Of the token with this index.
    LeaseKeeper(usize),
    /// Of the host.
    HealthKeeper,
    /// Of this task, in this life of its actor: a word of an earlier one may still wait in the mailbox.
    Task(TaskId, u64),
}

/// The root.
pub(crate) struct Supervisor {
    host: Arc<Host>,
    state: HostState,
    /// Who waits for the tasks to be left to another program.
    successor: Option<oneshot::Sender<()>>,
    slots: Slots,
    tokens: Vec<Token>,
    tasks: BTreeMap<TaskId, Task>,
    /// For the tasks' actors.
    homes: Homes,
    /// Claimed again while the task's last lease on this very host is not over yet.
    reclaimed: Vec<(Claimed, usize)>,
    /// Whether tasks of an earlier life are still being looked for.
    is_adopting: bool,
    admission: Admission,
    orphans: Option<Orphans>,
    /// Since when there has been no task.
    idle_since: Instant,
    ticks: u64,
    ticked: Instant,
    /// Actors that tasks have had so far.
    lives: u64,
}

/// The actors of one token.
struct Token {
    poller: Option<Child<Poller>>,
    keeper: Option<Child<LeaseKeeper>>,
    keeper_home: Option<Home>,
    poller_seat: Seat,
    keeper_seat: Seat,
    reason: Option<String>,
}

/// Pollers and LeaseKeepers.
const TOLERANCE: Tolerance =
    Tolerance { failures: 5, within: Duration::from_secs(60), backoff: Duration::from_secs(1) };
/// A Poller beyond its tolerance is parked so long.
const PARKED: Duration = Duration::from_secs(60);
/// How often the host looks at its clock and its tasks.
const TICK: Duration = Duration::from_secs(1);
/// How long a claim is held open by a single token, and by each of several that wait for each other's slots.
const HOLD: Duration = Duration::from_secs(50);
const SHARED_HOLD: Duration = Duration::from_secs(5);

impl Supervisor {
    /// In the state that it is to begin in.
    pub(crate) fn new(host: Arc<Host>, state: HostState) -> Self {
        let total = match host.settings.mode {
            Mode::Continuous => host.settings.concurrency,
            Mode::SingleTask => 1,
        };
        let slots = Slots::new(total, host.settings.classes.iter().map(|class| class.concurrency));
        let tokens = host.settings.classes.iter().map(Token::of).collect();
        let admission = Admission::new(&host.settings);
        Self {
            host,
            state,
            successor: None,
            slots,
            tokens,
            tasks: BTreeMap::new(),
            homes: Homes::default(),
            reclaimed: Vec::new(),
            is_adopting: true,
            admission,
            orphans: None,
            idle_since: Instant::now(),
            ticks: 0,
            ticked: Instant::now(),
            lives: 0,
        }
    }

    fn apply(&mut self, event: HostEvent, ctx: &mut Context<Self>) {
        let (state, effect) = self.state.on(event);
        if state != self.state {
            info!(self.host.log, "the launch-agent is {:?}", state; "tasks" => self.tasks.len());
        }
        self.state = state;
        say_state(format!("{state:?}"));
        match effect {
            None => {}
            Some(HostEffect::Settle) => self.hand_over(ctx),
            Some(HostEffect::EndClaims) => self.end_claims(ctx),
            Some(HostEffect::EndTasks) => self.end_tasks(ctx),
            Some(HostEffect::Leave) => self.leave(ctx),
        }
    }

    /// A claim under way is let go: what it may bring is queued again, for it never begins.
    fn end_claims(&mut self, ctx: &mut Context<Self>) {
        self.successor = None;
        self.tokens.iter_mut().for_each(|token| token.poller = None);
        self.bound_drain(ctx);
        self.leave_if_empty(ctx);
    }

    fn bound_drain(&self, ctx: &mut Context<Self>) {
        let longest = self.host.settings.max_run_time;
        ctx.run_later(longest, |supervisor, ctx| supervisor.apply(HostEvent::Stop, ctx));
    }

    fn end_tasks(&mut self, ctx: &mut Context<Self>) {
        self.successor = None;
        self.tokens.iter_mut().for_each(|token| token.poller = None);
        let tasks: Vec<_> = self.tasks.keys().copied().collect();
        tasks.into_iter().for_each(|task| self.cancel(task, CancelReason::Shutdown));
        self.leave_if_empty(ctx);
    }

    fn leave_if_empty(&mut self, ctx: &mut Context<Self>) {
        if self.tasks.is_empty() && !self.is_adopting {
            self.apply(HostEvent::Empty, ctx);
        }
    }

    fn start_poller(&mut self, class: usize, ctx: &mut Context<Self>) {
        if self.state != HostState::Serving {
            return;
        }
        let (host, above) = (self.host.clone(), Above::of(ctx));
        let make = move |_: &mut _| Poller::new(host, class, above);
        let token = &mut self.tokens[class];
        token.poller = Some(start_beside(ctx, &token.poller_seat, Member::Poller(class), make));
        self.slots.ready(class);
        self.lend();
    }

    fn start_keeper(&mut self, class: usize, ctx: &mut Context<Self>) {
        let home = match Home::new() {
            Ok(home) => home,
            Err(error) => return self.keeper_failed(class, &error.to_string(), ctx),
        };
        let (host, above) = (self.host.clone(), Above::of(ctx));
        let make = move |_: &mut _| LeaseKeeper::new(host, class, above);
        let token = &mut self.tokens[class];
        let keeper = start(ctx, &token.keeper_seat, home.arbiter(), Member::LeaseKeeper(class), make);
        (token.keeper, token.keeper_home) = (Some(keeper), Some(home));
        self.tell_keeper(class);
    }

    /// Lends free slots to Pollers that wait for some, unless the host is in no state to take more.
    fn lend(&mut self) {
        if self.state != HostState::Serving || self.is_adopting || !self.admission.is_open() {
            return;
        }
        let wait = if self.slots.are_shared() { SHARED_HOLD } else { HOLD };
        for (class, slots) in self.slots.lend() {
            match &self.tokens[class].poller {
                Some(poller) => poller.tell(Room { slots, wait }),
                None => self.slots.give_back(class),
            }
        }
    }

    /// Claims that are held open would bring tasks yet.
    fn withdraw_claims(&self) {
        self.tokens.iter().filter_map(|token| token.poller.as_ref()).for_each(|poller| poller.tell(Withdraw));
    }

    fn claimed(&mut self, class: usize, claimed: Vec<Claimed>, ctx: &mut Context<Self>) {
        self.tokens[class].reason = None;
        let any = !claimed.is_empty();
        for one in claimed {
            self.take_on(one, class, ctx);
        }
        if any && self.host.settings.mode == Mode::SingleTask {
            self.apply(HostEvent::Drain, ctx);
        }
    }

    fn poller_failed(&mut self, class: usize, cause: &str, ctx: &mut Context<Self>) {
        warn!(self.host.log, "a Poller failed"; "class" => class, "cause" => cause);
        let token = &mut self.tokens[class];
        (token.poller, token.reason) = (None, Some(format!("its Poller failed: {cause}")));
        self.slots.give_back(class);
        let (pause, _) = rest_after(&mut self.tokens[class].poller_seat, cause);
        ctx.run_later(pause, move |supervisor, ctx| supervisor.start_poller(class, ctx));
    }

    fn keeper_failed(&mut self, class: usize, cause: &str, ctx: &mut Context<Self>) {
        warn!(self.host.log, "a LeaseKeeper failed"; "class" => class, "cause" => cause);
        let token = &mut self.tokens[class];
        (token.keeper, token.keeper_home) = (None, None);
        let (pause, is_parked) = rest_after(&mut token.keeper_seat, cause);
        if is_parked {
            token.reason =
                Some(format!("its LeaseKeeper fails again and again, so the host drains: {cause}"));
            self.apply(HostEvent::Drain, ctx);
        }
        ctx.run_later(pause, move |supervisor, ctx| supervisor.start_keeper(class, ctx));
    }

    /// What no message says: time passes, actors hang.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.ticks += 1;
        let since = std::mem::replace(&mut self.ticked, Instant::now()).elapsed();
        self.host.board.ticked(since.saturating_sub(TICK));
        if self.ticks.is_multiple_of(household::PING_EVERY) {
            self.ping_tasks(ctx);
        }
        self.homes.thin_out();
        let idle = self.host.settings.idle_timeout.is_some_and(|most| self.idle_since.elapsed() >= most);
        if idle && self.tasks.is_empty() && !self.is_adopting {
            info!(self.host.log, "no task for runner.idle_timeout");
            self.apply(HostEvent::Drain, ctx);
        }
        self.notice_silence();
        self.lend();
        self.publish();
    }

    fn publish(&self) {
        let pollers = self.host.settings.classes.iter().zip(&self.tokens).enumerate();
        self.host.board.publish(Standing {
            host: format!("{:?}", self.state),
            slots: self.slots.total(),
            taken: self.slots.taken(),
            paused: self.admission.why_closed(),
            pollers: pollers
                .map(|(index, (class, token))| PollerStatus {
                    class: class.class.clone(),
                    lent: self.slots.lent(index),
                    reason: token.reason.clone(),
                    restarts: token.poller_seat.standing().restarts + token.keeper_seat.standing().restarts,
                    heartbeats: Heartbeats::default(),
                })
                .collect(),
            tasks: self.tasks.iter().map(|(id, task)| task.standing(*id)).collect(),
            orphans: self.orphans,
        });
    }
}

impl Token {
    fn of(class: &ClassSettings) -> Self {
        let name = class.class.as_ref().map_or_else(String::new, ToString::to_string);
        Self {
            poller: None,
            keeper: None,
            keeper_home: None,
            poller_seat: Seat::new::<Poller>(name.clone(), TOLERANCE),
            keeper_seat: Seat::new::<LeaseKeeper>(name, TOLERANCE),
            reason: None,
        }
    }
}

/// How long a child of the Supervisor's own rests that failed, and whether it is parked: it failed beyond its tolerance.
fn rest_after(seat: &mut Seat, cause: &str) -> (Duration, bool) {
    let (pause, is_parked) = match seat.failed(cause) {
        Verdict::RestartAfter(pause) => (pause, false),
        Verdict::Escalate => (PARKED, true),
    };
    if is_parked {
        seat.say("Parked");
    }
    (failpoints::hastened(pause), is_parked)
}

take_counted!(Supervisor: HealthNews, PollerNews, LeaseNews, TaskNews, ChildExited<Member>);

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        say_state(format!("{:?}", self.state));
        if self.state == HostState::Draining {
            self.bound_drain(ctx);
        }
        for class in 0..self.tokens.len() {
            self.start_keeper(class, ctx);
            self.start_poller(class, ctx);
        }
        // For the first task; one that cannot be had now is asked for again.
        Home::new().into_iter().for_each(|home| self.homes.give_back(home));
        self.adopt(ctx);
        self.publish();
        ctx.run_interval(failpoints::hastened(TICK), Self::tick);
    }
}

impl Handler<Command> for Supervisor {
    type Result = ();

    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        failpoints::hit("supervisor:command", None);
        match command {
            Command::End(order) => {
                self.host.clone().is_to_end(order);
                self.apply(order.into(), ctx);
            }
            Command::HandOver(successor) => self.succeed(successor, ctx),
            Command::Pulse(answer) => self.pulse(answer, ctx),
            Command::Standings(answer) => {
                failpoints::hit("supervisor:standings", TaskId(Uuid::nil()));
                self.publish();
                // Whoever asked may have gone.
                let _ = answer.send(());
            }
        }
    }
}

impl Handler<PollerNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, PollerNews { class, news }: PollerNews, ctx: &mut Context<Self>) {
        failpoints::hit("supervisor:poller_news", None);
        if !matches!(news, News::Ready) {
            self.slots.give_back(class);
        }
        match news {
            News::Claimed(claimed) => self.claimed(class, claimed, ctx),
            News::Failed(reason) | News::Refused(reason) => self.tokens[class].reason = Some(reason),
            News::LetGo | News::Ready => self.slots.ready(class),
        }
        self.lend();
    }
}

impl Handler<LeaseNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: LeaseNews, _: &mut Context<Self>) {
        failpoints::hit("supervisor:lease_news", None);
        let canceled = news.canceled.into_iter().map(|lease| (lease, CancelReason::Canceled));
        let fenced = news.fenced.into_iter().map(|lease| (lease, CancelReason::Fenced));
        for (lease, why) in canceled.chain(fenced) {
            if self.holds(lease) {
                self.cancel(lease.task_id, why);
            }
        }
    }
}

impl Handler<TaskNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: TaskNews, ctx: &mut Context<Self>) {
        failpoints::hit("supervisor:task_news", None);
        match news {
            TaskNews::Pong { task, state } => self.heard_of(task, state),
            TaskNews::Finished { task, ending, because } => {
                debug!(self.host.log, "a slot is free"; "task" => %task, "ending" => ?ending, "because" => because);
                self.host.board.count(|counts| *counts.tasks.entry(ending.name()).or_default() += 1);
                self.let_go(task, ctx);
            }
        }
    }
}

impl Handler<ChildExited<Member>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<Member>, ctx: &mut Context<Self>) {
        failpoints::hit("supervisor:child_exited", None);
        let cause = exited.exit.failure().unwrap_or_else(|| "it stopped by itself".to_owned());
        match exited.child {
            Member::Poller(class) => self.poller_failed(class, &cause, ctx),
            Member::LeaseKeeper(class) => self.keeper_failed(class, &cause, ctx),
            Member::HealthKeeper => self.health_keeper_failed(&cause, ctx),
            Member::Task(task, life) if self.is_alive(task, life) => self.task_failed(task, &cause, ctx),
            Member::Task(..) => {}
        }
    }
}

impl From<supervise::Exit> for Finished {
    fn from(exit: supervise::Exit) -> Self {
        Self { failure: exit.failure() }
    }
}
