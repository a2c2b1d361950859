//! A parent that hears how each of its children ended, whatever the way.
//!
//! actix 0.13 runs an actor as one tokio task. Tokio catches a panic in that task, drops the actor, and reports
//! the payload through the task's `JoinHandle`, which actix throws away. We keep it.

use crate::{
    counted::{self, Above, Counted},
    panics::Named,
    seat::{Life, Seat, Tree},
};
use actix::{
    Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    dev::channel::{self, AddressReceiver},
};
use std::{any::Any, sync::Arc};
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::{JoinError, JoinHandle},
};

/// What `try_send` is held to. Nothing else is: `do_send` always queues.
const MAILBOX: usize = 16;

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It stopped itself, or nobody held its address any more.
    Stopped,
    /// It panicked, with this message.
    Panicked(String),
    /// Its thread ended under it, or had ended before it began.
    Lost,
}

impl Exit {
    /// Why it failed, if it did.
    pub fn failure(self) -> Option<String> {
        match self {
            Exit::Stopped => None,
            Exit::Panicked(message) => Some(message),
            Exit::Lost => Some("its thread ended".to_owned()),
        }
    }
}

/// Sent to a parent, once, when a child it still holds ends.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited<K: 'static> {
    /// The name the parent gave it.
    pub child: K,
    /// How.
    pub exit: Exit,
}

/// A running child. Dropping this ends it, and nothing more is heard of it: no child outlives its parent. Only a word
/// that waits in the parent's mailbox already is still read; whoever replaces children under one name tells them apart.
#[derive(Debug)]
pub struct Child<A: Actor> {
    addr: Addr<A>,
    life: Arc<Life>,
    _lifeline: oneshot::Sender<()>,
}

impl<A: Actor<Context = Context<A>>> Child<A> {
    /// Sends it a message, which is counted until it is taken up.
    pub fn tell<M>(&self, message: M)
    where
        A: Handler<Counted<M>>,
        M: Message<Result = ()> + Send + 'static,
    {
        counted::send(&self.addr, &self.life, message);
    }

    /// Where it takes questions; they are not counted.
    pub fn addr(&self) -> &Addr<A> {
        &self.addr
    }
}

/// Starts a child on `arbiter`, which may be the parent's own or another thread's.
pub fn start<P, C, K, F>(
    parent: &mut Context<P>,
    seat: &Seat,
    arbiter: &ArbiterHandle,
    child: K,
    make: F,
) -> Child<C>
where
    P: Actor<Context = Context<P>> + Handler<Counted<ChildExited<K>>>,
    C: Actor<Context = Context<C>>,
    K: Send + 'static,
    F: FnOnce(&mut Context<C>) -> C + Send + 'static,
{
    let (mailbox, receiver) = channel::channel(MAILBOX);
    let (watch, lifeline) = Watch::of(parent, child);
    let life = seat.node().live();
    let its = life.clone();
    arbiter.spawn(async move { watch.over(begin(its, receiver, make)).await });
    Child { addr: Addr::new(mailbox), life, _lifeline: lifeline }
}

/// The same on the parent's own thread, for a child that is made of things that cannot leave it.
#[expect(clippy::disallowed_methods, reason = "the watch tells its end, and is told when it is dropped")]
pub fn start_beside<P, C, K, F>(parent: &mut Context<P>, seat: &Seat, child: K, make: F) -> Child<C>
where
    P: Actor<Context = Context<P>> + Handler<Counted<ChildExited<K>>>,
    C: Actor<Context = Context<C>>,
    K: Send + 'static,
    F: FnOnce(&mut Context<C>) -> C + 'static,
{
    let (mailbox, receiver) = channel::channel(MAILBOX);
    let (watch, lifeline) = Watch::of(parent, child);
    let life = seat.node().live();
    let its = life.clone();
    actix_rt::spawn(async move { watch.over(begin(its, receiver, make)).await });
    Child { addr: Addr::new(mailbox), life, _lifeline: lifeline }
}

/// Runs the root of a tree, on this thread, to its end. Nobody is above it but `main`.
pub async fn run<A, F>(tree: &Tree, make: F) -> Exit
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(&mut Context<A>) -> A + 'static,
{
    let context = Context::new();
    let _alive = context.address();
    let life = tree.root().live();
    spawn_named(life, live(context, make)).await.map_or_else(Exit::from, |()| Exit::Stopped)
}

/// On the thread where the child is to live.
fn begin<C: Actor<Context = Context<C>>>(
    life: Arc<Life>,
    receiver: AddressReceiver<C>,
    make: impl FnOnce(&mut Context<C>) -> C + 'static,
) -> JoinHandle<()> {
    spawn_named(life, live(Context::with_receiver(receiver), make))
}

async fn live<C: Actor<Context = Context<C>>>(
    mut context: Context<C>,
    make: impl FnOnce(&mut Context<C>) -> C,
) {
    let child = make(&mut context);
    context.into_future(child).await;
}

#[expect(clippy::disallowed_methods, reason = "the handle is kept: this is where a panic is heard")]
fn spawn_named(life: Arc<Life>, future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    actix_rt::spawn(Named { life, future: Box::pin(future) })
}

/// One child's end, told to a parent that still cares. Dropping it says the child was lost.
struct Watch<K: Send + 'static> {
    parent: Above<ChildExited<K>>,
    child: Option<K>,
    held: oneshot::Receiver<()>,
}

impl<K: Send + 'static> Watch<K> {
    fn of<P>(parent: &mut Context<P>, child: K) -> (Self, oneshot::Sender<()>)
    where
        P: Actor<Context = Context<P>> + Handler<Counted<ChildExited<K>>>,
    {
        let (lifeline, held) = oneshot::channel();
        (Self { parent: Above::of(parent), child: Some(child), held }, lifeline)
    }

    /// Lives as long as the child does, or as its parent holds it.
    async fn over(mut self, mut life: JoinHandle<()>) {
        tokio::select! {
            biased;
            _ = &mut self.held => life.abort(),
            end = &mut life => self.publish(end.map_or_else(Exit::from, |()| Exit::Stopped)),
        }
    }

    fn publish(&mut self, exit: Exit) {
        let held = self.held.try_recv() == Err(TryRecvError::Empty);
        if let (true, Some(child)) = (held, self.child.take()) {
            self.parent.tell(ChildExited { child, exit });
        }
    }
}

impl<K: Send + 'static> Drop for Watch<K> {
    fn drop(&mut self) {
        self.publish(Exit::Lost);
    }
}

impl From<JoinError> for Exit {
    fn from(end: JoinError) -> Self {
        end.try_into_panic().map_or(Exit::Lost, |payload| Exit::Panicked(message_of(payload)))
    }
}

fn message_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().map_or("not a string", |s| s).to_owned(),
    }
}
