//! The thread that keeps the connection: connects again for as long as it may, and carries frames both ways.

use super::{Asked, Wire, delivery::Arriving};
use crate::control::{GRACE, outcome_of};
use protocol::{
    VERSION,
    frame::{Answer, FrameError, Invitation, ToLaunchAgent, ToTaskAgent, Wanted, decode, encode},
    status::Outcome,
};
use rustix::io::Errno;
use sandbox::packet::{Connection, Packet, readable};
use std::{
    convert::Infallible,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// Between two tries to connect: the first and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Between two hints that journal or spools grew: a line now and then is seen at once, a flood is told in larger pieces.
const SHORTEST_HINT_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_HINT_PAUSE: Duration = Duration::from_millis(50);
/// Before a send that found no room is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// A connection kept this long was accepted by a launch-agent that took the greeting.
const KEPT: Duration = Duration::from_secs(1);
/// How long the socket's directory may be missing: whoever removed it wants nothing of the task any more.
const ABANDONED: Duration = Duration::from_secs(10);

/// What ends one connection.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// The launch-agent died, or closed it.
    #[error("the launch-agent is gone: {0}")]
    Gone(#[from] io::Error),
    /// It says what this version does not know.
    #[error("the launch-agent sent {0}")]
    Frame(#[from] FrameError),
    /// It hands over what is no task for this version.
    #[error("{0}")]
    Hopeless(String),
}

/// Keeps the connection for as long as the process lives, or until it is hopeless.
pub(crate) fn attend(wire: &Wire, invitation: &Invitation) {
    let (mut alone_since, mut pause) = (Instant::now(), FIRST_PAUSE);
    let mut complaint = Complaint::default();
    loop {
        if let Ok(connection) = Connection::connect(&invitation.socket) {
            let begin = Instant::now();
            let mut line = Line {
                wire,
                connection,
                arriving: None,
                last_hint: None,
                hint_pause: SHORTEST_HINT_PAUSE,
                heard: false,
            };
            let Err(lost) = line.converse(invitation);
            if is_company(line.heard, begin.elapsed()) {
                alone_since = Instant::now();
            }
            match lost {
                Lost::Gone(_) if line.heard => pause = FIRST_PAUSE,
                Lost::Gone(_) => {}
                Lost::Hopeless(message) if !wire.progress().0 => return wire.fail(message),
                // A task that runs goes on; perhaps the next launch-agent is better.
                Lost::Frame(_) | Lost::Hopeless(_) => complaint.say(&lost),
            }
        }
        give_up_if_alone(wire, invitation, alone_since.elapsed());
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether a connection that is over was one to a launch-agent that wants the task: it has nothing to say to one that
/// simply goes on, but it keeps the connection.
fn is_company(heard: bool, lasted: Duration) -> bool {
    heard || lasted >= KEPT
}

/// What was said last of a launch-agent that is not understood. Each new connection may say the same, for days.
#[derive(Debug, Default)]
struct Complaint(Option<String>);

impl Complaint {
    fn say(&mut self, lost: &Lost) {
        let words = lost.to_string();
        if self.is_new(&words) {
            eprintln!("roundhouse-task-agent: {words}");
        }
    }

    fn is_new(&mut self, words: &str) -> bool {
        let is_new = self.0.as_deref() != Some(words);
        self.0 = Some(words.to_owned());
        is_new
    }
}

/// A launch-agent that stays away longer than it said, or whose directory is gone, does not come back.
fn give_up_if_alone(wire: &Wire, invitation: &Invitation, alone: Duration) {
    let patience = invitation.outlive_ms.map(Duration::from_millis);
    let is_abandoned = || alone > ABANDONED && !invitation.socket.parent().is_some_and(|at| at.exists());
    if patience.is_some_and(|patience| alone > patience) || is_abandoned() {
        wire.control.end(Outcome::InfrastructureFail, GRACE);
    }
}

/// One connection.
struct Line<'w> {
    wire: &'w Wire,
    connection: Connection,
    /// A task that is not whole yet; begun anew over each connection.
    arriving: Option<Arriving>,
    last_hint: Option<Instant>,
    hint_pause: Duration,
    heard: bool,
}

impl Line<'_> {
    fn converse(&mut self, invitation: &Invitation) -> Result<Infallible, Lost> {
        self.greet(invitation)?;
        self.connection.set_nonblocking(true)?;
        self.wire.change(|desk| desk.asked.values_mut().for_each(|asked| asked.sent = false));
        loop {
            let pause = self.send_waiting()?;
            let ready = readable(&[self.connection.as_fd(), self.wire.hints.bell.as_fd()], pause)?;
            if ready[1] {
                self.wire.hints.bell.clear();
            }
            if ready[0] {
                self.receive()?;
            }
        }
    }

    fn greet(&self, invitation: &Invitation) -> Result<(), Lost> {
        let (holds_task, begun) = self.wire.progress();
        let hello = ToLaunchAgent::Hello {
            version: VERSION,
            key: invitation.key.clone(),
            holds_task,
            begun,
            follows: true,
            notes_times: true,
        };
        Ok(self.connection.send(&encode(&hello)?, &[])?)
    }

    /// Sends requests and the hint, as far as there is room and it is time; how long until more can be sent, if there is.
    fn send_waiting(&mut self) -> Result<Option<Duration>, Lost> {
        for (request, wanted, file) in self.wire.unsent() {
            match encode(&ToLaunchAgent::Request { request, wanted }) {
                Err(error) => self.wire.answer(request, Answer::Refused { message: error.to_string() }, None),
                Ok(frame) if self.send(&frame, file.as_deref())? => self.wire.mark_sent(request),
                Ok(_) => return Ok(Some(BUSY_PAUSE)),
            }
        }
        self.send_hint()
    }

    fn send_hint(&mut self) -> Result<Option<Duration>, Lost> {
        if !self.wire.hints.is_given() {
            return Ok(None);
        }
        let since = self.last_hint.map_or(LONGEST_HINT_PAUSE, |last| last.elapsed());
        if since < self.hint_pause {
            return Ok(Some(self.hint_pause - since));
        }
        let was_quiet = since > self.hint_pause * 2;
        self.hint_pause =
            if was_quiet { SHORTEST_HINT_PAUSE } else { (self.hint_pause * 2).min(LONGEST_HINT_PAUSE) };
        // Before it is sent: what is written meanwhile gives the next one.
        self.wire.hints.take();
        self.last_hint = Some(Instant::now());
        if !self.send(&encode(&ToLaunchAgent::Progress)?, None)? {
            self.wire.hints.give();
            return Ok(Some(BUSY_PAUSE));
        }
        Ok(None)
    }

    /// False if there is no room now, in the socket or in what the account may have on its way.
    fn send(&self, frame: &[u8], file: Option<&OwnedFd>) -> Result<bool, Lost> {
        let descriptors: Vec<_> = file.map(AsFd::as_fd).into_iter().collect();
        match self.connection.send(frame, &descriptors) {
            Ok(()) => Ok(true),
            Err(error) if is_busy(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self) -> Result<(), Lost> {
        loop {
            match self.connection.receive() {
                Ok(Some(packet)) => self.hear(packet)?,
                Ok(None) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn hear(&mut self, packet: Packet) -> Result<(), Lost> {
        let Packet { bytes, descriptors } = packet;
        let frame = decode(&bytes)?;
        self.heard = true;
        match frame {
            ToTaskAgent::Task { version } => self.take_task(version, descriptors)?,
            ToTaskAgent::Times => {
                if let Some(arriving) = &mut self.arriving {
                    arriving.take_times(descriptors.into_iter().next().map(File::from));
                }
            }
            ToTaskAgent::StepLogs { first } => {
                let Some(arriving) = &mut self.arriving else { return Ok(()) };
                arriving.take_spools(first, descriptors).map_err(hopeless)?;
                self.deliver();
            }
            ToTaskAgent::Begin => self.wire.change(|desk| desk.begun = true),
            ToTaskAgent::Acknowledged { step, offset } => {
                if let Some(spools) = self.wire.spools.get() {
                    spools.acknowledge(step, offset);
                }
            }
            ToTaskAgent::Sent { request, bytes } => self.wire.sent(request, bytes),
            ToTaskAgent::Answer { request, answer } => {
                self.wire.answer(request, answer, descriptors.into_iter().next().map(File::from));
            }
            ToTaskAgent::Cancel { why, grace_ms } => {
                self.wire.control.end(outcome_of(why), Duration::from_millis(grace_ms));
            }
        }
        Ok(())
    }

    /// One that comes again, although this process said that it holds it, changes nothing.
    fn take_task(&mut self, version: u32, descriptors: Vec<OwnedFd>) -> Result<(), Lost> {
        if version != VERSION {
            let message =
                format!("the launch-agent speaks version {version}, this task-agent version {VERSION}");
            return Err(Lost::Hopeless(message));
        }
        if !self.wire.progress().0 {
            self.arriving = Some(Arriving::begin(descriptors).map_err(hopeless)?);
            self.deliver();
        }
        Ok(())
    }

    fn deliver(&mut self) {
        if let Some(whole) = self.arriving.take_if(|arriving| arriving.is_whole()) {
            self.wire.deliver(whole);
        }
    }
}

fn hopeless(error: impl std::fmt::Display) -> Lost {
    Lost::Hopeless(error.to_string())
}

fn is_busy(error: &io::Error) -> bool {
    let full = [Errno::AGAIN, Errno::NOBUFS, Errno::TOOMANYREFS].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| full.contains(&number))
}

/// What the attendant asks of the desk.
impl Wire {
    /// Whether the task is here whole, and whether it may run.
    fn progress(&self) -> (bool, bool) {
        let desk = self.lock();
        (desk.holds_task, desk.begun)
    }

    fn unsent(&self) -> Vec<(u64, Wanted, Option<Arc<OwnedFd>>)> {
        let desk = self.lock();
        let unsent = desk.asked.iter().filter(|(_, asked)| !asked.sent);
        unsent.map(|(request, Asked { wanted, file, .. })| (*request, wanted.clone(), file.clone())).collect()
    }

    fn mark_sent(&self, request: u64) {
        self.change(|desk| {
            if let Some(asked) = desk.asked.get_mut(&request) {
                asked.sent = true;
            }
        });
    }

    fn deliver(&self, whole: Arriving) {
        let (control, hints) = (Arc::clone(&self.control), Arc::clone(&self.hints));
        let delivered = whole.deliver(|files| crate::spool::Spools::new(files, self.limits, control, hints));
        let spools = Arc::clone(&delivered.spools);
        self.spools.get_or_init(|| spools);
        self.change(|desk| (desk.delivered, desk.holds_task) = (Some(delivered), true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_said_once_until_it_is_another_one() {
        let mut complaint = Complaint::default();
        assert!(complaint.is_new("a"));
        assert!(!complaint.is_new("a"));
        assert!(complaint.is_new("b"));
    }

    #[test]
    fn a_connection_that_was_kept_is_company_though_nothing_was_said() {
        assert!(is_company(false, KEPT));
        assert!(is_company(true, Duration::ZERO));
        assert!(!is_company(false, Duration::from_millis(900)), "it was turned away");
    }
}
