//! The inside of a judge's process: it takes away from itself what policies need not have, answers one question, and ends.

use crate::evaluation::{Answer, Question, TIME, answer};
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
pub(crate) const LONGEST_QUESTION: usize = 128 * 1024 * 1024;
/// The longest answer.
pub(crate) const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
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
    /// Nothing evaluates them.
    #[error("cannot start what evaluates policies: {0}")]
    Start(#[source] io::Error),
    /// What evaluates them did not come to an end.
    #[error("the engine that evaluates policies broke off")]
    Engine,
    /// More than is heard.
    #[error("the answer has {0} bytes: at most {LONGEST_ANSWER} are heard")]
    Long(usize),
    /// Nobody hears the answer.
    #[error("cannot answer: {0}")]
    Answer(#[source] io::Error),
}

/// Answers the one question that comes by the socket that is this process's standard input. What it cannot answer it says why.
pub fn judge() -> Result<(), CourtError> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(CourtError::Read)?;
    let mut socket = UnixStream::from(socket);
    // All of it before anything can fail: who asks hears nothing as long as it speaks.
    let mut text = Vec::new();
    (&socket).take(LONGEST_QUESTION as u64).read_to_end(&mut text).map_err(CourtError::Read)?;
    let answered = answered(text).and_then(heard);
    let (text, broken) = match answered {
        Ok(text) => (text, None),
        Err(error) => (heard(Answer::Broken(error.to_string()))?, Some(error)),
    };
    socket.write_all(&text).map_err(CourtError::Answer)?;
    broken.map_or(Ok(()), Err)
}

fn answered(text: Vec<u8>) -> Result<Answer, CourtError> {
    bound().map_err(CourtError::Bounds)?;
    let question: Question = serde_json::from_slice(&text).map_err(CourtError::Question)?;
    drop(text);
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || answer(question));
    thread.map_err(CourtError::Start)?.join().map_err(|_| CourtError::Engine)
}

/// As it is said, where it is not longer than what is heard.
fn heard(answer: Answer) -> Result<Vec<u8>, CourtError> {
    let text = serde_json::to_vec(&answer).map_err(|error| CourtError::Answer(error.into()))?;
    if text.len() > LONGEST_ANSWER { Err(CourtError::Long(text.len())) } else { Ok(text) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_what_is_heard_of_one() {
        let of = |bytes: usize| heard(Answer::Broken("x".repeat(bytes)));
        assert_eq!(of(LONGEST_ANSWER - 13).unwrap().len(), LONGEST_ANSWER);
        let error = of(LONGEST_ANSWER - 12).unwrap_err().to_string();
        assert_eq!(error, "the answer has 16777217 bytes: at most 16777216 are heard");
    }
}
