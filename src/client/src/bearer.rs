//! A token as calls carry it, and as no log shows it.

use std::{fmt, rc::Rc};

/// Proves who calls.
#[derive(Clone)]
pub(crate) struct Bearer(Rc<str>);

impl Bearer {
    /// With this token.
    pub(crate) fn new(token: &str) -> Self {
        Self(token.into())
    }

    /// What `Authorization` says.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
