//! The commands that a job finds on its PATH: this very program, called `circleci` or `circleci-agent`.
//!
//! A command is a line of the table and a module. What it cannot do by itself it asks the job's task-agent for
//! ([`ask::ask`]): a [`protocol::job::Call`], which the task-agent does or has carried as any step's request
//! (`job_socket`).

mod ask;
mod halt;
mod oidc;
mod subst;
mod suite;

use protocol::{exit, job::NAMES};
use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// One command of a job.
struct Command {
    /// By which it is called, behind the program's name.
    words: &'static [&'static str],
    /// What comes behind these.
    arguments: &'static str,
    about: &'static str,
    /// Does it, with what came behind its words.
    run: fn(&[String]) -> Result<(), Failure>,
}

/// In the order in which they are told.
const COMMANDS: &[Command] = &[
    Command {
        words: &["step", "halt"],
        arguments: "",
        about: "End the job after this step, without failing it",
        run: halt::run,
    },
    Command {
        words: &["task", "halt"],
        arguments: "",
        about: "The same under its newer name",
        run: halt::run,
    },
    Command {
        words: &["env", "subst"],
        arguments: "[TEXT]",
        about: "Fill variables of the environment into a text, or into standard input",
        run: subst::run,
    },
    Command {
        words: &["tests", "glob"],
        arguments: "PATTERN…",
        about: "Names of files, one a line: * ** ? [abc] {a,b}",
        run: suite::glob,
    },
    Command {
        words: &["tests", "split"],
        arguments: "[FLAGS] [FILE]",
        about: "This task's share of the names in a file or on standard input",
        run: suite::split,
    },
    Command {
        words: &["tests", "run"],
        arguments: "--command COMMAND [FLAGS]",
        about: "Give this task's share to a command; in a rerun of failed tests, of those",
        run: suite::run,
    },
    Command {
        words: &["run", "oidc", "get"],
        arguments: "[--claims JSON]",
        about: "Print a token that proves which job this is; --claims '{\"aud\": …}' says to whom",
        run: oidc::run,
    },
    Command { words: &["version"], arguments: "", about: "Tell the version of the task-agent", run: version },
];

/// A command that did not do what it had to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It was called wrongly.
    #[error("{0}; --help lists the commands of a job")]
    Usage(String),
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The command that it ran for the job ended so, and has said why.
    #[error("its command ended with {0}")]
    Ended(u8),
    /// Something cannot be read or written.
    #[error("cannot {doing}: {source}")]
    Io {
        /// In the imperative.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl Failure {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Ended(status) => *status,
            Self::Refused(_) | Self::Io { .. } => exit::JOB_FAILED,
        }
    }
}

/// The name by which a job has called this program, if one has.
pub(crate) fn called_as() -> Option<&'static str> {
    let called = std::env::args_os().next()?;
    let name = Path::new(&called).file_name()?;
    NAMES.into_iter().find(|known| name == *known)
}

/// Does what the arguments say.
pub(crate) fn main(name: &str) -> ExitCode {
    let done = words(std::env::args_os().skip(1)).and_then(|words| dispatch(name, &words));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Ended(status)) => ExitCode::from(status),
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.status())
        }
    }
}

fn words(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|odd| Failure::Usage(format!("{} is no UTF-8", odd.display())))
    };
    arguments.map(text).collect()
}

fn dispatch(name: &str, words: &[String]) -> Result<(), Failure> {
    if words.is_empty() || words.iter().any(|word| word == "--help" || word == "-h") || words[0] == "help" {
        return say(&help(name));
    }
    match find(words) {
        Some((command, rest)) => (command.run)(rest),
        None => Err(Failure::Usage(format!("`{}` is no command of jobs here", words.join(" ")))),
    }
}

/// The command and what came behind its words.
fn find(words: &[String]) -> Option<(&'static Command, &[String])> {
    COMMANDS.iter().find_map(|command| {
        let (named, rest) = words.split_at_checked(command.words.len())?;
        (named == command.words).then_some((command, rest))
    })
}

fn help(name: &str) -> String {
    let mut text =
        format!("The commands of a job of Roundhouse, as CircleCI has them.\n\nUsage: {name} COMMAND\n\n");
    for Command { words, arguments, about, .. } in COMMANDS {
        let command = [words.join(" "), (*arguments).to_owned()].join(" ");
        text += &format!("  {command:<37} {about}\n");
    }
    text + "\nFlags of tests split and tests run:\n\n" + crate::suite::FLAGS
}

fn version(arguments: &[String]) -> Result<(), Failure> {
    takes_nothing(arguments)?;
    say(concat!("roundhouse-task-agent ", env!("CARGO_PKG_VERSION"), "\n"))
}

fn takes_nothing(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(odd) => Err(Failure::Usage(format!("nothing can be made of `{odd}`"))),
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let said = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    said.map_err(Failure::io("write the result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_is_found_by_its_words_and_gets_the_rest() {
        let words = split("env subst a b");
        let (command, rest) = find(&words).unwrap();
        assert_eq!((command.words, rest), (["env", "subst"].as_slice(), &words[2..]));
        assert!(find(&split("env")).is_none() && find(&split("step hal")).is_none());
    }

    #[test]
    fn what_is_no_command_is_named() {
        let failure = dispatch("circleci", &split("orb publish x")).unwrap_err();
        assert_eq!(failure.status(), exit::USAGE);
        let said = failure.to_string();
        assert_eq!(said, "`orb publish x` is no command of jobs here; --help lists the commands of a job");
        let failure = dispatch("circleci", &split("step halt now")).unwrap_err();
        assert_eq!(failure.status(), exit::USAGE);
    }

    #[test]
    fn help_tells_every_command_under_the_name_it_was_called_by() {
        let help = help("circleci-agent");
        assert!(help.contains("Usage: circleci-agent COMMAND"), "{help}");
        assert!(COMMANDS.iter().all(|command| help.contains(&command.words.join(" "))), "{help}");
    }
}
