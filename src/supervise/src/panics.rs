//! Tells a panic by its message, its place and the actor it struck, without the backtrace that would stall its thread.

use std::{
    cell::Cell,
    future::Future,
    panic::PanicHookInfo,
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    static ACTOR: Cell<&'static str> = const { Cell::new("") };
}

/// What is known of a panic as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The actor that was running, or the thread.
    pub actor: String,
    /// What it said.
    pub message: String,
    /// `file:line:column`.
    pub location: String,
}

/// Has every panic of this process told to `tell`, instead of the standard hook. `tell` runs on the panicking thread.
pub fn install_panic_hook(tell: impl Fn(Report) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| tell(Report::of(panic))));
}

impl Report {
    fn of(panic: &PanicHookInfo<'_>) -> Self {
        let message = panic.payload_as_str().unwrap_or("not a string").to_owned();
        let location = panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
        Self { actor: running(), message, location }
    }
}

fn running() -> String {
    match ACTOR.get() {
        "" => format!("thread {}", std::thread::current().name().unwrap_or("without a name")),
        actor => actor.to_owned(),
    }
}

/// A future that says whose it is while it is polled.
pub(crate) struct Named<F> {
    pub(crate) actor: &'static str,
    pub(crate) life: Pin<Box<F>>,
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _named = Naming(ACTOR.replace(self.actor));
        self.life.as_mut().poll(context)
    }
}

/// Gives the name back, by a panic too.
struct Naming(&'static str);

impl Drop for Naming {
    fn drop(&mut self) {
        ACTOR.set(self.0);
    }
}

/// The last part of a type's path: the actor's name as the catalogue has it.
pub(crate) fn name_of<A>() -> &'static str {
    let path = std::any::type_name::<A>();
    path.rsplit("::").next().unwrap_or(path)
}
