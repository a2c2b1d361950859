//! Starts the commands of a job's steps, below the task-agent and with its rights.

use crate::{
    launch::{Started, started},
    prepare::{Preparation, prepare},
};
use std::{
    ffi::OsString,
    io::{self, PipeWriter},
    path::PathBuf,
    process::{Command, Stdio},
};

/// A command, in a session of its own, reading nothing.
#[derive(Clone, Debug)]
pub struct JobCommand {
    /// The program and its arguments; a program without a slash is looked for on the PATH of `environment`.
    pub words: Vec<OsString>,
    /// All of its environment; of two of one name the later.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub directory: PathBuf,
}

impl JobCommand {
    /// Starts it, its output and errors going into the same pipe. A program that cannot be executed is an error here.
    pub fn start(&self, output: PipeWriter) -> io::Result<Started> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command without words"));
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null());
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(output.try_clone()?).stderr(output);
        prepare(&mut command, Preparation::default());
        started(&command.spawn()?)
    }
}
