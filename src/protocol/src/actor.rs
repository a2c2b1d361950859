//! Who had something run: whose contexts it may use, and who is shown as having done it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who had a pipeline made or a workflow run again, or answered a job that waited for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Whoever has the operator's token, who may do everything.
    Operator,
    /// A person who is known, by a token or a sign-in of theirs, or by an account at a provider that is theirs.
    Person {
        /// Theirs for good.
        id: Uuid,
        /// As they were called then.
        login: String,
    },
    /// An account at a provider that is nobody's who is known.
    Account {
        /// As the provider calls it.
        login: String,
    },
    /// A program, by a token of a project.
    Project {
        /// The token, for people.
        name: String,
    },
    /// The clock.
    Schedule,
    /// Whoever it was: nobody remembers.
    #[default]
    Unknown,
}

impl Actor {
    /// As others are told.
    pub fn login(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::Person { login, .. } | Self::Account { login } => login,
            Self::Project { name } => name,
            Self::Schedule => "system-actor",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_kept_as_one_object_that_says_its_kind() {
        let ada = Actor::Person { id: Uuid::nil(), login: "ada".to_owned() };
        let text = serde_json::to_string(&ada).unwrap();
        assert_eq!(text, r#"{"kind":"person","id":"00000000-0000-0000-0000-000000000000","login":"ada"}"#);
        assert_eq!(serde_json::from_str::<Actor>(&text).unwrap(), ada);
        assert_eq!(serde_json::to_string(&Actor::default()).unwrap(), r#"{"kind":"unknown"}"#);
    }
}
