//! `tests glob`, `tests split` and `tests run`: the job's tests, and this task's share of them.

use super::{Failure, ask::ask_file};
use crate::suite::{self, SuiteError, Surroundings};
use protocol::{former::Former, job::Call};
use std::{
    env,
    io::{self, BufReader, BufWriter, Seek},
};

/// Of a program that writes to nobody any more, as a shell has it: 128 and the number of `SIGPIPE`.
const BROKEN_PIPE: u8 = 141;

pub(super) fn glob(arguments: &[String]) -> Result<(), Failure> {
    carry_out("glob", arguments)
}

pub(super) fn split(arguments: &[String]) -> Result<(), Failure> {
    carry_out("split", arguments)
}

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    carry_out("run", arguments)
}

fn carry_out(word: &str, arguments: &[String]) -> Result<(), Failure> {
    let words = [&[word.to_owned()], arguments].concat();
    let mut here = Surroundings {
        directory: env::current_dir().map_err(Failure::io("tell the current directory"))?,
        variable: &|name| env::var(name).ok(),
        former: &former,
        input: &mut io::stdin().lock(),
        output: &mut BufWriter::new(io::stdout().lock()),
        errors: &mut io::stderr(),
    };
    match suite::run(&words, &mut here) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::Ended(code)),
        Err(SuiteError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::Ended(BROKEN_PIPE))
        }
        Err(SuiteError::Usage(usage)) => Err(Failure::Usage(usage.to_string())),
        Err(error) => Err(Failure::Refused(error.to_string())),
    }
}

fn former() -> Result<Former, String> {
    let mut file = ask_file(&Call::FormerTests).map_err(|failure| failure.to_string())?;
    let read = file.rewind().map_err(serde_json::Error::io);
    let read = read.and_then(|()| serde_json::from_reader(BufReader::new(file)));
    read.map_err(|error| format!("what came of former runs cannot be read: {error}"))
}
