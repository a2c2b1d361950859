//! An engine that was found, and calls to it: each with a deadline, and made again where that does no harm.

use bollard::{Docker, errors::Error};
use std::{fmt, future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// How long a call goes on while the engine is not there: a restart of it takes less.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A container engine of this host. A clone is the same one. It works on any runtime of tokio, also on the single thread
/// of an arbiter: each call opens a connection of its own and keeps nothing of it.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) docker: Docker,
    about: Arc<About>,
    patience: Duration,
}

/// What an engine says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Where it listens.
    pub socket: PathBuf,
    /// `Docker` or `Podman`.
    pub name: &'static str,
    /// Its own.
    pub version: String,
    /// Whether it runs without root's rights.
    pub is_rootless: bool,
    /// Whether it can limit what containers use. Without root's rights and control groups of version 2 it cannot, and
    /// does not say so.
    pub limits: bool,
    /// The processors that it has. More than these it refuses to a container.
    pub processors: u32,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rootless = if self.is_rootless { ", rootless" } else { "" };
        let limits = if self.limits { "" } else { ", which cannot limit memory and processors here" };
        write!(f, "{} {}{rootless} at {}{limits}", self.name, self.version, self.socket.display())
    }
}

/// A call that did not come to what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine did not answer, or not to the end. Whether it did what was asked is unknown.
    #[error(
        "the container engine at {} did not answer, asked for {} s to {doing}: {why}; see whether it runs", socket.display(), waited.as_secs()
    )]
    Unknown {
        /// Where it should listen.
        socket: PathBuf,
        /// What it was to do.
        doing: String,
        /// For how long it was tried.
        waited: Duration,
        /// What the last try came to.
        why: String,
    },
    /// The engine said no.
    #[error("the container engine cannot {doing}: {message}")]
    Refused {
        /// What it was to do.
        doing: String,
        /// Its answer's status.
        status: u16,
        /// Its own words.
        message: String,
    },
}

impl EngineError {
    /// Whether the engine knows nothing of what it was asked about.
    pub fn is_missing(&self) -> bool {
        self.status() == Some(404)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unknown { .. } => None,
        }
    }
}

/// When a call may be made again whose answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Always: to do it twice is to do it once.
    Always,
    /// Only where it cannot have reached the engine.
    Unsent,
}

impl Engine {
    pub(crate) fn new(docker: Docker, about: About) -> Self {
        Self { docker, about: Arc::new(about), patience: PATIENCE }
    }

    /// What it says about itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The same engine, waited for no longer than this where it does not answer.
    pub fn patient_for(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Calls until there is an answer or the patience is over.
    pub(crate) async fn call<T, F>(
        &self,
        doing: impl fmt::Display,
        again: Again,
        attempt: impl Fn() -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let begun = Instant::now();
        loop {
            let left = self.patience.saturating_sub(begun.elapsed());
            let error = match timeout(left, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => Error::RequestTimeoutError,
            };
            let is_over = begun.elapsed() + PAUSE >= self.patience;
            if is_over || !may_be_made_again(&error, again) {
                return Err(self.failed(doing.to_string(), begun.elapsed(), error));
            }
            sleep(PAUSE).await;
        }
    }

    pub(crate) fn failed(&self, doing: String, waited: Duration, error: Error) -> EngineError {
        match error {
            Error::DockerResponseServerError { status_code: status, message } => {
                EngineError::Refused { doing, status, message: message.trim().to_owned() }
            }
            // Said after the answer had begun.
            Error::DockerStreamError { error } => EngineError::Refused { doing, status: 500, message: error },
            error => {
                EngineError::Unknown { socket: self.about.socket.clone(), doing, waited, why: chain(&error) }
            }
        }
    }
}

/// What a transport says of its failure is mostly in the cause of the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut causes: Vec<_> = causes.collect();
    causes.dedup();
    causes.join(": ")
}

fn may_be_made_again(error: &Error, again: Again) -> bool {
    match error {
        Error::DockerResponseServerError { .. } => false,
        Error::HyperLegacyError { err } if err.is_connect() => true,
        _ => again == Again::Always,
    }
}
