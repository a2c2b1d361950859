//! The outside of a judge's process: starts one for each question, and ends it when its time is over.

use crate::{
    court::{LONGEST_ANSWER, LONGEST_QUESTION, MEMORY, SECONDS},
    evaluation::{Answer, Question},
};
use protocol::policies::ANSWERED_WITHIN_MS;
use rustix::process::Signal;
use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, io,
    os::{fd::OwnedFd, unix::net::UnixStream as Pair},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// So many are at work at once.
const SEATS: usize = 4;
/// Of them for one organization: so that its policies hold up no other's.
const SEATS_OF_ONE: usize = 2;
/// How long a question waits for its turn: until there would be no time left for an answer.
const PATIENCE: Duration =
    Duration::from_millis(ANSWERED_WITHIN_MS).saturating_sub(DEADLINE).saturating_sub(GRACE);
/// When a process is ended that has not answered, whatever it waits for.
const DEADLINE: Duration = Duration::from_secs(2 * SECONDS);
/// How long one may take to end that closed its socket.
const GRACE: Duration = Duration::from_secs(1);
/// By these a process ends that takes more than it may.
const BY_BOUNDS: [Signal; 4] = [Signal::KILL, Signal::XCPU, Signal::ABORT, Signal::SEGV];

/// Who policies are asked through: a program that does nothing but call [`judge()`](crate::judge()).
#[derive(Clone)]
pub struct Judge {
    program: PathBuf,
    arguments: Vec<OsString>,
    seats: Arc<Semaphore>,
    of_ones: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    deadline: Duration,
}

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The program cannot be started, or not be spoken to.
    #[error("cannot start {} to ask policies: {source}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others have been asking for too long.
    #[error("too many policies are being asked at once: try again in a moment")]
    Busy,
    /// It is longer than any may be.
    #[error("a question about policies has at most {LONGEST_QUESTION} bytes, and this one {0}")]
    Long(usize),
    /// The process could not answer.
    #[error("the policies could not be asked: {0}")]
    Broken(String),
    /// The process took more than it may, and was ended.
    #[error(
        "the policies were ended ({how}): they may take {SECONDS} s of a processor and {mib} MiB of memory"
    )]
    Ended {
        /// In a few words.
        how: String,
        /// Their memory.
        mib: u64,
    },
}

impl JudgeError {
    /// Whether nothing says that the same question would fare better later.
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Program { .. } | Self::Busy)
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Judge {
    /// By this program, with these arguments.
    pub fn new<A: Into<OsString>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let seats = Arc::new(Semaphore::new(SEATS));
        let of_ones = Arc::default();
        Self { program: program.to_owned(), arguments, seats, of_ones, deadline: DEADLINE }
    }

    /// One whose processes are ended after that time.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Asks it for an organization, in a process of its own, whose time and memory are bounded.
    pub async fn ask(&self, organization: &str, question: &Question) -> Result<Answer, JudgeError> {
        let _seats =
            timeout(PATIENCE, self.seated(organization)).await.ok().flatten().ok_or(JudgeError::Busy)?;
        let failed = |source| JudgeError::Program { program: self.program.clone(), source };
        let text = serde_json::to_vec(question).map_err(|error| failed(error.into()))?;
        if text.len() > LONGEST_QUESTION {
            return Err(JudgeError::Long(text.len()));
        }
        let (mut child, socket) = self.start().map_err(failed)?;
        let said = timeout(self.deadline, said(socket, &text)).await;
        match said.ok().and_then(|said| serde_json::from_slice(&said).ok()) {
            None => Err(self.end(child).await),
            Some(answer) => {
                // It has nothing left to do, and leaves no zombie.
                let _ = child.kill().await;
                if let Answer::Broken(why) = answer { Err(JudgeError::Broken(why)) } else { Ok(answer) }
            }
        }
    }

    /// First among the organization's own.
    async fn seated(&self, organization: &str) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = {
            let mut all = self.of_ones.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, seats| Arc::strong_count(seats) > 1);
            let seats = all.entry(organization.to_owned());
            seats.or_insert_with(|| Arc::new(Semaphore::new(SEATS_OF_ONE))).clone()
        };
        let own = own.acquire_owned().await.ok()?;
        Some([own, self.seats.clone().acquire_owned().await.ok()?])
    }

    fn start(&self) -> io::Result<(Child, UnixStream)> {
        let (own, theirs) = Pair::pair()?;
        own.set_nonblocking(true)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, UnixStream::from_std(own)?))
    }

    /// Ends it where it has not, and says how it ended.
    async fn end(&self, mut child: Child) -> JudgeError {
        match timeout(GRACE, child.wait()).await {
            Ok(Ok(status)) => by_itself(status),
            _ => {
                let _ = child.kill().await;
                by_bounds(format!("no answer in {} s", self.deadline.as_secs()))
            }
        }
    }
}

/// All that it says to this. One that ends first may not have heard all of it, and may have said why.
async fn said(mut socket: UnixStream, question: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = socket.write_all(question).await;
    let _ = socket.shutdown().await;
    let _ = socket.take(LONGEST_ANSWER as u64).read_to_end(&mut said).await;
    said
}

fn by_bounds(how: String) -> JudgeError {
    JudgeError::Ended { how, mib: MEMORY / 1024 / 1024 }
}

fn by_itself(status: ExitStatus) -> JudgeError {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) if BY_BOUNDS.iter().any(|one| one.as_raw() == signal) => {
            by_bounds(format!("signal {signal}"))
        }
        Some(signal) => JudgeError::Broken(format!("the process was ended by signal {signal}")),
        None => JudgeError::Broken(format!("the process ended without an answer, with {status}")),
    }
}
