//! How the control plane calls others: whoever starts it brings the client.

use std::{fmt, pin::Pin, time::Duration};

/// A call that tells: `POST` of JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// The whole address.
    pub url: String,
    /// What it has besides those of every call; one of them has a token.
    pub headers: Vec<(&'static str, String)>,
    /// Its text.
    pub body: Vec<u8>,
    /// Whether the certificate of whoever answers has to be one that is trusted.
    pub verify_tls: bool,
}

/// A call that asks, and whose answer is wanted whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// The whole address.
    pub url: String,
    /// What it has besides those of every call; one of them may have a secret.
    pub headers: Vec<(&'static str, String)>,
    /// Fields and values, encoded, for a `POST`; none: it is a `GET`.
    pub form: Option<String>,
}

/// How it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of HTTP.
    pub status: u16,
    /// For how long it asks not to be called again.
    pub pause: Option<Duration>,
    /// Its beginning; of one that was asked for, all of it.
    pub body: String,
}

/// An answer to come, or why there is none.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, String>> + 'a>>;

/// Calls others, once and for a bounded time; a redirect is an answer.
pub trait Outbound: fmt::Debug + Send + Sync {
    /// Posts it.
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a>;

    /// Asks it.
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a>;
}

/// Without what nobody else may know: of its address only whose it is, for the rest may be a secret too.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<_> = self.url.split(['/', '?']).take(3).collect();
        f.debug_struct("Post").field("to", &to.join("/")).finish_non_exhaustive()
    }
}

/// Likewise.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("url", &self.url).finish_non_exhaustive()
    }
}
