//! Asks a launch-agent of this host how it stands.

use super::{Status, socket_path};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use sandbox::packet::at_address;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Why nobody says how it stands.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no launch-agent runs with the state directory {}", .0.display())]
    Nobody(PathBuf),
    /// The socket is another account's.
    #[error("{} belongs to another account: ask as the launch-agent's own, or as root", .0.display())]
    NotAllowed(PathBuf),
    /// It does not answer as one of ours would.
    #[error("the launch-agent at {} does not answer: {source}", path.display())]
    NoAnswer {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The longest that an answer may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer.
const MOST: u64 = 64 * 1024 * 1024;
const REQUEST: &[u8] = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How the launch-agent with this state directory stands.
pub fn ask(state_dir: &Path) -> Result<Status, AskError> {
    let path = socket_path(state_dir);
    let stream = connected(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
            AskError::Nobody(state_dir.to_owned())
        }
        io::ErrorKind::PermissionDenied => AskError::NotAllowed(path.clone()),
        _ => AskError::NoAnswer { path: path.clone(), source: error },
    })?;
    answer(stream).map_err(|source| AskError::NoAnswer { path, source })
}

fn connected(path: &Path) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    at_address(path, |address| connect(&socket, address))?;
    let stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Of one request over one connection, which ends with its answer.
fn answer(mut stream: UnixStream) -> io::Result<Status> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let blank = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at(blank.ok_or_else(|| strange("this is no answer"))?);
    if !head.starts_with(b"HTTP/1.1 200 ") {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        return Err(strange(&String::from_utf8_lossy(line)));
    }
    Ok(serde_json::from_slice(body)?)
}
