//! The container engine of this host, where it has one: looked for at the start and again and again, for it may come later
//! or go.

use crate::config::{ContainerSettings, EngineChoice};
use containers::{Engine, Wish};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of the host's engine.
pub(crate) struct HostEngine {
    /// None: there is to be none.
    wish: Option<Wish>,
    known: Mutex<Known>,
}

/// What the last looks came to.
struct Known {
    /// It, or why there is none.
    now: Result<Engine, String>,
    /// The one that answered last.
    last: Option<Engine>,
}

impl HostEngine {
    /// Nothing is looked for yet.
    pub(crate) fn new(settings: &ContainerSettings) -> Self {
        let why = match settings.engine {
            EngineChoice::Off => "none is to be used (containers.engine: none)",
            EngineChoice::Auto | EngineChoice::At(_) => "it was not looked for yet",
        };
        Self { wish: wish(settings), known: Mutex::new(Known { now: Err(why.to_owned()), last: None }) }
    }

    /// Looks for it. Whether that changed that there is one, or not.
    pub(crate) async fn look(&self) -> bool {
        let Some(wish) = &self.wish else { return false };
        let found = Engine::find(wish).await.map_err(|error| error.to_string());
        let is_there = found.is_ok();
        let mut known = self.known();
        known.last = found.as_ref().ok().cloned().or_else(|| known.last.take());
        std::mem::replace(&mut known.now, found).is_ok() != is_there
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It, or why there is none.
    pub(crate) fn get(&self) -> Result<Engine, String> {
        self.known().now.clone()
    }

    /// For what is there already: it, or the one that answered last and may only be late, or why there never was one.
    pub(crate) fn latest(&self) -> Result<Engine, String> {
        let known = self.known();
        known.now.clone().or_else(|why| known.last.clone().ok_or(why))
    }

    /// Whether tasks in containers can be run.
    pub(crate) fn is_there(&self) -> bool {
        self.known().now.is_ok()
    }
}

fn wish(settings: &ContainerSettings) -> Option<Wish> {
    match &settings.engine {
        EngineChoice::Off => None,
        EngineChoice::Auto => Some(Wish::of_environment(None)),
        EngineChoice::At(socket) => Some(Wish::of_environment(Some(socket.clone()))),
    }
}

/// Looks for the engine that a launch-agent of these settings would use: what it says of itself, or why there is none.
pub async fn find_engine(settings: &ContainerSettings) -> Result<String, String> {
    let host = HostEngine::new(settings);
    host.look().await;
    host.get().map(|engine| engine.about().to_string())
}
