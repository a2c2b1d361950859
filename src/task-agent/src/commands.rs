//! Runs commands for the steps, below this process, with the task's environment.

use crate::{
    children::Children,
    control::{Control, GRACE},
    follow::{Until, follow},
    outlet::{self, Kind, Outlet},
    steps::engine,
};
use protocol::{status::Outcome, task::NO_OUTPUT_TIMEOUT_MS};
use sandbox::{identity::Exit, job::JobCommand};
use std::{
    collections::BTreeMap,
    io::{self, Write},
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
    /// Where the output of steps comes out.
    pub(crate) outlet: Kind,
}

impl Runner {
    /// Starts a step's own command.
    pub(crate) fn step(
        &self,
        command: &JobCommand,
        log: &mut dyn Write,
    ) -> Result<Running<'_>, CommandError> {
        self.start(command, self.outlet, log)
    }

    fn start(
        &self,
        command: &JobCommand,
        kind: Kind,
        log: &mut dyn Write,
    ) -> Result<Running<'_>, CommandError> {
        if self.control.is_ending() {
            return Err(CommandError::Ended);
        }
        let (output, input, refusal) = outlet::open(kind)?;
        if let Some(refusal) = refusal {
            writeln!(log, "No terminal can be had ({refusal}): the output of this step goes through a pipe")?;
        }
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
    output: Outlet,
}

impl Running<'_> {
    /// Follows what this is called to its exit. If it writes nothing for that long, the task is ended as timed out.
    pub(crate) fn until_exit(
        self,
        name: &str,
        quiet: Duration,
        log: &mut dyn Write,
    ) -> Result<Exit, CommandError> {
        let control = &self.runner.control;
        let mut too_quiet = |log: &mut dyn Write| {
            let _ = writeln!(log, "Too long with no output (exceeded {quiet:?}): the step `{name}` is ended");
            control.end(Outcome::Timedout, GRACE);
        };
        let children = &self.runner.children;
        Ok(follow(children, &self.started, self.output, Until::Exit, Some(quiet), &mut too_quiet, log)?)
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
        let quiet = Duration::from_millis(NO_OUTPUT_TIMEOUT_MS);
        let exit = self.start(&command, Kind::Pipe, log)?.until_exit(&words.join(" "), quiet, log)?;
        if self.control.is_ending() { Err(CommandError::Ended) } else { Ok(exit.code()) }
    }
}

fn first_word(command: &JobCommand) -> String {
    command.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}
