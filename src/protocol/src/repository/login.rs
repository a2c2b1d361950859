//! What lets a task's checkouts in at a server of https that asks for a name and a password.

use serde::{Deserialize, Serialize};

/// What a task has for the server of its repository, and for no other address.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Nothing: it checks nothing out over https.
    #[default]
    None,
    /// Nothing either.
    Withheld {
        /// For the log of a checkout that the server does not let in: the reason, and what to do about it.
        why: String,
    },
    /// A name and a password.
    Shown {
        /// As the provider wants it beside a token; no secret.
        user: String,
        /// In one line.
        password: String,
    },
}

impl Login {
    /// Whether the task neither has one nor needs one.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// What no log may show.
    pub fn password(&self) -> Option<&str> {
        match self {
            Self::Shown { password, .. } => Some(password),
            Self::None | Self::Withheld { .. } => None,
        }
    }
}

/// Without what nobody else may know.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Withheld { why } => f.debug_struct("Withheld").field("why", why).finish(),
            Self::Shown { user, .. } => f.debug_struct("Shown").field("user", user).finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_as_it_was_written_and_shows_no_password_to_those_who_debug() {
        let shown = Login::Shown { user: "oauth2".to_owned(), password: "hunter2".to_owned() };
        let withheld = Login::Withheld { why: "nobody said so".to_owned() };
        for login in [Login::None, withheld, shown.clone()] {
            let text = serde_json::to_string(&login).unwrap();
            assert_eq!(serde_json::from_str::<Login>(&text).unwrap(), login, "{text}");
        }
        assert!(!format!("{shown:?}").contains("hunter2"));
        assert_eq!((shown.password(), Login::None.password()), (Some("hunter2"), None));
    }
}
