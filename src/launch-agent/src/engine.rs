//! The container engine of this host, where it has one: looked for at the start and again and again, for it may come later
//! or go.

use crate::config::{ContainerSettings, EngineChoice};
use containers::{Engine, Wish};
use std::sync::{Mutex, PoisonError};

/// What is known of the host's engine.
pub(crate) struct HostEngine {
    /// None: there is to be none.
    wish: Option<Wish>,
    known: Mutex<Result<Engine, String>>,
}

impl HostEngine {
    /// Nothing is looked for yet.
    pub(crate) fn new(settings: &ContainerSettings) -> Self {
        let why = match settings.engine {
            EngineChoice::Off => "none is to be used (containers.engine: none)",
            EngineChoice::Auto | EngineChoice::At(_) => "it was not looked for yet",
        };
        Self { wish: wish(settings), known: Mutex::new(Err(why.to_owned())) }
    }

    /// Looks for it. Whether that changed that there is one, or not.
    pub(crate) async fn look(&self) -> bool {
        let Some(wish) = &self.wish else { return false };
        let found = Engine::find(wish).await.map_err(|error| error.to_string());
        let is_there = found.is_ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, found).is_ok() != is_there
    }

    /// It, or why there is none.
    pub(crate) fn get(&self) -> Result<Engine, String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether tasks in containers can be run.
    pub(crate) fn is_there(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).is_ok()
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
