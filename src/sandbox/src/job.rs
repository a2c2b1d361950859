//! Starts the commands of a job's steps, below the task-agent and with its rights.

use crate::{
    image::Image,
    launch::Started,
    prepare::{Preparation, Rank},
};
use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
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
    /// Starts it, its output and errors going into the same pipe or terminal. A program that cannot be executed is an error here.
    pub fn start(&self, output: OwnedFd) -> io::Result<Started> {
        let image = Image::new(&self.words, self.environment.iter().cloned())?;
        let nothing = File::open("/dev/null")?;
        let streams = [nothing.as_fd(), output.as_fd(), output.as_fd()];
        Preparation::new(image, &self.directory, streams, Rank::Job)?.start()
    }
}
