//! Runs commands for the steps, below this process, with the task's environment.

use crate::{
    children::Children,
    control::{Control, GRACE},
    follow::{PIPE, Until, follow},
    steps::engine,
};
use protocol::{status::Outcome, task::NO_OUTPUT_TIMEOUT_MS};
use sandbox::{identity::Exit, job::JobCommand};
use std::{
    collections::BTreeMap,
    io::{self, PipeReader, Write},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A command that did not come to an exit of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The task is being ended.
    #[error("the task is being ended")]
    Ended,
    /// It cannot be started.
    #[error("cannot start `{command}`: {source}")]
    Start {
        /// Its first word.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// Its output cannot be read.
    #[error("cannot read the output of the command: {0}")]
    Output(#[from] io::Error),
}

/// Runs the programs that built-in steps need.
pub(crate) trait Commands {
    /// Runs to its end, its output and errors going into `log`; its exit code, 128 and the number for a signal.
    fn run(&self, words: &[&str], directory: &Path, log: &mut dyn Write) -> Result<i32, CommandError>;
}

/// Starts and follows commands.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) children: Arc<Children>,
    pub(crate) control: Arc<Control>,
    pub(crate) variables: Arc<BTreeMap<String, String>>,
    /// The address of the job's own engine, once a step has set it up.
    pub(crate) engine: Arc<OnceLock<String>>,
}

impl Runner {
    /// Starts a command.
    pub(crate) fn start(&self, command: &JobCommand) -> Result<Running<'_>, CommandError> {
        if self.control.is_ending() {
            return Err(CommandError::Ended);
        }
        let (output, input) = io::pipe()?;
        // An account that has used up its share of pipes keeps the smaller ones.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE);
        let start = |source| CommandError::Start { command: first_word(command), source };
        let started = self.children.start(command, input).map_err(start)?;
        Ok(Running { runner: self, started, output })
    }

    /// Commands that start from now on find the engine there. A step that sets it up again finds the same.
    pub(crate) fn engine_is_at(&self, address: String) {
        let _ = self.engine.set(address);
    }

    /// The task's variables with these on top.
    pub(crate) fn environment(&self, over: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        let ours = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let engine = self.engine.get().map(String::as_str);
        let engine = engine.into_iter().flat_map(|address| engine::VARIABLES.map(|name| (name, address)));
        ours.chain(engine)
            .chain(over.iter().copied())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Running<'r> {
    runner: &'r Runner,
    started: sandbox::launch::Started,
    output: PipeReader,
}

impl Running<'_> {
    /// Follows it to its exit. If it writes nothing for that long, the task is ended as timed out.
    pub(crate) fn until_exit(self, quiet: Duration, log: &mut dyn Write) -> Result<Exit, CommandError> {
        let control = &self.runner.control;
        let mut too_quiet = |log: &mut dyn Write| {
            let _ = writeln!(log, "Too long with no output (exceeded {quiet:?}): the step is ended");
            control.end(Outcome::Timedout, GRACE);
        };
        let rest = self.output.try_clone()?;
        let children = &self.runner.children;
        let exit =
            follow(children, &self.started, self.output, Until::Exit, Some(quiet), &mut too_quiet, log)?;
        leave_open(rest);
        Ok(exit)
    }

    /// Follows it until nobody has its output open any more.
    pub(crate) fn until_silence(self, log: &mut dyn Write) -> Result<Exit, CommandError> {
        let children = &self.runner.children;
        Ok(follow(children, &self.started, self.output, Until::Silence, None, &mut |_| (), log)?)
    }
}

impl Commands for Runner {
    fn run(&self, words: &[&str], directory: &Path, log: &mut dyn Write) -> Result<i32, CommandError> {
        let command = JobCommand {
            words: words.iter().map(Into::into).collect(),
            environment: self.environment(&[]),
            directory: directory.to_owned(),
        };
        let exit = self.start(&command)?.until_exit(Duration::from_millis(NO_OUTPUT_TIMEOUT_MS), log)?;
        if self.control.is_ending() { Err(CommandError::Ended) } else { Ok(exit.code()) }
    }
}

fn first_word(command: &JobCommand) -> String {
    command.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Processes that a command left behind may go on writing: closing the pipe would end them, so it is read to nowhere.
fn leave_open(output: PipeReader) {
    let open = sandbox::packet::readable(&[std::os::fd::AsFd::as_fd(&output)], Some(Duration::ZERO));
    let mut probe = [0; 1];
    let is_at_end =
        open.is_ok_and(|ready| ready[0]) && matches!(rustix::io::read(&output, &mut probe), Ok(0));
    if is_at_end {
        return;
    }
    let read_on = move || {
        let mut output = output;
        let _ = rustix::io::ioctl_fionbio(&output, false);
        let _ = io::copy(&mut output, &mut io::sink());
    };
    // Without a thread the pipe closes, which a process left behind has to bear.
    let _ = std::thread::Builder::new().stack_size(64 * 1024).spawn(read_on);
}
