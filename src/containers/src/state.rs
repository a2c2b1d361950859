//! How a container stands.

use crate::engine::{Again, Engine, EngineError};
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};

/// How a container stands. Where the engine does not answer, that is no state but an [`EngineError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Its first process has this number on this host.
    Running {
        /// On this host.
        pid: i32,
    },
    /// Its first process ended.
    Ended {
        /// With this code: 128 and the number for a signal.
        code: i64,
        /// The engine saw the kernel kill for want of memory. It does not always see that.
        out_of_memory: bool,
        /// What the engine says about it, where it says anything.
        message: String,
    },
    /// The engine has no such container.
    Gone,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Created => f.write_str("was never started"),
            Self::Running { pid } => write!(f, "runs (pid {pid})"),
            Self::Gone => f.write_str("is gone: something else removed it"),
            Self::Ended { code, out_of_memory, message } => {
                let why = match (out_of_memory, code) {
                    (true, _) => " (out of memory)",
                    (false, 137) => " (killed; where memory is limited, mostly because that was too little)",
                    (false, 126) => " (its program cannot be executed)",
                    (false, 127) => " (its program is not there)",
                    _ => "",
                };
                let message = if message.is_empty() { String::new() } else { format!(": {message}") };
                write!(f, "ended with exit code {code}{why}{message}")
            }
        }
    }
}

impl Engine {
    /// How the container of this id stands.
    pub async fn inspect(&self, id: &str) -> Result<State, EngineError> {
        match self.look(id).await {
            Ok(answer) => Ok(state(&answer)),
            Err(error) if error.is_missing() => Ok(State::Gone),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn look(&self, id: &str) -> Result<ContainerInspectResponse, EngineError> {
        let doing = format_args!("look at container {id}");
        self.call(doing, Again::Always, || self.docker.inspect_container(id, None)).await
    }
}

fn state(answer: &ContainerInspectResponse) -> State {
    let Some(state) = &answer.state else { return State::Created };
    let pid = state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let message = || state.error.clone().unwrap_or_default();
    match (state.status, pid) {
        (Some(Status::RUNNING | Status::PAUSED | Status::STOPPING | Status::RESTARTING), Some(pid)) => {
            State::Running { pid }
        }
        (Some(Status::CREATED) | None, _) if message().is_empty() => State::Created,
        _ => State::Ended {
            code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            message: message(),
        },
    }
}
