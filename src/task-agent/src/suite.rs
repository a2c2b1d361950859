//! The tests that a job lists: found by patterns, weighed by what former runs took, and divided over the job's tasks.
//!
//! ```text
//! circleci tests glob PATTERN…                          names, one a line
//! circleci tests split [FILE]     names ──▶ weighed ──▶ this task's share
//! circleci tests run --command …  names ──▶ the failed ones, in a rerun of those ──▶ weighed ──▶ share ──▶ the command
//! ```
//!
//! Every task divides the same list by the same weights, and takes its own share of it: nobody is asked for a share.

mod again;
mod arguments;
mod divide;
mod find;
mod listing;
mod pattern;
mod weigh;

use again::Again;
pub(crate) use arguments::FLAGS;
use arguments::{Options, Usage, Words};
use listing::{Listed, Roots};
use protocol::former::Former;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use weigh::Weighed;

/// The longest list of tests that is read, in bytes.
const MOST_LIST: u64 = 64 << 20;

/// Where a command runs, and whom it asks.
pub(crate) struct Surroundings<'s> {
    /// Where relative names begin.
    pub(crate) directory: PathBuf,
    /// A variable of the command's environment.
    pub(crate) variable: &'s dyn Fn(&str) -> Option<String>,
    /// What former runs of the job tell; or why that is not to be had.
    pub(crate) former: &'s dyn Fn() -> Result<Former, String>,
    pub(crate) input: &'s mut dyn Read,
    pub(crate) output: &'s mut dyn Write,
    pub(crate) errors: &'s mut dyn Write,
}

/// A command about tests that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuiteError {
    /// Its words are wrong.
    #[error(transparent)]
    Usage(#[from] Usage),
    /// A pattern that cannot be read.
    #[error(transparent)]
    Pattern(#[from] pattern::BadPattern),
    /// A list or a file of timings.
    #[error("cannot read {what}: {cause}")]
    Read {
        /// Which.
        what: String,
        /// Why.
        cause: io::Error,
    },
    /// The list is too long.
    #[error("the list of tests is over {MOST_LIST} bytes, which is the limit")]
    Long,
    /// The command of `run` cannot be started.
    #[error("cannot start {shell} for --command: {cause}")]
    Start {
        /// Which shell.
        shell: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Carries out `circleci tests …`; the exit code.
pub(crate) fn run(words: &[String], here: &mut Surroundings<'_>) -> Result<u8, SuiteError> {
    match arguments::read(words)? {
        Words::Glob(patterns) => glob(&patterns, here),
        Words::Split(options) => split(&options, here),
        Words::Run(options, command) => run_tests(&options, &command, here),
    }
}

fn glob(patterns: &[String], here: &mut Surroundings<'_>) -> Result<u8, SuiteError> {
    let home = (here.variable)("HOME");
    for pattern in patterns {
        for name in find::matching(&here.directory, &from_home(pattern, home.as_deref()))? {
            here.output.write_all(&[name.as_bytes(), b"\n"].concat())?;
        }
    }
    here.output.flush()?;
    Ok(0)
}

/// `CIRCLE_WORKING_DIRECTORY` begins with `~`, and no shell has replaced it where it stands for a pattern.
fn from_home(pattern: &str, home: Option<&str>) -> String {
    match (pattern.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => format!("{home}/{below}"),
        _ => pattern.to_owned(),
    }
}

fn split(options: &Options, here: &mut Surroundings<'_>) -> Result<u8, SuiteError> {
    let node = options.node(here.variable)?;
    let text = list(options, here)?;
    let listed = listing::lines(&text, &roots(here));
    let share = share(&listed, options, node, None, here)?;
    for test in share {
        here.output.write_all(&[test.name.as_bytes(), b"\n"].concat())?;
    }
    here.output.flush()?;
    Ok(0)
}

fn run_tests(options: &Options, command: &str, here: &mut Surroundings<'_>) -> Result<u8, SuiteError> {
    let node = options.node(here.variable)?;
    let text = list(options, here)?;
    let listed = listing::words(&text, &roots(here));
    if listed.is_empty() {
        writeln!(here.errors, "No test names found in the input: list them on standard input.")?;
    }
    let former = match (here.former)() {
        Ok(former) => former,
        Err(why) => {
            writeln!(here.errors, "What former runs tell is not to be had, so all tests are run: {why}")?;
            Former::default()
        }
    };
    let Again { listed, told } = again::wanted(listed, former.failed.as_deref(), options.kind);
    told.iter().try_for_each(|line| writeln!(here.errors, "{line}"))?;
    let share = share(&listed, options, node, Some(&former), here)?;
    if share.is_empty() {
        writeln!(here.errors, "No tests are left for this task: the command is not run.")?;
        return Ok(0);
    }
    if options.verbose {
        writeln!(here.errors, "This task runs {} of {} tests:", share.len(), listed.len())?;
        share.iter().try_for_each(|test| writeln!(here.errors, "  {}", test.name))?;
    }
    let names: Vec<&str> = share.iter().map(|test| test.name.as_str()).collect();
    execute(command, &names.join(" "), &here.directory)
}

/// This task's share of a list.
fn share<'l>(
    listed: &'l [Listed],
    options: &Options,
    (index, total): (usize, usize),
    former: Option<&Former>,
    here: &mut Surroundings<'_>,
) -> Result<Vec<&'l Listed>, SuiteError> {
    let Weighed { weights, told } = weigh::weigh(listed, options, former, here)?;
    told.iter().try_for_each(|line| writeln!(here.errors, "{line}"))?;
    let names: Vec<&str> = listed.iter().map(|test| test.name.as_str()).collect();
    let tasks = divide::tasks(&names, &weights, total);
    let share = listed.iter().zip(&tasks).filter(|(_, task)| **task == index);
    let share: Vec<_> = share.map(|(test, _)| test).collect();
    if options.show_counts {
        let (mine, all) = (share.len(), listed.len());
        writeln!(here.errors, "Task {index} of {total}: {mine} of {all} tests")?;
    }
    Ok(share)
}

/// The list of a file, if one is named, or that on standard input.
fn list(options: &Options, here: &mut Surroundings<'_>) -> Result<String, SuiteError> {
    match &options.file {
        Some(name) => text_of(&here.directory, name),
        None => bounded(&mut *here.input, "standard input"),
    }
}

fn text_of(directory: &Path, name: &str) -> Result<String, SuiteError> {
    let refused = |cause| SuiteError::Read { what: format!("`{name}`"), cause };
    bounded(&mut File::open(directory.join(name)).map_err(refused)?, &format!("`{name}`"))
}

fn bounded(from: &mut dyn Read, what: &str) -> Result<String, SuiteError> {
    let mut bytes = Vec::new();
    let read = from.take(MOST_LIST + 1).read_to_end(&mut bytes);
    read.map_err(|cause| SuiteError::Read { what: what.to_owned(), cause })?;
    if bytes.len() as u64 > MOST_LIST {
        return Err(SuiteError::Long);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn roots(here: &Surroundings<'_>) -> Roots {
    let home = (here.variable)("HOME").unwrap_or_default();
    let working = (here.variable)("CIRCLE_WORKING_DIRECTORY").unwrap_or_default();
    Roots::new(&here.directory, Path::new(&from_home(&(working + "/"), Some(&home))))
}

/// Runs the command in a shell with this task's share on its standard input, as one line without an end.
fn execute(command: &str, names: &str, directory: &Path) -> Result<u8, SuiteError> {
    const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
    let shell = if Path::new(SHELLS[0]).exists() { SHELLS[0] } else { SHELLS[1] };
    let mut started = Command::new(shell);
    started.args(["-c", command]).current_dir(directory).stdin(Stdio::piped());
    let mut child = started.spawn().map_err(|cause| SuiteError::Start { shell, cause })?;
    if let Some(mut input) = child.stdin.take() {
        // A command that reads only a part of it is none of our business.
        let _ = input.write_all(names.as_bytes());
    }
    let status = child.wait()?;
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
    let code = status.code().or_else(|| by_signal.map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests;
