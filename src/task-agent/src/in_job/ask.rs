//! One call to the task-agent of the job that this program runs in.

use super::Failure;
use protocol::{
    container::JOB,
    frame::{decode, encode},
    job::{Call, Reply, SOCKET, SOCKET_VARIABLE},
};
use sandbox::packet::Connection;
use std::{
    env,
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// The most of an answer that is read, in bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// Asks, and waits for the answer as long as it takes: the task-agent may have to wait for a launch-agent that is started
/// again.
pub(super) fn ask(call: &Call) -> Result<(), Failure> {
    speak(call).map(drop)
}

/// The same for what comes in a file.
pub(super) fn ask_file(call: &Call) -> Result<File, Failure> {
    let nothing =
        || Failure::Refused("the job's task-agent answered without what it was asked for".to_owned());
    speak(call)?.into_iter().next().map(File::from).ok_or_else(nothing)
}

/// The same for a text, which it reads.
pub(super) fn text(call: &Call) -> Result<String, Failure> {
    let mut text = String::new();
    ask_file(call)?.take(MOST).read_to_string(&mut text).map_err(Failure::io("read the answer"))?;
    Ok(text)
}

/// The descriptors that came with the answer.
fn speak(call: &Call) -> Result<Vec<OwnedFd>, Failure> {
    let socket = socket()?;
    let connection = Connection::connect(&socket).map_err(|source| {
        Failure::Refused(format!("cannot reach the job's task-agent at {}: {source}", socket.display()))
    })?;
    let refused = |error: protocol::frame::FrameError| Failure::Refused(error.to_string());
    let failed = Failure::io("speak to the job's task-agent");
    let heard = connection.send(&encode(call).map_err(refused)?, &[]).and_then(|()| connection.receive());
    let Some(packet) = heard.map_err(failed)? else {
        return Err(Failure::Refused("the job's task-agent hung up: it is busy, or the job ends".to_owned()));
    };
    match decode(&packet.bytes).map_err(refused)? {
        Reply::Done | Reply::File => Ok(packet.descriptors),
        Reply::Refused { message } => Err(Failure::Refused(message)),
    }
}

/// In a container also where the variable was lost, as `sudo` and `su` lose it.
fn socket() -> Result<PathBuf, Failure> {
    let told = env::var_os(SOCKET_VARIABLE).map(PathBuf::from);
    let usual = || Some(Path::new(JOB).join(SOCKET)).filter(|path| path.exists());
    told.or_else(usual).ok_or_else(|| {
        Failure::Refused(format!(
            "this is no step of a job: {SOCKET_VARIABLE} is not set, which tells where its task-agent is"
        ))
    })
}
