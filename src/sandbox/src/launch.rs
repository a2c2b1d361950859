//! Starts a task-agent: in a session of its own, with the job's rights, inside its containment, inheriting nothing.

use crate::{
    Account, Containment, Identity,
    contain::COOKIE,
    image::Image,
    prepare::{Preparation, Rank, aside},
};
use std::{
    ffi::OsString,
    fs::File,
    io::{self, PipeReader, Write},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The most bytes of standard input: what a pipe holds without a reader.
pub const MAX_STDIN: usize = 64 * 1024;

/// How long a program may be busy, and how often it is tried meanwhile.
const BUSY: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(2);

/// A process to be started. It outlives the one that starts it.
#[derive(Debug)]
pub struct Launch {
    /// What to execute.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Put before the program, as `sudo -u ci`.
    pub prefix: Vec<String>,
    /// Whose rights it gets; none: those of this process.
    pub account: Option<Account>,
    /// All of its environment but the cookie of its containment.
    pub environment: Vec<(String, String)>,
    /// Where it starts.
    pub directory: PathBuf,
    /// Read by it from its standard input, then the end. At most [`MAX_STDIN`].
    pub stdin: Vec<u8>,
    /// Its standard output and error.
    pub error_output: File,
    /// Its descriptor 3: a socket that it is to take connections from.
    pub listener: Option<OwnedFd>,
}

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// Which. It is a child of this process: [`Identity::reap`] it once the descriptor is readable.
    pub identity: Identity,
    /// Readable once it ended.
    pub pidfd: OwnedFd,
}

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The kernel or the program refused.
    #[error("cannot start {program}{account}: {source}")]
    Start {
        /// What was to be executed first.
        program: PathBuf,
        /// As whom, if as another.
        account: String,
        /// Why not.
        source: io::Error,
    },
    /// What it is to read does not fit a pipe.
    #[error("{0} bytes of standard input are more than {MAX_STDIN}")]
    Stdin(usize),
    /// A pipe, the containment or the new process's identity cannot be had.
    #[error("cannot prepare the start of {program}: {source}")]
    Prepare {
        /// What was to be executed.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Launch {
    /// Starts it as the root of the containment. A program that cannot be executed is an error here.
    pub fn start(self, containment: &mut Containment) -> Result<Started, LaunchError> {
        let program = self.prefix.first().map_or_else(|| self.program.clone(), PathBuf::from);
        let prepare_failed = |source| LaunchError::Prepare { program: program.clone(), source };
        if self.stdin.len() > MAX_STDIN {
            return Err(LaunchError::Stdin(self.stdin.len()));
        }
        let preparation = self.preparation(containment).map_err(prepare_failed)?;
        let start_failed = |source| LaunchError::Start {
            program: program.clone(),
            account: self
                .account
                .as_ref()
                .map_or_else(String::new, |account| format!(" as {}", account.name)),
            source,
        };
        let started = start(&preparation).map_err(start_failed)?;
        containment.rooted_in(started.identity);
        Ok(started)
    }

    fn preparation(&self, containment: &Containment) -> io::Result<Preparation> {
        let program = self.program.clone().into_os_string();
        let arguments = self.arguments.iter().map(OsString::from);
        let words: Vec<_> =
            self.prefix.iter().map(OsString::from).chain([program]).chain(arguments).collect();
        let written = self.environment.iter().map(|(name, value)| (name.into(), value.into()));
        let image = Image::new(&words, written.chain([(COOKIE.into(), containment.task().into())]))?;
        let (input, output) = (filled_pipe(&self.stdin)?, self.error_output.as_fd());
        let rights = self.account.as_ref().map(|account| (account.uid, account.gid, account.groups.clone()));
        let streams = [input.as_fd(), output, output];
        let mut preparation = Preparation::new(image, &self.directory, streams, Rank::Agent)?;
        (preparation.entrance, preparation.rights) = (containment.entrance()?, rights);
        preparation.handed = self.listener.as_ref().map(|listener| aside(listener.as_fd())).transpose()?;
        Ok(preparation)
    }
}

/// Another thread's child that has not executed yet may still hold a program just written open for writing: for moments.
fn start(preparation: &Preparation) -> io::Result<Started> {
    let begun = Instant::now();
    loop {
        match preparation.start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < BUSY => {
                thread::sleep(LOOK);
            }
            started => return started,
        }
    }
}

fn filled_pipe(bytes: &[u8]) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(bytes)?;
    Ok(reader)
}
