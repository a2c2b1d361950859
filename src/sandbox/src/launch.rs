//! Starts a task-agent: in a session of its own, with the job's rights, inside its containment, inheriting nothing.

use crate::{
    Account, Containment, Identity,
    contain::COOKIE,
    prepare::{Preparation, prepare},
};
use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The most bytes of standard input: what a pipe holds without a reader.
pub const MAX_STDIN: usize = 64 * 1024;

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
}

/// A process that was started.
#[derive(Debug)]
pub struct Started {
    /// Which. It is a child of this process: [`crate::identity::reap`] it once the descriptor is readable.
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
        let mut command = self.command(containment)?;
        let start_failed = |source| LaunchError::Start {
            program: program.clone(),
            account: self
                .account
                .as_ref()
                .map_or_else(String::new, |account| format!(" as {}", account.name)),
            source,
        };
        let child = command.spawn().map_err(start_failed)?;
        let started = started(&child).map_err(prepare_failed)?;
        containment.rooted_in(started.identity);
        Ok(started)
    }

    fn command(&self, containment: &Containment) -> Result<Command, LaunchError> {
        if self.stdin.len() > MAX_STDIN {
            return Err(LaunchError::Stdin(self.stdin.len()));
        }
        let failed = |source| LaunchError::Prepare { program: self.program.clone(), source };
        let mut words = self.prefix.iter().map(PathBuf::from).chain([self.program.clone()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(&self.arguments);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env(COOKIE, containment.task()).current_dir(&self.directory);
        command.stdin(filled_pipe(&self.stdin).map_err(failed)?);
        command.stdout(self.error_output.try_clone().map_err(failed)?);
        command.stderr(self.error_output.try_clone().map_err(failed)?);
        let rights = self.account.as_ref().map(|account| (account.uid, account.gid, account.groups.clone()));
        let groups = containment.doors().map_err(failed)?;
        prepare(&mut command, Preparation { groups, expendable: true, rights });
        Ok(command)
    }
}

/// The child cannot be reaped before it is asked, so its number is its own here.
pub(crate) fn started(child: &std::process::Child) -> io::Result<Started> {
    let identity = Identity::of(i32::try_from(child.id()).map_err(io::Error::other)?)?;
    let gone = || io::Error::new(io::ErrorKind::NotFound, "the new process was reaped by somebody else");
    Ok(Started { identity, pidfd: identity.pidfd()?.ok_or_else(gone)? })
}

fn filled_pipe(bytes: &[u8]) -> io::Result<Stdio> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(bytes)?;
    Ok(reader.into())
}
