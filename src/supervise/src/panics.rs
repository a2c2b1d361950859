//! Tells a panic by its message, its place and the actor it struck, without the backtrace that would stall its thread.

use crate::seat::{Life, current, switch};
use std::{
    future::Future,
    panic::PanicHookInfo,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

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
    match current() {
        None => format!("thread {}", std::thread::current().name().unwrap_or("without a name")),
        Some(life) => life.actor().to_owned(),
    }
}

/// A future that says whose it is while it is polled.
pub(crate) struct Named<F> {
    pub(crate) life: Arc<Life>,
    pub(crate) future: Pin<Box<F>>,
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _naming = Naming(switch(Some(self.life.clone())));
        self.future.as_mut().poll(context)
    }
}

/// Gives the place back to whoever had it before, by a panic too.
struct Naming(Option<Arc<Life>>);

impl Drop for Naming {
    fn drop(&mut self) {
        switch(self.0.take());
    }
}
