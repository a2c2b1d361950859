//! The calls of a control plane to others, by the client that all of this program has.

use crate::failure::{Failure, OrFail};
use client::{ClientError, Messenger, Proxies};
use control_plane::{Answering, Ask, Outbound, Post, Reply};

/// Calls through the proxies of the environment.
#[derive(Debug)]
pub(crate) struct Caller(Messenger);

impl Caller {
    /// Connects to nothing yet.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let proxies = Proxies::from_environment().or_usage("the proxy of the environment")?;
        Ok(Self(Messenger::new(proxies).or_machinery("cannot set up calls to others")?))
    }
}

impl Outbound for Caller {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        Box::pin(async move {
            told(self.0.post(&post.url, &post.headers, post.body.clone().into(), post.verify_tls).await)
        })
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a> {
        Box::pin(async move { told(self.0.ask(&ask.url, &ask.headers, ask.form.clone()).await) })
    }
}

fn told(answered: Result<client::Reply, ClientError>) -> Result<Reply, String> {
    let reply = answered.map_err(|error| match error {
        ClientError::Untrusted { what, why } => {
            format!("{what}: {why}; if its authority is your own, have the system trust its certificate")
        }
        other => other.to_string(),
    })?;
    Ok(Reply { status: reply.status, pause: reply.pause, body: reply.body })
}
