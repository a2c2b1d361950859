//! The job's own socket, and the commands that speak to it: where a program of a step asks its task-agent for something.
//!
//! Whatever process of the job connects is answered, by a thread of its own, one call for each connection; so many at
//! once. What a call needs of the control plane is carried by the launch-agent like any step's request, over its restarts.

use crate::{carry::Carry, control::Control, place::Place};
use masking::{MOST_LEARNED, Masker};
use protocol::{
    frame::{Answer, Wanted, decode, encode},
    job::{Call, NAMES, Reply, SOCKET, SOCKET_VARIABLE},
};
use sandbox::packet::{Connection, Listener, Peer, readable};
use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, symlink},
    },
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

/// So many calls are answered at once; who comes then is turned away.
const MOST_CALLS: usize = 32;
/// How long a caller may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the next caller is taken where one could not be: descriptors may be short.
const PAUSE: Duration = Duration::from_millis(100);
/// What a call moves is in files.
const STACK: usize = 256 * 1024;
/// The longest token, in bytes.
const MOST_TOKEN: usize = 64 * 1024;
const PATH: &str = "PATH";
/// As [`sandbox`] looks for programs where nobody said.
const USUAL_PATH: &str = "/bin:/usr/bin";

/// Commands of a job that would reach nobody.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the job's commands in {path}: {source}")]
pub(crate) struct CannotListen {
    path: std::path::PathBuf,
    source: io::Error,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// The job's account, and root.
    Own,
    /// Every account: within the job's own container.
    All,
}

/// Opens the socket in a directory, makes the commands in it, and tells the job's programs of both.
pub(crate) fn open(
    directory: &Path,
    callers: Callers,
    place: &mut Place,
    control: &Arc<Control>,
    (carry, masker): (Arc<dyn Carry>, &Masker),
) -> Result<(), CannotListen> {
    let socket = directory.join(SOCKET);
    let make = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let program = std::env::current_exe()?;
        for name in NAMES {
            let command = directory.join(name);
            // One that an earlier task left in a working directory of the operator's.
            let _ = fs::remove_file(&command);
            symlink(&program, command)?;
        }
        let (listener, control) = (Listener::bind(&socket)?, Arc::clone(control));
        let door = Arc::new(Door { listener, callers, control, carry, masker: masker.fresh() });
        let thread = thread::Builder::new().name("job socket".to_owned()).stack_size(STACK);
        thread.spawn(move || door.keep()).map(drop)
    };
    make().map_err(|source| CannotListen { path: directory.to_owned(), source })?;
    place.variables.insert(SOCKET_VARIABLE.to_owned(), socket.to_string_lossy().into_owned());
    let path = place.variables.entry(PATH.to_owned()).or_insert_with(|| USUAL_PATH.to_owned());
    // Behind what the job has: a `circleci` that it installs itself is the one it means, and that one asks ours.
    *path += &format!(":{}", directory.display());
    Ok(())
}

/// What every call needs.
struct Door {
    listener: Listener,
    callers: Callers,
    control: Arc<Control>,
    carry: Arc<dyn Carry>,
    /// Learns what is given out and must not be in a log.
    masker: Masker,
}

impl Door {
    /// Takes calls as long as this process lives.
    fn keep(self: &Arc<Self>) {
        loop {
            let Ok(connection) = self.listener.accept() else {
                thread::sleep(PAUSE);
                continue;
            };
            // Each call has its share of the door.
            if Arc::strong_count(self) > MOST_CALLS {
                continue;
            }
            let door = Arc::clone(self);
            let thread = thread::Builder::new().name("call".to_owned()).stack_size(STACK);
            // A caller that went away needs no answer.
            let _ = thread.spawn(move || door.take(&connection));
        }
    }

    fn take(&self, connection: &Connection) -> io::Result<()> {
        let (reply, file) = if self.admits(connection.peer()?) {
            let heard = readable(&[connection.as_fd()], Some(PATIENCE))?[0];
            let Some(packet) = (if heard { connection.receive()? } else { None }) else { return Ok(()) };
            self.answer(&packet.bytes)
        } else {
            refused("only the job's own account may call here")
        };
        let file: Vec<_> = file.iter().map(AsFd::as_fd).collect();
        connection.send(&encode(&reply).map_err(io::Error::other)?, &file)
    }

    fn admits(&self, peer: Peer) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.callers == Callers::All || peer.uid == own || peer.uid == 0
    }

    /// What comes of a call. Its bytes are a job's.
    fn answer(&self, bytes: &[u8]) -> (Reply, Option<File>) {
        match decode(bytes) {
            Ok(Call::Halt) => {
                self.control.halt();
                (Reply::Done, None)
            }
            Ok(Call::FormerTests) => self.carried(Wanted::FormerTests),
            Ok(Call::Token { audience }) => self.masked(self.carried(Wanted::Token { audience })),
            Err(error) => refused(format!("the call is {error}")),
        }
    }

    /// What comes of a request that the launch-agent carries.
    fn carried(&self, wanted: Wanted) -> (Reply, Option<File>) {
        match self.carry.ask(wanted, None) {
            Ok((Answer::FormerTests { .. } | Answer::Content { .. }, Some(file))) => {
                (Reply::File, Some(file))
            }
            Ok((Answer::Refused { message }, _)) => refused(message),
            Ok((other, _)) => {
                refused(format!("the launch-agent gave an answer to another question: {other:?}"))
            }
            Err(ended) => refused(ended.to_string()),
        }
    }

    /// The same reply once its token would be masked in every log of the job.
    fn masked(&self, (reply, file): (Reply, Option<File>)) -> (Reply, Option<File>) {
        let Some(token) = &file else { return (reply, file) };
        match text(token).map(|token| self.masker.learn(token.trim())) {
            Ok(Ok(())) => (reply, file),
            Ok(Err(_)) => refused(format!(
                "this job was given {MOST_LEARNED} tokens: no more can be masked in its logs; use one again, each is good for an hour"
            )),
            Err(error) => refused(format!("the token cannot be read: {error}")),
        }
    }
}

/// All of a small file, which stays at its start for whoever reads it next.
fn text(file: &File) -> io::Result<String> {
    let size = file.metadata()?.len();
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST_TOKEN);
    let mut bytes = vec![0; size.ok_or(io::ErrorKind::FileTooLarge)?];
    file.read_exact_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn refused(message: impl Into<String>) -> (Reply, Option<File>) {
    (Reply::Refused { message: message.into() }, None)
}
