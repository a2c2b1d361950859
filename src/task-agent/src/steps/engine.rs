//! `setup_remote_docker`: a container engine for the steps after it. The launch-agent starts it; this looks whether the
//! job gets to it.

use super::StepError;
use crate::carry::Carry;
use protocol::frame::{Answer, Wanted};
use std::{
    io::{ErrorKind, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// The variables by which programs find the engine: Docker's, and Podman's.
pub(crate) const VARIABLES: [&str; 2] = ["DOCKER_HOST", "CONTAINER_HOST"];

/// Has the engine started. Its address.
pub(crate) fn setup(
    version: Option<&str>,
    wants_layers: bool,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<String, StepError> {
    let (socket, notes) = match carry.ask(Wanted::StartEngine, None)?.0 {
        Answer::Engine { socket, notes } => (socket, notes),
        other => return Err(StepError::of_answer(other)),
    };
    for note in notes {
        writeln!(log, "{note}")?;
    }
    if let Some(version) = version {
        writeln!(log, "`version: {version}` is CircleCI's own: this engine is what the host has.")?;
    }
    if wants_layers {
        writeln!(log, "`docker_layer_caching`: no layers are kept for other jobs; each begins with none.")?;
    }
    reach(&socket)?;
    let address = format!("unix://{}", socket.display());
    writeln!(log, "{}: {address}", VARIABLES.join(" and "))?;
    Ok(address)
}

fn reach(socket: &Path) -> Result<(), StepError> {
    let Err(error) = UnixStream::connect(socket) else { return Ok(()) };
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; the job's user may not use it: have the job run as one who may, or an engine of its own started (containers.remote_docker: private)"
        }
        _ => "",
    };
    Err(StepError::Refused(format!("cannot connect to the engine at {}: {error}{advice}", socket.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::Scripted;
    use std::os::unix::net::UnixListener;

    #[test]
    fn its_address_is_told_and_what_is_asked_for_and_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let (carry, mut log) = (Scripted { engine: socket.clone(), ..Scripted::default() }, Vec::new());
        let address = setup(Some("docker24"), true, &carry, &mut log).unwrap();
        assert_eq!(address, format!("unix://{}", socket.display()));
        let log = String::from_utf8(log).unwrap();
        for words in [
            "Podman 1",
            "`version: docker24`",
            "`docker_layer_caching`: no layers",
            "DOCKER_HOST and CONTAINER_HOST: unix://",
        ] {
            assert!(log.contains(words), "{log}");
        }
    }

    #[test]
    fn an_engine_that_the_job_does_not_get_to_is_a_failure_of_the_step() {
        let carry = Scripted { engine: "/no/such/engine.sock".into(), ..Scripted::default() };
        let error = setup(None, false, &carry, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("cannot connect to the engine at /no/such/engine.sock"), "{error}");
        let carry = Scripted { refusal: Some("no newuidmap".to_owned()), ..Scripted::default() };
        assert_eq!(setup(None, false, &carry, &mut Vec::new()).unwrap_err().to_string(), "no newuidmap");
    }
}
