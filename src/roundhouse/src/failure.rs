//! Why a command failed, as a person reads it, and the exit status that says so to a script.

use crate::say;
use protocol::exit;
use std::{error::Error, fmt::Display};

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One of [`protocol::exit`].
    pub(crate) status: u8,
    /// What happened, where, and what to do.
    pub(crate) message: String,
    /// Located errors of a configuration, each rendered with its source lines.
    pub(crate) diagnostics: Vec<String>,
}

impl Failure {
    /// The command line or a configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: exit::USAGE, message: message.into(), diagnostics: Vec::new() }
    }

    /// The machinery failed.
    pub(crate) fn machinery(message: impl Into<String>) -> Self {
        Self { status: exit::MACHINERY, message: message.into(), diagnostics: Vec::new() }
    }

    /// A configuration is wrong, at these places.
    pub(crate) fn configuration(message: impl Into<String>, diagnostics: Vec<String>) -> Self {
        Self { diagnostics, ..Self::usage(message) }
    }

    /// What was looked at is wrong, at these places.
    pub(crate) fn invalid(message: impl Into<String>, diagnostics: Vec<String>) -> Self {
        Self { status: exit::JOB_FAILED, message: message.into(), diagnostics }
    }

    /// Tells it on standard error.
    pub(crate) fn tell(&self) {
        for diagnostic in &self.diagnostics {
            say::note(format_args!("{}\n", diagnostic.trim_end()));
        }
        say::note(format_args!("roundhouse: {}", self.message));
    }
}

/// Turns errors of libraries into failures of a command.
pub(crate) trait OrFail<T> {
    /// The machinery failed while it did `what`.
    fn or_machinery(self, what: impl Display) -> Result<T, Failure>;
    /// What the user gave is wrong: `what` says which.
    fn or_usage(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Error> OrFail<T> for Result<T, E> {
    fn or_machinery(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::machinery(format!("{what}: {}", causes(&error))))
    }

    fn or_usage(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::usage(format!("{what}: {}", causes(&error))))
    }
}

/// An error and what caused it, on one line; a cause that its effect already quotes is not said twice.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("cannot open the store")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_failure_names_what_was_done_and_every_cause() {
        let error = Outer(io::Error::other("disk full"));
        let failure = Err::<(), _>(error).or_machinery("cannot start").unwrap_err();
        assert_eq!(failure.message, "cannot start: cannot open the store: disk full");
        assert_eq!(failure.status, exit::MACHINERY);
    }
}
