//! The inside of a judge's process: it takes away from itself what policies need not have, answers one question, and ends.

use crate::evaluation::{Question, TIME, answer};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
};

/// All that it may have in memory, in bytes.
pub(crate) const MEMORY: u64 = 512 * 1024 * 1024;
/// Of that, the stack of the evaluation: rules need rules.
const STACK: usize = 64 * 1024 * 1024;
/// The processor's time, in seconds, that it may take.
pub(crate) const SECONDS: u64 = 2 * TIME.as_secs();
/// The longest question, in bytes.
const LONGEST: u64 = 128 * 1024 * 1024;
/// How much later than others it has its turn on a busy processor.
const NICE: i32 = 10;

/// A question that could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum CourtError {
    /// What it may take could not be bounded.
    #[error("cannot bound what policies may take: {0}")]
    Bounds(#[source] io::Error),
    /// There is nobody who asks.
    #[error("cannot read a question from standard input, which has to be a socket of the control plane: {0}")]
    Read(#[source] io::Error),
    /// It was no question.
    #[error("not a question about policies: {0}")]
    Question(#[source] serde_json::Error),
    /// Nobody hears the answer.
    #[error("cannot answer: {0}")]
    Answer(#[source] io::Error),
}

/// Answers the one question that comes by the socket that is this process's standard input.
pub fn judge() -> Result<(), CourtError> {
    bound().map_err(CourtError::Bounds)?;
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(CourtError::Read)?;
    let mut socket = UnixStream::from(socket);
    let mut text = Vec::new();
    (&socket).take(LONGEST).read_to_end(&mut text).map_err(CourtError::Read)?;
    let question: Question = serde_json::from_slice(&text).map_err(CourtError::Question)?;
    drop(text);
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || answer(question));
    let answering = thread.map_err(CourtError::Bounds)?;
    let answer = answering.join().map_err(|_| CourtError::Answer(io::Error::other("the engine panicked")))?;
    let text = serde_json::to_vec(&answer).map_err(|error| CourtError::Answer(error.into()))?;
    socket.write_all(&text).map_err(CourtError::Answer)
}

/// No more than these, and none of it given back. The files that are open stay so; a file of its own it needs none.
fn bound() -> io::Result<()> {
    for (resource, most) in
        [(Resource::Data, MEMORY), (Resource::Cpu, SECONDS), (Resource::Fsize, 0), (Resource::Core, 0)]
    {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    nice(NICE)?;
    Ok(())
}
