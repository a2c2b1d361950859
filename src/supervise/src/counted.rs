//! Messages that are counted from when they are sent until they leave the mailbox: actix has no length of one.

use crate::seat::{Life, current};
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, WeakRecipient};
use std::{fmt, sync::Arc};

/// A message on its way to an actor. Whoever is sent such ones says [`take_counted!`](crate::take_counted).
#[derive(Debug)]
pub struct Counted<M> {
    message: M,
    waiting: Waiting,
}

impl<M: Message> Message for Counted<M> {
    type Result = M::Result;
}

impl<M> Counted<M> {
    /// The message, which waits no longer.
    pub fn opened(self) -> M {
        drop(self.waiting);
        self.message
    }
}

/// Counts one message: as sent when this is made, as taken when this is dropped, be it by a mailbox that is gone.
#[derive(Debug)]
struct Waiting(Option<Arc<Life>>);

impl Waiting {
    fn of(life: Option<&Arc<Life>>) -> Self {
        life.inspect(|life| life.one_sent());
        Self(life.cloned())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.iter().for_each(|life| life.one_taken());
    }
}

/// The messages that an actor is sent [`Counted`]: all that come down or up its tree.
#[macro_export]
macro_rules! take_counted {
    ($actor:ty: $($message:ty),+) => {$(
        impl ::actix::Handler<$crate::Counted<$message>> for $actor {
            type Result = ();

            fn handle(&mut self, counted: $crate::Counted<$message>, ctx: &mut Self::Context) {
                ::actix::Handler::<$message>::handle(self, counted.opened(), ctx);
            }
        }
    )+};
}

/// Sends to this actor, whose mailbox is counted in `life`.
pub(crate) fn send<A, M>(addr: &Addr<A>, life: &Arc<Life>, message: M)
where
    A: Actor<Context = Context<A>> + Handler<Counted<M>>,
    M: Message<Result = ()> + Send + 'static,
{
    addr.do_send(Counted { message, waiting: Waiting::of(Some(life)) });
}

/// The way of a child's word to its parent. It does not keep the parent alive.
pub struct Above<M: Message<Result = ()> + Send + 'static> {
    parent: WeakRecipient<Counted<M>>,
    life: Option<Arc<Life>>,
}

impl<M: Message<Result = ()> + Send + 'static> Above<M> {
    /// To the actor that runs on this thread now, whose context this is.
    pub fn of<P>(parent: &mut Context<P>) -> Self
    where
        P: Actor<Context = Context<P>> + Handler<Counted<M>>,
    {
        Self { parent: parent.address().downgrade().recipient(), life: current() }
    }

    /// Tells it, if it is still there.
    pub fn tell(&self, message: M) {
        if let Some(parent) = self.parent.upgrade() {
            parent.do_send(Counted { message, waiting: Waiting::of(self.life.as_ref()) });
        }
    }
}

impl<M: Message<Result = ()> + Send + 'static> Clone for Above<M> {
    fn clone(&self) -> Self {
        Self { parent: self.parent.clone(), life: self.life.clone() }
    }
}

impl<M: Message<Result = ()> + Send + 'static> fmt::Debug for Above<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Above").finish_non_exhaustive()
    }
}
