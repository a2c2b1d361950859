//! To whom a content belongs: a project, or the control plane itself for agents' programs and sealed logs.

use protocol::Digest;
use std::fmt;

/// Contents of different scopes never meet, equal ones either: nobody learns what a stranger has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(String);

const AGENTS: &str = "agents";
const LOGS: &str = "logs";
const DIGITS: usize = 32;

impl Scope {
    /// The contents of one project.
    pub fn project(name: &str) -> Self {
        let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let bytes = hash.as_ref().try_into().expect("a SHA-256 has 32 bytes");
        Self(Digest::of_bytes(bytes).as_str()[..DIGITS].to_owned())
    }

    /// The programs of task-agents, which are nobody's secret.
    pub fn agents() -> Self {
        Self(AGENTS.to_owned())
    }

    /// Sealed logs, which only the control plane itself names.
    pub fn logs() -> Self {
        Self(LOGS.to_owned())
    }

    /// The scope that is written so in a path or URL.
    pub fn from_segment(segment: &str) -> Option<Self> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let known = [AGENTS, LOGS].contains(&segment) || segment.len() == DIGITS && segment.bytes().all(hex);
        known.then(|| Self(segment.to_owned()))
    }

    /// The scope as one segment of a path or URL.
    pub fn as_segment(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_was_written_and_nothing_else_is_one() {
        for scope in [Scope::agents(), Scope::logs(), Scope::project("local/x"), Scope::project("gh/acme/ü")]
        {
            assert_eq!(Scope::from_segment(scope.as_segment()), Some(scope));
        }
        for bad in ["", "..", "incoming", "ABCDEF", &"g".repeat(DIGITS), &"a".repeat(DIGITS + 1)] {
            assert_eq!(Scope::from_segment(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_projects_have_two_scopes() {
        assert_ne!(Scope::project("local/x"), Scope::project("local/y"));
    }
}
