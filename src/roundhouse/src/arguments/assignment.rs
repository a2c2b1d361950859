//! `NAME=VALUE` words of the command line.

use std::{path::PathBuf, str::FromStr};

/// `NAME=VALUE`, or `NAME` alone where the value comes from elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// What stands before the first `=`.
    pub(crate) name: String,
    /// All that follows it.
    pub(crate) value: Option<String>,
}

impl std::fmt::Debug for Assignment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=***", self.name)
    }
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            Err("write NAME=VALUE".to_owned())
        } else {
            Ok(Self { name: name.to_owned(), value })
        }
    }
}

/// The same where the name is an environment variable's.
pub(crate) fn variable(text: &str) -> Result<Assignment, String> {
    let assignment: Assignment = text.parse().map_err(|_| wrong_name(""))?;
    if is_variable_name(&assignment.name) { Ok(assignment) } else { Err(wrong_name(&assignment.name)) }
}

fn wrong_name(name: &str) -> String {
    format!("`{name}` is no variable's name: letters, digits and `_`, no digit first")
}

/// Whether a shell takes this as a variable's name.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.chars().next().is_some_and(|first| !first.is_ascii_digit())
}

/// `NAME=FILE`: a context and the file of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContextFile {
    /// As jobs name it.
    pub(crate) name: String,
    /// `KEY=value` lines.
    pub(crate) file: PathBuf,
}

impl FromStr for ContextFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: file.into() })
            }
            _ => Err("write NAME=FILE, the file with KEY=value lines".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_equals_signs() {
        assert_eq!(variable("A=b=c").unwrap().value.as_deref(), Some("b=c"));
        assert_eq!(variable("A=").unwrap().value.as_deref(), Some(""));
        assert_eq!(variable("A").unwrap().value, None);
    }

    #[test]
    fn a_value_is_never_shown_in_debug_output() {
        assert_eq!(format!("{:?}", variable("A=hush").unwrap()), "A=***");
    }

    #[test]
    fn a_context_needs_a_name_and_a_file() {
        assert!("org=file".parse::<ContextFile>().is_ok());
        assert!("org".parse::<ContextFile>().is_err());
        assert!("=file".parse::<ContextFile>().is_err());
    }
}
